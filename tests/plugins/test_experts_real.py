"""The gate with the real embedding model, and no model that answers: messages go where a person would send them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import chatapp_embeddings
from chatapp.paths import paths
from chatapp_embeddings.catalogue import MINILM
from chatapp_embeddings.files import damaged
from chatapp_experts.shelf import shelf
from tests.plugins.experts_support import expert_session, notices

CLEAR = {
    "What's the capital of Norway?": "brief",
    "Who discovered radium? Just the name.": "brief",
    "Give me the tallest building in the world as a JSON object.": "json",
    "Return JSON with the fields city and country for Nairobi.": "json",
    "Por que o mar é salgado?": "pt-br",
    "Como eu troco a resistência do chuveiro?": "pt-br",
    "Command to find all empty files below this folder": "shell",
    "How do I see which process uses port 3000 from the terminal?": "shell",
    "Write a long story about a lighthouse keeper and her dog.": "none",
    "Explain in detail how a compiler optimises loops, with several examples.": "none",
}


async def test_clear_messages_go_where_they_should(tmp_path: Path) -> None:
    folder = paths().data / "embeddings" / MINILM.name
    if find_spec("sentence_transformers") is None or damaged(folder, MINILM.files):
        pytest.skip("The embedding model is not here: pip install 'chatapp[experts]', then chatapp embeddings pull.")
    (tmp_path / "config" / "experts").mkdir(parents=True)
    plugins = (("embeddings", chatapp_embeddings),)
    async with expert_session(tmp_path, plugins=plugins, own=False, embeddings={"folder": str(folder)}) as session:
        judge = shelf(session.host).judge
        verdicts = {text: await judge(session, text, 1, None) for text in CLEAR}
        assert {verdict.by for verdict in verdicts.values()} == {"training"}
        assert {text: verdict.told() or "none" for text, verdict in verdicts.items()} == CLEAR
        # Without what was learnt the experts' own examples must do, and mostly do.
        likened = {text: await judge(session, text, 1, 0.0, trained=False) for text in CLEAR}
        right = sum(likened[text].told() == name for text, name in CLEAR.items())
        assert 6 <= right <= 8
        assert notices(session) == []
