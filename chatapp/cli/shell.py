"""Actions as subcommands of the shell: ``rag add`` becomes ``chatapp rag add``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import click

from chatapp.actions import Action, command, run
from chatapp.codec import dump_event
from chatapp.errors import ChatappError
from chatapp.events import Event, Finished, Notice, Progress, ReasoningDelta, TextDelta, Usage
from chatapp.host import Host
from chatapp.jsonvalue import harmless
from chatapp.messages import Data, ToolCall, ToolResult
from chatapp.session import Session
from chatapp.text import visible
from chatapp.ui import PlainUI, plain


def command_tree(host: Host) -> dict[str, click.Command]:
    """The actions the shell offers, by first word; those with more words are groups."""
    top = click.Group("top")
    # By name: a command comes before those that begin with its name.
    for _, action in sorted(host.actions.items()):
        if action.shell:
            *groups, _ = action.name.split(" ")
            _group(top, groups).add_command(_command(host, action))
    return dict(top.commands)


class _Both(click.Group):
    """Commands about something where its name alone is a command too: ``rag`` beside ``rag add``."""

    def __init__(self, own: click.Command) -> None:
        super().__init__(own.name, help=own.help, no_args_is_help=False)
        self.own = own

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Words that begin with no subcommand are the command's own."""
        return super().parse_args(context, args if args and args[0] in {*self.commands, "--help"} else ["", *args])

    def collect_usage_pieces(self, context: click.Context) -> list[str]:
        """What the command itself takes, or a subcommand."""
        return [*self.own.collect_usage_pieces(context), "| COMMAND [ARGS]..."]

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options, then the subcommands."""
        self.own.format_options(context, formatter)
        self.format_commands(context, formatter)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command itself goes by the empty name."""
        return super().get_command(context, name) if name else self.own


def _group(group: click.Group, names: list[str]) -> click.Group:
    for name in names:
        inner = group.commands.get(name)
        if not isinstance(inner, click.Group):
            inner = _Both(inner) if inner is not None else click.Group(name, help=f"Commands about {name}.")
            group.add_command(inner)
        group = inner
    return group


def _command(host: Host, action: Action) -> click.Command:
    made = command(action, partial(run_in_shell, host, action))
    as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, one value per line.")
    made.params = [*made.params, as_json]
    return made


def run_in_shell(host: Host, action: Action, values: Mapping[str, Any]) -> None:
    """Run an action to its end, its parts on standard output, its progress and notices on standard error."""
    arguments = dict(values)
    as_json = bool(arguments.pop("as_json", False))
    asyncio.run(_run(host, action, arguments, as_json))


async def _run(host: Host, action: Action, arguments: Mapping[str, Any], as_json: bool) -> None:
    ui = PlainUI()
    host.ui = ui
    printer = Printer(ui, as_json=as_json)
    # A command in the shell has no conversation that would go on.
    session = Session(host, ui=ui, keep=False)
    await host.startup()
    try:
        async with aclosing(run(action, session, arguments)) as events:
            async for event in events:
                printer.show(event)
                if isinstance(event, Finished) and event.reason == "failed":
                    raise ChatappError(event.error)
        printer.finish()
    finally:
        ui.done()
        await host.shutdown()


class Printer:
    """Writes events to standard output, notices and progress to the UI (standard error).

    With `answer` so are remarks of plugins on an answer: what a script reads is the answer alone.
    """

    def __init__(self, ui: PlainUI, *, as_json: bool = False, answer: bool = False) -> None:
        self.ui = ui
        self.as_json = as_json
        self._answer = answer

    def show(self, event: Event) -> None:
        """Show one event as it comes."""
        if self.as_json:
            self._show_json(event)
        elif isinstance(event, Progress):
            self.ui.progress(event)
        elif isinstance(event, Notice):
            self.ui.notify(event.text, event.level)
        elif isinstance(event, (TextDelta, ReasoningDelta)):
            self._delta(event)
        elif self._answer and isinstance(event, (Data, ToolCall, ToolResult)):
            self._end_line()
            self.ui.notify(plain(event))
        elif not isinstance(event, (Usage, Finished)):
            self._end_line()
            self.ui.show(event)

    def _delta(self, event: TextDelta | ReasoningDelta) -> None:
        self.ui.done()
        # Reasoning is not part of the answer that a script reads.
        out = sys.stdout if isinstance(event, TextDelta) else sys.stderr
        out.write(visible(event.text))
        out.flush()
        self.ui.in_line = not event.text.endswith("\n")

    def _show_json(self, event: Event) -> None:
        if isinstance(event, Data):
            text = harmless(json.dumps(event.value, ensure_ascii=False, default=str))
        elif isinstance(event, Progress):
            return
        else:
            text = harmless(json.dumps(dump_event(event), ensure_ascii=False, default=str))
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _end_line(self) -> None:
        if self.ui.in_line:
            sys.stdout.write("\n")
            self.ui.in_line = False

    def finish(self) -> None:
        """End the answer with a line break."""
        self.ui.done()
        self._end_line()
        sys.stdout.flush()
