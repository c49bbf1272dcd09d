"""The linear chat: lines in, lines out. For screen readers, dumb terminals and pipes; has every action."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

from chatapp.cli.shell import Printer
from chatapp.conversation import Conversation
from chatapp.errors import ChatappError
from chatapp.events import Finished
from chatapp.host import Host
from chatapp.offers import missing
from chatapp.progress import human_bytes
from chatapp.session import Session
from chatapp.text import visible
from chatapp.ui import PlainUI

GREETING = "Type a message and press Enter; /help lists the commands; Ctrl+C stops an answer; /quit or Ctrl+D leaves."

QUIT = ("/quit", "/exit")


def run_plain(host: Host, conversation: Conversation | None = None) -> int:
    """Chat until the input ends; returns the exit code."""
    ui = PlainUI(linear=True)
    host.ui = ui
    session = Session(host, conversation)
    with asyncio.Runner() as runner:
        try:
            runner.run(_begin(session, ui))
            _loop(runner, session, ui)
        finally:
            runner.run(host.shutdown())
    return 0


async def _begin(session: Session, ui: PlainUI) -> None:
    for problem in session.host.problems:
        ui.notify(problem, "warning")
    await session.host.startup()
    for message in session.conversation.path():
        ui.out.write(f"{message.role}: {visible(message.text)}\n")
    ui.notify(GREETING)
    await _offer_model(session, ui)


async def _offer_model(session: Session, ui: PlainUI) -> None:
    """On a first run, offer the recommended model."""
    error = missing(session)
    if not error:
        return
    entry = session.host.models.catalogue.get(session.model)
    if entry is None:
        ui.notify(error, "warning")
        return
    ui.notify(f"{entry.title} ({human_bytes(entry.size)}, {entry.licence}) is recommended for this machine.")
    pull = f"/models pull {session.model}"
    if await ui.confirm("No model is here yet. Download it now?"):
        await _consume(session, ui, pull)
    else:
        ui.notify(f"Type {pull} to download it, or /models list to see what else there is.")


def _loop(runner: asyncio.Runner, session: Session, ui: PlainUI) -> None:
    interactive = sys.stdin.isatty()
    if interactive:
        import readline  # noqa: F401 - gives the prompt a history and line editing
    while True:
        try:
            line = input("> ").strip() if interactive else _next_line()
        except EOFError:
            return
        except KeyboardInterrupt:
            ui.out.write("\n")
            continue
        if line in QUIT:
            return
        try:
            if line:
                runner.run(_consume(session, ui, line))
        except KeyboardInterrupt:
            ui.done()
            ui.notify("Stopped; what came so far is kept.")


def _next_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()


async def _consume(session: Session, ui: PlainUI, line: str) -> None:
    from chatapp.attach import gather, mentioned

    printer = Printer(ui)
    try:
        files = () if line.startswith("/") else await asyncio.to_thread(mentioned, line, Path.cwd())
        parts = await gather(session, files, ui.progress)
        async with aclosing(session.run(line) if line.startswith("/") else session.send(line, *parts)) as events:
            async for event in events:
                printer.show(event)
                if isinstance(event, Finished) and event.error:
                    ui.notify(event.error, "error")
    except ChatappError as error:
        ui.notify(str(error), "error")
    finally:
        printer.finish()
