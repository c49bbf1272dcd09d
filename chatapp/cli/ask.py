"""`chatapp ask`: one question, the answer streamed to standard output."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from chatapp import actions
from chatapp.actions import Action
from chatapp.cli.launch import conversation_for
from chatapp.cli.shell import Printer
from chatapp.codec import dump_event
from chatapp.errors import ChatappError, ConsentError, UsageError
from chatapp.events import Finished
from chatapp.host import Host
from chatapp.messages import Part, Source
from chatapp.session import Session
from chatapp.settings import SamplingSettings
from chatapp.ui import PlainUI

LONGEST_INPUT = 20_000_000
"""Bytes of standard input that are read; no model here has a context for more."""


def ask_command(host: Host) -> click.Command:
    """The command, with an option for every sampling value and for every action that says ``ask=True``."""
    params: list[click.Parameter] = [
        click.Argument(["prompt"], nargs=-1),
        click.Option(["--model"], help="The model that answers."),
        click.Option(["--system"], help="The instruction the conversation begins with."),
        *(_sampling_option(name) for name in SamplingSettings.model_fields),
        click.Option(["--stop"], multiple=True, help="End the answer before this text; may be given several times."),
        click.Option(["--json-schema"], type=click.File(), help="A file with a JSON schema that the answer must fit."),
        click.Option(["--grammar"], type=click.File(), help="A file with a GBNF grammar that the answer must fit."),
        click.Option(["-f", "--file", "files"], multiple=True, type=click.Path(path_type=Path), help="Attach a file."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object per event."),
        click.Option(["-c", "--continue", "go_on"], is_flag=True, help="Go on with the latest conversation."),
        click.Option(["--session"], help="Go on with this conversation."),
        click.Option(["--no-save"], is_flag=True, help="Leave no trace in the archive."),
        click.Option(["--offline"], is_flag=True, help="Forbid any use of the network."),
    ]
    switches = {f"ask_{each.tool_name}": each for each in host.actions.values() if each.ask}
    params += [_switch_option(key, each) for key, each in switches.items()]

    def callback(**given: Any) -> None:
        chosen = {key: given.pop(key) for key in switches}
        lines = [(switches[key], value) for key, value in chosen.items() if value not in (None, ())]
        host.settings.core.offline |= given["offline"]
        asyncio.run(_ask(host, given, lines))

    help_text = "Answer one question. Piped standard input is given to the model as context."
    return click.Command("ask", params=params, callback=callback, help=help_text)


def _sampling_option(name: str) -> click.Option:
    kind = int if name in ("top_k", "seed", "max_tokens") else float
    return click.Option(
        [f"--{name.replace('_', '-')}"], type=kind, help=SamplingSettings.model_fields[name].description
    )


def _switch_option(key: str, action: Action) -> click.Option:
    first = action.params[0] if action.params else None
    flag = f"--{action.name.replace(' ', '-')}"
    if first is None:
        return click.Option([flag, key], is_flag=True, default=None, help=action.summary)
    if first.many:
        return click.Option([flag, key], multiple=True, help=action.summary)
    # With a default the option may stand alone: `--think` means what `/think` means.
    alone = {} if first.required else {"is_flag": False, "flag_value": ""}
    return click.Option([flag, key], default=None, help=action.summary, **alone)  # type: ignore[arg-type]


async def _ask(host: Host, given: Mapping[str, Any], switches: list[tuple[Action, Any]]) -> None:
    ui = PlainUI(quiet=given["as_json"])
    host.ui = ui
    for problem in host.problems:
        ui.notify(problem, "warning")
    session = Session(host, conversation_for(host, given["go_on"], given["session"]), keep=not given["no_save"])
    _choose(session, given)
    await host.startup()
    try:
        prompt, parts = await _input(session, " ".join(given["prompt"]), given["files"])
        for action, value in switches:
            words = list(value) if isinstance(value, tuple) else [value] if isinstance(value, str) and value else []
            async with aclosing(actions.run(action, session, actions.parse(action, words))) as events:
                async for _ in events:
                    pass  # what a switch says of itself is no part of the answer
        await _answer(session, prompt, parts, Printer(ui, as_json=given["as_json"], answer=True))
    finally:
        ui.done()
        await host.shutdown()


def _choose(session: Session, given: Mapping[str, Any]) -> None:
    """Put what the options say into the conversation's values."""
    names = {name: given[name] for name in SamplingSettings.model_fields if given[name] is not None}
    session.host.settings.check(SamplingSettings, names)
    sampling = {**session.values.get("sampling", {}), **names}
    if given["stop"]:
        sampling["stop"] = list(given["stop"])
    if given["grammar"] is not None:
        sampling["grammar"] = given["grammar"].read()
    if given["json_schema"] is not None:
        try:
            sampling["json_schema"] = json.loads(given["json_schema"].read())
        except ValueError as error:
            raise UsageError(f"The JSON schema is not valid JSON: {error}.") from None
    session.values["sampling"] = sampling
    if given["model"]:
        session.values["model"] = given["model"]
    if given["system"] is not None:
        session.values["system"] = given["system"]


async def _input(session: Session, prompt: str, files: tuple[Path, ...]) -> tuple[str, list[Part]]:
    """The question and what is attached: files, and standard input where something is piped in."""
    from chatapp.attach import gather

    parts: list[Part] = [*await gather(session, ((path, "") for path in files), session.ui.progress)]
    piped = "" if sys.stdin.isatty() else await asyncio.to_thread(_piped)
    if not prompt:
        prompt, piped = piped.strip(), ""
    if not prompt:
        raise UsageError('Ask something: chatapp ask "What is the capital of France?"')
    if piped.strip():
        parts.append(Source("standard input", piped))
    return prompt, parts


def _piped() -> str:
    data = sys.stdin.buffer.read(LONGEST_INPUT + 1)
    if len(data) > LONGEST_INPUT:
        raise UsageError(f"Standard input is longer than {LONGEST_INPUT // 1_000_000} MB; give less of it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("Standard input is not UTF-8 text; convert it first.") from None


async def _answer(session: Session, prompt: str, parts: list[Part], printer: Printer) -> None:
    finished: Finished | None = None
    async with aclosing(session.send(prompt, *parts)) as events:
        async for event in events:
            printer.show(event)
            finished = event if isinstance(event, Finished) else finished
    if printer.as_json and session.turn is not None and session.turn.usage is not None:
        usage = dump_event(session.turn.usage) | {"tokens_per_second": session.turn.usage.tokens_per_second}
        sys.stdout.write(json.dumps({**usage, "event": "summary", "session": session.conversation.id}) + "\n")
    printer.finish()
    if finished is not None and finished.reason == "failed":
        raise ChatappError(finished.error)
    if printer.ui.refused:
        raise ConsentError("A tool was not run: it needs your permission, and there is no terminal to ask on.")
