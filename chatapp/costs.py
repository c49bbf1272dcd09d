"""What plugins cost, on disk: the latest turns of this user, so that another process can show them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapp.settings import write_private
from chatapp.timing import TURNS, Cost, TurnCost

if TYPE_CHECKING:
    from chatapp.host import Host


def read(path: Path) -> list[TurnCost]:
    """The turns in the file, oldest first; none where it is missing or damaged: it is made again by the next turns."""
    try:
        return [_turn(each) for each in json.loads(path.read_text(encoding="utf-8"))["turns"]][-TURNS:]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def add(path: Path, turns: Iterable[TurnCost]) -> None:
    """Add turns to the file, which keeps the latest TURNS; SettingsError where it cannot be written."""
    kept = [*read(path), *turns][-TURNS:]
    write_private(path, json.dumps({"turns": [_plain(each) for each in kept]}))


def slow(host: Host) -> dict[str, list[str]]:
    """The plugins that take longer than the settings allow: what each does too slowly, in words."""
    budget = host.settings.core.plugins
    found: dict[str, list[str]] = {}
    for name, plugin in host.plugins.items():
        if plugin.seconds * 1e3 > budget.import_budget:
            found[name] = [f"loading took {plugin.seconds * 1e3:,.0f} ms"]
    for (name, hook), seconds in host.hooks.calls.over(budget.hook_budget).items():
        found.setdefault(name, []).append(f"{hook} held the chat for {seconds * 1e3:,.0f} ms")
    return found


def _plain(turn: TurnCost) -> dict[str, Any]:
    # Microseconds are fine enough, and keep the file small.
    hooks = [
        [plugin, hook, cost.calls, *(round(each, 6) for each in (cost.seconds, cost.held, cost.longest))]
        for (plugin, hook), cost in turn.hooks.items()
    ]
    return {"hooks": hooks, "tokens": turn.tokens, "errors": turn.errors}


def _turn(kept: Any) -> TurnCost:
    hooks = {
        (str(plugin), str(hook)): Cost(int(calls), float(seconds), float(held), float(longest))
        for plugin, hook, calls, seconds, held, longest in kept["hooks"]
    }
    tokens = {str(plugin): int(count) for plugin, count in kept["tokens"].items()}
    return TurnCost(hooks, tokens, {str(name): [str(each) for each in said] for name, said in kept["errors"].items()})
