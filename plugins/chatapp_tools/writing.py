"""Writing and editing files: what will change is shown first as a diff, and what was there before is kept."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from chatapp import Ask, Data, Host, Rest, Session, UsageError, action, human_bytes, one_line, visible
from chatapp_tools.access import Agreed, Reached, agree, agreed_on, is_own, reach, shown_path
from chatapp_tools.texts import LARGEST, Content, digest, read_content
from chatapp_tools.undoing import Before, keep, put


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is to hold `after`; `before` is what it holds now, None where there is no such file."""

    reached: Reached
    before: bytes | None
    after: bytes
    diff: str

    @property
    def state(self) -> str:
        """What names the file's present content."""
        return "none" if self.before is None else digest(self.before)


async def may_write(session: Session, values: Mapping[str, Any]) -> Ask:
    """Asks with the diff of the whole file."""
    return await _ask(session, values["path"], await asyncio.to_thread(_written, session, **values))


async def may_edit(session: Session, values: Mapping[str, Any]) -> Ask:
    """Asks with the diff of the place that changes."""
    return await _ask(session, values["path"], await asyncio.to_thread(_edited, session, **values))


async def _ask(session: Session, written: str, change: Change) -> Ask:
    agree(Agreed(written, change.reached, change.state))
    path, reached = str(change.reached.path), change.reached
    verb = "Create" if change.before is None else "Change"
    beware = reached.why or _power(reached)
    question = f"{verb} {shown_path(reached.path)} ({_counts(change.diff)})?"
    question += f" Beware: {beware}." if beware else ""
    exact, scope = f"{path}\n{digest(change.after)}", f"files directly in {visible(str(reached.path.parent))}"
    return Ask(question, change.diff, "diff", (path,) if beware else (), exact, scope)


def _power(reached: Reached) -> str:
    """Why a file inside the allowed folders is more than a text; empty for most."""
    if any(part.startswith(".") for part in reached.path.parts[-4:]):
        return "hidden files set up programs"
    if reached.identity is not None and os.access(reached.path, os.X_OK):
        return "it is a program"
    return ""


@action("write file", tool=True, consent=may_write, shell=False)
async def write_file(
    session: Session,
    path: Annotated[str, "Path of the file, for example notes.md"],
    text: Annotated[str, "The whole text the file is to hold", Rest()],
) -> Data:
    """Write a file: create it, or replace all of its text. Use it to save something, and edit_file to change a part."""
    return await _apply(session, path, await asyncio.to_thread(_written, session, path, text))


@action("edit file", tool=True, consent=may_edit, shell=False)
async def edit_file(
    session: Session,
    path: Annotated[str, "Path of the file"],
    old: Annotated[str, "The text to replace, exactly as it stands in the file, once"],
    new: Annotated[str, "The text to put there instead"],
) -> Data:
    """Change a part of a file: replace one piece of its text. Use read_file first."""
    return await _apply(session, path, await asyncio.to_thread(_edited, session, path, old, new))


async def _apply(session: Session, written: str, change: Change) -> Data:
    if agreed_on(written, change.reached) not in ("", change.state):
        raise UsageError(f"{visible(written)} changed while permission was asked for: read it again.")
    await asyncio.to_thread(_write, session.host, change)
    done = "Created" if change.before is None else "Changed"
    path = change.reached.path
    value = {"path": str(path), "diff": change.diff}
    return Data(
        "tools.written", value, f"{done} {shown_path(path)} ({_counts(change.diff)}). /tools undo takes it back."
    )


def _write(host: Host, change: Change) -> None:
    put(change.reached.path, change.after, change.before)
    keep(host, Before(change.reached.path, change.before, digest(change.after)))


def _reached(session: Session, written: str) -> Reached:
    reached = reach(session, written)
    if is_own(session, reached.path):
        # Permissions lie there: no tool may give itself any, whatever the user is talked into.
        raise UsageError(f"{visible(written)} belongs to this application and is not written: choose another folder.")
    if reached.folder:
        raise UsageError(f"{visible(written)} is a folder: name a file in it.")
    if reached.identity is not None and not os.access(reached.path, os.W_OK):
        raise UsageError(f"{visible(written)} is read-only: write to another file.")
    above = next(folder for folder in reached.path.parents if folder.exists())
    if not above.is_dir():
        raise UsageError(f"{visible(str(above))} is a file, so nothing can be written below it.")
    return reached


def _written(session: Session, path: str, text: str) -> Change:
    reached = _reached(session, path)
    if reached.identity is None:
        return _change(reached, None, Content(""), Content(text))
    before, data = read_content(reached)
    return _change(reached, data, before, before.with_text(text))


def _edited(session: Session, path: str, old: str, new: str) -> Change:
    reached = _reached(session, path)
    before, data = read_content(reached)
    if not old:
        raise UsageError("The old text is empty: give the text to replace, or use write_file for the whole file.")
    if old not in before.text:
        # The model read the lines with plain ends.
        old, new = (each.replace("\r\n", "\n").replace("\n", "\r\n") for each in (old, new))
    count = before.text.count(old)
    name = visible(path)
    if count == 0:
        raise UsageError(f"The old text does not stand in {name}{_near(before.text, old)}: copy it from read_file.")
    if count > 1:
        raise UsageError(f"The old text stands in {name} {count} times: give more of the lines around the right one.")
    return _change(reached, data, before, Content(before.text.replace(old, new), before.encoding, before.mark))


def _near(text: str, old: str) -> str:
    first = next((line.strip() for line in old.splitlines() if line.strip()), "")
    lines = [line.strip() for line in text.split("\n")[:5000]]
    near = difflib.get_close_matches(first, lines, 1, 0.6) if first else []
    return f"; the nearest is line {lines.index(near[0]) + 1}, {one_line(near[0], 80)!r}" if near else ""


def _change(reached: Reached, data: bytes | None, before: Content, after: Content) -> Change:
    written = after.data()
    name = shown_path(reached.path)
    if len(written) > LARGEST:
        raise UsageError(f"The text is larger than {human_bytes(LARGEST)}: write less.")
    if written == data:
        raise UsageError(f"{name} holds exactly that already; nothing needs to be written.")
    return Change(reached, data, written, diff(reached.path, None if data is None else before.text, after.text))


def diff(path: Path, before: str | None, after: str) -> str:
    """A unified diff from one text of the file to the other, None being no file."""
    old = "/dev/null" if before is None else str(path)
    return "".join(_ended(difflib.unified_diff(_lines(before or ""), _lines(after), old, str(path))))


def _lines(text: str) -> list[str]:
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _counts(text: str) -> str:
    lines = text.split("\n")[2:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"{added} {'line' if added == 1 else 'lines'} added, {removed} removed"
