"""What `embeddings list` shows."""

from __future__ import annotations

from chatapp import Host
from chatapp_embeddings.catalogue import CATALOGUE, MANY, Entry
from chatapp_embeddings.files import total
from chatapp_embeddings.options import EmbeddingsSettings


def rows(host: Host) -> list[tuple[str, str, str, str, str, int, str]]:
    """Name, work, size, licence, languages, tokens and state of every model of the catalogue."""
    return [
        (
            entry.name,
            entry.work,
            f"{total(entry.files) / 1e6:.0f} MB",
            entry.licence,
            "many" if MANY in entry.languages else ", ".join(entry.languages),
            entry.tokens,
            _state(host, entry),
        )
        for entry in CATALOGUE.values()
    ]


def _state(host: Host, entry: Entry) -> str:
    """Whether its files are here, by their sizes, and whether the settings choose it."""
    settings = host.config(EmbeddingsSettings)
    chosen = (
        not settings.folder and entry.name == settings.model
        if entry.work == "embedding"
        else entry.name == settings.reranker
    )
    folder = host.paths.data / "embeddings" / entry.name
    here = all((folder / name).is_file() for name in entry.files)
    return ", ".join(word for word, so in (("here", here), ("chosen", chosen)) if so)
