"""The same chat in a browser, served on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from chatapp import Action


@hookimpl
def settings() -> type[BaseModel]:
    """Where the page is served, and how large its letters are."""
    from chatapp_web.options import WebSettings

    return WebSettings


@hookimpl
def actions() -> Iterable[Action]:
    """`chatapp web`."""
    from chatapp_web.commands import web

    yield web
