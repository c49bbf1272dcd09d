"""The content-addressed store of models on this machine.

``blobs/sha256-<hex>`` holds verified files only; ``partial/`` what can be resumed; ``names/`` one record per model;
``trash/`` what was removed; ``seen/`` the hashes of files used by path; ``locks/`` one lock per download.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from chatapp.errors import ModelError
from chatapp.events import Progress
from chatapp.models.catalogue import NAME, Entry
from chatapp.models.catalogue import catalogue as builtin
from chatapp.models.files import Digest, check_gguf, sha256_of
from chatapp.models.hub import HubFile
from chatapp.models.names import Installed, Names, default_name
from chatapp.models.pull import Pull, Wanted
from chatapp.models.records import FOLDERS, Record, Records, record_of
from chatapp.paths import absolute, private_folder


@dataclass(frozen=True, slots=True)
class Details:
    """All that is known about one name: at least one of `entry` and `installed` is not None.

    `assurance` is a sentence that says whose SHA-256 the file is, or would be, checked against.
    """

    name: str
    entry: Entry | None
    installed: Installed | None
    assurance: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What `Store.remove` took away: `freed` bytes wait in the trash for `restore` or `purge`."""

    name: str
    path: Path
    freed: int
    in_place: bool


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk that holds `folder`."""
    return shutil.disk_usage(folder).free


class Store:
    """The models below `root`, which is made with private permissions where it is missing.

    `offline` forbids the network. `catalogue` is what it knows by name (None: ours alone), `free` measures free disk
    space in bytes. The async generators yield `Progress` in bytes; closing one stops at once and keeps what can be
    resumed.
    """

    def __init__(
        self,
        root: Path,
        *,
        offline: bool = False,
        catalogue: Mapping[str, Entry] | None = None,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.root = absolute(root)
        self.offline = offline
        self.catalogue = builtin() if catalogue is None else catalogue
        self._free = free
        for folder in FOLDERS:
            private_folder(self.root / folder)
        self._records = Records(self.root)
        self._names = Names(self._records, self.catalogue)

    def list(self) -> list[Installed]:
        """Every model on this machine, by name; one that cannot be used says why in `problem`."""
        return self._names.installed()

    def path(self, name: str) -> Path:
        """The file of a model given by name, unique beginning of a name, or path.

        Raises `ModelError` where there is none, with the command that would get it.
        """
        return self._names.path(name)

    def info(self, name: str) -> Details:
        """Everything about a model, downloaded or not."""
        full = self._names.resolve(name)
        entry, installed = self.catalogue.get(full), self._names.get(full)
        return Details(full, entry or (installed.entry if installed else None), installed, _assurance(entry, installed))

    async def pull(self, name: str) -> AsyncGenerator[Progress, None]:
        """Download a model of the catalogue; does nothing where it is there already."""
        full = self._names.resolve(name, among=self.catalogue)
        entry = self.catalogue[full]
        wanted = Wanted(full, entry.sources, entry.size, entry.sha256, entry.kind)
        async with aclosing(self._pull(wanted, "the catalogue" if entry.sha256 else "the hub")) as steps:
            async for step in steps:
                yield step

    async def pull_hub(self, repository: str, file: str, name: str | None = None) -> AsyncGenerator[Progress, None]:
        """Download any GGUF file of a hub repository ("owner/name"), verified by the SHA-256 the hub states."""
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise ModelError(f"{repository!r} is not a hub repository: write OWNER/NAME.")
        if not file.lower().endswith(".gguf") or re.search(r"-\d{5}-of-\d{5}\.", file):
            raise ModelError(f"{file} is not a single GGUF file: name one that ends in .gguf and is not split.")
        full = self._new_name(name or default_name(file))
        async with aclosing(self._pull(Wanted(full, (HubFile(repository, file),)), f"{repository}/{file}")) as steps:
            async for step in steps:
                yield step

    async def pull_file(self, repository: str, file: str, to: Path) -> AsyncGenerator[Progress, None]:
        """Download a GGUF of a hub repository that is no model, such as an adapter, to `to`; verified as models are."""
        wanted = Wanted(default_name(f"{repository}-{file}".replace("/", "-")), (HubFile(repository, file),))
        pull = Pull(wanted, self.root, offline=self.offline, free=self._free, done=lambda: False)
        async with aclosing(pull.run()) as steps:
            async for step in steps:
                yield step
        blob = self.root / "blobs" / f"sha256-{pull.sha256}"
        shutil.copyfile(blob, to)
        if not any(record.path == blob for record in self._records.all()):
            blob.unlink()

    async def _pull(self, wanted: Wanted, origin: str) -> AsyncGenerator[Progress, None]:
        def there() -> bool:
            installed = self._names.get(wanted.name)
            return installed is not None and not installed.problem

        if not there():
            pull = Pull(wanted, self.root, offline=self.offline, free=self._free, done=there)
            async with aclosing(pull.run()) as steps:
                async for step in steps:
                    yield step
            if pull.sha256 is not None:
                blob = self.root / "blobs" / f"sha256-{pull.sha256}"
                self._records.save(record_of(blob, wanted.name, pull.sha256, in_place=False, origin=origin))
        size = self.path(wanted.name).stat().st_size
        yield Progress(f"{wanted.name} is ready", size, size, "bytes")

    async def add(self, path: Path, name: str | None = None, *, anyway: bool = False) -> AsyncGenerator[Progress, None]:
        """Use a GGUF where it lies; its SHA-256 is computed and kept, the file is never copied, changed or removed.

        A file with exactly the size of a catalogue entry but another SHA-256 is refused as damaged unless `anyway`.
        """
        path = absolute(path)
        check_gguf(path)
        before = path.stat()
        digest = Digest(path)
        async with aclosing(digest.read()) as sizes:
            async for size in sizes:
                yield Progress(f"Checking {path.name}", size, before.st_size, "bytes")
        entry = self._names.by_sha256(digest.hex)
        if entry is None and not anyway:
            self._refuse_damaged(path, before.st_size)
        full = entry.name if entry and name in (None, entry.name) else self._new_name(name or default_name(path.name))
        present = self._names.get(full)
        # Adding a file again is how its record is renewed after the user changed the file.
        if present is not None and present.path != path:
            raise ModelError(f"There is already a model called {full} ({present.path}): give this one another name.")
        self._records.save(record_of(path, full, digest.hex, in_place=True, origin="added"))
        yield Progress(f"{full} is ready", before.st_size, before.st_size, "bytes")

    def remove(self, name: str) -> Removed:
        """Move a downloaded model to the trash; of a file used in place only the record goes."""
        installed = self._here(name)
        return Removed(installed.name, installed.path, self._records.discard(installed.name), installed.in_place)

    def restore(self, name: str | None = None) -> Installed:
        """Bring back what was removed last (of `name`)."""
        found = self._records.trashed(name and name.strip().lower())
        if found is None:
            raise ModelError(
                f"There is no {name or 'model'} in the trash: it was never removed, or the trash was emptied."
            )
        file, record = found
        if self._names.get(record.name) is not None:
            raise ModelError(f"There is a model called {record.name} again: remove that one first.")
        if not record.path.exists() and (record.in_place or not (self.root / "trash" / record.path.name).exists()):
            raise ModelError(f"The file of {record.name} is gone ({record.path}), so it cannot be restored.")
        self._records.bring_back(file, record)
        installed = self._names.get(record.name)
        assert installed is not None
        return installed

    def purge(self) -> int:
        """Delete for good what was removed; return the bytes freed."""
        return self._records.purge()

    async def verify(self, name: str) -> AsyncGenerator[Progress, None]:
        """Read the whole file again; raises `ModelError` where it is not what it was."""
        installed = self._here(name)
        record = self._records.get(installed.name)
        if record is None or installed.problem:
            raise ModelError(installed.problem)
        size = record.path.stat().st_size
        digest = Digest(record.path)
        async with aclosing(digest.read()) as sizes:
            async for done in sizes:
                yield Progress(f"Checking {record.name}", done, size, "bytes")
        self._settle(record, digest.hex)

    def check(self, path: Path) -> None:
        """Raise `ModelError` if the file at `path` was damaged since its SHA-256 was last known; cheap if unchanged.

        Looks at size and time of change, and reads the whole file (about a second per GB: call it in a thread) only
        where these changed, or where a file never read before has exactly the size of a catalogue entry.
        """
        path = absolute(path)
        check_gguf(path)
        # By path and not by name: engines are handed a path, and one file may have several names.
        record = next((one for one in self._records.all() if one.path == path), None) or self._records.seen(path)
        if record is not None and record.matches(path):
            return
        if record is not None and record.name:
            self._settle(record, sha256_of(path))
        elif self._names.of_size(path.stat().st_size):
            sha256 = sha256_of(path)
            if self._names.by_sha256(sha256) is None:
                self._refuse_damaged(path, path.stat().st_size)
            self._records.remember(record_of(path, "", sha256, in_place=True, origin="used by path"))

    def _settle(self, record: Record, sha256: str) -> None:
        """Compare a fresh SHA-256 with the record; remember size and time where they agree."""
        if sha256 == record.sha256:
            stat = record.path.stat()
            self._records.remember(replace(record, size=stat.st_size, mtime_ns=stat.st_mtime_ns))
        elif record.in_place:
            raise ModelError(
                f"{record.path} has changed since it was added: if you meant that, run "
                f"`chatapp models rm {record.name}` and `chatapp models add` again; if not, restore the file."
            )
        else:
            raise ModelError(
                f"The file of {record.name} is damaged: run `chatapp models rm {record.name}`, then "
                f"`chatapp models pull {record.name}`."
            )

    def _here(self, name: str) -> Installed:
        full = self._names.resolve(name)
        installed = self._names.get(full)
        if installed is None:
            raise ModelError(f"{full} is not on this machine: `chatapp models list` shows what is.")
        return installed

    def _refuse_damaged(self, path: Path, size: int) -> None:
        if entry := self._names.of_size(size):
            raise ModelError(
                f"{path} is damaged: it has the size of {entry.name} to the byte but not its SHA-256; "
                f"download it again, or run `chatapp models pull {entry.name}`."
            )

    def _new_name(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ModelError(f"{name!r} cannot be a model's name: use lower-case letters, digits, dots and dashes.")
        if name in self.catalogue:
            raise ModelError(f"The name {name} belongs to another model of the catalogue: choose another name.")
        return name


def _assurance(entry: Entry | None, installed: Installed | None) -> str:
    if installed is not None and installed.entry is None:
        whose = "computed when it was added" if installed.in_place else "stated by the hub"
        return f"Its SHA-256 is the one {whose}, unverified by us."
    if entry is not None and entry.sha256 is None:
        return "Its SHA-256 is unverified by us: the one the hub states is used."
    return "Its SHA-256 is the publisher's own, from the catalogue."
