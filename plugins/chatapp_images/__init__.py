"""Pictures: image diffusion in the chat, with a small model of its own and with any that diffusers runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatapp import Data, EngineConfig, EngineSpec, Host, Media, Painter, Part, Report, Session, hookimpl

# Nothing heavy here: the child process imports this package too, and every start of chatapp does.
if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The model, how pictures are shown, previews, threads, device."""
    from chatapp_images.options import ImagesSettings

    return ImagesSettings


@hookimpl
def actions() -> Iterable[Any]:
    """`/image` and its like; `draw` is a tool the model may call."""
    from chatapp_images.commands import ACTIONS
    from chatapp_images.looking import gallery

    return [*ACTIONS, gallery]


@hookimpl
def engines() -> Iterable[EngineSpec]:
    """An engine of the kind "image"; ask for it with `host.engines.ready`."""
    yield EngineSpec("diffusers", _open, "image", "Pictures, by diffusion models")


@hookimpl
def configure_engine(config: EngineConfig, session: Session) -> EngineConfig | None:
    """Lay the LoRAs of the settings over the model that paints."""
    if config.kind != "image":
        return None
    from chatapp_images.options import ImagesSettings, adapters_in

    return replace(config, adapters=(*config.adapters, *adapters_in(session.host.config(ImagesSettings).loras)))


async def _open(host: Host, config: EngineConfig, report: Report) -> Painter:
    from chatapp_images.engine import open_painter

    return await open_painter(host, config, report)


@hookimpl
def render_part(part: Part) -> Any:
    """Pictures, and pictures while they are painted."""
    if isinstance(part, Media):
        from chatapp_images.view.picture import widget_for

        return widget_for(part)
    if isinstance(part, Data) and part.name == "images.painting":
        from chatapp_images.looking import painting_widget

        return painting_widget(part)
    return None
