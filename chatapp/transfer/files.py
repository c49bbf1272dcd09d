"""The files of a conversation, pictures mostly: they go beside its export, and are found there again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chatapp.conversation import Conversation
from chatapp.messages import Media
from chatapp.transfer.tree import from_json, to_json


def with_files(conversation: Conversation, export: Path) -> Conversation:
    """The conversation as it is written to `export`: its files are copied into ``NAME-files`` beside it.

    Files that are gone keep the path they had. Raises OSError when one cannot be copied.
    """
    folder = export.with_name(f"{export.stem}-files")
    copied: dict[str, str] = {}

    def copy(part: Media) -> Media:
        source = Path(part.path)
        if part.path not in copied and source.is_file():
            folder.mkdir(mode=0o700, exist_ok=True)
            name = _free(source.name, set(copied.values()))
            shutil.copyfile(source, folder / name)
            copied[part.path] = name
        name = copied.get(part.path, "")
        return replace(part, path=f"{folder.name}/{name}") if name else part

    return _each(from_json(to_json(conversation)), copy)


def found_files(conversation: Conversation, export: Path) -> Conversation:
    """A conversation that was read from `export`, with the files beside it by their whole paths."""
    place = export.absolute().parent

    def find(part: Media) -> Media:
        path = place / part.path
        inside = not Path(part.path).is_absolute() and path.resolve().is_relative_to(place.resolve())
        return replace(part, path=str(path)) if inside and path.is_file() else part

    return _each(conversation, find)


def _each(conversation: Conversation, change: Callable[[Media], Media]) -> Conversation:
    for node in conversation.nodes.values():
        if any(isinstance(part, Media) for part in node.message.parts):
            parts = tuple(change(part) if isinstance(part, Media) else part for part in node.message.parts)
            node.message = replace(node.message, parts=parts)
    return conversation


def _free(name: str, taken: set[str]) -> str:
    path, number = Path(name), 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    return name
