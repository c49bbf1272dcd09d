"""The sources of plugins that may change while the application runs, and how to tell that they did."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp.plugins import Found, files_in

if TYPE_CHECKING:
    from chatapp.host import Host


@dataclass(frozen=True, slots=True)
class Seen:
    """A plugin's sources at one moment: the path, time of change (ns) and size (bytes) of each. Equal is unchanged."""

    found: Found = field(compare=False)
    files: tuple[tuple[str, int, int], ...]

    @property
    def newest(self) -> int:
        """When the last of them changed (ns)."""
        return max(changed for _, changed, _ in self.files)


class Sources:
    """Those of the files in the plugin folder, and of the packages that are installed editable."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._places: dict[str, tuple[Found, list[Path]]] = {}

    def look(self) -> dict[str, Seen]:
        """What is there now, by plugin. Blocks on the file system: run it in a thread."""
        found = {each.name: (each, [each.path]) for each in files_in(self._host.paths.config / "plugins") if each.path}
        found |= {name: (each, self._editable(each)) for name, each in list(self._host.found.items()) if each.entry}
        seen = {name: Seen(each, tuple(sorted(_files(places)))) for name, (each, places) in found.items()}
        return {name: each for name, each in seen.items() if each.files}

    def _editable(self, found: Found) -> list[Path]:
        # Where an installed package lies does not change; to ask each time would cost more than all the rest.
        held = self._places.get(found.name)
        if held is None or held[0] is not found:
            held = self._places[found.name] = (found, editable(found))
        return held[1]


def editable(found: Found) -> list[Path]:
    """The folders (or the file) a package was installed from that is used where it lies; none for any other."""
    dist = found.entry.dist if found.entry is not None else None
    origin = dist.read_text("direct_url.json") if dist is not None else None
    if not origin or not json.loads(origin).get("dir_info", {}).get("editable"):
        return []
    spec = importlib.util.find_spec(found.package)
    if spec is None:
        return []
    return [Path(each) for each in spec.submodule_search_locations or [spec.origin or ""]]


def _files(places: Iterable[Path]) -> Iterator[tuple[str, int, int]]:
    for place in places:
        for path in place.rglob("*.py") if place.is_dir() else [place]:
            try:
                status = path.stat()
            except OSError:
                # Gone since it was listed, which the next look will see.
                continue
            yield str(path), status.st_mtime_ns, status.st_size
