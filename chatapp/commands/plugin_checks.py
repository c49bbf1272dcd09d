"""Commands for those who write plugins, and for those who wonder about one: the check and the doctor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from chatapp.actions import action, similar
from chatapp.commands.table import table
from chatapp.errors import PluginError, UsageError
from chatapp.events import Event, Progress
from chatapp.messages import Data
from chatapp.session import Session
from chatapp.text import one_line

if TYPE_CHECKING:
    from chatapp.authoring.doctoring import Health

SHORT_NAME = 16
"""Cells of a name or a version in the doctor's table, which is to fit into 80 columns."""


def _names(session: Session, prefix: str) -> Iterable[str]:
    return session.host.plugins


@action("plugin check", beside=True)
async def check(
    session: Session, what: Annotated[str, "A plugin's name, its .py file, or its folder; all that are on", _names] = ""
) -> AsyncGenerator[Event, None]:
    """Check that a plugin keeps the contract, in a process of its own, and say what to change.

    It is imported, and used in three turns of a scripted conversation. Exit code 1 when something must be changed.
    """
    from chatapp.authoring import checking

    targets = checking.targets_of(session.host, what)
    findings: list[checking.Finding] = []
    texts = []
    yield Progress("Checking", 0, len(targets), "plugins")
    async with aclosing(checking.check(targets)) as checked:
        async for target, found in checked:
            findings += found
            texts.append(checking.told(target, found))
            yield Progress("Checking", len(texts), len(targets), "plugins")
    value = {"checked": [target.name for target in targets], "findings": [asdict(each) for each in findings]}
    yield Data("plugin.check", value, "\n".join(texts))
    errors = sum(each.level == "error" for each in findings)
    if errors:
        raise PluginError(f"There {'is' if errors == 1 else 'are'} {_count(errors, 'error')} to mend.")


@action("plugin doctor")
async def doctor(
    session: Session, name: Annotated[str, "A plugin, to see each of its hooks", _names] = ""
) -> AsyncGenerator[Data, None]:
    """Show what each plugin costs: loading, its hooks over the latest turns, tokens it adds; and what went wrong."""
    from chatapp.authoring.doctoring import examined, overview

    found = examined(session.host)
    if name:
        found = [each for each in found if each.plugin.name == name]
        if not found:
            near = similar(name, session.host.plugins)
            raise UsageError(f"There is no plugin {name!r}." + (f" Did you mean {near}?" if near else ""))
    text = _hooks_of(found[0]) if name else _overview(found)
    yield Data("plugin.doctor", {"turns": found[0].turns, "plugins": overview(found)}, text)


def _overview(found: list[Health]) -> str:
    columns = ("plugin", "state", "version", "from", "load", "turn", "held", "tokens", "errors")
    rows = [
        (
            one_line(each.plugin.name, SHORT_NAME),
            each.plugin.state,
            one_line(each.plugin.version, SHORT_NAME),
            each.plugin.origin,
            *(f"{value:,.0f}" if value >= 10 else f"{value:.1f}" for value in _times(each)),
            f"{each.tokens:,.0f}",
            len(each.errors) or "",
        )
        for each in found
    ]
    lines = [table("doctor", columns, rows).text, "", _legend(found[0].turns)]
    return "\n".join([*lines, *(line for each in found for line in _troubles(each))])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _times(each: Health) -> tuple[float, float, float]:
    return each.plugin.seconds * 1e3, each.milliseconds, each.held


def _legend(turns: int) -> str:
    if not turns:
        return "No turn was measured yet: ask something, then look again."
    return (
        f"In milliseconds, over the latest {_count(turns, 'turn')}. Turn: in its hooks, a turn;\n"
        "held: the longest that nothing else could go on. Tokens: added to a prompt."
    )


def _troubles(each: Health) -> Iterable[str]:
    name = each.plugin.name
    yield from (f"{name} is slow: {what}." for what in each.slow)
    yield from (f"{name}: {one_line(error, 200)}" for error in each.errors)
    if each.plugin.mend:
        yield f"{name}: try {each.plugin.mend}"


def _hooks_of(each: Health) -> str:
    from chatapp.authoring.doctoring import numbers

    plugin = each.plugin
    version = f" {plugin.version}" if plugin.version else ""
    head = f"{plugin.name}{version} ({plugin.origin}, {plugin.state}) from {plugin.where}"
    load = f"Loading took {plugin.seconds * 1e3:,.1f} ms. It adds {each.tokens:,.0f} tokens to a prompt."
    rows = [(hook, *numbers(cost, each.turns).values()) for hook, cost in each.hooks.items()]
    hooks = table("doctor", ("hook", "calls a turn", "ms a turn", "held ms"), rows, "None of its hooks was called yet.")
    return "\n".join([head, load, "", hooks.text, "", _legend(each.turns), *_troubles(each)])
