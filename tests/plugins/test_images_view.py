"""How pictures are drawn: which protocol for which terminal, half blocks, Kitty, Sixel, and files that are no use."""

from __future__ import annotations

import base64
import io
import os
import re
import zlib
from pathlib import Path

import pytest
from PIL import Image

from chatapp import UsageError
from chatapp_images.options import Display
from chatapp_images.view import drawing, pixels
from chatapp_images.view.blocks import BLOCK, half_blocks
from chatapp_images.view.drawing import Cell, Terminal, choose
from chatapp_images.view.kitty import PLACEHOLDER, most, placeholders, removal, transmission
from chatapp_images.view.making import Wish, draw
from chatapp_images.view.pixels import dimensions, fit, read
from chatapp_images.view.sixel import sixels
from chatapp_images.view.words import caption, table

CELL = Cell(10, 20)
BLACK = (0, 0, 0)
KITTY = {"TERM": "xterm-kitty", "COLORTERM": "truecolor"}
FOOT = {"TERM": "foot", "COLORTERM": "truecolor"}


def chosen(environ: dict[str, str], display: Display = "auto", *, cell: Cell | None = CELL, **known: bool) -> str:
    """What is chosen for a terminal with these variables."""
    return choose(display, Terminal(environ, known.get("truecolor", True), cell, known.get("tty", True)))


def picture(path: Path, colour: object = (255, 0, 0), size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Path:
    """A file of one colour."""
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (KITTY, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        (FOOT, "sixel"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "sixel"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230401"}, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "211200"}, "halfblock"),
        ({"TERM": "xterm-256color"}, "halfblock"),
        ({"TERM": "dumb", "TERM_PROGRAM": "WezTerm"}, "halfblock"),
        ({"TERM": "linux"}, "halfblock"),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "WezTerm"}, "halfblock"),
        ({}, "halfblock"),
        # Started from another terminal, whose variables were inherited.
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1", "XTERM_VERSION": "XTerm(390)"}, "halfblock"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm", "VTE_VERSION": "7600"}, "halfblock"),
    ],
)
def test_the_protocol_follows_what_the_environment_says(environ: dict[str, str], expected: str) -> None:
    assert chosen(environ) == expected


@pytest.mark.parametrize("display", ["auto", "kitty", "sixel"])
@pytest.mark.parametrize("inside", ["TMUX", "STY", "ZELLIJ"])
def test_within_a_multiplexer_there_are_half_blocks_whatever_is_set(display: Display, inside: str) -> None:
    assert chosen(KITTY | {inside: "1"}, display) == "halfblock"
    assert chosen(FOOT | {inside: "1"}, display) == "halfblock"


def test_without_a_terminal_its_colours_or_its_measures_there_are_half_blocks() -> None:
    assert chosen(KITTY, tty=False) == chosen(KITTY, truecolor=False) == chosen(FOOT, cell=None) == "halfblock"
    assert chosen(KITTY, cell=None) == "kitty"


def test_what_the_user_sets_is_taken() -> None:
    plain = {"TERM": "xterm-256color"}
    assert [chosen(plain, each) for each in ("kitty", "sixel", "halfblock", "off")] == [
        "kitty",
        "sixel",
        "halfblock",
        "off",
    ]
    assert chosen(KITTY, "halfblock") == "halfblock"
    assert chosen(KITTY | {"TMUX": "1"}, "off") == "off"


def test_under_a_test_runner_nothing_is_asked_of_the_terminal() -> None:
    found = drawing.terminal(truecolor=True, headless=True)
    assert (found.tty, found.cell) == (False, None)


def test_a_half_block_is_two_pixels() -> None:
    image = Image.new("RGB", (3, 4), (1, 2, 3))
    image.putpixel((1, 0), (250, 0, 0))
    image.putpixel((1, 1), (0, 250, 0))
    lines = half_blocks(image)
    assert [line.text for line in lines] == [BLOCK * 3] * 2
    assert [line.cell_length for line in lines] == [3, 3]
    middle = list(lines[0])[1].style
    assert middle is not None
    assert middle.color is not None
    assert middle.bgcolor is not None
    assert (middle.color.triplet, middle.bgcolor.triplet) == ((250, 0, 0), (0, 250, 0))
    assert len(list(lines[1])) == 1, "cells of one colour are one piece"


