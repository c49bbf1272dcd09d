"""Changing a set, and taking a change back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from chatapp import Host, UsageError, write_private
from chatapp_fewshot.examples import Example
from chatapp_fewshot.library import Library, check_name, line_of
from chatapp_fewshot.reading import read_set, set_text

STEPS = 20
"""Changes of a set that can be taken back."""
MOST_KEPT = 10_000_000
"""Characters kept to take changes back, of one set; the last change always can be."""


class Editor:
    """Changes the sets of one user; every change can be taken back with `undo`."""

    def __init__(self, host: Host) -> None:
        self.library = Library(host)
        self._kept = host.paths.data / "fewshot"

    def add(self, name: str, question: str, answer: str) -> int:
        """Append an example and return how many there are; a new name begins a new set."""
        check_name(name)
        new = not self.library.exists(name)
        path = self.library.own(name)
        before = None if new else set_text(path)
        if path.suffix == ".toml":
            after = _toml_added(before or "", question, answer)
        else:
            whole = before or ""
            gap = "" if not whole or whole.endswith("\n") else "\n"
            after = f"{whole}{gap}{line_of(question, answer)}"
        self._write(path, before, after)
        return len(read_set(name, path).examples)

    def remove(self, name: str, number: int) -> Example:
        """Take out the example with that number, counted from 1, and return it."""
        examples = self.library.read(name).examples
        if not 1 <= number <= len(examples):
            raise UsageError(
                f"The set {name!r} has the examples 1 to {len(examples)}; `/shots show {name}` lists them."
                if examples
                else f"The set {name!r} has no examples."
            )
        gone = examples[number - 1]
        path = self.library.own(name)
        before = set_text(path)
        after = _toml_without(before, gone.place) if path.suffix == ".toml" else _lines_without(before, gone.place)
        self._write(path, before, after)
        return gone

    def replace(self, name: str, text: str) -> Path:
        """Write a whole set as JSON lines; its path."""
        check_name(name)
        path = self.library.folder / f"{name}.jsonl"
        if (self.library.folder / f"{name}.toml").exists():
            raise UsageError(f"There is a {name}.toml in {self.library.folder}: choose another name.")
        self._write(path, set_text(path) if path.exists() else None, text)
        return path

    def undo(self, name: str) -> str:
        """Take back the last change of a set; a sentence about it."""
        check_name(name)
        steps = self._steps(name)
        if not steps:
            raise UsageError(f"There is no change of the set {name!r} to take back.")
        step = steps.pop()
        path = self.library.folder / f"{name}{step['ending']}"
        if not path.is_file() or _sum(set_text(path)) != step["after"]:
            raise UsageError(f"{path} was edited since the last change, so it is left as it is; edit it by hand.")
        if step["before"] is None:
            path.unlink()
        else:
            write_private(path, step["before"])
        self._keep(name, steps)
        return f"The set {name!r} is gone again." if step["before"] is None else f"The set {name!r} is as it was."

    def _write(self, path: Path, before: str | None, after: str) -> None:
        steps = self._steps(path.stem)
        write_private(path, after)
        self._keep(path.stem, [*steps, {"ending": path.suffix, "before": before, "after": _sum(after)}])

    def _steps(self, name: str) -> list[dict[str, Any]]:
        try:
            steps = json.loads((self._kept / f"{name}.undo.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return []
        return [each for each in steps if _is_step(each)] if isinstance(steps, list) else []

    def _keep(self, name: str, steps: list[dict[str, Any]]) -> None:
        steps = steps[-STEPS:]
        while len(steps) > 1 and sum(len(each["before"] or "") for each in steps) > MOST_KEPT:
            steps = steps[1:]
        write_private(self._kept / f"{name}.undo.json", json.dumps(steps, ensure_ascii=False))


def _is_step(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("ending") in (".jsonl", ".toml")
        and isinstance(value.get("before"), str | None)
        and isinstance(value.get("after"), str)
    )


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _lines_without(text: str, place: int) -> str:
    lines = text.split("\n")
    return "\n".join([*lines[:place], *lines[place + 1 :]])


def _toml_added(text: str, question: str, answer: str) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    row = tomlkit.table()
    row.update({"input": question, "output": answer})
    rows = document.get("examples")
    if rows is None:
        rows = document["examples"] = tomlkit.aot()
    rows.append(row if isinstance(rows, tomlkit.items.AoT) else {"input": question, "output": answer})
    return tomlkit.dumps(document)


def _toml_without(text: str, place: int) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    rows: Any = document["examples"]
    del rows[place]
    return tomlkit.dumps(document)
