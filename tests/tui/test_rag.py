"""Documents in the terminal interface: added, asked about, cited, opened."""

from __future__ import annotations

from pathlib import Path

import chatapp_rag
from chatapp.testing import ScriptedEngine
from tests.plugins.rag_support import Bags, written

from .support import host_in, running

FILES = {
    "rivers.md": "# Rivers\n\nThe river Tagus flows through Lisbon and ends in the Atlantic.\n",
    "cats.txt": "Cats sleep sixteen hours a day.",
    "empty.txt": "",
}


async def test_from_a_folder_to_the_passage_behind_a_statement(tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    engine = ScriptedEngine()
    host = host_in(tmp_path / "home", engine)
    host.add("bags", Bags())
    host.add("rag", chatapp_rag)
    async with running(tmp_path / "home", host=host, engine=engine) as chat:
        chat.chat.runner.submit(f"/rag add {folder}")
        await chat.shows("2 files (1 more without text)")
        await chat.shows("rag documents")
        engine.says("It flows through Lisbon [1], not Madrid [8].")
        await chat.send("Through what does the river Tagus flow?")
        assert chat.said[-1] == ("assistant", "It flows through Lisbon [1], not Madrid.")
        await chat.shows("[1] rivers.md")
        await chat.press("alt+up", "o")
        await chat.shows("ends in the Atlantic")
        await chat.shows("lines 1-3")
