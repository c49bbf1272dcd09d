"""Actions: one typed function that is a slash command, a shell subcommand, a palette entry and a tool for the model.

    @action("rag add")
    async def add(session: Session, *paths: Annotated[Path, "Files or folders"], watch: bool = False):
        "Add documents to the collection."
        yield Progress("Reading", 1, 10, "files")
        yield "Added 10 files."

The first parameter is the session. Positional parameters are arguments, keyword-only ones are options. Types: str,
int, float, bool, Path, Literal, and Optional or tuple of these. `Annotated` may add a help string, `Rest()` (the rest
of the line as one text) and a function `(session, prefix) -> Iterable[str]` that completes. A plain coroutine function
serves as well; what it returns is what is shown.
"""

from __future__ import annotations

import inspect
import shlex
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, cast, overload

from chatapp.errors import PluginError, UsageError
from chatapp.events import Event
from chatapp.messages import Text

if TYPE_CHECKING:
    import click

    from chatapp.session import Session

Completer: TypeAlias = "Callable[[Session, str], Iterable[str]]"
Consent: TypeAlias = Literal["free", "ask"]


@dataclass(frozen=True, slots=True)
class Rest:
    """Marks the one text parameter that takes the rest of the line, spaces and quotes included."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an action; `type` is what a single value is converted to."""

    name: str
    type: Any
    annotation: Any
    help: str = ""
    default: Any = inspect.Parameter.empty
    option: bool = False
    many: bool = False
    rest: bool = False
    complete: Completer | None = None

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is inspect.Parameter.empty and not self.many


@dataclass(frozen=True, slots=True)
class Action:
    """A declared action; `owner` is the plugin, stamped by the host.

    `tool` offers it to the model and `consent` says whether the user is asked first. `ask` makes it an option of
    `chatapp ask` too: ``--NAME VALUE`` runs it before the question. `model` says it needs the engine open.
    """

    name: str
    function: Callable[..., Any]
    doc: str
    params: tuple[Param, ...]
    tool: bool = False
    consent: Consent = "ask"
    ask: bool = False
    shell: bool = True
    owner: str = ""

    @property
    def summary(self) -> str:
        """The first line of what it does."""
        return self.doc.splitlines()[0]

    @property
    def tool_name(self) -> str:
        """Its name as the model writes it: ``rag_search`` for ``rag search``."""
        return self.name.replace(" ", "_").replace("-", "_")

    def owned_by(self, owner: str) -> Action:
        """The same action with its plugin's name on it."""
        return replace(self, owner=owner)


@overload
def action(function: Callable[..., Any], /) -> Action: ...
@overload
def action(
    name: str = "", /, *, tool: bool = False, consent: Consent = "ask", ask: bool = False, shell: bool = True
) -> Callable[[Callable[..., Any]], Action]: ...


def action(name: Any = "", /, **how: Any) -> Any:
    """Declare an action; without a name it is the function's, underscores as spaces.

    Raises PluginError at import when the function lacks a docstring or a type, so that an author sees it at once.
    """
    if callable(name):
        return _declare(name, "", {})
    return lambda function: _declare(function, name, how)


def _declare(function: Callable[..., Any], name: str, how: Mapping[str, Any]) -> Action:
    name = name or function.__name__.replace("_", " ").strip()
    doc = inspect.getdoc(function)
    if not doc:
        raise PluginError(f"The action {name!r} has no docstring; its first line is the help that users see.")
    hints = typing.get_type_hints(function, localns=_session_names(), include_extras=True)
    params = tuple(
        _param(name, parameter, hints) for parameter in list(inspect.signature(function).parameters.values())[1:]
    )
    return Action(name, function, doc, params, **how)


def _session_names() -> dict[str, Any]:
    # Authors import Session for type checkers only; a stand-in lets their annotations resolve without that import.
    return {"Session": object, "Event": object, "Progress": object, "Part": object, "AsyncIterator": AsyncIterator}


