"""What an MCP tool, resource or prompt gives, as parts of a conversation."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from mcp import types

from chatapp import Host, Media, Part, Text, UsageError, human_bytes, one_line

FOLDER = Path("tools") / "received"
LONGEST_ERROR = 2000
"""Characters of a tool's error: it often says how to mend the call."""
KINDS = {
    "image/png": (".png", b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": (".jpg", b"\xff\xd8\xff"),
    "image/gif": (".gif", b"GIF8"),
    "image/webp": (".webp", b"RIFF"),
    "audio/wav": (".wav", b"RIFF"),
    "audio/mpeg": (".mp3", b""),
    "audio/ogg": (".ogg", b"OggS"),
}
"""What is kept as a file, by media type: the ending, and how the bytes must begin."""


async def parts_of(host: Host, result: types.CallToolResult, whose: str) -> AsyncIterator[Part]:
    """The parts of a tool's result; what it calls an error is raised as a UsageError. `whose` names tool and server."""
    if result.is_error:
        said = "\n".join(block.text for block in result.content if isinstance(block, types.TextContent)).strip()
        raise UsageError(said[:LONGEST_ERROR] or f"{whose} failed without saying why.")
    for block in result.content:
        yield await block_part(host, block, whose)
    # Beside other content it says the same once more, pictures and all.
    if result.structured_content is not None and not result.content:
        yield Text(json.dumps(result.structured_content, ensure_ascii=False, indent=1))


async def block_part(host: Host, block: types.ContentBlock, whose: str) -> Part:
    """One block of a result or a prompt as a part."""
    if isinstance(block, types.TextContent):
        return Text(block.text)
    if isinstance(block, (types.ImageContent, types.AudioContent)):
        return await _kept(host, block.data, block.mime_type, f"{block.type} from {whose}")
    if isinstance(block, types.EmbeddedResource):
        return await resource_part(host, block.resource, whose)
    about = f": {one_line(block.description, 200)}" if block.description else ""
    return Text(f"{one_line(block.name, 100)} is at {one_line(str(block.uri), 500)}{about}")


async def resource_part(
    host: Host, resource: types.TextResourceContents | types.BlobResourceContents, whose: str
) -> Part:
    """A resource's contents: its text under its address, or a file."""
    uri = one_line(str(resource.uri), 500)
    if isinstance(resource, types.TextResourceContents):
        return Text(f"{uri}:\n{resource.text}")
    return await _kept(host, resource.blob, resource.mime_type or "", f"{uri} from {whose}")


async def _kept(host: Host, data: str, mime: str, what: str) -> Part:
    """A picture or sound as a file of this user's; of anything else, and of what is none, only that it was there."""
    kind = mime.partition(";")[0].strip().lower()
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return Text(f"({what}: its data is damaged and was left out.)")
    ending, begin = KINDS.get(kind, ("", b""))
    if not ending or not content.startswith(begin):
        return Text(f"({what}: {human_bytes(len(content))} of {one_line(kind, 60) or 'unknown type'} were left out.)")
    path = await asyncio.to_thread(_written, host.paths.data / FOLDER, content, ending)
    return Media(str(path), kind, f"({what})")


def _written(folder: Path, content: bytes, ending: str) -> Path:
    path = folder / f"{hashlib.sha256(content).hexdigest()[:24]}{ending}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError as error:
        raise UsageError(f"What the tool sent cannot be kept in {folder}: {error.strerror or error}.") from error
    return path


def prompt_texts(messages: Sequence[Any]) -> list[tuple[str, str]]:
    """(role, text) of a prompt's messages, those of one role in a row as one; of what is no text that it was there."""
    found: list[tuple[str, str]] = []
    for message in messages:
        block = message.content
        resource = getattr(block, "resource", None)
        text = getattr(block, "text", None) or getattr(resource, "text", None) or f"({block.type} left out)"
        if found and found[-1][0] == message.role:
            text = f"{found.pop()[1]}\n\n{text}"
        found.append((str(message.role), str(text)))
    return found
