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
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, overload

from chatapp.errors import ChatappError, PluginError, UsageError
from chatapp.events import Event
from chatapp.messages import Text
from chatapp.plugins import FAILURES, explain
from chatapp.words import as_text
from chatapp.words import command as command
from chatapp.words import parse as parse
from chatapp.words import split as split
from chatapp.words import usage as usage

if TYPE_CHECKING:
    from chatapp.consent import Ask
    from chatapp.session import Session

Completer: TypeAlias = "Callable[[Session, str], Iterable[str]]"
Consent: TypeAlias = "Literal['free', 'ask'] | Callable[[Session, Mapping[str, Any]], Awaitable[Ask | None]]"


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

    `tool` offers it to the model and `consent` says whether the user is asked first: "free", "ask", or a coroutine
    function that is given the session and the arguments and says what to ask, None for nothing. `ask` makes it an
    option of `chatapp ask` too: ``--NAME VALUE`` runs it before the question. `during` lets it run while an answer
    streams, at once, where others wait for the answer's end. `beside` lets the chat go on while it runs, for work that
    takes long. A tool whose arguments are a JSON `schema` (2020-12, of an object) in place of `params` is for the model
    alone: its function is given the session and the arguments as one mapping. Make it with `Action(...)`.
    """

    name: str
    function: Callable[..., Any]
    doc: str
    params: tuple[Param, ...]
    tool: bool = False
    consent: Consent = "ask"
    ask: bool = False
    shell: bool = True
    during: bool = False
    beside: bool = False
    owner: str = ""
    schema: Mapping[str, Any] | None = None

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
    name: str = "",
    /,
    *,
    tool: bool = False,
    consent: Consent = "ask",
    ask: bool = False,
    shell: bool = True,
    during: bool = False,
    beside: bool = False,
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


async def run(action: Action, session: Session, values: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """Call the action and stream what it shows; strings become Text parts. Closing the iterator closes the action.

    What it raises and is no ChatappError is a fault in the plugin, told as a PluginError that names both.
    """
    try:
        arguments, options = _arguments(action, values)
        result = action.function(session, *arguments, **options)
        if inspect.isawaitable(result):
            result = await result
        if inspect.isasyncgen(result):
            async with aclosing(result):
                async for item in result:
                    yield _shown(item)
        elif result is not None:
            yield _shown(result)
    except ChatappError:
        raise
    except FAILURES as error:
        raise PluginError(f"/{action.name} of the plugin {action.owner!r} failed: {explain(error)}") from error


def _arguments(action: Action, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    if action.schema is not None:
        return [values], {}
    arguments: list[Any] = []
    options: dict[str, Any] = {}
    for param in action.params:
        value = _given(param, values)
        if param.option:
            options[param.name] = value
        elif param.many and param.annotation is param.type:
            arguments.extend(value or ())
        else:
            arguments.append(value)
    return arguments, options


def _given(param: Param, values: Mapping[str, Any]) -> Any:
    value = values.get(param.name, param.default)
    if value == () and param.default is not inspect.Parameter.empty:
        value = param.default
    if value is inspect.Parameter.empty:
        return () if param.many else None
    return as_text(value) if param.rest and isinstance(value, (tuple, list)) else value


def _shown(item: Any) -> Event:
    if not isinstance(item, str | Event):
        raise TypeError(f"it gave {type(item).__name__}, which is no text and no event")
    return Text(item) if isinstance(item, str) else item


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


def arguments_schema(action: Action) -> dict[str, Any]:
    """The JSON schema of the action's parameters, without what tells a model nothing: titles and empty defaults."""
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        """Parameters have names, and need no titles made from them."""

        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    schema: dict[str, Any] = arguments_model(action).model_json_schema(schema_generator=Untitled)
    del schema["title"]
    for each in schema["properties"].values():
        if not each.get("default", True):
            del each["default"]
    return schema


def similar(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or the first that begins with it as a word; None when none does."""
    import difflib

    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    return next(iter(near), None) or next((each for each in names if each.startswith(f"{name} ")), None)


def resolve(line: str, known: Mapping[str, Action]) -> tuple[Action, list[str]]:
    """The action a slash line means, by the longest name it begins with, and the words after it; else UsageError."""
    words = split(line.strip().removeprefix("/"))
    for size in range(len(words), 0, -1):
        action = known.get(" ".join(words[:size]))
        if action is not None:
            return action, words[size:]
    near = similar(" ".join(words[:2]), known)
    hint = f" Did you mean /{near}?" if near else " Type /help for what there is."
    raise UsageError(f"There is no command /{words[0] if words else ''}.{hint}")