def _param(action_name: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Param:
    if parameter.name not in hints:
        raise PluginError(f"The action {action_name!r} gives no type for {parameter.name!r}.")
    annotation = hints[parameter.name]
    extras: list[Any] = []
    if typing.get_origin(annotation) is typing.Annotated:
        annotation, *extras = typing.get_args(annotation)
    single, many = _single(annotation)
    return Param(
        name=parameter.name,
        type=single,
        annotation=annotation,
        help=next((extra for extra in extras if isinstance(extra, str)), ""),
        default=parameter.default,
        option=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        many=many or parameter.kind is inspect.Parameter.VAR_POSITIONAL,
        rest=any(isinstance(extra, Rest) for extra in extras),
        complete=next((extra for extra in extras if inspect.isfunction(extra)), None),
    )


def _single(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there may be several: ``tuple[int, ...] | None`` gives (int, True)."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return _single(next(arg for arg in args if arg is not type(None)))
    if origin in (tuple, list):
        return args[0], True
    return annotation, False


def command(action: Action, run: Callable[[Mapping[str, Any]], Any]) -> click.Command:
    """The click command that parses this action's words and calls `run` with its keyword arguments."""
    import click

    params = [_click_param(param) for param in action.params]
    return click.Command(
        action.name.rpartition(" ")[2],
        params=params,
        callback=lambda **values: run(values),
        help=action.doc,
        short_help=action.summary,
    )


def _click_param(param: Param) -> click.Parameter:
    import click

    empty = None if param.default is inspect.Parameter.empty else param.default
    if param.option and param.type is bool:
        return click.Option([f"--{param.name.replace('_', '-')}/--no-{param.name.replace('_', '-')}"], default=empty)
    if param.option:
        return click.Option(
            [f"--{param.name.replace('_', '-')}"],
            type=_click_type(param.type),
            default=() if param.many else empty,
            required=param.required,
            multiple=param.many,
            help=param.help,
            show_default=empty not in (None, "", ()),
        )
    many = param.many or param.rest
    return click.Argument(
        [param.name],
        type=_click_type(param.type),
        nargs=-1 if many else 1,
        default=None if many else empty,
        required=param.required,
    )


def _click_type(kind: Any) -> Any:
    import click

    if typing.get_origin(kind) is Literal:
        return click.Choice([str(choice) for choice in typing.get_args(kind)])
    if kind is Path:
        return click.Path(path_type=Path)
    return {str: str, int: int, float: float, bool: bool}.get(kind, str)


def split(line: str) -> list[str]:
    """A slash line's words. Only double quotes group, so that ``/remember I don't smoke`` is what it looks like."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, "", '"', ""
    try:
        return list(lexer)
    except ValueError:
        return line.split()


def parse(action: Action, words: list[str]) -> Mapping[str, Any]:
    """The keyword arguments that `words` give; UsageError with click's own sentence when they do not fit."""
    import click

    try:
        with command(action, dict).make_context(action.name, list(words)) as context:
            return dict(context.params)
    except click.exceptions.Exit:
        raise UsageError(usage(action)) from None
    except click.ClickException as error:
        raise UsageError(f"{error.format_message()} Usage: {usage(action)}") from None


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


async def run(action: Action, session: Session, values: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """Call the action and stream what it shows; strings become Text parts. Closing the iterator closes the action."""
    arguments: list[Any] = []
    options: dict[str, Any] = {}
    for param in action.params:
        value = values.get(param.name, param.default)
        value = " ".join(value) if param.rest and not isinstance(value, str) else value
        if value is inspect.Parameter.empty:
            value = None
        if param.option:
            options[param.name] = value
        elif param.many and param.annotation is param.type:
            arguments.extend(value or ())
        else:
            arguments.append(value)
    result = action.function(session, *arguments, **options)
    if inspect.isasyncgen(result):
        async with aclosing(result):
            async for item in result:
                yield _shown(item)
        return
    only = await result if inspect.isawaitable(result) else result
    if only is not None:
        yield _shown(only)


def _shown(item: Any) -> Event:
    return Text(item) if isinstance(item, str) else cast(Event, item)


def arguments_model(action: Action) -> Any:
    """A pydantic model of the action's parameters: validates a tool call, and its JSON schema describes the tool."""
    from pydantic import ConfigDict, Field, create_model

    def annotation(param: Param) -> Any:
        return tuple[param.type, ...] if param.many else param.annotation  # type: ignore[name-defined]

    def default(param: Param) -> Any:
        missing = () if param.many else ...
        return Field(missing if param.default is inspect.Parameter.empty else param.default, description=param.help)

    fields: dict[str, Any] = {param.name: (annotation(param), default(param)) for param in action.params}
    return create_model(action.tool_name, __config__=ConfigDict(extra="forbid"), **fields)


def similar(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, None when none is."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)