def test_a_picture_is_sent_to_kitty_in_pieces_and_its_cells_point_at_it() -> None:
    image = Image.effect_noise((200, 120), 90).convert("RGB")
    sent = transmission(image, 20, 6, 0x123456)
    messages = re.findall(r"\x1b_G(.*?)(?:;(.*?))?\x1b\\", sent)
    data = base64.b64decode("".join(payload for _, payload in messages))
    assert Image.open(io.BytesIO(data)).size == (200, 120)
    assert all(len(payload) <= 4096 for _, payload in messages)
    assert [("m=1" in keys) for keys, _ in messages[:-1]] == [True] * (len(messages) - 2) + [False]
    assert "U=1,i=1193046,c=20,r=6" in messages[-1][0]
    lines = placeholders(20, 6, 0x123456)
    cells = list(lines[2])
    assert len(cells) == 20
    assert cells[0].text == PLACEHOLDER + "\u030e\u0305", "row 2, column 0"
    assert cells[0].style is not None
    assert cells[0].style.color is not None
    assert cells[0].style.color.triplet == (0x12, 0x34, 0x56)
    assert "d=I,i=1193046" in removal(0x123456)
    assert most() > 150


def decoded(text: str) -> dict[tuple[int, int], tuple[int, int, int]]:
    """The pixels that a Sixel sequence sets, by (x, y); colours in percent."""
    match = re.fullmatch(r'\x1b7\x1bP0;1;0q"1;1;\d+;\d+(.*)\x1b\\\x1b8\x1b\[\d+C', text, re.DOTALL)
    assert match is not None
    colours: dict[int, tuple[int, int, int]] = {}
    found: dict[tuple[int, int], tuple[int, int, int]] = {}
    x = top = now = 0
    for token in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|![0-9]+.|.", match[1], re.DOTALL):
        if token.startswith("#"):
            number, *rest = (int(each) for each in token[1:].split(";"))
            colours |= {number: (rest[1], rest[2], rest[3])} if rest else {}
            now = number
        elif token in "$-":
            x, top = 0, top + 6 * (token == "-")
        else:
            end = x + (int(token[1:-1]) if token[0] == "!" else 1)
            bits = [bit for bit in range(6) if (ord(token[-1]) - 63) >> bit & 1]
            found |= {(column, top + bit): colours[now] for column in range(x, end) for bit in bits}
            x = end
    return found


def test_each_line_of_a_sixel_picture_draws_its_own_pixels_and_no_others() -> None:
    image = Image.new("RGB", (20, 20), (255, 255, 255))
    image.paste((255, 0, 0), (0, 0, 10, 20))
    image.paste((0, 0, 255), (5, 8, 15, 13))
    lines = sixels(image, 4, 2)
    assert [line.cell_length for line in lines] == [4, 4]
    for row, line in enumerate(lines):
        found = decoded(next(iter(line)).text)
        assert len(found) == 20 * 10, "every pixel of the line, and none below it"
        for (x, y), colour in found.items():
            right = image.getpixel((x, row * 10 + y))
            assert isinstance(right, tuple)
            assert colour == tuple(round(value / 2.55) for value in right)


def test_transparent_parts_show_what_is_behind(tmp_path: Path) -> None:
    path = picture(tmp_path / "clear.png", (255, 0, 0, 0), mode="RGBA")
    assert read(path, 4, 4, (10, 20, 30)).getpixel((0, 0)) == (10, 20, 30)
    gone = Image.new("P", (4, 4))
    gone.save(tmp_path / "palette.png", transparency=0)
    assert read(tmp_path / "palette.png", 2, 2, (9, 9, 9)).getpixel((1, 1)) == (9, 9, 9)


