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
LEANING = {
    "en": "it its he him his she her hers they them their theirs this that these those one ones same former latter",
    "pt": "ele ela eles elas dele dela deles delas isso isto esse essa esses essas este esta aquele aquela lhe seu sua",
    "es": "él ella ellos ellas ello eso esto ese esa esos esas este esta estos estas su sus",
    "fr": "il elle ils elles lui leur leurs cela ça cet cette ces celui celle son sa ses",
    "de": "er sie es ihm ihn ihr ihre ihnen sein seine dies diese dieser dieses davon dazu damit darin dabei dort",
    "it": "lei lui loro esso essa questo questa quello quella suo sua suoi sue",
}
"""By language, words that stand for something said before."""
TELLING = {
    "en": "who what when where which how why is are was were did does do has have can the of in to",
    "pt": "quem que quando onde qual quais quanto quantos quantas como é são foi foram está tem o os a as do da no em",
    "es": "quién qué cuándo dónde cuál cuáles cuánto cuántos cómo es son fue fueron está tiene el la los las del en",
    "fr": "qui que quand où quel quelle quels combien comment pourquoi est sont a fut le la les du des et en dans",
    "de": "wer was wann wo welche welcher wie warum ist sind war waren hat wurde der die das den im in und von",
    "it": "chi che quando dove quale quali quanto quanti come perché è sono era ha il lo la gli del della di in nel",
}
"""By language, words that tell it: what is a pronoun in one ("es", "il", "das") is an article or a verb in another."""
BEGINNING = frozenset(re.findall(r"\w+", "and but or so then e mas ou então y pero et mais und aber oder ma"))
ABOUT = re.compile(r"(what|how) about\b|why\b|warum\b|pourquoi\b|por que\b|por qué\b|perché\b")
SMALL_TALK = frozenset(
    re.findall(
        r"\w+",
        """
        hi hello hey there thank thanks you so a lot very much ok okay great good fine nice cool perfect morning evening
        afternoon night bye goodbye yes no please well done welcome olá ola oi obrigado obrigada muito bom boa dia tarde
        noite tchau sim não hola gracias muchas vale adiós buenos buenas días tardes noches salut bonjour bonsoir merci
        beaucoup oui non hallo danke vielen dank schön tschüss guten tag abend ja nein ciao grazie mille buongiorno
        buonasera sì
        """,
    )
)
"""A message of these words alone asks for nothing."""
ASK = (
    "Before you answer my next message: rewrite it as one complete question that can be understood without our "
    "conversation, in its own language, with names instead of pronouns. Write only that question.\nNext message: {text}"
)


def is_small_talk(text: str) -> bool:
    """Whether there is nothing to look up in it: a greeting, thanks, no letters at all."""
    words = re.findall(r"[^\W\d_]+", text)
    return not re.search(r"\w", text) or (bool(words) and SMALL_TALK.issuperset(word.lower() for word in words))


def leans(text: str) -> bool:
    """Whether the question seems to need what was said before it."""
    words = re.findall(r"\w+", text.lower())
    if not words or len(words) > LONGEST:
        return False
    begins = words[0] in BEGINNING or ABOUT.match(" ".join(words))
    return len(words) <= BARE or bool(begins) or not _pronouns(words).isdisjoint(words)


def _pronouns(words: Sequence[str]) -> set[str]:
    """The pronouns of the language that most of the words tell; of each such language when there are several."""
    hits = {language: sum(word in telling.split() for word in words) for language, telling in TELLING.items()}
    most = max(hits.values())
    return {word for language, count in hits.items() if count == most for word in LEANING[language].split()}


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
    return said if _serves(said, text) else fallback


def _serves(said: str, text: str) -> bool:
    """Whether it is a question, and has the names and numbers of the one it stands for: "And Skype?"."""
    names = {word.lower() for word in re.findall(r"\w+", text)[1:] if word[0].isupper() or word[0].isdigit()}
    return 2 <= len(said.split()) <= REWRITTEN and names <= set(re.findall(r"\w+", said.lower()))


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
