"""What a terminal is shown: nothing that it would obey, everything that it may."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from chatapp.text import HIDDEN, one_line, visible

ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
FAMILY = "👩\u200d👩\u200d👧\u200d👦"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain\ttext\nwith lines", "plain\ttext\nwith lines"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]52;c;ZXZpbA==\x07", "␛]52;c;ZXZpbA==␇"),
        ("\x00\x08\x0b\x0c\x7f", "␀␈␋␌␡"),
        ("\x9b31m\x85\x80", "\\x9b31m\\x85\\x80"),
        ("one\r\ntwo\rthree", "one\ntwo␍three"),
        ("\r\r\n", "␍\n"),
        ("abc\u202ecba\u2066x\u2069", "abc\\u202ecba\\u2066x\\u2069"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("name\udc9b.txt", "name\\udc9b.txt"),
        ("hi\U000e0068\U000e0069", "hi\\U000e0068\\U000e0069"),
        (FAMILY, FAMILY),
        (f"\x1b{FAMILY}", f"␛{FAMILY}"),
        (f"{ENGLAND}\x07", f"{ENGLAND}␇"),
        ("e\u0301 \u05d0\u200f \u0645\u200c\u0646", "e\u0301 \u05d0\u200f \u0645\u200c\u0646"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_visible_of_every_character_leaves_no_control_and_changes_no_letter() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        shown = visible(character)
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            assert shown != character
            assert shown.isprintable()
        if character.isprintable():
            assert shown == character


def test_visible_twice_is_visible_once() -> None:
    text = "".join(chr(code) for code in range(0x3000)) + "\U000e0041\r\n" + ENGLAND
    assert visible(visible(text)) == visible(text)
    assert HIDDEN.search(visible(text.replace(ENGLAND, ""))) is None


def test_text_with_nothing_to_hide_is_returned_as_it_is() -> None:
    text = "nothing\tto\nsee 你好 " + FAMILY
    assert visible(text) is text


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("short", 10, "short"),
        ("exactly ten", 11, "exactly ten"),
        ("one more here", 8, "one mor…"),
        ("  many\n\n  spaces\there ", 40, "many spaces here"),
        ("a word", 3, "a…"),
        ("你好世界", 8, "你好世界"),
        ("你好世界", 7, "你好世…"),
        ("你好世界", 6, "你好…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("\x1b[31m", 10, "␛[31m"),
        ("x\u202ey", 4, "x\\u…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("abc", -5, ""),
        (" \n\t ", 5, ""),
        ("", 5, ""),
    ],
)
def test_one_line(text: str, width: int, line: str) -> None:
    assert one_line(text, width) == line


def test_one_line_never_exceeds_its_width() -> None:
    text = f"a 你 {FAMILY} e\u0301\x1b\u202e xx"
    for width in range(1, 60):
        line = one_line(text, width)
        cells = sum(
            0 if unicodedata.category(c) in ("Mn", "Cf") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
            for c in line
        )
        assert cells <= width
        assert not line.endswith(("\u200d…", " …"))


def test_one_line_of_a_huge_text_takes_only_its_beginning() -> None:
    assert one_line("word " * 2_000_000, 12) == "word word w…"
    assert one_line("x" * 5_000_000, 5) == "xxxx…"
