"""The gallery of pictures: pages, a larger view, words to find, deleting and bringing back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatapp_images.view.gallery import GalleryScreen
from chatapp_images.view.large import LargeScreen

from .images import Kept, colours, picture, showing
from .support import Running


def kept(folder: Path, count: int) -> list[Kept]:
    """Pictures, the newest first."""
    folder.mkdir()
    return [
        Kept(
            picture(folder / f"{place}.png", (place, 50, 50)),
            {"prompt": f"apple number {place}", "model": "icons", "seed": place, "guidance": 4.0},
            1_000_000.0 - place,
        )
        for place in range(count)
    ]


def listing(pictures: list[Kept]) -> Callable[[], list[Kept]]:
    """Those whose file is there."""
    return lambda: [each for each in pictures if each.path.exists()]


async def gallery(chat: Running, pictures: list[Kept], answers: list[Any]) -> GalleryScreen:
    """The gallery, with its first pictures."""
    screen = GalleryScreen(listing(pictures))
    await chat.app.push_screen(screen, answers.append)
    await chat.shows("apple number 0", "▀▀▀", "page 1 of")
    return screen


async def test_the_gallery_shows_a_page_of_pictures_and_moves_on(tmp_path: Path) -> None:
    answers: list[Any] = []
    async with showing(tmp_path) as chat:
        screen = await gallery(chat, kept(tmp_path / "pictures", 20), answers)
        await chat.shows("20 · page 1 of 3", "apple number 7", "icons · seed 0")
        assert "number 8" not in chat.screen_text
        await chat.press("right", "down")
        await chat.shows("icons · seed 5")
        await chat.press("pagedown")
        await chat.shows("page 2 of 3", "seed 13", "number 15")
        await chat.until(lambda: (13, 50, 50) in colours(chat) and (0, 50, 50) not in colours(chat))
        await chat.press("end", "right")
        await chat.shows("page 3 of 3", "seed 19")
        await chat.press("home", "r")
        await chat.until(lambda: answers == [f'/image --like "{tmp_path / "pictures" / "0.png"}"'])
        assert not screen.is_attached or not screen.is_active


async def test_a_larger_view_has_all_the_facts(tmp_path: Path) -> None:
    answers: list[Any] = []
    async with showing(tmp_path, size=(120, 40)) as chat:
        screen = await gallery(chat, kept(tmp_path / "pictures", 3), answers)
        await chat.press("enter")
        await chat.until(lambda: isinstance(chat.app.screen, LargeScreen))
        await chat.shows("prompt apple number 0", "guidance 4", "file ", "1 of 3")
        await chat.press("right")
        await chat.shows("apple number 1", "2 of 3")
        await chat.until(lambda: (1, 50, 50) in colours(chat))
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is screen)
        assert screen.chosen is not None
        assert screen.chosen.facts["seed"] == 1
        await chat.press("escape")
        await chat.until(lambda: answers == [None])


async def test_what_is_deleted_in_the_gallery_comes_back(tmp_path: Path) -> None:
    answers: list[Any] = []
    pictures = kept(tmp_path / "pictures", 3)
    async with showing(tmp_path) as chat:
        await gallery(chat, pictures, answers)
        await chat.press("right", "d")
        await chat.hides("apple number 1")
        assert not pictures[1].path.exists()
        assert "Deleted; u brings it back." in chat.notices
        await chat.press("u")
        await chat.shows("apple number 1", "icons · seed 1")
        assert pictures[1].path.exists()


async def test_pictures_are_found_by_words(tmp_path: Path) -> None:
    answers: list[Any] = []
    async with showing(tmp_path) as chat:
        screen = await gallery(chat, kept(tmp_path / "pictures", 12), answers)
        await chat.press("slash", *"number", "space", *"11")
        await chat.shows("1 · page 1 of 1", "apple number 11")
        await chat.press("enter")
        assert chat.app.focused is None
        await chat.press("slash", "x")
        await chat.shows("No prompt has “x” in it.")
        await chat.press("escape")
        await chat.shows("12 · page 1 of 2")
        assert chat.app.screen is screen, "the first Escape ends the search only"


async def test_an_empty_gallery_and_a_damaged_picture_are_no_failure(tmp_path: Path) -> None:
    pictures = kept(tmp_path / "pictures", 2)
    pictures[0].path.write_text("no picture")
    async with showing(tmp_path) as chat:
        await chat.app.push_screen(GalleryScreen(list))
        await chat.shows("There are no pictures yet.")
        await chat.press("enter", "d", "o", "escape")
        await chat.app.push_screen(GalleryScreen(listing(pictures)))
        await chat.shows("apple number 1", "is no")
