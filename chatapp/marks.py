"""The tags that a chat template puts around what is said, learned from the template itself.

Text from outside must contain none of them: a document with `[/INST]` or `</tool_response>` in it would end the place
it is quoted in. Control tokens are only a part of them, since many models were trained with tags of plain text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

Messages: TypeAlias = list[dict[str, Any]]
TAG = re.compile(r"<<?/?[^<>\s]{1,40}>>?|\[/?[A-Z_]{2,30}\]")
HERMES_TAGS = frozenset({"<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"})
"""What calls and results are laid between where a template has no place for them."""
FIRST, LAST = "probe first", "probe last"


def template_tags(render: Callable[[Messages], str | None]) -> set[str]:
    """All tags between the beginning of a prompt and what the user said last; what follows begins the answer.

    `render` makes text of messages as a chat template takes them, None where the template refuses them.
    """
    found: set[str] = set(HERMES_TAGS)
    for conversation in (_talk(), _talk()[1:], _work({"a": 1}), _work('{"a": 1}')):
        text = render(conversation) or ""
        found |= set(TAG.findall(text[: max(text.rfind(LAST), 0)]))
    return found


def _talk() -> Messages:
    """A system message, a question, an answer and another question."""
    return [
        {"role": "system", "content": "probe rules"},
        {"role": "user", "content": FIRST},
        {"role": "assistant", "content": "probe answer"},
        {"role": "user", "content": LAST},
    ]


def _work(arguments: Any) -> Messages:
    """The same with a tool that was called; some templates want its arguments as text."""
    _, first, answer, last = _talk()
    function = {"name": "probe_tool", "arguments": arguments}
    # Nine letters and digits, as Mistral's templates demand.
    call = {"id": "probe0001", "type": "function", "function": function}
    return [
        first,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "probe result", "tool_call_id": "probe0001", "name": "probe_tool"},
        answer,
        last,
    ]
