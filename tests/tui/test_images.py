"""Pictures in the terminal chat: shown, painted before one's eyes, handled, looked through, and boxed."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from textual.widgets import Input

from chatapp import Media, UsageError
from chatapp_images.view import canvas as canvases
from chatapp_images.view.boxing import BoxScreen, choose_box
from chatapp_images.view.canvas import Canvas
from chatapp_images.view.painting import PaintingView
from chatapp_images.view.picture import PictureView, rows_for

from .images import GREEN, RED, colours, part, picture, showing
from .support import Running


@dataclass
class Painting:
    """A picture that is being painted, by hand."""

    prompt: str = "a red apple"
    state: Literal["waiting", "opening", "painting", "done", "stopped", "failed"] = "waiting"
    done: int = 0
    total: int = 20
    phase: Literal["forward", "reverse"] = "reverse"
    preview: bytes | None = None
    seconds_left: float | None = None
    note: str = ""
    watching: list[Callable[[], None]] = field(default_factory=list)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Keep it for `change`."""
        self.watching.append(callback)
        return lambda: self.watching.remove(callback) if callback in self.watching else None

    def change(self, **values: Any) -> None:
        """Set some values and say so."""
        for name, value in values.items():
            setattr(self, name, value)
        for callback in list(self.watching):
            callback()


async def test_a_picture_stands_whole_in_the_conversation_with_its_facts(tmp_path: Path) -> None:
    async with showing(tmp_path, part(picture(tmp_path / "apple.png"))) as chat:
        await chat.shows("Assistant", "▀▀▀", "a red apple · icons · seed 42 · 20 steps · 64×64")
        assert colours(chat) == {RED}
        rows = [line for line in chat.screen_text.splitlines() if "▀" in line]
        assert len(rows) == rows_for(24) == 17
        assert rows[0].count("▀") == 34, "as many pixels across as down"


def test_a_picture_leaves_room_for_what_is_around_it() -> None:
    assert [rows_for(height) for height in (8, 24, 40, 60, 200)] == [4, 17, 24, 36, 40]


async def test_it_takes_the_new_size_of_the_screen(tmp_path: Path) -> None:
    async with showing(tmp_path, part(picture(tmp_path / "apple.png"))) as chat:
        await chat.shows("▀" * 34)
        await chat.pilot.resize_terminal(60, 16)
        await chat.until(lambda: sum("▀" in line for line in chat.screen_text.splitlines()) == rows_for(16))
        await chat.hides("▀" * 19)
        await chat.shows("▀" * 18)


@pytest.mark.parametrize("broken", [True, False])
async def test_what_cannot_be_shown_is_one_sentence_in_its_place(tmp_path: Path, broken: bool) -> None:
    path = tmp_path / "[red]apple.png"
    if broken:
        path.write_bytes(b"\x89PNG no more")
    async with showing(tmp_path, part(path)) as chat:
        await chat.shows("is no picture" if broken else "is gone", "seed 42 · 20 steps")
        assert "▀" not in chat.screen_text


async def test_off_shows_the_path_and_the_description_only(tmp_path: Path) -> None:
    part_without = Media(str(picture(tmp_path / "[b]apple.png")), "image/png", "an \x1b[31mapple")
    async with showing(tmp_path, part_without, display="off", size=(200, 24)) as chat:
        await chat.shows("[b]apple.png", "an ␛[31mapple")
        assert "▀" not in chat.screen_text


async def test_only_what_is_seen_is_read(tmp_path: Path) -> None:
    parts = [part(picture(tmp_path / f"{place}.png", (place, 0, 0))) for place in range(12)]
    async with showing(tmp_path, *parts) as chat:
        await chat.until(lambda: (11, 0, 0) in colours(chat))
        drawn = [view.path.name for view in chat.app.query(PictureView) if view.query_one(Canvas)._drawn is not None]
        assert "11.png" in drawn
        assert len(drawn) <= 3
        chat.chat.transcript.scroll_home(animate=False)
        await chat.until(lambda: (0, 0, 0) in colours(chat))


async def test_what_is_out_of_sight_is_forgotten_when_there_is_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvases, "MOST_KEPT", 100)
    parts = [part(picture(tmp_path / f"{place}.png", (place, 0, 0))) for place in range(4)]
    async with showing(tmp_path, *parts) as chat:
        await chat.until(lambda: (3, 0, 0) in colours(chat))
        first, *_, last = list(chat.app.query(Canvas))
        chat.chat.transcript.scroll_home(animate=False)
        await chat.until(lambda: (0, 0, 0) in colours(chat) and not canvases._in_sight(last))
        first.forget()
        await chat.until(lambda: first._drawn is not None and last._drawn is None)
        chat.chat.transcript.scroll_end(animate=False)
        await chat.until(lambda: (3, 0, 0) in colours(chat))


