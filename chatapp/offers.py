"""The models a person can choose from on this machine, and whether one has to be chosen first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp.errors import ModelError
from chatapp.models import Entry, Installed
from chatapp.paths import absolute

if TYPE_CHECKING:
    from chatapp.host import Host
    from chatapp.session import Session


@dataclass(frozen=True, slots=True)
class Offer:
    """A model of the catalogue, of this machine, or both. `size` in bytes; `fits` in this machine's memory.

    `problem` is empty, or one sentence that says why an installed one cannot be used.
    """

    name: str
    size: int
    entry: Entry | None = None
    installed: Installed | None = None
    fits: bool = True
    recommended: bool = False

    @property
    def usable(self) -> bool:
        """Whether it is on this machine and can be opened."""
        return self.installed is not None and not self.installed.problem

    @property
    def problem(self) -> str:
        """What is wrong with the installed one."""
        return self.installed.problem if self.installed is not None else ""


def memory_bytes() -> int:
    """The memory of this machine."""
    import psutil

    return int(psutil.virtual_memory().total)


def offers(host: Host) -> list[Offer]:
    """What there is: the recommended one, then what is installed, then what fits by size, then what is too large.

    Reads the store's folder: call it in a thread.
    """
    memory = memory_bytes()
    here = {each.name: each for each in host.models.list()}
    found = []
    for name in dict.fromkeys([*here, *host.models.catalogue]):
        entry, installed = host.models.catalogue.get(name), here.get(name)
        size = installed.size if installed else entry.size if entry else 0
        fits = entry is None or entry.memory <= memory
        found.append(Offer(name, size, entry, installed, fits, name == host.default_model))
    return sorted(found, key=lambda each: (not each.recommended, not each.usable, not each.fits, _order(each)))


def _order(offer: Offer) -> int:
    # Of what fits the largest is the best; of what does not, the smallest comes nearest.
    return -offer.size if offer.fits else offer.size


def name_of(host: Host, model: str) -> str:
    """The name of the installed model whose file this is; what is no such file is a name already."""
    return next((each.name for each in host.models.list() if str(each.path) == str(absolute(Path(model)))), model)


def missing(session: Session) -> str:
    """Why the session's model cannot answer yet, as a sentence; empty where it can.

    An engine that takes this name and not any name knows the model itself, so the store need not have it.
    """
    host, model = session.host, session.model
    try:
        host.models.path(model)
    except ModelError as error:
        specs = [spec for spec in host.engine_specs.values() if spec.kind == "chat"]
        knows = any(spec.accepts(host, model) and not spec.accepts(host, "") for spec in specs)
        return "" if knows else str(error)
    return ""
