"""Models that several files of tests use, made once in a run, and what opens them once in a file."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from chatapp import FileLock, Host

# Every test in this folder reads this file: it must not need a plugin that somebody has removed.
if TYPE_CHECKING:
    from chatapp_images.engine import DiffusersPainter
    from tests.plugins.rag_support import BagEmbedder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, made by the first of this run's processes that needs it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    lock = FileLock(folder.with_suffix(".lock"))
    while not lock.try_acquire():
        time.sleep(0.1)
    try:
        if not folder.exists():
            part = folder.with_suffix(".part")
            part.mkdir(exist_ok=True)
            make(part)
            part.rename(folder)
    finally:
        lock.release()
    return folder


@pytest.fixture(scope="session")
def image_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the models of `images_maker`; who changes one copies it first."""
    if find_spec("diffusers") is None:
        pytest.skip("diffusers is not installed: pip install 'chatapp[images]'")
    from tests.plugins.images_support import make_models

    return made_once(tmp_path_factory, "image-models", make_models)


@pytest.fixture(scope="session")
def text_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the models of `tiny_models`; nobody changes them."""
    if find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed: pip install 'chatapp[embeddings]'")
    from tests.plugins.tiny_models import make_models

    return made_once(tmp_path_factory, "text-models", make_models)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def painting_host(tmp_path_factory: pytest.TempPathFactory, image_models: Path) -> AsyncIterator[Host]:
    """A started host whose model is the tiny one."""
    from tests.plugins.images_support import plain_host

    async with plain_host(tmp_path_factory.mktemp("images"), image_models / "paints") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def painter(painting_host: Host) -> AsyncIterator[DiffusersPainter]:
    """The tiny model, open."""
    from tests.plugins.images_support import opened

    made = await opened(painting_host)
    try:
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real_host(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> AsyncIterator[Host]:
    """A started host with the real model, which is read and opened once for all tests of a file."""
    from tests.plugins.real import real_session

    async with real_session(tmp_path_factory.mktemp("real"), model_path) as made:
        yield made.host


@pytest.fixture(scope="module")
def embedder() -> BagEmbedder:
    """The embedding model of `documents_session`."""
    from tests.plugins.rag_support import BagEmbedder

    return BagEmbedder()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def documents_host(tmp_path_factory: pytest.TempPathFactory, embedder: BagEmbedder) -> AsyncIterator[Host]:
    """A started host with the documents plugin, whose process is started once for all tests of a file."""
    from tests.plugins.rag_support import documents

    async with documents(tmp_path_factory.mktemp("documents"), embedder=embedder) as session:
        yield session.host
