"""What may come next in the line a user types: actions, their arguments, files and what plugins let one mention."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from chatapp.actions import Action, Param, split, usage
from chatapp.plugins import FAILURES
from chatapp.text import visible

if TYPE_CHECKING:
    from chatapp.session import Session

MOST = 50
"""Candidates given at most."""
MOST_OF_PLUGINS = 20
"""Of these so many at most are what plugins let one mention, so that there is room for files."""
MOST_ENTRIES = 5_000
"""Folder entries looked at, in one folder or in a walk through several."""
SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "target", "dist", "build"})
"""Folders a walk does not enter; hidden ones neither."""

_MENTION = re.compile(r'(?<!\S)@("?)([^"\n]*)$')


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to go on: `text` replaces the line from `start` (an index) to the cursor.

    `detail` says what it is. `final` means the line is complete with it. `sure` is False where the user has typed
    nothing of it yet, so that Enter should not take it unasked.
    """

    start: int
    text: str
    label: str
    detail: str = ""
    final: bool = False
    sure: bool = True


def complete(session: Session, before: str, cwd: Path) -> list[Candidate]:
    """What may stand at the cursor, `before` being all text before it; best first, at most MOST.

    Blocks on the file system and calls the actions' own completers: run it in a thread.
    """
    if before.startswith("/") and "\n" not in before:
        return list(islice(_line(session, before, cwd), MOST))
    mention = _MENTION.search(before)
    if mention is None or (not mention[1] and re.search(r"\s", mention[2])):
        return []
    begun = mention[2]
    found = (*islice(_of_plugins(session, begun), MOST_OF_PLUGINS), *islice(files(begun, cwd), MOST))
    return [_mention(path, mention.start(), bool(begun)) for path in found[:MOST]]


def files(prefix: str, cwd: Path) -> Iterator[str]:
    """Paths that begin with `prefix`, then those deeper down whose name holds it; folders end in ``/``.

    Looks where the user points: below `cwd` unless the prefix says ``..``, ``~`` or an absolute path. Hidden files only
    when asked for, and no name that could not be shown as it is.
    """
    folder, slash, stem = prefix.rpartition("/")
    base = cwd / Path(folder + slash).expanduser()
    near = [folder + slash + name for name in _listing(base, stem)]
    yield from near
    if len(stem) >= 2 and not folder:
        yield from (path for path in _walk(cwd, stem.lower()) if path not in near)


def _of_plugins(session: Session, prefix: str) -> Iterator[str]:
    """What plugins let a message mention (`Host.mentions`); one that fails is named, the others go on."""
    for plugin, completer in list(session.host.mentions.items()):
        try:
            values = list(_matching(completer(session, prefix), prefix))
        except FAILURES as error:
            session.host.report(plugin, "completion", error)
            continue
        yield from (each for each in values if _showable(each))


def _mention(path: str, start: int, sure: bool) -> Candidate:
    whole = f'@"{path}"' if " " in path else f"@{path}"
    folder = path.endswith("/")
    # The quotation mark of what goes on stays open: a folder's files follow, or what ``server:`` has.
    text = whole.removesuffix('"') if path.endswith(("/", ":")) else f"{whole} "
    return Candidate(start, text, path, "folder" if folder else "", sure=sure)


def _line(session: Session, before: str, cwd: Path) -> Iterator[Candidate]:
    typed = before[1:].lower()
    names = sorted(session.host.actions)
    for name in names:
        if name.startswith(typed):
            yield _action(session.host.actions[name])
    inside = [name for name in names if typed.startswith(f"{name} ")]
    if inside:
        name = max(inside, key=len)
        yield from _arguments(session, session.host.actions[name], before, len(name) + 2, cwd)
    elif len(typed) > 1:
        yield from (_action(session.host.actions[name]) for name in names if typed in name[1:])


