"""Whether the prompts of a conversation only ever grow at their end, so that an engine reads each word once."""

from __future__ import annotations

from itertools import pairwise

from chatapp.engine import Request
from chatapp.messages import chat_text
from chatapp.session import Session
from chatapp.testing.making import script

ADVICE = (
    "The model must read everything from there again. Let what holds for the whole conversation be a block with "
    'stability="static" or "session" whose text stays the same, and put what changes into one with stability="turn", '
    'slot="user", which stands beside the newest message.'
)


def assert_prefix_stable(session: Session) -> None:
    """Fail unless each prompt begins with the words of the one before it, but for that one's newest message.

    For a session of the scripted engine whose conversation went straight on: two turns or more, nothing edited.
    """
    __tracebackhide__ = True
    requests = script(session).requests
    if len(requests) < 2:
        raise AssertionError(f"{len(requests)} prompts were sent, and it takes two to compare: send another message.")
    for number, (before, now) in enumerate(pairwise(requests), 2):
        complaint = _tools(before, now) or _messages(before, now)
        if complaint:
            raise AssertionError(f"Prompt {number} does not begin with prompt {number - 1}: {complaint}. {ADVICE}")


def _tools(before: Request, now: Request) -> str:
    old, new = [tool.name for tool in before.tools], [tool.name for tool in now.tools]
    if old != new:
        return f"the tools offered were {', '.join(old) or 'none'} and are {', '.join(new) or 'none'}"
    changed = [tool.name for tool, again in zip(before.tools, now.tools, strict=True) if tool != again]
    return f"the tool {changed[0]} is described otherwise" if changed else ""


def _messages(before: Request, now: Request) -> str:
    old, new = before.messages[:-1], now.messages
    for number, message in enumerate(old):
        if number >= len(new):
            return f"message {number + 1} ({message.role}) is gone"
        again = new[number]
        if (message.role, chat_text(message).split()) != (again.role, chat_text(again).split()):
            text, other = _parting(chat_text(message).split(), chat_text(again).split())
            return f"message {number + 1} ({message.role}) said {text!r}, then ({again.role}) {other!r}"
    return ""


def _parting(old: list[str], new: list[str]) -> tuple[str, str]:
    """The words around the first difference."""
    same = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    begin = max(same - 3, 0)
    return " ".join(old[begin : same + 4]), " ".join(new[begin : same + 4])
