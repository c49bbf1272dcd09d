"""Role files: TOML, bundled with the plugin or the user's own, of which the user's win."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp import Host, UsageError, named_file, named_files, read_text, similar
from chatapp_roles import variables
from chatapp_roles.lines import line_in, line_of, without_line

if TYPE_CHECKING:
    from chatapp_roles.schema import RoleFile

BUNDLED = Path(__file__).parent / "bundled"
RESERVED = frozenset({"off", "list", "show", "new", "edit"})
"""Words after `/role` that mean something else."""
NAME = re.compile(r"[\w-]+\Z")


@dataclass(frozen=True, slots=True)
class Role:
    """A role that was read. `name` is the file's, without its ending; `text` the file's source."""

    name: str
    path: Path
    text: str
    file: RoleFile

    @property
    def title(self) -> str:
        """What people are shown."""
        return self.file.title or self.name.replace("-", " ").replace("_", " ").capitalize()

    @property
    def variables(self) -> dict[str, str]:
        """What the file says of its variables."""
        return {key: str(value) for key, value in self.file.variables.items()}

    @property
    def needs(self) -> list[str]:
        """Every variable that may be given: those of the instructions and those of the table."""
        return list(dict.fromkeys([*variables.used(self.file.prompt), *self.variables]))

    def prompt(self, given: Mapping[str, str]) -> str:
        """The instructions with their variables; UsageError for one that nothing defines, or that is not in them."""
        for key in given:
            if key not in self.needs:
                near = similar(key, self.needs)
                known = f"it has {', '.join(self.needs)}" if self.needs else "it has none"
                raise UsageError(
                    f"The role {self.name!r} has no variable {key!r}"
                    + (f"; did you mean {near!r}?" if near else f"; {known}.")
                )
        values = {**variables.built_in(), **self.variables, **given}
        for key in variables.used(self.file.prompt):
            if key not in values:
                what = f"the variable {{{key}}} is not defined: add it to [variables], or give it as {key}=VALUE."
                raise self._fault(what, partial(_names, key))
        return variables.fill(self.file.prompt, values).strip()

    def check_braces(self) -> None:
        """UsageError when a brace stands alone."""
        brace = variables.lone(self.file.prompt)
        if brace:
            raise self._fault(f"a brace that is no variable is written twice, {brace * 2}.", variables.lone)

    def _fault(self, what: str, here: Callable[[str], object]) -> UsageError:
        """An error at the first line from `prompt =` on where `here` is true."""
        begin = line_of(self.text, ("prompt",))
        lines = enumerate(self.text.splitlines()[begin - 1 :], begin)
        number = next((number for number, line in lines if here(line)), begin)
        return UsageError(f"{self.path}, line {number}: {what}")


def _names(key: str, line: str) -> bool:
    return key in variables.used(line)


def folder(host: Host) -> Path:
    """Where the user's own roles are; it need not exist."""
    from chatapp_roles.options import RolesSettings

    chosen = host.config(RolesSettings).folder
    return Path(chosen).expanduser() if chosen else host.paths.config / "roles"


def paths(host: Host) -> dict[str, Path]:
    """The file of each role by name, sorted; blocks on the file system."""
    return named_files((BUNDLED, folder(host)), (".toml",), RESERVED)


def find(host: Host, name: str) -> Role:
    """The role of that name; UsageError with a near match for one there is not."""
    return read(named_file(paths(host), name, "role"))


def read(path: Path) -> Role:
    """The role in a file; UsageError with file and line when it is no role."""
    text = read_text(path)
    role = Role(path.stem, path, text, _parse(path, text))
    role.check_braces()
    return role


def _parse(path: Path, text: str) -> RoleFile:
    from pydantic import ValidationError

    from chatapp_roles.schema import RoleFile

    try:
        file = RoleFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}, line {line_in(str(error), text)}: {_lower(without_line(str(error)))}.") from None
    except ValidationError as error:
        raise _misfit(path, text, error.errors()[0]) from None
    if file.name not in ("", path.stem):
        line = line_of(text, ("name",))
        raise UsageError(
            f"{path}, line {line}: the name is {file.name!r} and the file's is {path.stem!r}; make them one."
        )
    return file


def _misfit(path: Path, text: str, detail: object) -> UsageError:
    from chatapp_roles.schema import RoleFile

    place = tuple(detail["loc"])  # type: ignore[index]
    key = ".".join(str(part) for part in place if part not in ("int", "float", "bool", "str"))
    kind, said = detail["type"], str(detail["msg"])  # type: ignore[index]
    if kind == "extra_forbidden":
        near = similar(str(place[-1]), RoleFile.keys(place[:-1]))
        said = "there is no such key" + (f"; did you mean {near!r}?" if near else "")
    elif kind == "missing":
        said = "this key is missing"
    return UsageError(f"{path}, line {line_of(text, place)}: {key}: {_lower(said)}.")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
