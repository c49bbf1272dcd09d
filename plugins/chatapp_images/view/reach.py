"""What pictures ask of the chat around them: its session, its input line, and what is done with a file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from textual.app import App
from textual.screen import Screen
from textual.widgets import TextArea

from chatapp import ChatappError, Session, UsageError, one_line
from chatapp_images.options import Display, ImagesSettings
from chatapp_images.view.opening import open_file
from chatapp_images.view.saving import save_as

Result = TypeVar("Result")
INPUT = "#composer"
"""The chat's input line."""


def session_of(app: App[Any]) -> Session:
    """The session of the chat."""
    return cast(Session, cast(Any, app).session)


def display_of(app: App[Any]) -> Display:
    """How pictures are to be shown, as the user set it."""
    return session_of(app).host.config(ImagesSettings).display


def command(line: str, path: Path) -> str:
    """A command line with a file in it, in quotation marks: ``/image edit @"a b.png" ``."""
    return line.format(f'@"{path}"')


def type_in(app: App[Any], text: str, *, send: bool = False) -> None:
    """Put a line into the chat's input, or send it at once and leave what is written there as it is."""
    found = [each for screen in app.screen_stack for each in screen.query(INPUT).results(TextArea)]
    if not found:
        return
    composer = cast(Any, found[0])
    written = composer.text
    composer.put(text)
    if send:
        composer.submit()
        composer.put(written)
    else:
        composer.focus()


async def tell(app: App[Any], work: Awaitable[object]) -> None:
    """Wait for `work`; what went wrong is a notice."""
    try:
        await work
    except ChatappError as error:
        session_of(app).ui.notify(str(error), "error")


async def do_open(app: App[Any], path: Path) -> None:
    """Open a picture in the system's viewer."""
    await tell(app, open_file(path))


async def do_save(app: App[Any], path: Path) -> None:
    """Save a picture under another name."""
    await tell(app, save_as(session_of(app).ui, path))


def do_copy_path(app: App[Any], path: Path) -> None:
    """Copy where a picture is."""
    app.copy_to_clipboard(str(path))
    session_of(app).ui.notify(f"Copied: {one_line(str(path), 80)}")


def chat_app() -> App[Any]:
    """The terminal chat that runs the action at hand; UsageError when there is none."""
    from textual.worker import NoActiveWorker, get_current_worker

    try:
        return get_current_worker().node.app
    except NoActiveWorker as error:
        raise UsageError("This is done on a picture that is shown, so only in the terminal chat.") from error


async def ask_screen(make: Callable[[], Screen[Result]]) -> Result | None:
    """Show a screen of the terminal chat and wait for what it gives; whoever is cancelled takes it along.

    Raises UsageError outside the terminal chat.
    """
    app = chat_app()
    answered: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
    screen = make()

    def answer(result: Result | None) -> None:
        if not answered.done():
            answered.set_result(result)

    try:
        await app.push_screen(screen, answer)
        return await answered
    except asyncio.CancelledError:
        if screen.is_active:
            await screen.dismiss()
        raise
