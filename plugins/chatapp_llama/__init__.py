"""Local GGUF models through llama-cpp-python, in a child process of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import EngineSpec, hookimpl

# Nothing heavy here: the child process imports this package too, and its start is part of every cold start.
if TYPE_CHECKING:
    from pydantic import BaseModel

    from chatapp import Host


@hookimpl
def settings() -> type[BaseModel]:
    """Threads, context length, GPU layers."""
    # The module is not called `settings`: importing it would put it in place of this function.
    from chatapp_llama.options import LlamaSettings

    return LlamaSettings


@hookimpl
def engines() -> Iterable[EngineSpec]:
    """One engine, `llama`, for every model in the store and every path to a GGUF file."""
    from chatapp_llama.engine import open_engine

    yield EngineSpec("llama", open_engine, description="Local GGUF models (llama.cpp)", models=_models)


def _models(host: Host) -> Iterable[str]:
    return [installed.name for installed in host.models.list()]
