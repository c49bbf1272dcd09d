"""Reading a TOML table whose every mistake is reported as one sentence with file and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from chatapp.errors import ModelError


class Table:
    """A TOML table and `where` it stands; each reader checks its key and remembers that it is known."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.where = where
        self._values = values
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def called(self, where: str) -> Table:
        """The same table under a better name, such as that of the model it describes."""
        table = Table(self._values, where)
        table._known = self._known
        return table

    def error(self, key: str, what: str) -> ModelError:
        """The error that says what is wrong with `key`."""
        return ModelError(f"{self.where}: {key} {what}." if key else f"{self.where} {what}.")

    def text(self, key: str, *, default: str | None = None, pattern: re.Pattern[str] | None = None) -> str:
        """A string; required unless there is a `default`, and matching `pattern` where one is given."""
        value = self._get(key, str, "text in quotes", default)
        if pattern is not None and not pattern.fullmatch(value):
            raise self.error(key, f"cannot be {value!r}")
        return str(value)

    def integer(self, key: str, *, least: int, default: int | None = None) -> int:
        """A whole number of at least `least`."""
        value = self._get(key, int, "a whole number", default)
        if isinstance(value, bool) or value < least:
            raise self.error(key, f"must be a whole number of at least {least}")
        return int(value)

    def number(self, key: str) -> float:
        """A number; whole ones stay whole."""
        value: float = self._get(key, (int, float), "a number", None)
        if isinstance(value, bool):
            raise self.error(key, "must be a number")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false when it is not there."""
        return bool(self._get(key, bool, "true or false", False))

    def table(self, key: str) -> Table:
        """A table inside this one; empty when it is not there."""
        return Table(self._get(key, dict, "a table", {}), f"{self.where}: {key}")

    def tables(self, key: str) -> list[Table]:
        """A list of tables inside this one; empty when it is not there."""
        values = self._get(key, list, "a list of tables", [])
        for number, value in enumerate(values, 1):
            if not isinstance(value, dict):
                raise self.error(key, f"must hold only tables, and number {number} is none")
        return [Table(value, f"{self.where}: {key} {number}") for number, value in enumerate(values, 1)]

    def finish(self, known: Iterable[str] = ()) -> None:
        """Refuse keys that nobody asked for: a misspelt key must not be silently ignored."""
        allowed = sorted(self._known | set(known))
        for key in self._values:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                raise self.error(key, "is not a known key" + (f", did you mean {near[0]}?" if near else ""))

    def _get(self, key: str, kind: type | tuple[type, ...], what: str, default: Any) -> Any:
        self._known.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise self.error(key, "is missing")
        if not isinstance(value, kind):
            raise self.error(key, f"must be {what}")
        return value
