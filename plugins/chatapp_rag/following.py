"""Follow-up questions made self-contained: "and who wrote it?" finds nothing by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from chatapp import ChatappError, Engine, Finished, Message, Request, Sampling, Session, Text, TextDelta, one_line, user

LONGEST = 14
"""Words up to which a question may lean on what was said before; longer ones rarely do."""
BARE = 4
"""Questions of so few words lean on it nearly always."""
REWRITTEN = 60
"""Words beyond which a rewriting is none."""
LEANING = frozenset(
    re.findall(
        r"\w+",
        """
        it its he him his she her hers they them their theirs this that these those there one ones same former latter
        else other others also then
        ele ela eles elas dele dela deles delas isso isto esse essa esses essas este esta aquele aquela lhe mesmo mesma
        él ella ellos ellas ello eso esto ese esa estos estas su sus lo
        il elle ils elles lui leur leurs ce cela ça cette ces son sa ses
        er sie es ihm ihn ihr ihre ihnen sein seine das dies diese dieser dieses davon dazu damit darin
        lei lui loro esso essa questo questa quello quella suo sua
        """,
    )
)
"""Pronouns and the like (English, Portuguese, Spanish, French, German, Italian)."""
BEGINNING = frozenset(
    re.findall(r"\w+", "and but or so then what how why e mas ou então y pero o et mais und aber oder ma")
)
SMALL_TALK = re.compile(
    r"(hi|hello|hey|thanks?( you)?( a lot| very much)?|ok(ay)?|great|good|fine|bye|yes|no|please|ol[áa]|oi|obrigad[oa]|"
    r"tchau|sim|não|hola|gracias|vale|adiós|salut|bonjour|merci|hallo|danke|tschüss|ciao|grazie)",
    re.IGNORECASE,
)
ASK = (
    "Before you answer my next message: rewrite it as one complete question that can be understood without our "
    "conversation, in its own language, with names instead of pronouns. Write only that question.\nNext message: {text}"
)


def is_small_talk(text: str) -> bool:
    """Whether there is nothing to look up in it: a greeting, thanks, no letters at all."""
    words = re.findall(r"[^\W\d_]+", text)
    return not re.search(r"\w", text) or (bool(words) and bool(SMALL_TALK.fullmatch(" ".join(words))))


def leans(text: str) -> bool:
    """Whether the question seems to need what was said before it."""
    words = re.findall(r"\w+", text.lower())
    if not words or len(words) > LONGEST:
        return False
    return len(words) <= BARE or words[0] in BEGINNING or any(word in LEANING for word in words)


async def self_contained(session: Session, engine: Engine, text: str, before: Sequence[Message]) -> str:
    """`text` as a question of its own, by the chat model after the messages `before`; else joined to the last question.

    The request only goes on from what the engine has read already, so that little is read and nothing is lost.
    """
    asked = user(ASK.format(text=text))
    request = Request(
        (*before, asked), Sampling(temperature=0.0, max_tokens=REWRITTEN * 2), template={"enable_thinking": False}
    )
    last = next((each.text for each in reversed(before) if each.role == "user"), "")
    fallback = f"{one_line(last, 300)} {text}".strip()
    try:
        said = await _said(engine, request)
    except ChatappError as error:
        session.ui.notify(f"The question could not be rewritten for the search: {error}", "warning")
        return fallback
    return said if _serves(said) else fallback


def _serves(said: str) -> bool:
    return 2 <= len(said.split()) <= REWRITTEN


async def _said(engine: Engine, request: Request) -> str:
    """The first line of the answer."""
    said: list[str] = []
    finished: Any = None
    async with aclosing(engine.stream(request)) as events:
        async for event in events:
            if isinstance(event, (TextDelta, Text)):
                said.append(event.text)
            finished = event if isinstance(event, Finished) else finished
    if finished is None or finished.reason == "failed":
        return ""
    text = re.sub(r"<think>.*?(?:</think>|$)", "", "".join(said), flags=re.DOTALL).strip()
    return re.sub(r"^(question|rewritten question)\s*:\s*", "", text.split("\n")[0], flags=re.IGNORECASE).strip(' "“”')
