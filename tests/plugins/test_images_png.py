"""The facts of a picture inside its PNG."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from chatapp import EngineError
from chatapp_images.png import MOST_BYTES, parameters, read_facts, with_facts
from tests.plugins.images_support import chunk, png

FACTS = {
    "prompt": "maçã vermelha, 赤いりんご",
    "negative": "grey",
    "seed": 7,
    "steps": 20,
    "guidance": 5.0,
    "scheduler": "ddim",
    "width": 512,
    "height": 384,
    "model": "icons",
    "identity": "ab" * 32,
    "strength": 0.6,
    "diffusers": "0.42.1",
}


def test_facts_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(with_facts(png(4, 4), FACTS))
    assert read_facts(path) == FACTS
    assert with_facts(png(4, 4), FACTS) == with_facts(png(4, 4), dict(reversed(FACTS.items())))


def test_other_programs_read_the_line_and_the_picture(tmp_path: Path) -> None:
    images = pytest.importorskip("PIL.Image")
    (tmp_path / "a.png").write_bytes(with_facts(png(4, 3, (10, 20, 30)), FACTS))
    with images.open(tmp_path / "a.png") as image:
        image.load()
        assert (image.size, image.getpixel((1, 1))) == ((4, 3), (10, 20, 30))
        assert image.text["parameters"] == parameters(FACTS)
    assert parameters(FACTS) == (
        "maçã vermelha, 赤いりんご\nNegative prompt: grey\nSteps: 20, Sampler: ddim, CFG scale: 5.0, Seed: 7, "
        "Size: 512x384, Model: icons, Model hash: ababababab, Denoising strength: 0.6, Version: diffusers 0.42.1"
    )
    assert parameters({"prompt": "a", "width": 1, "height": 2}) == "a\nSize: 1x2"


def test_a_latin_prompt_is_plain_text() -> None:
    assert b"tEXtparameters\0ma\xe7\xe3" in with_facts(png(1, 1), {"prompt": "maçã"})
    assert b"iTXtparameters\0" in with_facts(png(1, 1), FACTS)


GOOD = with_facts(png(4, 4), FACTS)
BROKEN = chunk(b"tEXt", b"chatapp\0{")
LIST = chunk(b"tEXt", b"chatapp\0[1]")
BOMB = chunk(b"zTXt", b"chatapp\0\0" + zlib.compress(bytes(10_000_000)))
PACKED = chunk(b"iTXt", b"chatapp\0\1\0\0\0" + zlib.compress(b'{"prompt": "a"}'))
LARGE = chunk(b"tEXt", b'chatapp\0{"prompt": "' + b"a" * MOST_BYTES + b'"}')


def amid(extra: bytes) -> bytes:
    """A small PNG with another chunk in it."""
    plain = png(1, 1)
    return plain[:33] + extra + plain[33:]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not a PNG: name a picture that chatapp has painted."),
        (b"GIF89a" + bytes(40), "is not a PNG"),
        (png(4, 4), "says nothing of how it was painted"),
        (GOOD[:60], "is damaged or cut off: name another picture."),
        (GOOD[:-6], "is damaged or cut off"),
        (GOOD.replace(b'"seed": 7', b'"seed": 8'), "is damaged or cut off"),
        (GOOD[:33] + struct.pack(">I4s", 2**31, b"tEXt") + GOOD[33:], "is damaged or cut off"),
        (amid(BROKEN), "says of how it was painted is damaged"),
        (amid(LIST), "says of how it was painted is incomplete"),
        (amid(BOMB), "says nothing of how it was painted"),
        (amid(PACKED), "says of how it was painted is damaged"),
        (amid(LARGE), "says nothing of how it was painted"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(EngineError) as caught:
        read_facts(path)
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"none\.png cannot be read \(No such file or directory\): check the path\.$"):
        read_facts(tmp_path / "none.png")
    with pytest.raises(EngineError, match=r"cannot be read \(Is a directory\)"):
        read_facts(tmp_path)
