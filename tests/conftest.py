"""What the tests share: the real model, and hosts that keep everything in a temporary folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from chatapp.errors import ModelError
from chatapp.models import open_store
from chatapp.paths import paths

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background by a shell that has no job control: the tests' own children are to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    # Every worker, with all its children, has cores of its own: two models that compute with all threads on the same
    # cores slow each other down by an order of magnitude.
    cores = sorted(os.sched_getaffinity(0))
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.sched_setaffinity(0, cores[int(worker.removeprefix("gw")) % len(cores) :: workers])

MODEL_NAME = "qwen2.5-coder-0.5b-instruct"


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The real 0.5B model, where `make test` puts it: in this user's model store."""
    try:
        return open_store(paths()).path(MODEL_NAME)
    except ModelError:
        pytest.fail(f"The tests need the real model: run `make test`, or `chatapp models pull {MODEL_NAME}`.")
