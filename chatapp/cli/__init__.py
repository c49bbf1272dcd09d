"""The command line: `chatapp` opens the chat, `chatapp ask` answers one question, and actions are subcommands.

Exit codes: 0, 1 for a failure, 2 for wrong usage, 130 when interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from chatapp.errors import ChatappError, ConsentError, SettingsError, UsageError
from chatapp.text import visible

INTERRUPTED = 130


class Root(click.Group):
    """The top command. Its subcommands are only known once the plugins are loaded, so they are made when asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Our own commands, then what the actions add."""
        return ["ask", *sorted(set(_tree(context)) - {"ask"})]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name == "ask":
            from chatapp.cli.ask import ask_command

            return ask_command(_host(context))
        return _tree(context).get(name)

    def invoke(self, context: click.Context) -> Any:
        """Run the command; a reader of our output who has had enough is no failure, which it would be to click."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            return _drop_output()


def _host(context: click.Context) -> Any:
    """The host with its plugins loaded, made once per command line with what the top options say."""
    from chatapp.cli.launch import open_host

    if context.obj is None:
        given = context.params
        context.obj = open_host(
            offline=bool(given.get("offline")),
            model=given.get("model"),
            dev=bool(given.get("dev")),
            safe=bool(given.get("safe_mode")),
        )
    return context.obj


def _tree(context: click.Context) -> dict[str, click.Command]:
    from chatapp.cli.shell import command_tree

    return command_tree(_host(context))


@click.command(cls=Root, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--plain", is_flag=True, help="A linear chat for screen readers and dumb terminals.")
@click.option("--model", help="The model that answers, for this run.")
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the latest conversation.")
@click.option("--session", help="Go on with this conversation.")
@click.option("--offline", is_flag=True, help="Forbid any use of the network.")
@click.option("--dev", is_flag=True, help="Load plugins again when their files change.")
@click.option("--safe-mode", is_flag=True, envvar="CHATAPP_SAFE_MODE", help="Load no plugins but the model's engine.")
@click.version_option(package_name="chatapp")
@click.pass_context
def root(
    context: click.Context, /, plain: bool, go_on: bool, session: str | None, dev: bool, safe_mode: bool, **options: Any
) -> None:
    """A local AI assistant for the terminal. Without a command it opens the chat."""
    if context.invoked_subcommand is not None:
        if plain or go_on or session or dev:
            raise UsageError(
                "--plain, --continue, --session and --dev open the chat; a command takes its options after it."
            )
        return
    if dev and safe_mode:
        raise UsageError("Give either --dev or --safe-mode: safe mode loads no plugin that could be developed.")
    host = _host(context)
    from chatapp.cli.launch import conversation_for

    conversation = conversation_for(host, go_on, session)
    # A driver that is named draws elsewhere than on the terminal: in a page, for instance.
    terminal = "TEXTUAL_DRIVER" in os.environ or (sys.stdin.isatty() and sys.stdout.isatty())
    if plain or os.environ.get("TERM") in ("dumb", "", None) or not terminal:
        from chatapp.cli.plain import run_plain

        context.exit(run_plain(host, conversation))
    _draw_on_terminal()
    from chatapp.tui.app import run_chat

    context.exit(run_chat(host, conversation))


def _draw_on_terminal() -> None:
    # Textual draws on standard error: with that in a file (2>log) the chat would be invisible.
    if "TEXTUAL_DRIVER" not in os.environ and sys.__stderr__ is not None and not sys.__stderr__.isatty():
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]


def main() -> None:
    """The entry point of the `chatapp` command."""
    _open_streams()
    sys.exit(run(sys.argv[1:]))


def _open_streams() -> None:
    # A closed standard stream (`<&-`) is None in Python, and its number goes to the next file or pipe that is opened.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 (it stays open)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors are one line on standard error."""
    try:
        result = root.main(arguments, prog_name="chatapp", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    except OSError as error:
        _drop_output()
        if isinstance(error, BrokenPipeError):
            return 0
        return _failed(ChatappError(f"Reading or writing failed: {error.strerror or error}."), 1)
    except (UsageError, SettingsError) as error:
        return _failed(error, 2)
    except ConsentError as error:
        return _failed(error, 3)
    except ChatappError as error:
        return _failed(error, 1)


def _drop_output() -> int:
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _failed(error: ChatappError, code: int) -> int:
    sys.stderr.write(f"Error: {visible(str(error))}\n")
    return code
