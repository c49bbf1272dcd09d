"""What the tests share: the real model, and hosts that keep everything in a temporary folder."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from chatapp.errors import ModelError
from chatapp.models import open_store
from chatapp.paths import paths

# Where compiled files are not kept, each of the hundreds of processes started here would compile all of ours again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Collecting makes no garbage, only a million objects: they are looked through neither now nor while the tests run.
gc.disable()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background by a shell that has no job control: the tests' own children are to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    # Every worker, with all its children, has cores of its own: two models that compute with all threads on the same
    # cores slow each other down by an order of magnitude.
    cores = sorted(os.sched_getaffinity(0))
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.sched_setaffinity(0, cores[int(worker.removeprefix("gw")) % len(cores) :: workers])


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of the tests that an ordinary run leaves out."""
    config.addinivalue_line("markers", "long: takes over ten seconds and seldom breaks; run only with CHATAPP_LONG=1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long tests unless they are asked for, as continuous integration does."""
    if os.environ.get("CHATAPP_LONG") == "1":
        return
    long = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


def pytest_collection_finish() -> None:
    """Look for garbage from here on, in what the tests themselves make."""
    gc.collect()
    gc.freeze()
    gc.enable()


MODEL_NAME = "qwen2.5-coder-0.5b-instruct"
USUAL_MODEL_NAME = "qwen2.5-coder-1.5b-instruct"


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The real 0.5B model, where `make test` puts it: in this user's model store."""
    return _model(MODEL_NAME)


@pytest.fixture(scope="session")
def usual_model_path() -> Path:
    """The real 1.5B model that most people chat with, for long tests: `make test` pulls it with CHATAPP_LONG=1."""
    return _model(USUAL_MODEL_NAME)


def _model(name: str) -> Path:
    try:
        return open_store(paths()).path(name)
    except ModelError:
        pytest.fail(f"The test needs the real model: run `make test`, or `chatapp models pull {name}`.")
