"""Which model a name stands for, where its files lie, and the list of models."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from chatapp import Host, ModelError, human_bytes
from chatapp_images.catalogue import CATALOGUE, Entry
from chatapp_images.options import ImagesSettings
from chatapp_images.weights import PICKLED, pickled

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
DONE = "chatapp.json"
"""The file that a finished download leaves in its folder: where it came from."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model to open. `name` opens it again.

    `path` is the folder it is loaded from, or the single file. `entry` is the catalogue's, None for others, and
    `repository` and `revision` say where the hub has it, "" for the user's own and the embedded ones. `beside`: these
    are only the configuration and the tokenizer, which the single file called `name` needs beside it.
    """

    name: str
    path: Path
    entry: Entry | None = None
    repository: str = ""
    revision: str = "main"
    beside: bool = False

    @property
    def label(self) -> str:
        """What to call its files in a sentence."""
        return f"{Path(self.name).name}'s configuration" if self.beside else self.name

    @property
    def here(self) -> bool:
        """Whether its files are on this machine."""
        return self.path.exists() if not self.repository else (self.path / DONE).is_file()

    @property
    def single(self) -> bool:
        """Whether it is one file instead of a folder."""
        return self.path.suffix == ".safetensors"

    @property
    def licence(self) -> str:
        """The licence as far as it is known."""
        return self.entry.licence if self.entry is not None else "see the model's own page or folder"


def find(host: Host, name: str = "") -> Chosen:
    """The model called `name`, the setting's by default; ModelError in one sentence when there is none.

    Names are the catalogue's, the hub's ("owner/name"), a folder or a .safetensors file. Touches no network.
    """
    wanted = name or host.config(ImagesSettings).model
    entry = CATALOGUE.get(wanted)
    if entry is not None:
        return _listed(host, entry)
    path = Path(os.path.abspath(Path(wanted).expanduser()))  # noqa: PTH100 (links stay as the user wrote them)
    if path.suffix.lower() in PICKLED:
        raise ModelError(pickled(path))
    if path.is_dir() or (path.is_file() and path.suffix == ".safetensors"):
        return Chosen(str(path), path)
    if path.is_file():
        raise ModelError(f"{path} is no model: name a .safetensors file, or a folder in diffusers' layout.")
    if HUB_NAME.fullmatch(wanted) and not wanted.endswith(".safetensors"):
        return Chosen(wanted, folder(host, wanted), None, wanted)
    if "/" in wanted or "\\" in wanted or wanted.startswith("~") or wanted.endswith(".safetensors"):
        raise ModelError(f"There is no {path}: check the path.")
    raise ModelError(
        f"There is no image model called {wanted!r}: choose one of {', '.join(CATALOGUE)}, a name on the hub "
        "(owner/name), a folder or a .safetensors file."
    )


def folder(host: Host, repository: str) -> Path:
    """Where the files of a hub's repository are kept."""
    return host.paths.data / "images" / repository.replace("/", "--")


def list_models(host: Host) -> list[tuple[str, str, str, str, str, str]]:
    """Name, size, licence, own size in pixels, what for, and state of every model known or downloaded."""
    chosen = host.config(ImagesSettings).model
    rows = [
        (
            entry.name,
            human_bytes(entry.size),
            entry.licence,
            f"{entry.width}×{entry.height}",
            entry.about,
            _state(_listed(host, entry), chosen),
        )
        for entry in CATALOGUE.values()
    ]
    known = {entry.repository for entry in CATALOGUE.values()}
    for name in _downloaded(host):
        if name not in known:
            other = find(host, name)
            rows.append((name, human_bytes(disk_size(other.path)), "", "", "", _state(other, chosen)))
    if chosen not in [row[0] for row in rows]:
        rows.append(_own(host, chosen))
    return rows


def _own(host: Host, chosen: str) -> tuple[str, str, str, str, str, str]:
    """The row of a model that only the settings name; what is wrong with the name is told when it is used."""
    try:
        own = find(host, chosen)
    except ModelError:
        return chosen, "", "", "", "", "not found, chosen"
    return chosen, human_bytes(disk_size(own.path)), "", "", "", _state(own, chosen)


def disk_size(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def _listed(host: Host, entry: Entry) -> Chosen:
    place = embedded(entry.name) if entry.embedded else folder(host, entry.repository)
    return Chosen(entry.name, place, entry, entry.repository, entry.revision)


def embedded(name: str) -> Path:
    """The folder of the model of that name that comes with the package."""
    from importlib.resources import files

    return Path(str(files("chatapp_images"))) / name


def _downloaded(host: Host) -> list[str]:
    marks = sorted((host.paths.data / "images").glob(f"*/{DONE}"))
    names = [mark.parent.name for mark in marks]
    # Of some only the configuration is here, for a single file that needs it.
    return [name.replace("--", "/", 1) for name in names if not name.endswith("--config")]


def _state(model: Chosen, chosen: str) -> str:
    embedded = model.entry is not None and model.entry.embedded
    where = "embedded" if embedded else "here" if model.here else "not downloaded"
    return f"{where}, chosen" if model.name == chosen or str(model.path) == chosen else where
