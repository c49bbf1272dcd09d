"""The passages of a question within a budget: the best part of a long text comes, though all of it does not fit."""

from __future__ import annotations

from pathlib import Path

from chatapp import Source
from chatapp.testing import script
from chatapp_rag.answering import given
from tests.plugins.rag_support import documents, run, written

WORDS = ("amber", "bronze", "copper", "diamond", "emerald", "flint")


async def test_neighbours_that_do_not_fit_together_do_not_go_all(tmp_path: Path) -> None:
    text = "\n\n".join(f"{word} stone " * 18 for word in WORDS)
    async with documents(tmp_path, budget=100) as session:
        await run(session, f"/rag add {written(tmp_path / 'docs', {'stones.txt': text})}")
        script(session).says("Copper [1].")
        cited = [event async for event in session.send("Tell of the copper stone.") if isinstance(event, Source)]
        assert session.turn is not None
        assert [each for each in cited if "copper" in each.text]
        assert sum(len(passage.text.split()) for passage in given(session.turn)) <= 100