def _action(action: Action) -> Candidate:
    text = f"/{action.name} " if action.params else f"/{action.name}"
    return Candidate(0, text, usage(action), action.summary, final=not action.params)


def _arguments(session: Session, action: Action, before: str, begin: int, cwd: Path) -> Iterator[Candidate]:
    line = before[begin:]
    # An odd number of quotation marks: the last one is open, and what follows it is one word.
    start = begin + (line.rindex('"') if line.count('"') % 2 else line.rfind(" ") + 1)
    words, prefix = split(before[begin:start]), before[start:].removeprefix('"')
    param = _expected(action, words)
    if prefix.startswith("-"):
        for option in action.params:
            flag = f"--{option.name.replace('_', '-')}"
            if option.option and flag.startswith(prefix):
                yield Candidate(start, f"{flag} ", flag, option.help)
    elif param is not None:
        for value in _values(session, param, prefix, cwd):
            text = f'"{value}"' if " " in value and not param.rest else value
            yield Candidate(start, text if value.endswith("/") else f"{text} ", value, param.help, sure=bool(prefix))


def _expected(action: Action, words: list[str]) -> Param | None:
    """The parameter that comes after `words`: an option's value, the next argument, None when there is no more."""
    options = {f"--{param.name.replace('_', '-')}": param for param in action.params if param.option}
    waiting: Param | None = None
    given = 0
    for word in words:
        if waiting is not None:
            waiting = None
        elif word in options:
            waiting = options[word] if options[word].type is not bool else None
        else:
            given += 1
    if waiting is not None:
        return waiting
    arguments = [param for param in action.params if not param.option]
    if given < len(arguments):
        return arguments[given]
    return arguments[-1] if arguments and (arguments[-1].many or arguments[-1].rest) else None


def _values(session: Session, param: Param, prefix: str, cwd: Path) -> Iterator[str]:
    if param.complete is not None:
        yield from _matching(param.complete(session, prefix), prefix)
    elif typing.get_origin(param.type) is Literal:
        yield from _matching((str(choice) for choice in typing.get_args(param.type)), prefix)
    elif param.type is Path:
        yield from files(prefix, cwd)
    elif param.type is bool:
        yield from _matching(("true", "false"), prefix)


def _matching(values: Iterable[str], prefix: str) -> Iterator[str]:
    known = list(dict.fromkeys(islice(values, MOST_ENTRIES)))
    wanted = prefix.lower()
    yield from (value for value in known if value.lower().startswith(wanted))
    yield from (value for value in known if wanted in value.lower()[1:] and not value.lower().startswith(wanted))


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) of at most MOST_ENTRIES entries, sorted; empty where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            entries = [(entry.name, entry.is_dir()) for entry in islice(found, MOST_ENTRIES)]
    except (OSError, ValueError):
        return []
    return sorted((name, is_dir) for name, is_dir in entries if _showable(name))


def _showable(name: str) -> bool:
    """Whether a name can be shown as it is, and written within quotation marks."""
    return visible(name) == name and '"' not in name and "\n" not in name


def _listing(folder: Path, stem: str) -> list[str]:
    wanted = stem.lower()
    return [
        f"{name}/" if is_dir else name
        for name, is_dir in _entries(folder)
        if name.lower().startswith(wanted) and (stem.startswith(".") or not name.startswith("."))
    ]


def _walk(cwd: Path, wanted: str) -> Iterator[str]:
    """Files below `cwd` whose name holds `wanted`, nearest first; bounded, as a folder may be the whole disk."""
    waiting = [""]
    seen = 0
    while waiting and seen < MOST_ENTRIES:
        folder = waiting.pop(0)
        for name, is_dir in _entries(cwd / folder):
            seen += 1
            if name.startswith(".") or name in SKIPPED:
                continue
            if is_dir:
                waiting.append(f"{folder}{name}/")
            if wanted in name.lower():
                yield f"{folder}{name}/" if is_dir else f"{folder}{name}"
