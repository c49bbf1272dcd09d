"""What the tests of embeddings share: a host with the plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import chatapp_embeddings
from chatapp import Host
from chatapp.testing import RecordingUI, make_host


@asynccontextmanager
async def embedding_host(folder: Path, *, offline: bool = False) -> AsyncIterator[Host]:
    """A started host below `folder` with the plugin."""
    host = make_host(folder, RecordingUI(), offline=offline)
    host.add("embeddings", chatapp_embeddings)
    await host.startup()
    try:
        yield host
    finally:
        await host.shutdown()