def test_a_photograph_is_shown_as_it_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), (0, 200, 0)).save(tmp_path / "photo.jpg", exif=exif)
    assert dimensions(tmp_path / "photo.jpg") == (20, 40)
    assert read(tmp_path / "photo.jpg", 10, 20, BLACK).size == (10, 20)


def test_a_preview_is_read_from_memory() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (0, 0, 200)).save(file, "PNG")
    drawn = draw(Wish(file.getvalue(), 10, 5, BLACK, "halfblock", CELL))
    assert (drawn.dimensions, len(drawn.lines), drawn.before) == ((64, 64), 5, "")


@pytest.mark.parametrize("protocol", ["halfblock", "kitty", "sixel"])
def test_each_protocol_gives_as_many_lines_as_there_are_rows(tmp_path: Path, protocol: drawing.Protocol) -> None:
    path = picture(tmp_path / "red.png")
    drawn = draw(Wish(path, 12, 6, BLACK, protocol, CELL))
    assert [line.cell_length for line in drawn.lines] == [12] * 6
    assert bool(drawn.before) == bool(drawn.after) == (protocol == "kitty")


def test_a_picture_keeps_its_shape() -> None:
    assert fit((512, 512), 76, 18) == (36, 18)
    assert fit((1600, 400), 40, 18) == (40, 5)
    assert fit((100, 1000), 80, 20) == (4, 20)
    assert fit((1, 10_000), 80, 20) == (1, 20)
    assert fit((64, 64), 80, 10, aspect=2.5) == (25, 10)


def test_what_cannot_be_shown_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = picture(tmp_path / "noise.png", size=(64, 64)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "a\x1b[31m.png").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.png")
    wrong = {
        "gone.png": "is gone",
        "cut.png": "is damaged",
        "text.png": "is no picture",
        "a\x1b[31m.png": "a␛[31m.png is no picture",
        "pipe.png": "is not a file",
        ".": "is not a file",
    }
    for name, words in wrong.items():
        with pytest.raises(UsageError, match=re.escape(words)) as told:
            read(tmp_path / name, 8, 8, BLACK)
        assert str(told.value).count(". ") == 0
        assert "\x1b" not in str(told.value)
    monkeypatch.setattr(pixels, "MOST_PIXELS", 100)
    with pytest.raises(UsageError, match="too many pixels"):
        dimensions(picture(tmp_path / "large.png", size=(20, 20)))
    monkeypatch.setattr(pixels, "LARGEST", 10)
    with pytest.raises(UsageError, match="too large to show"):
        dimensions(tmp_path / "large.png")


def test_a_bomb_is_refused_without_a_word_on_the_terminal(tmp_path: Path) -> None:
    # A header that claims 60,000 × 60,000 pixels; nothing of them is read.
    header = bytearray(picture(tmp_path / "bomb.png").read_bytes())
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(header)
    with pytest.raises(UsageError, match="too many pixels"):
        dimensions(tmp_path / "bomb.png")


def test_a_caption_says_what_is_known_and_nothing_reaches_the_terminal() -> None:
    facts = {"prompt": "a red\x1b[2J [bold]apple", "model": "icons", "seed": 42, "steps": 20, "width": 512}
    assert caption(facts | {"height": 512}) == "a red␛[2J [bold]apple · icons · seed 42 · 20 steps · 512×512"
    assert caption({"seed": 0, "steps": 1, "stopped": True}, "a cat") == "a cat · seed 0 · 1 step · stopped"
    assert caption({}) == "a picture"
    assert table(facts | {"guidance": 4.0, "negative": ""})[:2] == [
        ("prompt", "a red␛[2J [bold]apple"),
        ("model", "icons"),
    ]
    assert ("guidance", "4") in table(facts | {"guidance": 4.0})


def test_nothing_heavy_is_imported_with_the_words() -> None:
    source = Path(drawing.__file__).parent
    for name in ("words.py", "drawing.py", "saving.py", "trash.py", "opening.py"):
        assert not re.search(
            r"^(import|from) (PIL|textual|rich|numpy|torch)", (source / name).read_text(), re.MULTILINE
        )
