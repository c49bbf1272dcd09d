"""From what a person writes to the model that is meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chatapp.errors import ModelError
from chatapp.models.catalogue import Entry
from chatapp.models.files import check_gguf
from chatapp.models.records import Record, Records, record_of
from chatapp.paths import absolute


@dataclass(frozen=True, slots=True)
class Installed:
    """A model on this machine: `size` in bytes; `in_place` where it is the user's own file.

    `entry` is what the catalogue says of it, None where it does not know it. `problem` is empty, or one sentence that
    says why it cannot be used and what to do; `path` is then where it should be.
    """

    name: str
    path: Path
    size: int
    entry: Entry | None
    in_place: bool
    sha256: str
    origin: str
    problem: str = ""


def default_name(file: str) -> str:
    """The name a file gets where none is given: "Some Model.Q4_K_M.gguf" is some-model.q4_k_m."""
    stem = file.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".gguf")
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("._-")[:100] or "model"


class Names:
    """Finds models by name among the records and the catalogue `known`."""

    def __init__(self, records: Records, known: Mapping[str, Entry]) -> None:
        self._records = records
        self._known = known

    def installed(self) -> list[Installed]:
        """Every model on this machine, by name."""
        found = (self.get(name) for name in sorted({*self._records.names(), *self._known}))
        return [one for one in found if one is not None]

    def get(self, name: str) -> Installed | None:
        """The model called exactly `name`; None where it is not on this machine."""
        record = self._records.get(name) or self._recovered(name)
        if record is not None:
            entry = self._known.get(name) or self.by_sha256(record.sha256)
            problem = "" if record.path.is_file() else _gone(record)
            return Installed(
                name, record.path, record.size, entry, record.in_place, record.sha256, record.origin, problem
            )
        file = self._records.file(name)
        if not file.exists():
            return None
        problem = f"Its record {file} cannot be read: run `chatapp models rm {name}`, then pull or add it again."
        return Installed(name, file, 0, None, True, "", "unknown", problem)

    def path(self, name: str) -> Path:
        """The file meant by a name, a unique beginning of one, or a path."""
        if self._records.get(name) is None and _is_path(name):
            path = absolute(Path(name))
            check_gguf(path)
            return path
        full = self.resolve(name)
        installed = self.get(full)
        if installed is None:
            raise ModelError(f"{full} is not downloaded: run `chatapp models pull {full}`.")
        if installed.problem:
            raise ModelError(installed.problem)
        return installed.path

    def resolve(self, name: str, among: Iterable[str] | None = None) -> str:
        """The full name meant by `name`: itself, or the only one that begins so, installed ones first.

        `among` limits where to look. Raises `ModelError` with the nearest names where none is meant.
        """
        wanted = name.strip().lower()
        groups = [list(among)] if among is not None else [[one.name for one in self.installed()], list(self._known)]
        for group in groups:
            if wanted in group:
                return wanted
        for group in groups:
            matches = sorted(one for one in group if wanted and one.startswith(wanted))
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise ModelError(f"{name} could be {', '.join(matches)}: write more of the name.")
        raise _unknown(name, sorted({one for group in groups for one in group}))

    def by_sha256(self, sha256: str) -> Entry | None:
        """The catalogue's entry for a file with this SHA-256."""
        return next((entry for entry in self._known.values() if entry.sha256 == sha256), None)

    def of_size(self, size: int) -> Entry | None:
        """A catalogue entry with an established SHA-256 and exactly `size` bytes."""
        return next((entry for entry in self._known.values() if entry.sha256 and entry.size == size), None)

    def _recovered(self, name: str) -> Record | None:
        """Write the record of a catalogue model anew where its blob is there and nothing else refers to it."""
        entry = self._known.get(name)
        if entry is None or entry.sha256 is None:
            return None
        blob = self._records.root / "blobs" / f"sha256-{entry.sha256}"
        # Where another name uses the blob, this one was never pulled, or was removed.
        if not blob.exists() or any(record.path == blob for record in self._records.all()):
            return None
        record = record_of(blob, name, entry.sha256, in_place=False, origin="the catalogue")
        self._records.save(record)
        return record


def _is_path(name: str) -> bool:
    return name.startswith("~") or "/" in name or os.sep in name or name.lower().endswith(".gguf")


def _gone(record: Record) -> str:
    name = record.name
    if record.in_place:
        return f"The file of {name} is gone from {record.path}: bring it back, or run `chatapp models rm {name}`."
    return f"The file of {name} is gone: run `chatapp models pull {name}`."


def _unknown(name: str, names: list[str]) -> ModelError:
    near = difflib.get_close_matches(name.lower(), names, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "`chatapp models list` shows what there is."
    return ModelError(f"There is no model called {name}: {hint}")
