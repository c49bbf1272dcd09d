"""The document store where no index is good enough, for the tests: it runs in a real child process."""

from __future__ import annotations

from chatapp_rag.store import ann
from chatapp_rag.store.service import Service


class Hopeless(Service):
    """Wants a recall that nothing reaches."""

    def __init__(self) -> None:
        super().__init__()
        ann.RECALL = 1.01
