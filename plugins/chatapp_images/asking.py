"""What a command asks for, as a request: options, an earlier picture's facts, files, masks."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chatapp import PictureRequest, Session, UsageError
from chatapp_images.keeping import by_digest, last_picture
from chatapp_images.options import ImagesSettings
from chatapp_images.png import read_facts

MOST_SEED = 2**31
"""Seeds that are drawn are short enough to be typed."""
MOST_COUNT = 64
LARGEST_FILE = 64 << 20
SIZE = re.compile(r"(\d{1,5})(?:[x×](\d{1,5}))?")
BOX = re.compile(r"(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})")
NAMED = re.compile(r'@(?:"([^"]+)"|(\S+))\s*(.*)', re.DOTALL)
OPTION = re.compile(r"(?:^|\s)(--[a-z][a-z-]*)(?=\s|=|$)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be painted: a request, with which model, and how many with seeds of their own."""

    request: PictureRequest
    model: str
    count: int = 1


def asked(
    session: Session,
    prompt: str,
    *,
    seed: int | None = None,
    size: str = "",
    count: int = 1,
    model: str = "",
    **options: Any,
) -> Asked:
    """A picture of `prompt`; `options` are fields of the request. UsageError says what is missing or wrong."""
    text = checked(prompt)
    if not 1 <= count <= MOST_COUNT:
        raise UsageError(f"{count} pictures cannot be painted at once: choose 1 to {MOST_COUNT}.")
    width, height = sides(size)
    settings = session.host.config(ImagesSettings)
    request = PictureRequest(
        text,
        secrets.randbelow(MOST_SEED) if seed is None else seed,
        width=width,
        height=height,
        preview_every=settings.preview_every,
        forward=settings.forward,
        **options,
    )
    return Asked(request, chosen_model(session, model), count)


def chosen_model(session: Session, model: str = "") -> str:
    """The model asked for, else the conversation's, else the settings'."""
    return model or str(session.values.get("images.model") or session.host.config(ImagesSettings).model)


def checked(prompt: str) -> str:
    """The prompt; UsageError when it is empty or has an option in it that there is not."""
    text = prompt.strip()
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    if not text:
        raise UsageError("Say what to paint: /image a red apple.")
    if unknown := OPTION.search(text):
        raise UsageError(f"There is no option {unknown[1]}; `/help image` shows those there are.")
    return text


def sides(size: str) -> tuple[int | None, int | None]:
    """``512`` or ``640x480`` as (width, height) in pixels; (None, None) when nothing is said."""
    if not size:
        return None, None
    found = SIZE.fullmatch(size.strip().lower())
    if found is None:
        raise UsageError(f"The size {size!r} is not understood: write 512 or 640x480.")
    return int(found[1]), int(found[2] or found[1])


def named(session: Session, text: str) -> tuple[Path, str]:
    """The picture that a text begins with (``@FILE``) or the conversation's last one, and the rest of the text."""
    if found := NAMED.fullmatch(text.strip()):
        return Path(found[1] or found[2]).expanduser(), found[3]
    last = last_picture(session.conversation)
    if last is None:
        raise UsageError("There is no picture here yet: paint one with /image, or name a file as @FILE.")
    return Path(last.path), text


async def content(path: Path) -> bytes:
    """The bytes of a picture's file; UsageError in one sentence when it is missing, no file or too large."""

    def read() -> bytes:
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise UsageError(f"{path} is larger than {LARGEST_FILE >> 20} MB: make it smaller first.")
            return path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from error

    return await asyncio.to_thread(read)


async def like(session: Session, path: Path, model: str = "") -> Asked:
    """What paints the same picture again: the same bytes with the same model and libraries."""
    facts = await asyncio.to_thread(read_facts, path)
    if "stopped" in facts:
        raise UsageError(f"{path} was stopped in the middle: paint it anew with /image {facts['prompt']}.")
    if "steps" not in facts:
        raise UsageError(f"{path} was only enlarged: name the picture it was made from.")
    request = repeated(session, facts)
    request = replace(
        request,
        image=await _source(session, path, facts.get("image_sha256")),
        mask=await _source(session, path, facts.get("mask_sha256")),
    )
    return Asked(request, model or str(facts["model"]))


async def _source(session: Session, path: Path, digest: str | None) -> bytes | None:
    data = await by_digest(session.host, digest) if digest is not None else None
    if digest is not None and data is None:
        raise UsageError(f"{path} was made from a picture that is not kept any more.")
    return data


def repeated(session: Session, facts: Mapping[str, Any]) -> PictureRequest:
    """The request that facts tell of, as far as they are known."""
    settings = session.host.config(ImagesSettings)
    return PictureRequest(
        str(facts["prompt"]),
        int(facts["seed"]),
        str(facts.get("negative", "")),
        facts.get("steps"),
        facts.get("guidance"),
        facts.get("width"),
        facts.get("height"),
        str(facts.get("scheduler", "")),
        strength=facts.get("strength"),
        preview_every=settings.preview_every,
        forward=settings.forward,
    )


async def mask_of(session: Session, picture: Path, mask: str) -> bytes:
    """The mask: a file, a box ``left,top,right,bottom`` in the picture's pixels, or, without, one the user chooses."""
    if mask and BOX.fullmatch(mask) is None:
        return await content(Path(mask).expanduser())
    if mask:
        found = BOX.fullmatch(mask)
        assert found is not None
        box = (int(found[1]), int(found[2]), int(found[3]), int(found[4]))
    else:
        from chatapp_images.view.boxing import choose_box

        chosen = await choose_box(session, picture)
        if chosen is None:
            raise UsageError("No box was chosen, so nothing was painted.")
        box = chosen
    return await asyncio.to_thread(boxed, picture, box)


def boxed(picture: Path, box: tuple[int, int, int, int]) -> bytes:
    """A mask of the picture's size (PNG), white in the box; UsageError when the box is not in the picture."""
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            size = image.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UsageError(f"{picture} is no picture that can be read: name another.") from error
    left, top, right, bottom = box
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise UsageError(f"The box {left},{top},{right},{bottom} is not in the picture of {size[0]}x{size[1]} pixels.")
    mask = Image.new("L", size, 0)
    mask.paste(255, box)
    file = io.BytesIO()
    mask.save(file, "PNG")
    return file.getvalue()
