"""Evaluations: intervals, rows that survive a stop, and files that are not results."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp import Evaluation, Tally, UsageError, wilson


def test_the_interval_is_wilsons() -> None:
    # The values of R's binom::binom.wilson(62, 100) and (0, 10).
    low, high = wilson(62, 100)
    assert (round(low, 4), round(high, 4)) == (0.5221, 0.7090)
    low, high = wilson(0, 10)
    assert (low, round(high, 4)) == (0.0, 0.2775)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_tally_says_it_in_a_sentence() -> None:
    assert Tally(62, 100, 21034, 730.6).line() == (
        "62 of 100 right: 62.0 % (95 % interval 52.2 to 70.9 %), 21,034 tokens, 731 s"
    )
    assert Tally().accuracy == 0.0


def test_rows_are_taken_up_again_and_a_cut_row_is_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "results" / "run.jsonl"
    first = Evaluation(path, {"model": "a", "k": 3})
    first.add("one", True, 10, 0.5, said="18")
    first.add("two", False, 20, 1.5)
    with path.open("a") as file:
        file.write('{"key": "three", "rig')
    again = Evaluation(path, {"k": 3, "model": "a"})
    assert set(again.done) == {"one", "two"}
    assert again.done["one"]["said"] == "18"
    assert again.tally() == Tally(1, 2, 30, 2.0)
    again.add("three", True, 5, 1.0)
    assert set(Evaluation(path, {"k": 3, "model": "a"}).done) == {"one", "two", "three"}


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Evaluation(path, {"k": 3}).add("one", True, 10, 0.5)
    assert Evaluation(path, {"k": 5}).done == {}


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Buy milk.\n")
    with pytest.raises(UsageError, match="not a file of results"):
        Evaluation(path, {})
    assert path.read_text() == "Buy milk.\n"
    with pytest.raises(UsageError, match="cannot be used"):
        Evaluation(tmp_path, {})
