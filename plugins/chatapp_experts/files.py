"""Experts' files: TOML, bundled with the plugin or the user's own, of which the user's win."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapp import Host, UsageError, named_file, named_files, read_text, similar

if TYPE_CHECKING:
    from chatapp_experts.schema import ExpertFile

BUNDLED = Path(__file__).parent / "bundled"
RESERVED = frozenset({"floor", "list", "none", "off", "on", "top", "train", "why"})
"""Words after `/experts` that mean something else, and the name of what belongs to no expert."""


@dataclass(frozen=True, slots=True)
class Expert:
    """An expert that was read; `name` is its file's, without the ending."""

    name: str
    path: Path
    file: ExpertFile

    @property
    def texts(self) -> tuple[str, ...]:
        """What a message is compared with: the description, then the examples."""
        return (self.file.description, *self.file.examples)


def paths(host: Host) -> dict[str, Path]:
    """The file of each expert by name, sorted; blocks on the file system."""
    return named_files((BUNDLED, host.paths.config / "experts"), (".toml",), RESERVED)


def find(host: Host, name: str) -> Expert:
    """The expert of that name; UsageError with a near match for one there is not."""
    known = paths(host)
    if name not in known:
        near = similar(name, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}."
        raise UsageError(f"There is no expert {name!r}; {hint}")
    return read(named_file(known, name, "experts"))


def read(path: Path) -> Expert:
    """The expert in a file; UsageError with file and line when it is none."""
    from pydantic import ValidationError

    from chatapp_experts.schema import ExpertFile

    text = read_text(path)
    try:
        return Expert(path.stem, path, ExpertFile.model_validate(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        said, _, at = str(error).rstrip(")").partition(" (at ")
        number = re.match(r"line (\d+)", at)
        line = int(number[1]) if number else max(len(text.splitlines()), 1)
        raise UsageError(f"{path}, line {line}: {said[:1].lower()}{said[1:].rstrip('.')}.") from None
    except ValidationError as error:
        raise _misfit(path, text, error.errors()[0]) from None


def _misfit(path: Path, text: str, detail: Any) -> UsageError:
    from chatapp_experts.schema import ExpertFile, ExpertSampling

    place = [part for part in detail["loc"] if part != "[key]"]
    said = {"extra_forbidden": "there is no such key", "missing": "this key is missing"}.get(detail["type"], "")
    if detail["type"] == "extra_forbidden":
        known = ExpertSampling if place[0] == "sampling" and len(place) > 1 else ExpertFile
        near = similar(str(place[-1]), known.model_fields)
        said += f"; did you mean {near!r}?" if near else ""
    said = (said or detail["msg"]).rstrip(".")
    name = ".".join(str(part + 1 if isinstance(part, int) else part) for part in place)
    return UsageError(f"{path}, line {_line(text, place)}: {name}: {said[:1].lower()}{said[1:]}.")


def _line(text: str, place: Sequence[int | str]) -> int:
    """The line, from 1, where the innermost key or table of `place` that is written out stands."""
    lines = text.splitlines()
    names = [re.escape(str(part)) for part in place if isinstance(part, str)]
    for name in reversed(names):
        written = re.compile(rf"\s*(?:\[\s*)?[\"']?{name}[\"']?\s*[\]=.]")
        for number, line in enumerate(lines, 1):
            if written.match(line):
                return number
    return 1
