"""`/good` and `/fix`: answers of this conversation that a model can learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from chatapp import Conversation, Data, Message, Rest, Session, UsageError, action, one_line, table, visible

# Every start of chatapp imports this file for its declarations.
if TYPE_CHECKING:
    from chatapp_lora.training.plan import Example

KEY = "lora.marks"
"""In the conversation's values: what an answer should be, by the message's id; empty where it is good as it is."""
TURNS = 3
"""Questions, with their answers, that an example goes back at most."""
SHOWN = 60


def marks(conversation: Conversation) -> dict[str, str]:
    """What was marked, by message; what a conversation from elsewhere has there and is no mark is left out."""
    kept = conversation.values.get(KEY)
    found = kept.items() if isinstance(kept, Mapping) else ()
    return {name: text for name, text in found if name in conversation.nodes and isinstance(text, str)}


def examples(conversation: Conversation) -> list[Example]:
    """An example for each marked answer: the last turns up to it, as texts, with the answer as it should be."""
    said = marks(conversation)
    found = [_example(conversation, name, said) for name in said]
    return [each for each in found if each is not None]


def _example(conversation: Conversation, name: str, said: Mapping[str, str]) -> Example | None:
    from chatapp_lora.training.plan import Example

    turns: list[tuple[str, str]] = []
    question, answer = "", ""
    for message in _up_from(conversation, name):
        if message.role == "assistant":
            # Of an answer in several rounds, with tools between them, the last is what the user read as the answer.
            answer = answer or (said.get(message.id) or message.text).strip()
        elif message.role == "user":
            question = message.text.strip()
            if question and answer and not question.startswith("/"):
                turns.append((question, answer))
            answer = ""
            # What was marked is the last turn of the example; one that was no question and answer makes none.
            if not turns or len(turns) == TURNS:
                break
    pairs = [pair for question, answer in reversed(turns) for pair in (("user", question), ("assistant", answer))]
    return Example(tuple(pairs)) if pairs else None


def _up_from(conversation: Conversation, name: str) -> Iterator[Message]:
    """The message, the one it answers, and so on to the first."""
    current: str | None = name
    while current is not None:
        node = conversation.node(current)
        yield node.message
        current = node.parent


def _last_answer(session: Session) -> Message:
    if session.busy:
        raise UsageError("An answer is under way; wait for its end, or stop it with Esc.")
    path = list(session.conversation.path())
    found = next((each for each in reversed(path) if each.role == "assistant" and each.text.strip()), None)
    if found is None:
        raise UsageError("There is no answer yet to mark: ask something first.")
    return found


async def _keep(session: Session, kept: Mapping[str, str]) -> None:
    session.values[KEY] = dict(kept)
    if not kept:
        session.values.pop(KEY)
    await session.save()


def _count(session: Session) -> str:
    count = len(marks(session.conversation))
    return f"{count} answer{'s' * (count != 1)} of this conversation marked; `/lora train NAME` learns from them."


@action("good", shell=False)
async def good(session: Session, off: Annotated[str, "off takes the mark back"] = "") -> str:
    """Mark the last answer as one to learn from; `/good off` takes a mark back."""
    if off not in ("", "off"):
        raise UsageError(
            f"/good takes nothing but off, not {off!r}; `/fix TEXT` says what the answer should have been."
        )
    answer = _last_answer(session)
    kept = marks(session.conversation)
    if off and kept.pop(answer.id, None) is None:
        raise UsageError("The last answer is not marked.")
    if not off:
        kept[answer.id] = ""
    await _keep(session, kept)
    return f"{'No longer marked' if off else 'Good'}: {one_line(answer.text, SHOWN)}\n{_count(session)}"


@action("fix", shell=False)
async def fix(
    session: Session, text: Annotated[str, "What the last answer should have been", Rest()] = ""
) -> str | None:
    """Say what the last answer should have been, to learn from; without a text, edit the answer.

    The conversation stays as it is: only training reads it.
    """
    answer = _last_answer(session)
    kept = marks(session.conversation)
    text = text.strip()
    if not text:
        from chatapp_lora.view.reach import edit_line

        before = kept.get(answer.id) or answer.text.strip()
        if edit_line(f"/fix {before}"):
            return None
        if "\n" in before:
            raise UsageError("The answer has several lines: write what it should have been behind /fix.")
        text = (await session.ui.prompt("What should the answer have been?", before) or "").strip()
        if not text:
            raise UsageError("Nothing is marked: say what the answer should have been, /fix TEXT.")
    await _keep(session, {**kept, answer.id: text})
    return f"Should have been: {one_line(text, SHOWN)}\n{_count(session)}"


@action("marks", shell=False)
async def marks_(session: Session) -> Data:
    """List the answers of this conversation that are marked, by /good or /fix."""
    rows = [_row(session.conversation, name, text) for name, text in marks(session.conversation).items()]
    listed = [(number, *row) for number, row in enumerate(rows, 1)]
    empty = "No answer is marked here: /good marks the last one, /fix TEXT says what it should have been."
    return table("lora.marks", ("number", "mark", "question", "answer"), listed, empty)


@action("marks rm", shell=False)
async def unmark(session: Session, number: Annotated[int, "As /marks lists it"]) -> str:
    """Take a mark back."""
    kept = marks(session.conversation)
    if not 1 <= number <= len(kept):
        raise UsageError(f"There is no mark {number}; /marks lists what is marked.")
    kept.pop(list(kept)[number - 1])
    await _keep(session, kept)
    return _count(session)


def _row(conversation: Conversation, name: str, text: str) -> tuple[str, str, str]:
    question = next((each.text for each in _up_from(conversation, name) if each.role == "user"), "")
    answer = text or conversation.node(name).message.text
    return "fixed" if text else "good", one_line(visible(question), SHOWN), one_line(visible(answer), SHOWN)


ACTIONS: tuple[Any, ...] = (good, fix, marks_, unmark)
"""The actions of this file."""
