"""The models chatapp knows by name: its own list and the user's `models.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chatapp.errors import ModelError
from chatapp.models.files import is_sha256
from chatapp.models.hub import HubFile
from chatapp.models.packages import PackageParts
from chatapp.models.sources import LocalFile, Source
from chatapp.models.tables import Table

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
"""What a model may be called: safe as a file name on every system, and with no case to get wrong."""

SAMPLING = frozenset({"temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalogue, a single file.

    `size` and `memory` are bytes, `context_length` tokens. `sha256` is the publisher's, None where we could not
    establish it: then what the hub states is used, and the model is not recommended. `sampling` is the publisher's
    recommendation, with the names of llama.cpp (`temperature`, `top_p`, `top_k`, `min_p`, `repeat_penalty`).
    `kind` says what can open the file: "gguf" unless a plugin brings another.
    """

    name: str
    title: str
    file: str
    size: int
    sha256: str | None
    licence: str
    context_length: int
    parameters: str
    description: str = ""
    recommended: bool = False
    kind: str = "gguf"
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    sources: tuple[Source, ...] = ()

    @property
    def memory(self) -> int:
        """Memory needed to run it with a context of ordinary length, in bytes."""
        return int(self.size * 1.2) + 500_000_000


def catalogue(user_file: Path | None = None) -> dict[str, Entry]:
    """All known models by name, ours first; `user_file` adds the user's own and may be missing.

    Raises `ModelError`, naming the file and the key, where `user_file` does not hold valid entries.
    """
    entries = dict(_builtin())
    if user_file is not None and user_file.exists():
        for entry in _read(user_file):
            if entry.name in entries:
                raise ModelError(f"{user_file}: the name {entry.name} is already taken, choose another.")
            entries[entry.name] = entry
    return entries


def recommended(memory_bytes: int, entries: Iterable[Entry] | None = None) -> Entry:
    """The best model to propose on a machine with `memory_bytes`: the largest that takes no more than half of it.

    Where none fits, the smallest.
    """
    known = _builtin().values() if entries is None else entries
    by_size = sorted((entry for entry in known if entry.recommended), key=lambda entry: entry.size)
    fitting = [entry for entry in by_size if entry.memory * 2 <= memory_bytes]
    return (fitting or by_size[:1])[-1]


def fitting(memory_bytes: int, entries: Iterable[Entry] | None = None) -> tuple[Entry, ...]:
    """Every model with an established SHA-256 that takes no more than half of `memory_bytes`, largest first."""
    known = _builtin().values() if entries is None else entries
    chosen = [entry for entry in known if entry.sha256 and entry.memory * 2 <= memory_bytes]
    return tuple(sorted(chosen, key=lambda entry: -entry.size))


@cache
def _builtin() -> Mapping[str, Entry]:
    return MappingProxyType({entry.name: entry for entry in _read(Path(__file__).with_name("catalogue.toml"))})


def _read(path: Path) -> list[Entry]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from error
    top = Table(document, str(path))
    entries = [_entry(model) for model in top.tables("model")]
    top.finish()
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(f"{path}: the name {name} is used twice.")
    return entries


def _entry(table: Table) -> Entry:
    name = table.text("name", pattern=NAME)
    table = table.called(f"{table.where} ({name})")
    file = table.text("file")
    sha256 = table.text("sha256", default="").lower() or None
    if sha256 is not None and not is_sha256(sha256):
        raise table.error("sha256", "must be 64 hexadecimal digits")
    entry = Entry(
        name=name,
        title=table.text("title", default=name),
        file=file,
        size=table.integer("size", least=1),
        sha256=sha256,
        licence=table.text("licence", default="unknown"),
        context_length=table.integer("context_length", least=1, default=4096),
        parameters=table.text("parameters", default="unknown"),
        description=table.text("description", default=""),
        recommended=table.flag("recommended"),
        kind=table.text("kind", default="gguf"),
        sampling=MappingProxyType(_sampling(table)),
        sources=tuple(_source(source, file) for source in table.tables("sources")),
    )
    if entry.recommended and sha256 is None:
        raise table.error("recommended", "needs a sha256 beside it")
    # The hub states a SHA-256 of its own; from anywhere else an unverified file would become a model.
    if sha256 is None and not all(isinstance(source, HubFile) for source in entry.sources):
        raise table.error("sources", "other than the hub state no SHA-256, so the entry needs one")
    table.finish()
    return entry


def _sampling(table: Table) -> dict[str, float]:
    sampling = table.table("sampling")
    values = {key: sampling.number(key) for key in sorted(SAMPLING) if key in sampling}
    sampling.finish(SAMPLING)
    return values


def _source(table: Table, file: str) -> Source:
    makers: dict[str, Any] = {"hub": _hub, "package": _packages, "path": _local}
    kinds = [kind for kind in makers if kind in table]
    if len(kinds) != 1:
        raise table.error("", "needs exactly one of hub, package and path")
    source: Source = makers[kinds[0]](table, file)
    table.finish()
    return source


def _hub(table: Table, file: str) -> Source:
    repository = table.text("hub", pattern=re.compile(r"[\w.-]+/[\w.-]+"))
    return HubFile(repository, table.text("file", default=file), table.text("revision", default="main"))


def _packages(table: Table, file: str) -> Source:
    numbered = re.compile(r"[\w./-]*(\{n(:0\dd)?\}[\w./-]*)+")
    return PackageParts(
        package=table.text("package", pattern=numbered),
        version=table.text("version"),
        count=table.integer("count", least=1),
        member=table.text("member", pattern=numbered),
    )


def _local(table: Table, file: str) -> Source:
    return LocalFile(Path(table.text("path")).expanduser())
