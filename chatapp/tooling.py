"""Tool calls of a model: finding the action, checking the arguments, asking the user, and telling what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from chatapp.actions import Action, arguments_model, arguments_schema, run
from chatapp.consent import Ask, Decision, Permissions, record
from chatapp.engine import Tool
from chatapp.errors import ChatappError, PluginError, UsageError
from chatapp.events import Notice, Progress
from chatapp.messages import Media, Part, Text, ToolCall, ToolResult
from chatapp.text import one_line
from chatapp.ui import plain

if TYPE_CHECKING:
    from chatapp.session import Session
    from chatapp.turn import Turn

LONGEST_RESULT = 8000
"""Characters of a tool's result that the model is told; the parts themselves are shown whole."""
REPEATED = "You made this call already; its result is above. Use it: do what is left to do, or answer."
"""What the model is told in place of a result that it has."""
MOST_REPEATED = 2
"""How often in a row the model may ask for what it has; the first time it may still turn to another tool."""
LONGEST_FINDING = 300
"""Cells of what is said about an argument that does not fit; the finding quotes it."""


def tools_for(session: Session) -> dict[str, Action]:
    """All a model may call, by the name it writes: the actions that say ``tool=True``, and `Host.tools`."""
    declared = {each.tool_name: each for each in session.host.actions.values() if each.tool}
    return {**session.host.tools, **declared}


def tool_of(action: Action) -> Tool:
    """An action as the model is offered it: of its docstring the first paragraph, which says what and when."""
    if action.schema is not None:
        return Tool(action.tool_name, action.doc, {key: each for key, each in action.schema.items() if key != "title"})
    return Tool(action.tool_name, action.doc.partition("\n\n")[0].replace("\n", " "), arguments_schema(action))


class Called(NamedTuple):
    """A tool call and what became of it: what the model is told, what is shown, and who allowed it (empty: nobody
    was asked)."""

    result: ToolResult
    shown: list[Part]
    consent: dict[str, Any]


async def call_tool(session: Session, call: ToolCall) -> Called:
    """Run the called action with the user's consent; whatever goes wrong is told to the model as the result.

    A call that this turn has the result of is not run again; small models ask for the same thing over and over.
    """
    if session.turn is not None and session.busy and repeats(session.turn, call):
        return Called(ToolResult(call.id, call.name, REPEATED, failed=True), [], {})
    action = tools_for(session).get(call.name)
    if action is None:
        return Called(_failed(call, f"There is no tool {call.name!r}."), [], {})
    return await use_tool(session, action, call)


def repeats(turn: Turn, call: ToolCall) -> bool:
    """Whether an equal call has its result already, and nothing that the user allowed since may have changed it.

    Of several calls in one answer none counts as made because of what came out of another.
    """
    calls: dict[str, ToolCall] = {}
    earlier: list[ToolCall] = []
    latest: list[ToolCall] = []
    for message in turn.answers:
        if message.role == "assistant":
            earlier, latest = earlier + latest, []
        for part in message.parts:
            if isinstance(part, ToolCall):
                calls[part.id] = part
            elif isinstance(part, ToolResult) and part.call_id in calls:
                latest.append(calls[part.call_id])
        if message.meta.get("consent", {}).get("permission", "no") != "no":
            earlier.clear()
    return any((call.name, call.arguments) == (each.name, each.arguments) for each in earlier + latest)


def must_answer(turn: Turn) -> bool:
    """Whether the model is to answer in words now: in the last round, and when it asks for what it has on and on."""
    if turn.round >= turn.session.host.settings.core.max_rounds:
        return True
    results = [part for message in turn.answers for part in message.parts if isinstance(part, ToolResult)]
    return [each.text for each in results[-MOST_REPEATED:]] == [REPEATED] * MOST_REPEATED


async def use_tool(session: Session, action: Action, call: ToolCall) -> Called:
    """As `call_tool`, of an action at hand."""
    consent: dict[str, Any] = {}
    try:
        values = _checked(action, call)
        refused = await _refused(session, action, call, values, consent)
        if refused:
            return Called(ToolResult(call.id, call.name, refused, failed=True), [], consent)
        shown = await _run(session, action, values)
    except ChatappError as error:
        if isinstance(error, PluginError):
            session.host.report(action.owner, f"the tool {call.name!r}", error.__cause__ or error)
        return Called(_failed(call, str(error)), [], consent)
    text = "\n".join(_read(shown))
    if len(text) > LONGEST_RESULT:
        text = f"{text[:LONGEST_RESULT]}\n(cut after {LONGEST_RESULT:,} of {len(text):,} characters)"
    return Called(ToolResult(call.id, call.name, text or "Done."), shown, consent)


