"""What the measurements of the documents are taken on: prose that comes with Python, and collections drawn from it."""

from __future__ import annotations

import random
import re
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np

from chatapp import Session
from chatapp_rag.collection import Collection, Entry, Hit
from chatapp_rag.documents import Chunk
from chatapp_rag.library import Library
from chatapp_rag.store.client import Store

FILE = 8
"""Chunks in a file."""
SEEDS = 300
"""Real passages whose vectors are mixed."""
WORDS = 120
"""Words in a drawn passage."""
NOISE = 0.6
"""Length of the noise on a vector of unit length: passages about one thing are that far apart."""


def prose() -> str:
    """The language reference that comes with Python, some 460,000 characters."""
    return "\n\n".join(text for _, text in sorted(topics.items()))


def written(folder: Path, characters: int) -> Path:
    """The folder, with that much of the prose in files of some pages."""
    folder.mkdir(parents=True)
    text, size = prose()[:characters], 10_000
    for number, start in enumerate(range(0, len(text), size)):
        (folder / f"{number:03}.txt").write_text(text[start : start + size], encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class Passages:
    """Drawn passages: words with the frequencies of language, vectors that are mixtures of real ones, and noise."""

    texts: list[str]
    vectors: Any

    @classmethod
    async def drawn(cls, session: Session, library: Library, count: int) -> Passages:
        """That many passages; opens the embedding model for the vectors they are mixed from."""
        async with aclosing(library.ready(session, None)) as news:
            async for _ in news:
                pass
        seeds = re.findall(r"(?s).{200,700}?\n\n", prose())[:SEEDS]
        real = np.asarray([list(row) for row in await library.embedder.embed(seeds)], dtype="float32")
        draw = np.random.default_rng(4)
        return cls(_texts(draw, count), np.concatenate([_mixed(draw, real, 1000) for _ in range(0, count, 1000)]))

    def query(self, draw: random.Random) -> tuple[str, list[float]]:
        """Some words of one passage, and a vector near another's."""
        words = draw.sample(draw.choice(self.texts).split(), 6)
        vector = self.vectors[draw.randrange(len(self.vectors))]
        noise = np.random.default_rng(draw.randrange(2**32)).normal(size=vector.shape)
        near = vector + NOISE * noise / np.linalg.norm(noise)
        return " ".join(words), (near / np.linalg.norm(near)).tolist()

    def nearest(self, vector: list[float], count: int) -> set[int]:
        """The passages with the highest cosines, by brute force."""
        scores = self.vectors @ np.asarray(vector, dtype="float32")
        return set(np.argpartition(-scores, count)[:count].tolist())

    async def add(self, store: Store, collection: Collection, first: int, last: int) -> None:
        """Write some of them as files of FILE chunks each."""
        entries = []
        for start in range(first, last, FILE):
            end = min(start + FILE, last)
            digest, chunks = f"{start:064x}", [Chunk(text) for text in self.texts[start:end]]
            await store.stage(collection, digest, 0, chunks, self.vectors[start:end].tobytes())
            entries.append(Entry(f"/drawn/{start}.txt", digest, 1, 1, len(chunks)))
        await store.commit(collection, entries)

    @staticmethod
    def number(hit: Hit) -> int:
        """Which passage a hit is."""
        return int(hit.digest, 16) + hit.ordinal


def _texts(draw: np.random.Generator, count: int) -> list[str]:
    ranked = [word for word, _ in Counter(re.findall(r"[a-z]{2,}", prose().lower())).most_common()]
    shares = 1 / np.arange(1, len(ranked) + 1)
    words = np.asarray(ranked)
    return [
        " ".join(row)
        for _ in range(0, count, 1000)
        for row in words[draw.choice(len(words), size=(1000, WORDS), p=shares / shares.sum())]
    ]


def _mixed(draw: np.random.Generator, real: Any, count: int) -> Any:
    shares = draw.dirichlet(np.full(3, 0.5), size=count).astype("float32")
    mixed = (real[draw.integers(len(real), size=(count, 3))] * shares[:, :, None]).sum(axis=1)
    noise = draw.normal(size=mixed.shape).astype("float32")
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    mixed += NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype("<f4")
