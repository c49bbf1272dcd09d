"""`plugin doctor`: what each plugin costs and what went wrong in it, over the latest turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatapp import costs
from chatapp.timing import TURNS, Cost, TurnCost

if TYPE_CHECKING:
    from chatapp.host import Host
    from chatapp.plugins import Plugin

OWN = "chatapp"
"""The application's own part, whose pieces of a prompt are the conversation itself: its tokens are not counted."""


@dataclass(slots=True)
class Health:
    """A plugin over `turns` turns. Times in milliseconds: `hooks` is each hook's cost; `tokens` added by turn."""

    plugin: Plugin
    turns: int
    hooks: dict[str, Cost] = field(default_factory=dict)
    tokens: float = 0.0
    errors: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """In all its hooks, by the clock, a turn."""
        return sum(cost.seconds for cost in self.hooks.values()) * 1e3 / max(self.turns, 1)

    @property
    def held(self) -> float:
        """For how long the longest call held the event loop."""
        return max((cost.longest for cost in self.hooks.values()), default=0.0) * 1e3


def examined(host: Host) -> list[Health]:
    """Every plugin, in calling order, over the turns that are kept: those of earlier runs and of this one."""
    earlier = costs.read(host.costs_file)
    turns = [*earlier, *host.hooks.calls.ended][-TURNS:]
    slow = costs.slow(host)
    found = [_health(plugin, turns, slow.get(name, [])) for name, plugin in host.plugins.items()]
    for each in found:
        # What was raised in this run is among what was reported, with the line.
        said = [error for turn in earlier for error in turn.errors.get(each.plugin.name, ())]
        each.errors = list(dict.fromkeys(filter(None, [each.plugin.error, *each.plugin.reported, *said])))
    return found


def _health(plugin: Plugin, turns: Sequence[TurnCost], slow: list[str]) -> Health:
    made = Health(plugin, len(turns), slow=slow)
    for turn in turns:
        for (name, hook), cost in turn.hooks.items():
            if name == plugin.name:
                _sum(made.hooks.setdefault(hook, Cost()), cost)
    if plugin.name != OWN:
        made.tokens = sum(turn.tokens.get(plugin.name, 0) for turn in turns) / max(len(turns), 1)
    return made


def _sum(total: Cost, cost: Cost) -> None:
    total.calls += cost.calls
    total.seconds += cost.seconds
    total.held += cost.held
    total.longest = max(total.longest, cost.longest)


def overview(found: Iterable[Health]) -> list[dict[str, Any]]:
    """A row for each plugin, for programs."""
    return [
        {
            "name": each.plugin.name,
            "state": each.plugin.state,
            "version": each.plugin.version,
            "from": each.plugin.origin,
            "where": each.plugin.where,
            "load_ms": round(each.plugin.seconds * 1e3, 1),
            "turn_ms": round(each.milliseconds, 1),
            "held_ms": round(each.held, 1),
            "tokens": round(each.tokens),
            "hooks": {hook: numbers(cost, each.turns) for hook, cost in each.hooks.items()},
            "errors": each.errors,
            "slow": each.slow,
        }
        for each in found
    ]


def numbers(cost: Cost, turns: int) -> dict[str, float]:
    """What one hook costs: calls and milliseconds a turn, and for how long the longest call held the event loop."""
    return {
        "calls": round(cost.calls / max(turns, 1), 1),
        "turn_ms": round(cost.seconds * 1e3 / max(turns, 1), 2),
        "held_ms": round(cost.longest * 1e3, 2),
    }
