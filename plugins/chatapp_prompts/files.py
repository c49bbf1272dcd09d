"""Templates: Markdown or plain text with ``{variables}``, after an optional head in TOML between ``+++`` lines.

+++
description = "Sum a text up."
[variables]
words = 100
+++
Summarise in {words} words: {input}
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chatapp import Host, UsageError, named_file, named_files, read_text

BUNDLED = Path(__file__).parent / "bundled"
ENDINGS = (".txt", ".md")
"""Of two files with one name the later ending wins."""
RESERVED = frozenset({"new", "list", "choose"})
"""Words after `/prompt` that mean something else."""
NAME = re.compile(r"[\w-]+\Z")
INPUT = "input"
"""The variable that takes the text after the other values."""

_VARIABLE = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")
_HEAD = re.compile(r"\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_GIVEN = re.compile(r'\s*([A-Za-z_]\w*)=("[^"]*"|\S*)(?=\s|\Z)')


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read; `defaults` are its variables' values where none is given."""

    name: str
    path: Path
    body: str
    description: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> list[str]:
        """Every variable, each once, in the order of the text."""
        found = [match[1] for match in _VARIABLE.finditer(self.body) if match[1]]
        return list(dict.fromkeys([*found, *self.defaults]))

    def take(self, text: str) -> dict[str, str]:
        """The values at the beginning of `text` (``words=50 tone="very formal" …``), and the rest as the input."""
        given: dict[str, str] = {}
        place = 0
        while (match := _GIVEN.match(text, place)) and match[1] in self.variables:
            given[match[1]] = match[2].removeprefix('"').removesuffix('"') if match[2] != '"' else match[2]
            place = match.end()
        rest = text[place:].strip()
        return {**given, INPUT: rest} if rest else given

    def lacks(self, given: Mapping[str, str]) -> list[str]:
        """The variables that have neither a value nor a default."""
        return [name for name in self.variables if name not in given and name not in self.defaults]

    def render(self, given: Mapping[str, str]) -> str:
        """The text; UsageError that names the first variable that lacks, with an example.

        Input that no variable takes stands below the text.
        """
        lacking = self.lacks(given)
        if lacking:
            raise UsageError(f"The prompt {self.name!r} needs a value for {{{lacking[0]}}}: {self._example(lacking)}.")
        values = {**self.defaults, **given}
        text = _VARIABLE.sub(lambda match: values[match[1]] if match[1] else match[0][0], self.body).strip()
        return text if INPUT in self.variables or INPUT not in given else f"{text}\n\n{given[INPUT]}"

    def _example(self, lacking: list[str]) -> str:
        words = [f'{name}="…"' for name in lacking if name != INPUT] + ["TEXT"] * (INPUT in lacking)
        return " ".join([f"/prompt {self.name}", *words])


def folder(host: Host) -> Path:
    """Where the user's own templates are; it need not exist."""
    from chatapp_prompts.options import PromptsSettings

    chosen = host.config(PromptsSettings).folder
    return Path(chosen).expanduser() if chosen else host.paths.config / "prompts"


def paths(host: Host) -> dict[str, Path]:
    """The file of each template by name, sorted; the user's own win. Blocks on the file system."""
    return named_files((BUNDLED, folder(host)), ENDINGS, RESERVED)


def find(host: Host, name: str) -> Template:
    """The template of that name; UsageError with a near match for one there is not."""
    return read(named_file(paths(host), name, "prompt"))


def read(path: Path) -> Template:
    """The template in a file; UsageError with file and line when it cannot be used."""
    text = read_text(path)
    head = _HEAD.match(text)
    if head is None and re.match(r"\+\+\+[ \t]*\n", text):
        raise UsageError(f"{path}, line 1: the head that begins with +++ is not ended by a line +++.")
    body = text[head.end() :] if head else text
    if not body.strip():
        raise UsageError(f"{path}, line {len(text.splitlines()) or 1}: there is no text to send.")
    return Template(path.stem, path, body, *(_head(path, head[1]) if head else ()))


def _head(path: Path, text: str) -> tuple[str, dict[str, str]]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+)", str(error))
        line = (int(at[1]) if at else len(text.splitlines())) + 1
        raise UsageError(f"{path}, line {line}: {re.sub(r' *[(]at [^)]*[)]', '', str(error))}.") from None
    description, variables = values.pop("description", ""), values.pop("variables", {})
    strange = next(iter(values), None)
    if strange is not None:
        raise _at(path, text, strange, f"there is no key {strange!r}; there are description and [variables].")
    if not isinstance(description, str):
        raise _at(path, text, "description", "description must be a text.")
    if not isinstance(variables, dict):
        raise _at(path, text, "variables", "variables must be a table: [variables].")
    wrong = next((key for key, value in variables.items() if isinstance(value, dict | list)), None)
    if wrong is not None:
        raise _at(path, text, wrong, f"{wrong} must be one text or number.")
    return description, {key: str(value) for key, value in variables.items()}


def _at(path: Path, text: str, key: str, what: str) -> UsageError:
    lines = enumerate(text.splitlines(), 2)
    line = next((number for number, line in lines if re.match(rf"\s*\[*\s*{re.escape(key)}\b", line)), 1)
    return UsageError(f"{path}, line {line}: {what}")
