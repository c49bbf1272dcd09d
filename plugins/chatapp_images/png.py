"""The facts of a picture inside its PNG, so that it can be painted again; read and written without an image library.

Two text chunks (PNG, third edition, 11.3.3): "parameters" is the line other programs read, as AUTOMATIC1111's web UI
writes it, and "chatapp" is JSON. There is no time in them: the same picture has the same bytes.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from chatapp import EngineError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEYWORD, PARAMETERS = "chatapp", "parameters"
MOST_BYTES = 1 << 20
"""How long a text chunk may be to be read: facts are some kilobytes, and a file may claim anything."""
MOST_CHUNKS = 100_000
AFTER_HEADER = len(SIGNATURE) + 25


def with_facts(png: bytes, facts: Mapping[str, Any]) -> bytes:
    """The PNG with its facts in it, before the pixels."""
    chunks = _text(PARAMETERS, parameters(facts)) + _text(KEYWORD, json.dumps(facts, sort_keys=True))
    return png[:AFTER_HEADER] + chunks + png[AFTER_HEADER:]


def read_facts(path: Path) -> dict[str, Any]:
    """The facts of a picture this plugin painted; EngineError in one sentence when there are none to be had."""
    try:
        with path.open("rb") as file:
            texts = dict(_texts(file, path))
    except OSError as error:
        raise EngineError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    if KEYWORD not in texts:
        raise EngineError(f"{path} says nothing of how it was painted: name a picture that chatapp has painted.")
    try:
        facts = json.loads(texts[KEYWORD])
    except ValueError as error:
        raise EngineError(f"What {path} says of how it was painted is damaged: name another picture.") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("prompt"), str):
        raise EngineError(f"What {path} says of how it was painted is incomplete: name another picture.")
    return facts


def parameters(facts: Mapping[str, Any]) -> str:
    """The prompt and a line of settings, as AUTOMATIC1111's web UI and those who follow it write them."""
    named = {
        "Steps": facts.get("steps"),
        "Sampler": facts.get("scheduler"),
        "CFG scale": facts.get("guidance"),
        "Seed": facts.get("seed"),
        "Size": f"{facts.get('width')}x{facts.get('height')}",
        "Model": facts.get("model"),
        "Model hash": str(facts.get("identity", ""))[:10] or None,
        "Denoising strength": facts.get("strength"),
        "Version": f"diffusers {facts['diffusers']}" if "diffusers" in facts else None,
    }
    line = ", ".join(f"{name}: {value}" for name, value in named.items() if value is not None)
    negative = f"\nNegative prompt: {facts['negative']}" if facts.get("negative") else ""
    return f"{facts.get('prompt', '')}{negative}\n{line}"


def _text(keyword: str, text: str) -> bytes:
    """A tEXt chunk, or an iTXt one where the text is not Latin-1, as Pillow chooses too."""
    try:
        body, kind = text.encode("latin-1"), b"tEXt"
        data = keyword.encode("latin-1") + b"\0" + body
    except UnicodeEncodeError:
        kind = b"iTXt"
        data = keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _texts(file: BinaryIO, path: Path) -> Iterator[tuple[str, str]]:
    """Keyword and text of every chunk of text; the pixels are passed over unread."""
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise EngineError(f"{path} is not a PNG: name a picture that chatapp has painted.")
    damaged = EngineError(f"{path} is damaged or cut off: name another picture.")
    size = path.stat().st_size
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            raise damaged
        length, kind = struct.unpack(">I4s", head)
        if file.tell() + length + 4 > size:
            raise damaged
        if kind == b"IEND":
            return
        if kind not in (b"tEXt", b"iTXt") or length > MOST_BYTES:
            file.seek(length + 4, 1)
            continue
        data, (checksum,) = file.read(length), struct.unpack(">I", file.read(4))
        if zlib.crc32(kind + data) != checksum:
            raise damaged
        yield _decoded(kind, data)
    raise damaged


def _decoded(kind: bytes, data: bytes) -> tuple[str, str]:
    """The keyword and the text of a chunk; a compressed one is taken as empty, as ours never are."""
    keyword, _, rest = data.partition(b"\0")
    name = keyword.decode("latin-1")
    if kind == b"tEXt":
        return name, rest.decode("latin-1")
    compressed, parts = rest[:1] != b"\0", rest[2:].split(b"\0", 2)
    return name, "" if compressed or len(parts) < 3 else parts[2].decode("utf-8", "replace")
