"""The words of a command: a slash line taken apart, and the click command that both surfaces parse them with."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chatapp.errors import UsageError

if TYPE_CHECKING:
    import click

    from chatapp.actions import Action, Param


NEGATIVE = re.compile(r"-\d*\.?\d+(e[+-]?\d+)?", re.IGNORECASE)


class Word(str):
    """A word of a slash line, which knows the line from itself on."""

    __slots__ = ("tail",)
    tail: str


def split(line: str) -> list[str]:
    """A slash line's words. Only double quotes group, so that ``/remember I don't smoke`` is what it looks like."""
    # With a quotation mark that is never closed, none of them groups.
    quoted = line.count('"') % 2 == 0
    words: list[str] = []
    for match in re.finditer(r'(?:"[^"]*"|[^\s"])+' if quoted else r"\S+", line):
        word = Word(match[0].replace('"', "") if quoted else match[0])
        word.tail = line[match.start() :]
        words.append(word)
    return words


def as_text(words: Sequence[str]) -> str:
    """The words as one text: as typed where they are the end of a slash line, spaces and line breaks included."""
    first = words[0]
    if isinstance(first, Word):
        typed = split(first.tail)
        if "--" in typed:
            typed.remove("--")
        if typed == list(words):
            return first.tail.strip()
    return " ".join(words)


def command(action: Action, run: Callable[[Mapping[str, Any]], Any]) -> click.Command:
    """The click command that parses this action's words and calls `run` with its keyword arguments."""
    import click

    class Command(click.Command):
        """Takes a negative number for what it is, where others see an option."""

        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            ctx.ignore_unknown_options |= any(NEGATIVE.fullmatch(word) for word in args)
            return super().parse_args(ctx, args)

    params = [_click_param(param) for param in action.params]
    return Command(
        action.name.rpartition(" ")[2],
        params=params,
        callback=lambda **values: run(values),
        help=action.doc,
        short_help=action.summary,
        # Free text may hold a dash: `/edit use -x`.
        context_settings={"ignore_unknown_options": any(param.rest for param in action.params)},
    )


def _click_param(param: Param) -> click.Parameter:
    import click

    # To click a default of None is a default: where there is none, none may be given.
    default = {} if param.default is inspect.Parameter.empty else {"default": param.default}
    flag = f"--{param.name.replace('_', '-')}"
    if param.option and param.type is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}"], required=param.required, help=param.help, **default)
    if param.option:
        return click.Option(
            [flag],
            type=_click_type(param.type),
            required=param.required,
            multiple=param.many,
            help=param.help,
            show_default=param.default not in (None, "", (), inspect.Parameter.empty),
            **default,
        )
    if param.many or param.rest:
        # The words of a text as they came: they know the line they are from.
        kind = click.UNPROCESSED if param.rest else _click_type(param.type)
        return click.Argument([param.name], type=kind, nargs=-1, required=param.required)
    return click.Argument([param.name], type=_click_type(param.type), required=param.required, **default)


def _click_type(kind: Any) -> Any:
    import click

    if typing.get_origin(kind) is Literal:
        return click.Choice(typing.get_args(kind))
    if kind is Path:
        return click.Path(path_type=Path)
    return {str: str, int: int, float: float, bool: bool}.get(kind, str)


def parse(action: Action, words: list[str]) -> Mapping[str, Any]:
    """The keyword arguments that `words` give; UsageError with click's own sentence when they do not fit."""
    import click

    made = command(action, dict)
    # click's own --help prints, which would tear a screen.
    made.add_help_option = False
    text = any(param.rest for param in action.params)
    if "--help" in words and not text:
        raise UsageError(usage(action))
    try:
        with made.make_context(action.name, list(words)) as context:
            return dict(context.params)
    except click.ClickException as error:
        raise UsageError(f"{error.format_message().rstrip('.')}. Usage: {usage(action)}") from None


def usage(action: Action) -> str:
    """One line: the slash command with its arguments and options."""
    words = [f"/{action.name}"]
    for param in action.params:
        if param.option:
            flag = f"--{param.name.replace('_', '-')}"
            words.append(f"[{flag}]" if param.type is bool else f"[{flag} {param.name.upper()}]")
        else:
            word = param.name.upper() + ("…" if param.many or param.rest else "")
            words.append(word if param.required else f"[{word}]")
    return " ".join(words)
