"""Which MCP servers there are: the settings' and those of `mcp.json`, in the form other programs use."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chatapp import Host, UsageError, one_line
from chatapp_tools.options import ToolsSettings

FILE = "mcp.json"
LARGEST_FILE = 1_000_000
LONGEST_NAME = 64
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One server: a program that is started (`command`, `args`, `env`, `cwd`), or an address (`url`, `headers`).

    `free` are the tools that run without asking, by name; ``*`` stands for any letters. With `roots` it is told the
    allowed folders: some servers then use those in place of the ones in their own arguments.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    roots: bool = False
    disabled: bool = False

    @property
    def shown(self) -> str:
        """What is started, or the address without what may be secret in it."""
        if self.url:
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return one_line(" ".join([self.command, *self.args]), 200)

    @property
    def local(self) -> bool:
        """Whether it is on this machine: a program, or a loopback address."""
        host = urlsplit(self.url).hostname or ""
        if not self.url or host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def identity(self) -> str:
        """A digest of all it is: a permission for one server is none for another of that name."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def is_free(self, tool: str) -> bool:
        """Whether the user lets this tool run without being asked."""
        return any(fnmatchcase(tool, each) for each in self.free)


def entries(host: Host) -> tuple[dict[str, Entry], list[str]]:
    """The servers by name, the settings' first, and a sentence for each that cannot be used. Reads a file."""
    found: dict[str, Entry] = {}
    path = host.paths.config / FILE
    given, problems = _read(path)
    tables = ((host.settings.path, host.config(ToolsSettings).mcp_servers), (path, given))
    for where, table in tables:
        for name, value in table.items():
            try:
                found.setdefault(name, entry(name, value))
            except UsageError as error:
                problems.append(f"In {where}: {error}")
    return found, problems


def _read(path: Path) -> tuple[Mapping[str, Any], list[str]]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            return {}, [f"{path} is larger than {LARGEST_FILE:,} bytes; its MCP servers are left out."]
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}, []
    except json.JSONDecodeError as error:
        return {}, [f"{path} is not valid JSON (line {error.lineno}: {error.msg}); its MCP servers are left out."]
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        return {}, [f"{path} cannot be read ({error}); its MCP servers are left out."]
    table = found.get("mcpServers") if isinstance(found, dict) else None
    if not isinstance(table, dict):
        return {}, [f'{path} must be an object with "mcpServers": {{"NAME": {{"command": …}}}}; it is left out.']
    return table, []


def entry(name: str, value: Any) -> Entry:
    """One server of the usual form; keys that only other programs know are left alone. UsageError names what is wrong.

    ``${NAME}`` and ``${NAME:-default}`` in any text stand for environment variables.
    """
    what = f"the MCP server {one_line(name, LONGEST_NAME)!r}"
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable() or '"' in name:
        raise UsageError(f"{what} needs a shorter name without quotation marks.")
    if not isinstance(value, dict):
        raise UsageError(f"{what} must be an object with command or url.")
    kind = str(value.get("type") or value.get("transport") or "")
    if kind == "sse":
        raise UsageError(f"{what} wants the old SSE transport; use its address for streamable HTTP.")
    found = Entry(
        name=name,
        command=_text(what, value, "command"),
        args=_texts(what, value, "args"),
        env=_mapping(what, value, "env"),
        cwd=_text(what, value, "cwd"),
        url=_text(what, value, "url"),
        headers=_mapping(what, value, "headers"),
        free=_texts(what, value, "free"),
        roots=bool(value.get("roots", False)),
        disabled=bool(value.get("disabled", False)),
    )
    if bool(found.command) == bool(found.url):
        raise UsageError(f"{what} needs either command or url.")
    if found.url and (urlsplit(found.url).scheme not in ("http", "https") or not urlsplit(found.url).hostname):
        raise UsageError(f"{what} needs a url that begins with http:// or https://.")
    return found


def _text(what: str, value: Mapping[str, Any], key: str) -> str:
    return _filled(what, key, value.get(key) or "")


def _texts(what: str, value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    given = value.get(key) or []
    if not isinstance(given, (list, tuple)):
        raise UsageError(f"{what}: {key} must be a list of texts.")
    return tuple(_filled(what, key, each) for each in given)


def _mapping(what: str, value: Mapping[str, Any], key: str) -> dict[str, str]:
    given = value.get(key) or {}
    if not isinstance(given, dict):
        raise UsageError(f"{what}: {key} must be an object of texts.")
    return {str(name): _filled(what, key, each) for name, each in given.items()}


def _filled(what: str, key: str, text: Any) -> str:
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise UsageError(f"{what}: {key} must be text.")

    def variable(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], match[2])
        if found is None:
            raise UsageError(f"{what} needs the environment variable {match[1]}, which is not set.")
        return found

    filled = _VARIABLE.sub(variable, str(text))
    if "\0" in filled:
        raise UsageError(f"{what}: {key} has a zero byte in it.")
    return filled
