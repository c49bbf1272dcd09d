"""Which questions need what was said before them, which need no documents, and what a rewriting may be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from chatapp import EngineError, Event, Finished, Session, TextDelta, assistant, user
from chatapp.testing import script
from chatapp_rag.following import ASK, LEANING, TELLING, is_small_talk, leans, self_contained

FOLLOW_UPS = [
    "And who wrote it?", "Why?", "What about the second edition of the book in Portugal?", "When was he born?",
    "Where do they keep their money in the winter?", "How much does this cost in the shop?", "The same for Porto",
    "E quem o escreveu?", "Quando é que ela nasceu em Lisboa?", "Qual é o preço dele na loja da cidade?",
    "¿Y quién lo escribió?", "¿Cuándo nació ella en la ciudad de Madrid?", "¿Por qué se fue el rey de la ciudad?",
    "Et qui l'a écrit ?", "Quand est-ce qu'elle est née à Paris ?", "Combien coûte cette maison dans le village ?",
    "Und wer hat es geschrieben?", "Wann wurde sie in der Stadt Berlin geboren?", "Was kostet dieses Haus in Bonn?",
    "E chi lo ha scritto?", "Quando è nata lei nella città di Roma?", "Quanto costa questo libro nel negozio di Roma?",
]  # fmt: skip
ALONE = [
    "What is the boiling point of ethanol at sea level?", "How many people are there in the city of Lisbon?",
    "Who composed the opera Fidelio in Vienna?", "Which of the rivers of Spain is longest?",
    "O que as soluções tecnológicas automatizam nas empresas?", "Quem deve fazer o registro no sistema?",
    "Quais são as capitais das regiões do Brasil?", "¿Qué es un sistema de información en la empresa?",
    "¿Cuáles son los ríos de la región de Madrid?", "Combien de personnes sont dans la ville de Paris ?",
    "Quels sont les fleuves de la région de Lyon ?", "Wie heißt das Schloss in der Stadt Berlin?",
    "Wer ist der Autor von Faust und Egmont?", "Qual è il prezzo del pane nella città di Roma?",
    "Chi ha scritto il libro della giungla in inglese?",
]  # fmt: skip
SMALL_TALK = [
    "Thanks!",
    "No, thanks",
    "Good morning!",
    "Boa tarde",
    "Muchas gracias",
    "Thank you very much.",
    "ok",
    "Olá!",
    "Obrigado",
    "¡Hola!",
    "Merci",
    "Danke!",
    "Grazie",
    "👍",
    "…",
]
QUESTIONS = ["Thanks, and who wrote it?", "42?", "no entry signs", "Is it ok?", "汉字?", "Good wine?"]


@pytest.mark.parametrize("text", FOLLOW_UPS)
def test_a_question_that_needs_what_was_said_is_known(text: str) -> None:
    assert leans(text)


@pytest.mark.parametrize("text", ALONE)
def test_a_question_of_its_own_is_left_as_it_is(text: str) -> None:
    assert not leans(text)


def test_a_long_message_and_one_without_words_stand_alone() -> None:
    assert not leans("and it " * 20)
    assert not leans("?!")


def test_each_language_has_both_tables() -> None:
    assert LEANING.keys() == TELLING.keys()


@pytest.mark.parametrize(("texts", "small"), [(SMALL_TALK, True), (QUESTIONS, False)])
def test_small_talk_needs_no_documents(texts: Sequence[str], small: bool) -> None:
    assert [text for text in texts if is_small_talk(text) is not small] == []


BEFORE = (user("Who wrote Faust?"), assistant("Goethe did [1]."))


async def rewritten(session: Session, says: str | Sequence[Event | Exception], text: str = "And when?") -> str:
    """What is searched for a follow-up question when the engine says this."""
    engine = script(session)
    engine.says(says)
    return await self_contained(session, engine, text, BEFORE)


@pytest.mark.parametrize(
    ("says", "searched"),
    [
        ("When did Goethe write Faust?", "When did Goethe write Faust?"),
        ('Question: "When did Goethe write Faust?"\nIt was in 1808.', "When did Goethe write Faust?"),
        ("<think>Faust, of course.\n</think>\n\nWhen did Goethe write Faust?", "When did Goethe write Faust?"),
        ("Yes", "Who wrote Faust? And when?"),
        ("word " * 61, "Who wrote Faust? And when?"),
        ("", "Who wrote Faust? And when?"),
    ],
)
async def test_a_rewriting_serves_or_the_last_question_is_put_before(
    session: Session, says: str, searched: str
) -> None:
    assert await rewritten(session, says) == searched


async def test_a_rewriting_has_the_names_and_numbers_of_what_was_asked(session: Session) -> None:
    assert await rewritten(session, "Who wrote Faust?", "And Egmont?") == "Who wrote Faust? And Egmont?"
    assert await rewritten(session, "Who wrote Egmont?", "And Egmont?") == "Who wrote Egmont?"
    assert await rewritten(session, "Who wrote Faust?", "And in 1808?") == "Who wrote Faust? And in 1808?"


async def test_a_failed_rewriting_is_none(session: Session) -> None:
    assert (
        await rewritten(session, [TextDelta("When did he"), Finished("failed", "no")]) == "Who wrote Faust? And when?"
    )
    assert await rewritten(session, [EngineError("The engine is away.")]) == "Who wrote Faust? And when?"
    assert "The engine is away." in session.host.ui.notices[-1][1]  # type: ignore[attr-defined]


async def test_the_rewriting_goes_on_from_what_was_read(session: Session, tmp_path: Path) -> None:
    await rewritten(session, "When did Goethe write Faust?")
    (request,) = script(session).requests
    assert request.messages[:2] == BEFORE
    assert request.messages[2].text == ASK.format(text="And when?")
    assert request.sampling.temperature == 0.0
