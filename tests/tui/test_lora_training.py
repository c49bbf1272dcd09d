"""`/lora train` in the terminal chat: the curve grows; it is paused and goes on, stopped and taken up again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Button

from chatapp.testing import ScriptedEngine
from chatapp_lora.store import Adapters
from chatapp_lora.view.curve import Bars, limits, round_numbers
from chatapp_lora.view.training import TrainingView
from tests.plugins.lora_scripted import ScriptedLearner, add_base, chats, with_training
from tests.tui.support import Running, host_in, running

LARGE = (100, 44)


@asynccontextmanager
async def training(
    folder: Path, learner: ScriptedLearner, steps: int = 20, size: tuple[int, int] = LARGE, compare: bool = False
) -> AsyncIterator[Running]:
    """A chat in which a training was begun."""
    engine = ScriptedEngine()
    host = host_in(folder, engine)
    with_training(host, folder, learner)
    await add_base(host, folder)
    async with running(folder, host=host, engine=engine, size=size) as chat:
        how = f"--steps {steps} {'--compare' if compare else '--no-compare'}"
        chat.chat.runner.submit(f'/lora train pirate --data "{chats(folder)}" {how}')
        yield chat


def dots(chat: Running) -> int:
    """Cells in which the curve is drawn."""
    return sum("\u2800" < letter <= "\u28ff" for letter in curve_text(chat))


def curve_text(chat: Running) -> str:
    """The letters of the plot; the status line's spinner is of the same kind."""
    region = chat.chat.query_one(TrainingView).children[2].region
    lines = chat.screen_text.split("\n")
    return "\n".join(line[region.x : region.right] for line in lines[region.y : region.bottom])


async def test_the_curve_grows_beside_the_conversation(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=4)
    async with training(tmp_path, learner) as chat:
        await chat.shows("step 4 of 20", "2.9 s a step", "3.0 GB", "46 s left", "Pause (p)", "Stop (Esc)")
        before = dots(chat)
        assert before > 0
        assert "●" not in curve_text(chat)
        learner.let(12)
        chat.chat.runner.submit("Hello")
        await chat.until(lambda: ("assistant", "OK.") in chat.said and not chat.chat.runner.busy)
        await chat.shows("step 12 of 20", "held out")
        assert dots(chat) > before
        # The held-out loss was taken after the steps 5 and 10.
        assert curve_text(chat).count("●") == 2
        learner.let()
        await chat.until(lambda: chat.settled)
        await chat.shows("done: 20 steps", "pirate is trained: 20 steps", "/lora pirate")
        await chat.hides("Pause (p)")
        assert Adapters(chat.app.host).own("pirate")


async def test_it_is_paused_by_a_key_a_button_and_a_command_and_goes_on(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=3)
    async with training(tmp_path, learner) as chat:
        await chat.shows("step 3 of 20")
        view = chat.chat.query_one(TrainingView)
        view.focus()
        await chat.press("p")
        await chat.shows("paused at step 3 of 20", "Go on (p)")
        assert (learner.stopped, learner.closed) == (1, 0)
        learner.let(5)
        await chat.press("space")
        await chat.shows("step 5 of 20", "Pause (p)")
        view.query_one("#pause", Button).press()
        await chat.shows("paused at step 5 of 20")
        chat.chat.runner.submit("/lora pause")
        await chat.shows("goes on", "Pause (p)")
        learner.let()
        await chat.until(lambda: chat.settled)
        assert len(learner.runs) == 3
        assert len(set(learner.runs)) == 1
        assert learner.closed == 1


async def test_escape_stops_it_and_it_is_taken_up_again(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=6)
    async with training(tmp_path, learner, size=(80, 24)) as chat:
        await chat.shows("step 6 of 20")
        drawn = dots(chat)
        await chat.tap("escape")
        await chat.until(lambda: chat.settled)
        await chat.shows("stopped at step 6 of 20")
        assert any("`/lora train pirate` goes on" in notice for notice in chat.notices)
        assert (learner.stopped, learner.closed) == (1, 1)
        await chat.send("/new")
        learner.let(8)
        chat.chat.runner.submit("/lora train pirate")
        await chat.shows("step 8 of 20")
        # The curve begins where the training began, not where it was taken up.
        assert dots(chat) >= drawn
        learner.let()
        await chat.until(lambda: chat.settled)
        assert learner.reached["pirate"] == 20
        assert Adapters(chat.app.host).own("pirate")


async def test_the_button_stops_as_escape_does(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=2)
    async with training(tmp_path, learner) as chat:
        await chat.shows("step 2 of 20")
        chat.chat.query_one("#stop", Button).press()
        await chat.until(lambda: chat.settled)
        await chat.shows("stopped at step 2 of 20")


async def test_it_says_that_it_waits_while_the_model_answers(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=2)
    async with training(tmp_path, learner) as chat:
        await chat.shows("step 2 of 20")
        chat.engine.delay = 0.05
        chat.engine.says("word " * 200)
        chat.chat.runner.submit("Hello")
        await chat.shows("paused while the model answers")
        await chat.tap("escape")
        await chat.hides("paused while the model answers")
        learner.let()
        await chat.until(lambda: chat.settled)


async def test_a_fix_without_a_text_is_edited_in_the_input(tmp_path: Path) -> None:
    async with training(tmp_path, ScriptedLearner()) as chat:
        await chat.until(lambda: chat.settled)
        chat.engine.says("Good day.\nHow are you?")
        await chat.send("Hello")
        await chat.send("/fix")
        await chat.until(lambda: chat.chat.composer.text == "/fix Good day.\nHow are you?")
        await chat.press("!", "enter")
        await chat.until(lambda: chat.settled)
        await chat.shows("Should have been: Good day. How are you?!")


async def test_the_answers_stand_side_by_side_and_the_card_is_formatted(tmp_path: Path) -> None:
    async with training(tmp_path, ScriptedLearner(), compare=True) as chat:
        chat.engine.says("A long answer " * 8, "<b>Two</b>", "Short.", "[link](https://example.org)")
        await chat.until(lambda: chat.settled)
        await chat.shows("prompt", "without", "with pirate", "<b>Two</b>", "Short.", "[link](https://example.org)")
        await chat.send("/lora info pirate")
        await chat.shows("made for: scripted", "• rank: 8")
        await chat.hides("# pirate")


async def test_without_the_library_for_plots_there_are_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatapp_lora.view import curve

    curve._plot_class.cache_clear()
    monkeypatch.setitem(sys.modules, "textual_plotext", None)
    learner = ScriptedLearner(free=10)
    async with training(tmp_path, learner) as chat:
        await chat.shows("step 10 of 20")
        bars = chat.chat.query_one(Bars)
        assert bars.data is not None
        assert len(bars.data) == 20
        assert sum(each > 0 for each in bars.data) == 10
        learner.let()
        await chat.until(lambda: chat.settled)
    curve._plot_class.cache_clear()


def test_the_axis_has_round_numbers() -> None:
    assert round_numbers(0, 3.03) == [0, 1, 2, 3, 4]
    assert round_numbers(0, 60) == [0, 20, 40, 60]
    assert round_numbers(0, 0.37) == [0, 0.1, 0.2, 0.3, 0.4]
    assert round_numbers(1.31, 1.94) == [1.2, 1.4, 1.6, 1.8, 2.0]
    assert limits([(1, 3.0), (2, 1.0)], []) == (0.0, 3.0)
    assert limits([(1, 3.0), (2, 2.0)], [(2, 1.8)]) == (1.8, 3.0)
    assert limits([], []) == (0.0, 1.0)
    assert limits([(1, 0.0)], []) == (0.0, 1.0)