async def focused(chat: Running) -> PictureView:
    """The picture, with the cursor on it."""
    view = chat.app.query(PictureView).first()
    view.focus()
    await chat.shows("Enter open", "e edit")
    return view


async def test_its_keys_copy_edit_and_vary(tmp_path: Path) -> None:
    path = picture(tmp_path / "an apple.png")
    # Large enough for both commands with however long a path in the composer.
    async with showing(tmp_path, part(path), size=(100, 50)) as chat:
        assert "Enter open" not in chat.screen_text
        await focused(chat)
        await chat.press("c")
        assert chat.app.clipboard == str(path)
        await chat.press("e")
        assert chat.chat.composer.text == f'/image edit @"{path}" '
        assert chat.app.focused is chat.chat.composer
        await focused(chat)
        await chat.press("v")
        await chat.shows("There is no command /image")
        assert f'/image vary @"{path}"' in chat.chat.composer.text, "what failed is given back"
        assert f'/image edit @"{path}"' in chat.chat.composer.text, "and what was written is kept"


async def test_it_is_saved_and_opened_from_the_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    path = picture(tmp_path / "apple.png")
    async with showing(tmp_path, part(path)) as chat:
        view = await focused(chat)
        await chat.press("s")
        await chat.shows("Save the picture as")
        chat.app.screen.query_one(Input).value = str(tmp_path / "copy.png")
        await chat.press("enter")
        await chat.until((tmp_path / "copy.png").exists)
        view.focus()
        await chat.press("enter")
        await chat.until(lambda: any("no viewer or no display" in notice for notice in chat.notices))


async def test_a_painting_shows_how_far_it_is_and_goes_away(tmp_path: Path) -> None:
    painting = Painting()
    preview = io.BytesIO()
    Image.new("RGB", (64, 64), GREEN).save(preview, "PNG")
    async with showing(tmp_path) as chat:
        await chat.chat.transcript.note(PaintingView(painting))
        await chat.shows("a red apple", "waiting for its turn · Esc stops")
        painting.change(state="painting", phase="forward", done=5)
        await chat.shows("dissolving into noise 5 of 20 · Esc stops")
        painting.change(phase="reverse", done=8, seconds_left=0.62, preview=preview.getvalue(), note="cut to 77 tokens")
        await chat.shows("step 8 of 20 · 0.6 s left · Esc stops", "▀▀▀", "cut to 77 tokens")
        assert colours(chat) == {GREEN}
        painting.change(state="done")
        await chat.until(lambda: not chat.app.query(PaintingView))
        assert painting.watching == []
        await chat.hides("step 8")


async def test_a_box_is_moved_and_resized_and_taken_in_pixels(tmp_path: Path) -> None:
    path = picture(tmp_path / "apple.png", size=(512, 512))
    async with showing(tmp_path, asked=path, size=(80, 14)) as chat:
        chat.chat.runner.submit("/box")
        await chat.shows("What should be painted anew?", "┏━", "of 512×512 pixels")
        screen = chat.app.screen
        assert isinstance(screen, BoxScreen)
        columns, rows = screen.canvas.cells or (0, 0)
        before = screen.canvas.box
        await chat.press("right", "right", "up", "shift+down", "shift+left")
        assert screen.canvas.box == (before.left + 2, before.top - 1, before.right + 1, before.bottom)
        await chat.press(*["left"] * columns, *["up"] * rows)
        await chat.shows("from 0,0")
        await chat.press(*["shift+right"] * columns, *["shift+down"] * rows, "enter")
        await chat.shows("The box: (0, 0, 512, 512)")


async def test_a_box_that_is_given_up_is_none_and_nothing_stays_in_front(tmp_path: Path) -> None:
    path = picture(tmp_path / "apple.png", size=(100, 40))
    async with showing(tmp_path, asked=path) as chat:
        chat.chat.runner.submit("/box")
        await chat.shows("┏━")
        await chat.pilot.resize_terminal(50, 20)
        await chat.until(lambda: (chat.app.screen.query_one(Canvas).content_size.width) == 48)
        await chat.shows("┏━")
        await chat.press("escape")
        await chat.shows("The box: None")
        chat.chat.runner.submit("/box")
        await chat.until(lambda: isinstance(chat.app.screen, BoxScreen))
        assert chat.chat.runner.stop()
        await chat.until(lambda: chat.settled and chat.app.screen is chat.chat)


async def test_outside_the_terminal_chat_there_is_no_box(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only in the terminal chat"):
        await choose_box(None, picture(tmp_path / "apple.png"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is gone"):
        await choose_box(None, tmp_path / "gone.png")  # type: ignore[arg-type]
