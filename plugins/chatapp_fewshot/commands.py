"""`/shots` and what belongs to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chatapp import Data, Event, Notice, Rest, Session, UsageError, action, one_line
from chatapp_fewshot.choice import KEY, Choice, choice_of, keep, kept_choice

# Every start of chatapp imports this file for its declarations: what the commands do is imported when one runs.
if TYPE_CHECKING:
    from chatapp_fewshot.editing import Editor
    from chatapp_fewshot.examples import ExampleSet
    from chatapp_fewshot.library import Library

SHOWN = 60


def _library(session: Session) -> Library:
    from chatapp_fewshot.library import Library

    return Library(session.host)


def _editor(session: Session) -> Editor:
    from chatapp_fewshot.editing import Editor

    return Editor(session.host)


def _names(session: Session, prefix: str) -> Iterable[str]:
    return _library(session).names()


def _names_and_off(session: Session, prefix: str) -> Iterable[str]:
    return [*_names(session, prefix), "off"]


def _ways(session: Session, prefix: str) -> Iterable[str]:
    return ("all", "similar", "3", "5")


@action("shots", ask=True, shell=False)
async def shots(
    session: Session,
    name: Annotated[str, "The set, or off; empty lists the sets", _names_and_off] = "",
    how: Annotated[str, "all, a number, or similar: those most like each message", _ways] = "",
    count: Annotated[int, "How many similar ones"] = 0,
) -> AsyncIterator[Event | str]:
    """Show the model a set of examples: all of it, some, or those most like each message."""
    from chatapp_fewshot.comparing import prepare
    from chatapp_fewshot.options import FewshotSettings

    words = f"{name} {how} {count or ''}".strip()
    if not words:
        yield await list_.function(session)
        return
    if words == "off":
        yield _off(session)
    else:
        choice = choice_of(words, session.host.config(FewshotSettings))
        chosen = await asyncio.to_thread(_library(session).read, choice.name)
        for problem in chosen.problems:
            yield Notice(problem, "warning")
        if not chosen.examples:
            raise UsageError(f"{chosen.path} holds no example that can be used.")
        if choice.how == "similar":
            async with aclosing(prepare(session, chosen, again=True)) as news:
                async for event in news:
                    yield event
        keep(session, choice)
        yield _sentence(choice, chosen)
    await session.save()


def _off(session: Session) -> str:
    session.status.pop(KEY, None)
    was = session.values.get(KEY)
    # Empty, not absent: a new conversation would begin with the examples of the settings after all.
    session.values[KEY] = {}
    return "Examples are off." if was else "Examples were off already."


def _sentence(choice: Choice, chosen: ExampleSet) -> str:
    total = len(chosen.examples)
    which = {
        "all": f"All {total} examples",
        "some": f"{min(choice.count, total)} of {total} examples",
        "similar": f"The {min(choice.count, total)} of {total} examples most like each message",
    }[choice.how]
    return f"{which} of {choice.name!r} are shown to the model from now on; `/shots off` ends it."


@action("shots list")
async def list_(session: Session) -> Data:
    """List the sets of examples."""
    library = _library(session)
    on = kept_choice(session.values.get(KEY))
    rows = []
    for name in await asyncio.to_thread(library.names):
        try:
            found = await asyncio.to_thread(library.read, name)
        except UsageError as error:
            rows.append((name, "", "", one_line(str(error), SHOWN * 2)))
            continue
        state = on.how if on is not None and on.name == name else ""
        about = found.description or found.instruction
        rows.append((name, str(len(found.examples)), state, one_line(about, SHOWN * 2)))
    return _table("fewshot.sets", ("set", "examples", "on", "about"), rows)


@action("shots show")
async def show(
    session: Session,
    name: Annotated[str, "The set", _names],
    *,
    whole: Annotated[bool, "Leave nothing out of long texts"] = False,
) -> AsyncIterator[Event]:
    """Show the examples of a set with their numbers, and what is wrong with its file."""
    found = await asyncio.to_thread(_library(session).read, name)
    for problem in found.problems:
        yield Notice(problem, "warning")
    pairs = [(each.input, each.output) for each in found.examples]
    if not whole:
        pairs = [(one_line(question, SHOWN), one_line(answer, SHOWN)) for question, answer in pairs]
    rows = [(str(number), *pair) for number, pair in enumerate(pairs, 1)]
    listed = _table("fewshot.examples", ("number", "input", "output"), rows)
    head = f"{found.path}{' (bundled)' if found.bundled else ''}\n{found.instruction}".strip()
    yield Data(listed.name, listed.value, f"{head}\n\n{listed.text}")


@action("shots add")
async def add(
    session: Session,
    name: Annotated[str, "The set; empty is the one that is on, a new name begins one", _names] = "",
    output: Annotated[str, "What the answer should have been; empty takes it as it is", Rest()] = "",
    *,
    input: Annotated[str, "What was asked; empty is your last message"] = "",
) -> str:
    """Make an example of the last exchange, or of a pair: /shots add NAME OUTPUT --input TEXT."""
    from chatapp_fewshot.reading import check

    on = kept_choice(session.values.get(KEY))
    name = name or (on.name if on is not None else "")
    if not name:
        raise UsageError("Say which set the example is for: /shots add NAME.")
    question, answer = _exchange(session, input, output)
    try:
        question, answer = check(question, "input"), check(answer, "output")
    except ValueError as error:
        raise UsageError(f"This exchange cannot be an example: {error}.") from None
    total = await asyncio.to_thread(_editor(session).add, name, question, answer)
    pair = f"{one_line(question, SHOWN)} → {one_line(answer, SHOWN)}"
    return f"Example {total} of {name!r}: {pair}\n`/shots undo {name}` takes it back."


def _exchange(session: Session, question: str, answer: str) -> tuple[str, str]:
    """The pair to add: what was given, and for the rest the last exchange on the shown path."""
    if question and answer:
        return question, answer
    if session.busy:
        raise UsageError("An answer is under way; stop it first.")
    path = list(session.conversation.path())
    place = next((n for n in range(len(path) - 1, -1, -1) if path[n].role == "user" and path[n].text.strip()), None)
    if place is None and not question:
        raise UsageError("There is no exchange yet: ask something first, or give both, /shots add NAME OUTPUT --input.")
    said = [] if place is None else [each.text for each in path[place:] if each.role == "assistant"]
    if not answer and not any(text.strip() for text in said):
        raise UsageError("There is no answer yet: say what it should be, /shots add NAME OUTPUT.")
    return question or path[place or 0].text, answer or next(text for text in reversed(said) if text.strip())


@action("shots rm")
async def rm(
    session: Session, name: Annotated[str, "The set", _names], number: Annotated[int, "As `shots show` lists it"]
) -> str:
    """Take an example out of a set; `shots undo` brings it back."""
    gone = await asyncio.to_thread(_editor(session).remove, name, number)
    pair = f"{one_line(gone.input, SHOWN)} → {one_line(gone.output, SHOWN)}"
    return f"Taken out of {name!r}: {pair}\n`/shots undo {name}` brings it back."


@action("shots undo")
async def undo(session: Session, name: Annotated[str, "The set; empty is the one that is on", _names] = "") -> str:
    """Take back the last change of a set."""
    on = kept_choice(session.values.get(KEY))
    name = name or (on.name if on is not None else "")
    if not name:
        raise UsageError("Say which set: /shots undo NAME.")
    return await asyncio.to_thread(_editor(session).undo, name)


@action("shots import")
async def import_(
    session: Session,
    file: Annotated[Path, "A CSV file"],
    name: Annotated[str, "The set; empty is named as the file"] = "",
    *,
    input: Annotated[str, "The column of the inputs, by name or number"] = "",
    output: Annotated[str, "The column of the outputs"] = "",
    instruction: Annotated[str, "What the model is told to do with each input"] = "",
) -> AsyncIterator[Event | str]:
    """Make a set of a CSV file; the columns are found by their names, else the first two are taken."""
    from chatapp_fewshot.library import BUNDLED, line_of
    from chatapp_fewshot.sheet import read_sheet

    path = file.expanduser()
    name = name or path.stem.replace(" ", "-")
    sheet = await asyncio.to_thread(read_sheet, path, input, output)
    for problem in sheet.problems:
        yield Notice(problem, "warning")
    if not sheet.pairs:
        raise UsageError(f"{path} holds no example that can be used.")
    editor = _editor(session)
    library = editor.library
    taken = library.exists(name) and library.find(name).parent != BUNDLED
    if taken and not await session.ui.confirm(f"There is a set {name!r} already. Replace it?"):
        raise UsageError(f"There is a set {name!r} already, and it was left as it is; choose another name.")
    lines = [line_of(question, answer) for question, answer in sheet.pairs]
    if instruction.strip():
        lines.insert(0, json.dumps({"instruction": instruction.strip()}, ensure_ascii=False) + "\n")
    written = await asyncio.to_thread(editor.replace, name, "".join(lines))
    yield f"{len(sheet.pairs)} examples from {sheet.columns} are the set {name!r} now ({written})."


@action("eval fewshot")
async def evaluate(
    session: Session,
    name: Annotated[str, "The set", _names],
    *,
    k: Annotated[str, "How many examples to show, several with commas; `similar` picks them for each row"] = (
        "0,1,3,5,similar"
    ),
    limit: Annotated[int, "Ask about so many rows only; 0 is all that are held out"] = 0,
    out: Annotated[Path | None, "Where the rows are kept; going on with the same file skips what is done"] = None,
    seed: Annotated[int, "Which rows are held out: another number, other rows"] = 0,
) -> AsyncIterator[Event]:
    """Measure what a set's examples are worth: right answers on held-out rows with none, some, similar ones."""
    from chatapp_fewshot.scoring import score

    async with aclosing(score(session, name, k, limit, out, seed)) as events:
        async for event in events:
            yield event


def _table(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Data:
    """Rows by column name for programs, an aligned table for people."""
    value = [dict(zip(columns, row, strict=True)) for row in rows]
    lines = [[column.upper() for column in columns], *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    return Data(name, value, text)


ALL: tuple[Any, ...] = (shots, list_, show, add, rm, undo, import_, evaluate)
"""The actions of this file."""
