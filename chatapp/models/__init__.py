"""Models: the catalogue of those chatapp knows, and the content-addressed store of those on this machine.

Whoever serves the bytes, the SHA-256 decides; a file appears under its final name only once it is verified.
"""

from __future__ import annotations

from chatapp.models.catalogue import Entry, catalogue, fitting, recommended
from chatapp.models.names import Installed
from chatapp.models.store import Details, Removed, Store
from chatapp.paths import Paths

__all__ = ["Details", "Entry", "Installed", "Removed", "Store", "catalogue", "fitting", "open_store", "recommended"]


def open_store(paths: Paths, *, offline: bool = False) -> Store:
    """The store of this user, with the catalogue extended by ``models.toml`` in the settings folder."""
    return Store(paths.data / "models", offline=offline, catalogue=catalogue(paths.config / "models.toml"))
