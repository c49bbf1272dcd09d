"""Tool calls of a model: finding the action, checking the arguments, asking the user, and telling what came out."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from chatapp.actions import Action, arguments_model, run
from chatapp.engine import Tool
from chatapp.errors import ChatappError, PluginError, UsageError
from chatapp.events import Notice, Progress
from chatapp.messages import Part, Text, ToolCall, ToolResult
from chatapp.ui import plain

if TYPE_CHECKING:
    from chatapp.session import Session

LONGEST_RESULT = 8000
"""Characters of a tool's result that the model is told; the parts themselves are shown whole."""


def tool_of(action: Action) -> Tool:
    """An action as the model is offered it."""
    schema = arguments_model(action).model_json_schema()
    return Tool(action.tool_name, action.doc, {key: value for key, value in schema.items() if key != "title"})


async def call_tool(session: Session, call: ToolCall) -> tuple[ToolResult, list[Part]]:
    """Run the called action with the user's consent; whatever goes wrong is told to the model as the result."""
    shown: list[Part] = []
    action = _find(session, call.name)
    if action is None:
        return ToolResult(call.id, call.name, f"Failed: There is no tool {call.name!r}.", failed=True), shown
    try:
        values = _checked(action, call)
        if action.consent == "ask" and not await session.ui.confirm(_question(action), _detail(call)):
            return ToolResult(call.id, call.name, "The user did not allow this.", failed=True), shown
        async with aclosing(run(action, session, values)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    session.ui.progress(event)
                elif isinstance(event, Notice):
                    session.ui.notify(event.text, event.level)
                else:
                    shown.append(event)  # type: ignore[arg-type]
    except ChatappError as error:
        if isinstance(error, PluginError):
            session.host.report(action.owner, f"the tool {call.name!r}", error.__cause__ or error)
        return ToolResult(call.id, call.name, f"Failed: {error}", failed=True), shown
    text = "\n".join(part.text if isinstance(part, Text) else plain(part) for part in shown)
    if len(text) > LONGEST_RESULT:
        text = f"{text[:LONGEST_RESULT]}\n(cut after {LONGEST_RESULT:,} of {len(text):,} characters)"
    return ToolResult(call.id, call.name, text or "Done."), shown


def _find(session: Session, name: str) -> Action | None:
    offered = (each for each in session.host.actions.values() if each.tool)
    return next((each for each in offered if each.tool_name == name), None)


def _checked(action: Action, call: ToolCall) -> dict[str, Any]:
    from pydantic import ValidationError

    try:
        valid = arguments_model(action).model_validate(dict(call.arguments))
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise UsageError(f"The argument {place!r} does not fit: {detail['msg']}.") from None
    return {param.name: getattr(valid, param.name) for param in action.params}


def _question(action: Action) -> str:
    return f"Let the model run {action.name!r}?"


def _detail(call: ToolCall) -> str:
    return json.dumps(dict(call.arguments), ensure_ascii=False, indent=2, default=str)
