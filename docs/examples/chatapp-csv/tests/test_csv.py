"""Tables in the shell and in the chat."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import chatapp_csv
import pytest

from chatapp import Data, Session, Source, UsageError
from chatapp.testing import Pilot, Shell, run_action


@pytest.fixture
def plugins() -> list[ModuleType]:
    """What is tested."""
    return [chatapp_csv]


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file in the current folder."""
    path = tmp_path / "prices.csv"
    path.write_text("fruit,price\napple,0.40\npear [ripe],0.65\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a;b\n1;2\n", "a\tb\n1\t2\n", "a,b\n\n1,2,3\n", '"a","b"\n"1","2"'])
def test_rows(text: str) -> None:
    assert chatapp_csv.rows(text) == [["a", "b"], ["1", "2"]]


def test_rows_of_what_is_no_csv() -> None:
    assert chatapp_csv.rows("") == []
    assert chatapp_csv.rows("One line of prose") == []


def test_a_long_file_is_cut() -> None:
    assert len(chatapp_csv.rows("a,b\n" + "1,2\n" * 5000)) == 1001


def test_the_shell(shell: Shell, prices: Path) -> None:
    assert shell(f"csv {prices}").out == "FRUIT        PRICE\napple        0.40\npear [ripe]  0.65\n"


@pytest.mark.parametrize(("content", "wrong"), [(b"Prose.", "no columns"), (b"\xff\xfe", "cannot be read as text")])
async def test_what_is_no_csv(session: Session, tmp_path: Path, content: bytes, wrong: str) -> None:
    (tmp_path / "note.csv").write_bytes(content)
    with pytest.raises(UsageError, match=wrong):
        await run_action(session, "csv", str(tmp_path / "note.csv"))


async def test_the_chat_shows_a_table(pilot: Pilot, prices: Path) -> None:
    chat = await pilot()
    await chat.send("/csv prices.csv")
    await chat.shows("fruit", "pear [ripe]", "0.65")


async def test_an_attached_file_is_a_table_too(pilot: Pilot, prices: Path) -> None:
    chat = await pilot()
    await chat.send("What is cheapest in @prices.csv")
    await chat.shows("fruit", "pear [ripe]", "0.65")
    assert len(chat.app.screen.query("DataTable")) == 1
    assert "apple,0.40" in chat.engine.sent[-1][1]


def test_other_parts_are_left_alone() -> None:
    assert chatapp_csv.render_part(Source("notes.txt", "a,b\n1,2\n")) is None
    assert chatapp_csv.render_part(Source("broken.csv", "no table at all")) is None
    assert chatapp_csv.render_part(Data("csv.table", [{"a": 1}])) is None
