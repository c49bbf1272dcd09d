"""The adapters on this machine: NAME.gguf with its card NAME.json beside it; those that come along, and the user's."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatapp import Host, UsageError, similar, write_private
from chatapp_lora.options import LoraSettings

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = frozenset({"add", "forget", "info", "list", "merge", "off", "pause", "restore", "rm", "train", "trainings"})
BUNDLED = Path(__file__).with_name("bundled")
TRASH = "trash"


@dataclass(frozen=True, slots=True)
class Stored:
    """An adapter: its file, and its card, empty where that is missing or damaged."""

    name: str
    path: Path
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bundled(self) -> bool:
        """Whether it came along with chatapp."""
        return self.path.parent == BUNDLED

    @property
    def invocation(self) -> str:
        """The text that switches an activated adapter on; empty for an ordinary one."""
        return str(self.card.get("invocation") or "")


class Adapters:
    """The adapters of one user; an own one goes before a bundled one of the same name."""

    def __init__(self, host: Host) -> None:
        chosen = host.config(LoraSettings).folder
        self.folder = Path(chosen).expanduser() if chosen else host.paths.data / "lora"

    def names(self) -> list[str]:
        """Every adapter's name, sorted."""
        return sorted({path.stem for folder in (BUNDLED, self.folder) for path in _files(folder)})

    def get(self, name: str) -> Stored:
        """The adapter of that name; UsageError where there is none."""
        found = self.find(name)
        if found is not None:
            return found
        near = similar(name, self.names())
        hint = f" Did you mean {near}?" if near else " `/lora` lists what there is, `/lora add FILE` adds one."
        raise UsageError(f"There is no adapter called {name}.{hint}")

    def find(self, name: str) -> Stored | None:
        """The adapter of that name, None where there is none."""
        for folder in (self.folder, BUNDLED):
            for path in _files(folder):
                if path.stem == name:
                    return Stored(name, path, _card(path.with_suffix(".json")))
        return None

    def own(self, name: str) -> bool:
        """Whether the user has an adapter of that name, which another one would replace."""
        return (self.folder / f"{name}.gguf").exists()

    def add(self, file: Path, name: str, card: Mapping[str, Any]) -> Stored:
        """Copy an adapter in, in one step; one of that name goes to the trash. UsageError when that cannot be."""
        check_name(name)
        if self.own(name):
            self.remove(name)
        target = self.folder / f"{name}.gguf"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
            try:
                with os.fdopen(handle, "wb") as out, file.open("rb") as source:
                    shutil.copyfileobj(source, out)
                    out.flush()
                    os.fsync(out.fileno())
                write_private(target.with_suffix(".json"), json.dumps(dict(card), indent=1, ensure_ascii=False))
                Path(temporary).replace(target)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{name} cannot be stored in {self.folder}: {error.strerror or error}.") from error
        return self.get(name)

    def remove(self, name: str) -> None:
        """Put an own adapter and its card into the trash; UsageError for one that came along."""
        stored = self.get(name)
        if stored.bundled:
            raise UsageError(f"{name} comes with chatapp and stays; `/lora off` switches it off.")
        trash = self.folder / TRASH
        trash.mkdir(exist_ok=True, mode=0o700)
        mark = time.time_ns()
        for path in (stored.path.with_suffix(".json"), stored.path):
            if path.exists():
                path.replace(trash / f"{mark}-{path.name}")

    def restore(self, name: str = "") -> Stored:
        """Bring back what was removed last (of `name`); UsageError where nothing can be brought back."""
        found = sorted((self.folder / TRASH).glob(f"*-{name or '*'}.gguf"), reverse=True)
        if not found:
            raise UsageError(f"No adapter{f' called {name}' if name else ''} was removed.")
        mark, _, file = found[0].name.partition("-")
        target = self.folder / file
        if target.exists():
            raise UsageError(f"There is an adapter called {target.stem} again: remove that one first.")
        for path in (found[0].with_suffix(".json"), found[0]):
            if path.exists():
                path.replace(self.folder / path.name.removeprefix(f"{mark}-"))
        return self.get(target.stem)


def check_name(name: str) -> None:
    """UsageError unless an adapter can be called so."""
    if NAME.fullmatch(name) is None or name in RESERVED:
        raise UsageError(
            f"An adapter cannot be called {name!r}: take lower-case letters, digits and dashes, and no word of /lora."
        )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.gguf") if not path.name.startswith(".")) if folder.is_dir() else iter(())


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # The card only describes; the adapter works without it.
        return {}
    return card if isinstance(card, dict) else {}
