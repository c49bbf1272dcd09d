"""Reading a set from its file: JSON lines, or TOML. A broken line is told with its number, and the others are used."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatapp import UsageError, read_text
from chatapp_fewshot.examples import Example, ExampleSet

LARGEST = 5_000_000
"""Bytes of the largest file that is read: far more than any model reads of examples."""
LONGEST = 20_000
"""Characters of the longest input or output."""
MOST = 5_000
"""Examples in one set; the rest are left out."""
MOST_PROBLEMS = 20


def read_set(name: str, path: Path, *, bundled: bool = False) -> ExampleSet:
    """The set in the file at `path`; UsageError where the file as a whole cannot be used."""
    text = set_text(path)
    reader = _Reader(path)
    if path.suffix == ".toml":
        reader.toml(text)
    else:
        reader.lines(text)
    if len(reader.problems) > MOST_PROBLEMS:
        more = len(reader.problems) - MOST_PROBLEMS
        reader.problems[MOST_PROBLEMS:] = [f"{path}: {more} more lines cannot be used."]
    return ExampleSet(
        name, path, tuple(reader.examples), reader.instruction, reader.description, tuple(reader.problems), bundled
    )


def set_text(path: Path) -> str:
    """The text of a set's file as it stands there, so that an edit changes nothing else; UsageError as `read_text`."""
    return read_text(path, LARGEST, keep_ends=True)


def check(value: Any, what: str) -> str:
    """`value` as the text of an example; ValueError says what is wrong with it, as a clause."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"it has no text as its {what}")
    text = str(value).strip()
    if not text:
        raise ValueError(f"its {what} is empty")
    if len(text) > LONGEST:
        raise ValueError(f"its {what} is longer than {LONGEST:,} characters")
    # Half a surrogate pair, which JSON can write, is no character that a model could be sent.
    if re.search("[\ud800-\udfff]", text):
        raise ValueError(f"its {what} holds a broken character")
    return text


class _Reader:
    """Collects what one file holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.examples: list[Example] = []
        self.problems: list[str] = []
        self.instruction = ""
        self.description = ""

    def lines(self, text: str) -> None:
        """A JSON object on each line; empty lines and those that begin with # are passed over."""
        # Not `splitlines`: JSON texts may hold U+2028 and the like, which are no line breaks in a file of lines.
        for place, line in enumerate(text.split("\n")):
            if line.strip() and not line.lstrip().startswith("#"):
                self._guard(f"line {place + 1}", place, lambda line=line: _json(line))

    def toml(self, text: str) -> None:
        """The keys `instruction` and `description`, and tables `[[examples]]` with `input` and `output`."""
        try:
            document = tomllib.loads(text)
        except RecursionError:
            raise UsageError(f"{self.path}: this is not TOML: it is nested too deeply.") from None
        except tomllib.TOMLDecodeError as error:
            found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
            where = f" line {found[1]}" if found and found[1] else ""
            reason = str(error)[: found.start()] if found else str(error)
            raise UsageError(f"{self.path}{where}: this is not TOML: {reason}.") from None
        rows = document.pop("examples", [])
        if not isinstance(rows, list):
            raise UsageError(f"{self.path}: `examples` must be tables [[examples]], each with input and output.")
        self._guard("the top", 0, lambda: document)
        starts = [n for n, line in enumerate(text.split("\n"), 1) if line.strip().startswith("[[examples]]")]
        for place, row in enumerate(rows):
            where = f"line {starts[place]}" if len(starts) == len(rows) else f"example {place + 1}"
            self._guard(where, place, lambda row=row: row)

    def _guard(self, where: str, place: int, get: Any) -> None:
        try:
            row = get()
            if not isinstance(row, Mapping):
                raise ValueError("it is no object with input and output")
            if "input" in row or "output" in row:
                self._example(row, place)
            else:
                self._about(row, where)
        except ValueError as error:
            self.problems.append(f"{self.path} {where}: {error}; it is left out.")

    def _example(self, row: Mapping[str, Any], place: int) -> None:
        if len(self.examples) >= MOST:
            raise ValueError(f"there are more than {MOST:,} examples")
        self.examples.append(Example(check(row.get("input"), "input"), check(row.get("output"), "output"), place))

    def _about(self, row: Mapping[str, Any], where: str) -> None:
        strange = sorted(set(row) - {"instruction", "description"})
        if strange or (not row and where != "the top"):
            raise ValueError(f"it has {strange[0]!r}, but no input and output" if strange else "it is empty")
        if "instruction" in row:
            if self.instruction:
                raise ValueError("the set has an instruction already")
            self.instruction = check(row["instruction"], "instruction")
        if "description" in row:
            self.description = check(row["description"], "description")


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON ({error.msg.lower()} at column {error.colno})") from None
    except RecursionError:
        raise ValueError("this is nested too deeply") from None
