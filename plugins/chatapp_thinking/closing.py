"""Ending the reasoning before its end: the engine is asked to go on after what was thought, where the answer begins."""

from __future__ import annotations

from dataclasses import replace

from chatapp import Message, Request, Text, Usage
from chatapp_thinking.marker import MARKER
from chatapp_thinking.splitting import Split

LAST_THOUGHT = "\n\nI have thought about this for long enough and answer now.\n"
"""How reasoning in tags is ended: models that find it cut in mid-sentence tend to go on with it in the answer."""
LEAST_ROOM = 64
"""Tokens an answer gets at least, whatever the reasoning took of `max_tokens`."""


def can_close(split: Split) -> bool:
    """Whether what ends this reasoning can be written as text; control tokens cannot."""
    return not split.tags.inside or (split.tags.tag is not None and split.tags.tag.plain)


def closing_request(request: Request, split: Split, used: int) -> Request:
    """The request for the answer after the reasoning so far, of which `used` tokens were generated."""
    messages = request.messages
    begun = _begun(split)
    if request.continue_last:
        begun = messages[-1].text + begun
        messages = messages[:-1]
    most = request.sampling.max_tokens
    sampling = replace(request.sampling, max_tokens=max(most - used, LEAST_ROOM)) if most else request.sampling
    answer = Message("assistant", (Text(begun),))
    return replace(request, messages=(*messages, answer), sampling=sampling, continue_last=True)


def _begun(split: Split) -> str:
    tag = split.tags.tag
    if split.tags.inside and tag is not None:
        return f"{tag.open}\n{split.tags.reasoning.strip()}{LAST_THOUGHT}{tag.close}\n\n"
    return f"{split.raw.rstrip()}\n\n{MARKER}"


def together(*usages: Usage | None) -> Usage | None:
    """One usage for several requests of an answer: the first one's prompt, and what all of them read and generated.

    Prompt tokens that later requests evaluated (the last one of each, and what closes the reasoning) count as the
    prompt's, so that `evaluated_tokens` is what was really read.
    """
    known = [usage for usage in usages if usage is not None]
    if not known:
        return None
    first, later = known[0], known[1:]
    return replace(
        first,
        prompt_tokens=first.prompt_tokens + sum(each.evaluated_tokens for each in later),
        completion_tokens=sum(each.completion_tokens for each in known),
        completion_seconds=sum(each.completion_seconds for each in known),
    )


def cut_usage(after: Usage | None, messages: int, tokens: int, seconds: float, read: int) -> Usage | None:
    """The usage of a request that was cut off and so told none, worked out from that of the request that goes on.

    `messages` were in the request, `tokens` were generated in `seconds`, `read` prompt tokens were seen being read.
    """
    if after is None:
        return None
    spans = after.spans[:messages]
    prompt = spans[-1][1] if spans else max(after.prompt_tokens - tokens, 0)
    return replace(
        after,
        prompt_tokens=prompt,
        reused_tokens=max(min(after.reused_tokens, prompt) - read, 0),
        completion_tokens=tokens,
        completion_seconds=seconds,
        spans=spans,
    )
