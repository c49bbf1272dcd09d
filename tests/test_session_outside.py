"""A session whose holder runs tools of its own, as the programs do that use it from outside."""

from __future__ import annotations

import pytest

from chatapp import Finished, Message, Session, TextDelta, Tool, ToolCall, ToolResult, UsageError
from chatapp.testing import script, sent_texts


async def test_a_tool_of_whoever_holds_the_session_ends_the_turn_and_is_gone_on_from(session: Session) -> None:
    session.outside = (Tool("weather", "The weather of a city.", {"type": "object", "properties": {}}),)
    call = ToolCall("1", "weather", {"city": "Lisbon"})
    script(session).says([TextDelta("Let me see."), call, Finished("tool_calls")], "It is sunny.")
    events = [event async for event in session.send("How is the weather?")]
    assert events[-1] == Finished("tool_calls")
    assert script(session).requests[0].tools == session.outside
    session.conversation.append(Message("tool", (ToolResult("1", "weather", "Sunny."),)))
    events = [event async for event in session.go_on()]
    assert events[-1] == Finished("stop")
    assert sent_texts(script(session).requests[1].messages)[-3:] == [
        ("user", "How is the weather?"),
        ("assistant", "Let me see."),
        ("tool", "Sunny."),
    ]
    assert [each.role for each in session.conversation.path()] == ["user", "assistant", "tool", "assistant"]


async def test_where_nothing_is_to_be_answered(session: Session) -> None:
    with pytest.raises(UsageError, match="There is nothing to answer"):
        session.go_on()
    async for _ in session.send("Hi"):
        pass
    with pytest.raises(UsageError, match="There is nothing to answer"):
        session.go_on()
