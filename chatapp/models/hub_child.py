"""The process that talks to the hub for `chatapp.models.hub`: run as a script, with nothing of chatapp imported.

Arguments: repository, file, revision, partial. Writes one JSON object per line: ``ready``, then ``size`` and
``etag``; reads one line, the byte to start at; then writes ``done`` as it goes, and ``end``; or at any time
``error``, a clause, or ``errno`` where the file cannot be written.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import IO, Any

REPORT_SECONDS = 0.1
ATTEMPTS = 4
"""Failures in a row, without a byte between them, after which a download is given up."""


def say(**message: Any) -> None:
    """Tell the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def leave_with_parent() -> None:
    """End this process when the parent's end of our input closes: an orphan would write to a file someone resumes."""
    sys.stdin.buffer.read()
    os._exit(1)


class Download:
    """A file being appended to, from `position` (bytes) up to `size`."""

    def __init__(self, url: str, file: IO[bytes], position: int, size: int) -> None:
        self.url, self.file, self.position, self.size = url, file, position, size
        self._reported = 0.0
        file.seek(position)

    def run(self) -> None:
        """Download the rest, reconnecting where the connection breaks."""
        failures = 0
        while self.position < self.size:
            before = self.position
            try:
                self._stream()
            except network_errors() as error:
                failures = 1 if self.position > before else failures + 1
                if failures >= ATTEMPTS or status_of(error):
                    raise
                time.sleep(1)

    def _stream(self) -> None:
        from huggingface_hub import constants, get_session
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if self.position:
            headers["Range"] = f"bytes={self.position}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", self.url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            if response.status_code != 206:
                self._rewind()
            for chunk in response.iter_bytes():
                self._write(chunk)

    def _rewind(self) -> None:
        """A server that does not know ranges sends the file from its start."""
        self.position = 0
        self.file.seek(0)
        self.file.truncate()

    def _write(self, chunk: bytes) -> None:
        try:
            self.file.write(chunk)
        except OSError as error:
            # Not a failure of the network: a retry or another source would meet the same full disk.
            say(errno=error.errno)
            raise SystemExit(1) from error
        self.position += len(chunk)
        if self.position > self.size:
            raise SystemExit("the hub sends more bytes than it announced")
        if time.monotonic() - self._reported > REPORT_SECONDS:
            self._reported = time.monotonic()
            say(done=self.position)


def network_errors() -> tuple[type[BaseException], ...]:
    """What requests raise: the base class of the HTTP library that this version of `huggingface_hub` uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return (*HfHubHTTPError.__bases__, OSError)


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an answer that was an error; None where there was no answer."""
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def reason(error: BaseException) -> str:
    """Why it failed, as a clause."""
    from huggingface_hub import errors

    known: tuple[tuple[type[BaseException], str], ...] = (
        (errors.OfflineModeIsEnabled, "HF_HUB_OFFLINE is set and forbids the network"),
        (errors.GatedRepoError, "it is gated: accept its licence on the hub, then log in with `hf auth login`"),
        (errors.RepositoryNotFoundError, "there is no such repository, or it is private"),
        (errors.RevisionNotFoundError, "it has no such revision"),
        (errors.EntryNotFoundError, "it has no such file"),
    )
    for kind, text in known:
        if isinstance(error, kind):
            return text
    if status := status_of(error):
        return f"it answered with HTTP status {status}"
    return f"it cannot be reached ({str(error).splitlines()[0][:200] if str(error) else type(error).__name__})"


def main(repository: str, file: str, revision: str, partial: str) -> None:
    """Announce the file, wait for the word to start, download."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    say(ready=True)
    try:
        url = hf_hub_url(repository, file, revision=revision)
        metadata = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        say(size=metadata.size, etag=metadata.etag)
        start = sys.stdin.buffer.readline()
        if not start:
            return
        threading.Thread(target=leave_with_parent, daemon=True).start()
        # Unbuffered: what is on disk after a kill is exactly what was written.
        with open(partial, "r+b", buffering=0) as target:  # noqa: PTH123  (pathlib is not imported here)
            Download(url, target, int(start), metadata.size or 0).run()
        say(end=True)
    except network_errors() as error:
        say(error=reason(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
