"""What the tests of the model store share: small GGUF files, wheels that carry parts, and a server like the hub."""

from __future__ import annotations

import asyncio
import hashlib
import random
import struct
import threading
import time
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from chatapp.models import Entry, Store
from chatapp.models.packages import PackageParts
from chatapp.models.sources import LocalFile, Source

Step = TypeVar("Step")


def gguf(size: int, seed: int = 1) -> bytes:
    """`size` bytes that start like a GGUF and do not compress."""
    return b"GGUF" + struct.pack("<I", 3) + random.Random(seed).randbytes(size - 8)


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def entry(name: str, data: bytes, *sources: Source, sha: str | None = "") -> Entry:
    """A catalogue entry for `data`; `sha` "" stands for the right one."""
    sha = sha256(data) if sha == "" else sha
    return Entry(name, name.title(), f"{name}.gguf", len(data), sha, "MIT", 2048, "1B", sources=sources)


ALPHA = gguf(50_000, seed=1)
BETA = gguf(60_000, seed=2)


def toy_store(folder: Path) -> Store:
    """A store that knows alpha-1b and beta, each to be had from a local file, and alpha-2b, which has no source."""
    for name, data in (("alpha", ALPHA), ("beta", BETA)):
        (folder / f"{name}.bin").write_bytes(data)
    known = (
        entry("alpha-1b", ALPHA, LocalFile(folder / "alpha.bin")),
        entry("alpha-2b", gguf(70_000, seed=3)),
        entry("beta", BETA, LocalFile(folder / "beta.bin")),
    )
    return Store(folder / "models", catalogue={one.name: one for one in known})


async def drain(steps: AsyncGenerator[Step, None]) -> list[Step]:
    """Everything a generator yields."""
    async with aclosing(steps):
        return [step async for step in steps]


def write_wheel(folder: Path, package: str, version: str, members: Mapping[str, bytes]) -> Path:
    """A wheel that pip accepts, holding `members`."""
    module = package.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in members.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{module}/__init__.py", "raise SystemExit('a part must never be imported')")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def write_parts(folder: Path, data: bytes, count: int) -> PackageParts:
    """Wheels in `folder` that carry `data` in `count` parts, and the source that reads them."""
    folder.mkdir(exist_ok=True)
    step = -(-len(data) // count)
    for number in range(1, count + 1):
        part = data[(number - 1) * step : number * step]
        write_wheel(folder, f"toy-part{number}", "1.0", {f"toy_part{number}/data/part{number:02d}.bin": part})
    return PackageParts("toy-part{n}", "1.0", count, "toy_part{n}/data/part{n:02d}.bin")


def pip_environment(index: Path) -> dict[str, str]:
    """What makes pip look into the folder `index` and nowhere else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": "/dev/null"}


@dataclass
class Hub:
    """A server that speaks as much of the hub's protocol as a download needs, and what it was asked.

    `files` maps "owner/name/file" to bytes. `etag` overrides the SHA-256 it states; `status` answers everything so;
    `silent` never answers; `breaks` cuts that many downloads off after `break_after` bytes; `pause` is slept between
    blocks of 64 kB; `ranges` False ignores them; `cdn` True sends downloads to another host, as the real one does.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = None
    status: int | None = None
    silent: bool = False
    breaks: int = 0
    break_after: int = 100_000
    pause: float = 0.0
    ranges: bool = True
    cdn: bool = False
    url: str = ""
    downloads: list[int] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def environment(self, home: Path) -> dict[str, str]:
        """What makes `huggingface_hub` talk to this server and keep its files in `home`."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1,localhost", "HF_HUB_OFFLINE": "0"}


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET for /OWNER/NAME/resolve/REVISION/FILE."""

    hub: Hub
    stopped: threading.Event
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        if (data := self._found()) is not None:
            self._head(200, data, len(data))

    def do_GET(self) -> None:
        data = self._found()
        if data is None:
            return
        wanted = self.headers.get("Range", "") if self.hub.ranges else ""
        start = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        self.hub.downloads.append(start)
        self._head(206 if wanted else 200, data, len(data) - start)
        self._body(data[start:])

    def _body(self, rest: bytes) -> None:
        breaks = self.hub.breaks > 0
        self.hub.breaks -= breaks
        if breaks:
            rest = rest[: self.hub.break_after]
        for start in range(0, len(rest), 65536):
            try:
                self.wfile.write(rest[start : start + 65536])
            except ConnectionError:
                return
            self.stopped.wait(self.hub.pause)
        self.close_connection = breaks

    def _found(self) -> bytes | None:
        self.hub.tokens.append(self.headers.get("Authorization"))
        while self.hub.silent and not self.stopped.wait(0.05):
            continue
        path = unquote(self.path).lstrip("/").removeprefix("cdn:")
        repository, _, rest = path.partition("/resolve/")
        data = self.hub.files.get(f"{repository}/{rest.partition('/')[2]}")
        if self.hub.status is None and data is not None:
            if not self.hub.cdn or self.path.startswith("/cdn:"):
                return data
            self._redirect(path, data)
            return None
        self.send_response(self.hub.status or 404)
        self.send_header("X-Error-Code", "EntryNotFound" if self.hub.status is None else "")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _redirect(self, path: str, data: bytes) -> None:
        self.send_response(302)
        self.send_header("Location", f"{self.hub.url.replace('127.0.0.1', 'localhost')}/cdn:{path}")
        self.send_header("X-Linked-Etag", f'"{sha256(data)}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _head(self, status: int, data: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("ETag", f'"{self.hub.etag if self.hub.etag is not None else sha256(data)}"')
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """`hub` on a free port of this machine while the body runs."""
    stopped = threading.Event()
    handler = type("HubHandler", (Handler,), {"hub": hub, "stopped": stopped})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = False
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            stopped.set()
            server.shutdown()
            thread.join()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for `condition` to hold; fail after `seconds`. Blocks: for what threads and other processes do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


async def soon(condition: Callable[[], object], seconds: float = 60) -> None:
    """As `until`, for what this event loop itself brings about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  (what is waited for has no event to offer)
            await asyncio.sleep(0.01)
