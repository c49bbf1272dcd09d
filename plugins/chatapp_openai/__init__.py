"""Models on other machines: any server that speaks OpenAI's interface answers, embeds and paints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatapp import Embedder, Engine, EngineConfig, EngineSpec, Host, Painter, Report, Session, hookimpl

# Nothing heavy here: the client takes half a second to import, and waits until a server is asked.
if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The servers, and which of their models embed and paint."""
    from chatapp_openai.options import OpenaiSettings

    return OpenaiSettings


@hookimpl
def startup(host: Host) -> None:
    """Be ready to say what `/model` can choose; no server is asked yet."""
    from chatapp_openai.options import OpenaiSettings

    if host.config(OpenaiSettings).servers:
        from chatapp_openai.serving import known

        known(host)


@hookimpl
async def shutdown(host: Host) -> None:
    """End what is asked in the background."""
    from chatapp_openai.options import OpenaiSettings

    if host.config(OpenaiSettings).servers:
        from chatapp_openai.serving import known

        await known(host).close()


@hookimpl
def actions() -> Iterable[Any]:
    """`/openai list` and `chatapp openai key`."""
    from chatapp_openai.commands import key, list_

    return [list_, key]


@hookimpl
def engines() -> Iterable[EngineSpec]:
    """Three engines, for models called NAME/model where NAME is a server of the settings."""
    yield EngineSpec("openai", _open, "chat", "Models of OpenAI-compatible servers", _accepts, _models)
    yield EngineSpec("openai-embedding", _open_embedder, "embedding", "Vectors from a server", _accepts)
    yield EngineSpec("openai-image", _open_painter, "image", "Pictures from a server", _accepts)


@hookimpl
def configure_engine(config: EngineConfig, session: Session) -> EngineConfig | None:
    """Where no model is named, embed and paint with the settings' ones."""
    if config.model:
        return None
    from chatapp_openai.options import OpenaiSettings

    settings = session.host.config(OpenaiSettings)
    chosen = {"embedding": settings.embedding, "image": settings.image}.get(config.kind, "")
    return replace(config, model=chosen) if chosen else None


def _accepts(host: Host, model: str) -> bool:
    from chatapp_openai.addresses import split_name

    return split_name(host, model) is not None


def _models(host: Host) -> Iterable[str]:
    from chatapp_openai.serving import offered

    return offered(host)


async def _open(host: Host, config: EngineConfig, report: Report) -> Engine:
    from chatapp_openai.engine import open_engine

    return await open_engine(host, config, report)


async def _open_embedder(host: Host, config: EngineConfig, report: Report) -> Embedder:
    from chatapp_openai.embedding import open_embedder

    return await open_embedder(host, config, report)


async def _open_painter(host: Host, config: EngineConfig, report: Report) -> Painter:
    from chatapp_openai.painting import open_painter

    return await open_painter(host, config, report)
