"""`plugin doctor`: what plugins cost over the latest turns, also those of earlier runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from chatapp import commands, costs
from chatapp.cli import run as run_command
from chatapp.context import Block
from chatapp.errors import UsageError
from chatapp.messages import Data
from chatapp.session import Session
from chatapp.timing import TURNS, Cost, TurnCost
from chatapp.tui.widgets.status import facts_of
from chatapp.turn import Turn
from tests.support_plugins import run, running, send, told, write_plugin, write_settings
from tests.test_hooks import plugin

WORDY = plugin(context=lambda turn: [Block("three words here")], prepare_request=lambda: None)
WIDTH = 80


def fails(turn: Turn) -> None:
    """A hook that fails."""
    raise ValueError("no good")


async def report(session: Session, line: str = "/plugin doctor") -> Data:
    """What the doctor says."""
    (part,) = await run(session, line)
    assert isinstance(part, Data)
    return part


def row(part: Data, name: str) -> dict[str, Any]:
    """What it says of one plugin, for programs."""
    (found,) = [each for each in part.value["plugins"] if each["name"] == name]
    return dict(found)


async def test_before_the_first_turn(tmp_path: Path) -> None:
    async with running(tmp_path, chatapp=commands, wordy=WORDY) as session:
        part = await report(session)
    assert "No turn was measured yet" in part.text
    assert (part.value["turns"], row(part, "wordy")["hooks"]) == (0, {})


async def test_costs_of_this_run(tmp_path: Path) -> None:
    async with running(tmp_path, chatapp=commands, wordy=WORDY, bad=plugin(turn_finished=fails)) as session:
        await send(session)
        await send(session)
        part = await report(session)
        detail = await report(session, "/plugin doctor wordy")
    wordy, bad = row(part, "wordy"), row(part, "bad")
    assert (part.value["turns"], wordy["tokens"], wordy["state"]) == (2, 3, "on")
    assert list(wordy["hooks"]) == ["context", "prepare_request"]
    (error,) = bad["errors"]
    assert error.startswith("The plugin 'bad' failed in turn_finished: ValueError: no good (test_plugin_doctor.py, ")
    assert row(part, "chatapp")["tokens"] == 0
    assert "over the latest 2 turns." in part.text
    assert "It adds 3 tokens to a prompt." in detail.text
    assert [line.split()[:2] for line in detail.text.splitlines() if line.startswith(("context", "prepare"))] == [
        ["context", "1.0"],
        ["prepare_request", "1.0"],
    ]


async def test_costs_of_earlier_runs(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(tmp_path, chatapp=commands, wordy=WORDY) as session:
            await send(session)
    async with running(tmp_path, chatapp=commands, wordy=WORDY) as session:
        assert (await report(session)).value["turns"] == 2
    kept = session.host.costs_file
    assert kept == tmp_path / "data" / "plugins" / "turns.json"
    assert kept.stat().st_mode & 0o077 == 0
    # The third run had no turn: it wrote nothing.
    assert len(costs.read(kept)) == 2


async def test_what_is_not_kept_leaves_no_words(tmp_path: Path) -> None:
    async with running(tmp_path, chatapp=commands, bad=plugin(turn_finished=fails)) as session:
        session.keep = False
        await send(session)
    (turn,) = costs.read(session.host.costs_file)
    assert turn.errors == {}
    assert turn.hooks["bad", "turn_finished"].calls == 1


def test_the_file_holds_the_latest_turns(tmp_path: Path) -> None:
    path = tmp_path / "new" / "turns.json"
    turns = [TurnCost({("it", "context"): Cost(number, 0.5, 0.25, 0.125)}, {"it": number}) for number in range(TURNS)]
    costs.add(path, turns[:2])
    assert costs.read(path) == turns[:2]
    costs.add(path, turns)
    assert costs.read(path) == turns


@pytest.mark.parametrize("text", ["", "[]", '{"turns": 1}', '{"turns": [{}]}', '{"turns": [{"hooks": [[1]]}]}', "\xff"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "turns.json"
    path.write_text(text, encoding="latin-1")
    assert costs.read(path) == []
    costs.add(path, [TurnCost(tokens={"it": 1})])
    assert costs.read(path) == [TurnCost(tokens={"it": 1})]


async def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plugins").write_text("in the way")
    async with running(tmp_path, wordy=WORDY) as session:
        await send(session)
    assert "turns.json cannot be written" in told(session.host)


async def test_a_slow_plugin_is_named(tmp_path: Path) -> None:
    write_settings(tmp_path, "[plugins]\nhook_budget = 1\nimport_budget = 100000\n")
    async with running(tmp_path, chatapp=commands, slow=plugin(turn_finished=lambda: time.sleep(0.02))) as session:
        await send(session)
        assert costs.slow(session.host).get("slow") is None
        await send(session)
        assert "slow is slow: turn_finished held the chat for " in (await report(session)).text
        assert "slow: slow" in facts_of(session).on
        session.host.plugins["slow"].seconds = 1000.0
        assert costs.slow(session.host)["slow"][0] == "loading took 1,000,000 ms"


async def test_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    async with running(tmp_path, chatapp=commands, wordy=WORDY) as session:
        with pytest.raises(UsageError, match=r"There is no plugin 'wrdy'\. Did you mean wordy\?"):
            await report(session, "/plugin doctor wrdy")


def test_the_table_fits_into_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHATAPP_HOME", str(tmp_path))
    write_plugin(tmp_path, "needy", "import no_such_package")
    turn = TurnCost({("rag", "context"): Cost(2, 1.5, 0.5, 12.25)}, {"rag": 12345}, {"rag": ["context: ValueError"]})
    costs.add(tmp_path / "data" / "plugins" / "turns.json", [turn])
    assert run_command(["plugin", "doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["PLUGIN", "STATE", "VERSION", "FROM"]
    table = lines[: lines.index("")]
    assert len(table) > 10
    assert max(map(len, table)) <= WIDTH
    assert "rag: context: ValueError" in lines
    assert any(line.startswith("needy: it needs the Python package 'no_such_package'") for line in lines)
    assert run_command(["plugin", "doctor", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["turns"] == 1
    assert next(each for each in value["plugins"] if each["name"] == "needy")["state"] == "failed"
