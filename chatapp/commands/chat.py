"""Commands about the conversation that is open. They make sense in a chat only, so the shell does not offer them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Literal

from chatapp.actions import Rest, action, similar, usage
from chatapp.commands.table import table
from chatapp.conversation import Conversation
from chatapp.errors import UsageError
from chatapp.events import Event
from chatapp.messages import Data
from chatapp.session import Session
from chatapp.settings import SamplingSettings


def _commands(session: Session, prefix: str) -> Iterable[str]:
    return session.host.actions


def _models(session: Session, prefix: str) -> Iterable[str]:
    names = [name for spec in session.host.engine_specs.values() for name in spec.models(session.host)]
    return dict.fromkeys([*names, *session.host.models.catalogue])


def _sampling(session: Session, prefix: str) -> Iterable[str]:
    return SamplingSettings.model_fields


@action("help", shell=False)
async def help_(session: Session, *command: Annotated[str, "A command's name", _commands]) -> str | Data:
    """Show the commands, or how one of them is used."""
    name = " ".join(command).removeprefix("/")
    if not name:
        rows = [(f"/{each.name}", each.summary, each.owner) for each in _sorted(session)]
        return table("help", ("command", "what it does", "plugin"), rows)
    found = session.host.actions.get(name)
    if found is None:
        near = similar(name, session.host.actions)
        raise UsageError(f"There is no command /{name}." + (f" Did you mean /{near}?" if near else ""))
    details = [f"    {param.name}: {param.help}" for param in found.params if param.help]
    return Data("help", usage(found), "\n".join([usage(found), "", found.doc, *details]))


def _sorted(session: Session) -> list[Any]:
    return sorted(session.host.actions.values(), key=lambda each: (each.owner != "chatapp", each.owner, each.name))


@action("new", shell=False)
async def new(session: Session) -> None:
    """Start a new conversation; the one before stays in the list."""
    await session.open(Conversation())


@action("model", shell=False)
async def model(session: Session, name: Annotated[str, "A model", _models] = "", *, default: bool = False) -> str:
    """Show the model that answers, or choose another for this conversation (with --default, for new ones too)."""
    if not name:
        engine = session.host.engines.current()
        opened = f", open with a context of {engine.info.context_length:,} tokens" if engine else ", not loaded yet"
        return f"{session.model}{opened}."
    before = session.values.get("model")
    session.values["model"] = _full_name(session, name)
    try:
        async with aclosing(session.warm()) as news:
            async for progress in news:
                session.ui.progress(progress)
    except BaseException:
        # Also when the user gave up: whoever answered goes on answering.
        session.values["model"] = before
        raise
    session.values.pop("first_kept", None)
    await session.save()
    if default:
        session.host.set_config("", "model", session.values["model"])
    return f"{session.model} answers from now on."


def _full_name(session: Session, name: str) -> str:
    """The name, checked where it is a local model's; other engines check theirs when they open."""
    host = session.host
    takes = [spec for spec in host.engine_specs.values() if spec.kind == "chat" and spec.accepts(host, name)]
    # Who takes any name has its models in our store; who takes this one only knows it by itself.
    if takes and all(spec.accepts(host, "") for spec in takes):
        path = host.models.path(name)
        return str(path) if Path(name).is_file() else name
    return name


@action("system", shell=False)
async def system(session: Session, text: Annotated[str, "The instruction; - for the usual one", Rest()] = "") -> str:
    """Show or set the instruction of this conversation."""
    if text == "-":
        session.values.pop("system", None)
    elif text:
        session.values["system"] = text
    await session.save()
    return session.values.get("system", session.host.settings.core.system) or "(none)"


@action("set", shell=False)
async def set_(
    session: Session,
    name: Annotated[str, "A sampling value", _sampling] = "",
    value: Annotated[str, "The number; - for the usual one"] = "",
) -> str | Data:
    """Show or set how this conversation's answers are drawn: temperature, top_p, seed, max_tokens …"""
    chosen = dict(session.values.get("sampling", {}))
    if name and name not in SamplingSettings.model_fields:
        raise UsageError(f"There is no {name!r}; there are {', '.join(SamplingSettings.model_fields)}.")
    if name and value:
        chosen.pop(name, None)
        if value != "-":
            chosen[name] = getattr(session.host.settings.check(SamplingSettings, {name: value}), name)
        session.values["sampling"] = chosen
        await session.save()
    names = [name] if name else SamplingSettings.model_fields
    rows = [(each, getattr(session.sampling, each), SamplingSettings.model_fields[each].description) for each in names]
    return table(
        "sampling", ("name", "value", "meaning"), [(n, "(model's own)" if v is None else v, d) for n, v, d in rows]
    )


@action("retry", shell=False)
async def retry(session: Session) -> AsyncGenerator[Event, None]:
    """Answer the last message once more; the earlier answer stays as a branch."""
    async with aclosing(session.regenerate()) as events:
        async for event in events:
            yield event


@action("edit", shell=False)
async def edit(session: Session, text: Annotated[str, "The new text", Rest()]) -> AsyncGenerator[Event, None]:
    """Ask the last message again with another text; what was said before stays as a branch."""
    last = next((each for each in reversed(list(session.conversation.path())) if each.role == "user"), None)
    if last is None:
        raise UsageError("There is no message to edit yet.")
    async with aclosing(session.edit(last.id, text)) as events:
        async for event in events:
            yield event


@action("branch", shell=False)
async def branch(session: Session, which: Annotated[Literal["previous", "next"], "Which way"] = "next") -> str:
    """Walk to the previous or next version at the last place where the conversation branches."""
    path = list(session.conversation.path())
    forked = next((each for each in reversed(path) if len(session.conversation.siblings(each.id)) > 1), None)
    if forked is None:
        raise UsageError("This conversation has no branches yet; /retry and /edit make them.")
    shown = session.conversation.step(forked.id, 1 if which == "next" else -1)
    await session.save()
    versions = session.conversation.siblings(shown)
    return f"Version {versions.index(shown) + 1} of {len(versions)}: {session.conversation.node(shown).message.text}"


@action("pin", shell=False)
async def pin(session: Session, *, off: bool = False) -> str:
    """Keep the last exchange in every prompt, however long the conversation grows; --off lets it go."""
    last = next((each for each in reversed(list(session.conversation.path())) if each.role == "user"), None)
    if last is None:
        raise UsageError("There is no message to pin yet.")
    session.conversation.pin(last.id, not off)
    await session.save()
    return "No longer pinned." if off else "Pinned: the model will always read this exchange."


@action("title", shell=False)
async def title(session: Session, text: Annotated[str, "The new title", Rest()]) -> str:
    """Give this conversation another title."""
    session.conversation.title = text.strip()
    await session.save()
    return f"This conversation is now called {session.conversation.title!r}."


@action("sent", shell=False)
async def sent(session: Session) -> Data:
    """Show what the model was sent for the last answer: each block, who added it, its tokens, how many were reused."""
    pieces = session.turn.sent if session.turn is not None else ()
    rows = [(each.title, each.plugin, each.tokens, "?" if each.reused is None else each.reused) for each in pieces]
    return table("sent", ("block", "plugin", "tokens", "reused"), rows, "Nothing was sent yet.")
