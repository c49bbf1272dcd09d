"""Documents and file names that carry escape sequences: none of them reaches a terminal, from whichever command."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from chatapp import visible
from tests.plugins.rag_support import documents, written
from tests.support_cli import Ran, chatapp, on_terminal

NASTY = (
    "river \x1b[31mred\x1b[2J \x1b]0;title\x07 \x1b]52;c;cm0gLXJm\x07 \x1b]8;;http://evil\x1b\\link\x1b]8;;\x07 "
    "\x9b2J \x9d52;c;eA==\x9c \u202egnp.exe\u2066 \u2028 \x7f\x08\r zero\u200bwidth\ufeff \U000e0041 river"
)
NAME = "river \x1b[31m\x9b2J\u202e.txt"
BYTES_NAME = b"river \x9b\xff.txt"
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]")
"""What must not reach a terminal as it is."""
PLUGIN = '''
"""An embedding model that finds every text alike, and an engine that says its passages again."""
import re
from chatapp import EngineInfo, EngineSpec, Finished, TextDelta, Vectors, chat_text, hookimpl

class Alike:
    details = {"name": "alike", "model": "alike", "dimensions": 4, "tokenizer": ""}
    info = EngineInfo("alike", "alike", 4096, details=details)

    async def embed(self, texts, *, query=False, background=False, report=None):
        return Vectors.of([[1.0, 0.0, 0.0, 0.0] for _ in texts])

    async def stream(self, request):
        said = re.sub(r"<[^>]*>", " ", chat_text(request.messages[-1]))
        yield TextDelta(said[:400].strip() + " [1][2][3]")
        yield Finished()

    async def count_tokens(self, texts):
        return [len(text.split()) for text in texts]

    async def tokenize(self, request):
        return chat_text(request.messages[-1]).split()

    async def tune(self, config):
        return True

    async def close(self):
        pass

async def opened(host, config, report):
    return Alike()

@hookimpl
def engines():
    yield EngineSpec("alike", opened, "embedding")
    yield EngineSpec("parrot", opened, accepts=lambda host, model: model == "parrot")
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with that plugin, and the hostile files indexed as "documents"."""
    folder = tmp_path_factory.mktemp("home")
    config = folder / "config"
    written(config, {"plugins/alike.py": PLUGIN, "settings.toml": '[plugins]\ndisabled = ["embeddings"]\n'})
    added = chatapp(folder, "rag", "add", hostile(folder / "docs"))
    assert (added.code, added.err) == (0, "")
    if sys.platform == "linux":
        assert "has a name that is no UTF-8 text" in added.out
    assert_harmless(added)
    return folder


def hostile(folder: Path) -> Path:
    """A folder of files with hostile texts, headings, column names and names; one of them cannot be read."""
    rows = f'"{NASTY}",b\n1,{NASTY.replace(chr(13), "")}\n'
    written(folder, {"text.txt": NASTY, "head.md": f"# {NASTY}\n\n{NASTY}\n", "rows.csv": rows})
    if sys.platform != "win32":
        (folder / NAME).write_text(f"{NASTY} once more")
        (folder / f"empty{NAME}").touch()
    if sys.platform == "linux":
        Path(os.fsdecode(os.fsencode(folder) + b"/" + BYTES_NAME)).write_text("The river of bytes.")
    return folder


def assert_harmless(ran: Ran) -> None:
    """Neither stream carries anything that a terminal would obey."""
    assert RAW.findall(ran.out) == []
    assert RAW.findall(ran.err) == []


COMMANDS = (
    ("rag", "search", "river"), ("rag", "list"), ("rag", "list", "documents"), ("rag", "verify"),
    ("rag", "add"), ("rag", "rm", NAME), ("rag", "search", "--collection", NAME, "river"),
    ("rag", "rm", "--collection", "documents", f"docs/{NAME}"),
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(map(visible, words[:3])))
def test_no_command_prints_what_a_terminal_obeys(home: Path, words: tuple[str, ...]) -> None:
    for more in ((), ("--json",)):
        ran = chatapp(home, *words, *more)
        assert ran.out or ran.err
        assert "Traceback" not in ran.err
        assert_harmless(ran)


def test_json_says_exactly_what_the_document_says(home: Path) -> None:
    ran = chatapp(home, "rag", "search", "river", "--json")
    assert_harmless(ran)
    texts = [passage["text"] for passage in json.loads(ran.out)["passages"]]
    assert any("\x1b]52;c;cm0gLXJm\x07" in text and "\u202egnp.exe" in text for text in texts)


def test_a_terminal_gets_only_what_is_ours(home: Path) -> None:
    with on_terminal(home, "rag", "search", "river", TERM="dumb") as terminal:
        assert terminal.end() == 0
    assert "river" in terminal.seen
    assert RAW.findall(terminal.seen.replace("\r\n", "\n")) == []


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_answer_and_its_sources_are_harmless(home: Path, more: tuple[str, ...]) -> None:
    ran = chatapp(home, "ask", "--model", "parrot", "--rag", "documents", "--no-save", *more, "What of the river?")
    assert ran.code == 0, ran.err
    assert "[1]" in ran.out
    assert "text.txt" in ran.out or "head.md" in ran.out or "rows.csv" in ran.out
    assert_harmless(ran)


async def test_in_the_chat_files_and_passages_are_shown_harmless(tmp_path: Path) -> None:
    async with documents(tmp_path, relevant_from=-1) as session:
        folder = hostile(tmp_path / "docs")
        shown = [event async for event in session.run(f"/rag add {folder}")]
        shown += [event async for event in session.run("/rag list documents")]
        shown += [event async for event in session.run("/rag search river")]
        texts = [text for event in shown if isinstance(text := getattr(event, "text", None), str)]
        assert "empty" in "".join(texts)
        assert [found for text in texts for found in RAW.findall(text)] == []
