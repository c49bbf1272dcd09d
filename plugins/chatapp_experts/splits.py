"""A split of labelled messages as the gate judged it: who was right how often, in a table and in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from chatapp import Data, table, wilson
from chatapp_experts.head import NONE
from chatapp_experts.labelled import Labelled
from chatapp_experts.scoring import Verdict


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: files of messages, how many experts may answer one, and with answers or `gate_only`."""

    files: Sequence[Path]
    top: int = 1
    model: str = ""
    gate_only: bool = False
    likeness: bool = False
    limit: int | None = None
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A message, and what the gate made of it in so many seconds."""

    message: Labelled
    verdict: Verdict
    seconds: float

    @property
    def first(self) -> str:
        """The weightiest expert, or `none`."""
        return max(self.verdict.mix, key=lambda name: self.verdict.mix[name], default=NONE)

    @property
    def right(self) -> bool:
        """Whether the weightiest expert is the message's own; with none, whether it has none."""
        return self.first == self.message.expert


def reported_gate(split: str, rows: Sequence[Judged], names: Sequence[str]) -> list[Data]:
    """Accuracy, rejection and time of a split, then which expert was taken for which."""
    own = [row for row in rows if row.message.expert != NONE]
    others = [row for row in rows if row.message.expert == NONE]
    shares = [
        ("all messages", sum(row.right for row in rows), len(rows)),
        ("those of an expert", sum(row.right for row in own), len(own)),
        ("those of none, rejected", sum(row.right for row in others), len(others)),
    ]
    times = [1000 * row.seconds for row in rows]
    cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
    text = [f"{split}: {len(rows)} messages, the gate took {cuts[9]:.0f} ms (95 % within {cuts[18]:.0f} ms)"]
    text += [share_line(*share) for share in shares]
    value: dict[str, Any] = {name: share_value(right, total) for name, right, total in shares}
    value |= {"split": split, "p50_ms": round(cuts[9], 1), "p95_ms": round(cuts[18], 1)}
    taken = Counter((row.message.expert, row.first) for row in rows)
    cells = [(label, *(taken[label, name] or "" for name in names)) for label in names]
    return [Data("eval.experts", value, "\n".join(text)), table("eval.experts.confusion", ("label", *names), cells)]


def share_line(name: str, right: int, total: int) -> str:
    """A line like "those of an expert: 47 of 52, 90.4 % (79 to 96 %)"."""
    low, high = wilson(right, total)
    share = f", {100 * right / total:.1f} % ({100 * low:.0f} to {100 * high:.0f} %)" if total else ""
    return f"{name}: {right} of {total}{share}"


def share_value(right: int, total: int) -> dict[str, Any]:
    """A share with its 95 % interval, as JSON."""
    return {"right": right, "total": total, "interval": wilson(right, total)}