def _read(shown: Sequence[Part]) -> list[str]:
    """What the model reads of what a tool showed: of pictures nothing where the tool says something itself."""
    said = [part for part in shown if not isinstance(part, Media)]
    return [part.text if isinstance(part, Text) else plain(part) for part in said or shown]


async def _run(session: Session, action: Action, values: Mapping[str, Any]) -> list[Part]:
    shown: list[Part] = []
    async with aclosing(run(action, session, values)) as events:
        async for event in events:
            if isinstance(event, Progress):
                session.ui.progress(event)
            elif isinstance(event, Notice):
                session.ui.notify(event.text, event.level)
            else:
                shown.append(event)  # type: ignore[arg-type]
    return shown


def _failed(call: ToolCall, why: str) -> ToolResult:
    return ToolResult(call.id, call.name, f"Failed: {why}", failed=True)


async def _refused(
    session: Session, action: Action, call: ToolCall, values: Mapping[str, Any], consent: dict[str, Any]
) -> str:
    """Why the user does not allow this call, as a word to the model; empty when it may run. `consent` records it."""
    ask = await asked(session, action, call, values)
    if ask is None:
        return ""
    permissions = Permissions.of(session.host)
    standing = permissions.standing(session.conversation.id, action.name, ask)
    decision = Decision(standing) if standing else await session.ui.permit(ask)
    consent |= record(action.name, ask, decision, "earlier" if standing else "user")
    if decision.permission == "no":
        return f"The user did not allow this: {decision.why}" if decision.why else "The user did not allow this."
    if not standing:
        permissions.keep(session.conversation.id, action.name, ask, decision)
    return ""


async def asked(session: Session, action: Action, call: ToolCall, values: Mapping[str, Any]) -> Ask | None:
    """What the user must be asked before this call runs; None where nothing."""
    if callable(action.consent):
        return await action.consent(session, values)
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False, indent=2, sort_keys=True, default=str)
    question = f"Let the model run {action.name!r}?"
    return Ask(question, arguments, exact=arguments) if action.consent == "ask" else None


async def asks_first(session: Session, call: ToolCall) -> bool:
    """Whether the user is to be asked before this call runs, whatever was allowed before."""
    action = tools_for(session).get(call.name)
    if action is None:
        return False
    try:
        return await asked(session, action, call, _checked(action, call)) is not None
    except ChatappError:
        # It cannot run as it is; the model is told why when it is tried.
        return action.consent != "free"


def _checked(action: Action, call: ToolCall) -> dict[str, Any]:
    from pydantic import ValidationError

    if action.schema is not None:
        return _fitting(action.schema, dict(call.arguments))
    try:
        valid = arguments_model(action).model_validate(dict(call.arguments))
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise UsageError(f"The argument {place!r} does not fit: {detail['msg']}.") from None
    return {param.name: getattr(valid, param.name) for param in action.params}


def _fitting(schema: Mapping[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    # By name: jsonschema comes with the plugin that offers such a tool, and has no types.
    jsonschema, referencing = import_module("jsonschema"), import_module("referencing")
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    # An empty registry: nothing that a schema refers to is fetched from the network.
    checker = kind(schema, registry=referencing.Registry())
    try:
        error = jsonschema.exceptions.best_match(checker.iter_errors(arguments))
    except (RecursionError, referencing.exceptions.Unresolvable, jsonschema.exceptions.UnknownType) as reason:
        raise UsageError(f"The tool's schema cannot be used: {one_line(str(reason), LONGEST_FINDING)}.") from reason
    if error is None:
        return arguments
    place = ".".join(str(part) for part in error.absolute_path)
    what = f"The argument {place!r} does not fit" if place else "The arguments do not fit"
    raise UsageError(f"{what}: {one_line(str(error.message), LONGEST_FINDING)}.")
