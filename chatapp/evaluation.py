"""Measuring how often answers are right: rows are kept on disk as they come, so that a long run can go on later."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp.errors import UsageError

Z = 1.959964
"""The standard normal's quantile for an interval of 95 %."""


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, after Wilson (1927): good also for small counts and shares near 0 or 1."""
    if not total:
        return 0.0, 1.0
    share = right / total
    middle = share + Z * Z / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    below = 1 + Z * Z / total
    return max(0.0, (middle - spread) / below), min(1.0, (middle + spread) / below)


@dataclass(frozen=True, slots=True)
class Tally:
    """What an evaluation came to: answers that were right, of how many, tokens generated, seconds taken."""

    right: int = 0
    total: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """The share that was right; 0.0 of none."""
        return self.right / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy."""
        return wilson(self.right, self.total)

    def line(self) -> str:
        """A sentence: "62 of 100 right: 62.0 % (95 % interval 52.2 to 70.9 %), 21,034 tokens, 731 s"."""
        low, high = self.interval
        return (
            f"{self.right} of {self.total} right: {100 * self.accuracy:.1f} % (95 % interval {100 * low:.1f} to "
            f"{100 * high:.1f} %), {self.tokens:,} tokens, {self.seconds:,.0f} s"
        )


class Evaluation:
    """Rows of one evaluation in a JSON lines file. The first line holds the settings; other settings begin anew.

    A row that was cut off when the process ended is left out and measured again.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(dict(settings), sort_keys=True))
        self.done: dict[str, Mapping[str, Any]] = {}
        try:
            self._read()
        except OSError as error:
            raise UsageError(f"{path} cannot be used for the results ({error.strerror}); name another file.") from None

    def _read(self) -> None:
        rows = [_object(line) for line in _lines(self.path)]
        if rows and rows[0].get("settings") is None:
            raise UsageError(f"{self.path} is not a file of results; name another one, or move it away.")
        if rows and rows[0]["settings"] == self.settings:
            self.done = {str(row["key"]): row for row in rows[1:] if "key" in row and "right" in row}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [{"settings": self.settings}, *self.done.values()]
        self.path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")

    def add(self, key: str, right: bool, tokens: int, seconds: float, **more: Any) -> None:
        """Keep one row; it is on disk when this returns."""
        row = {"key": key, "right": right, "tokens": tokens, "seconds": round(seconds, 3), **more}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.done[key] = row

    def tally(self) -> Tally:
        """What the rows come to so far."""
        rows = self.done.values()
        return Tally(
            sum(bool(row["right"]) for row in rows),
            len(rows),
            sum(int(row.get("tokens", 0)) for row in rows),
            sum(float(row.get("seconds", 0)) for row in rows),
        )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
