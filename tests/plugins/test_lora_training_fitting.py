"""Whether a training fits into memory: the estimate, and what is said when it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chatapp import EngineError
from chatapp_lora.training import fitting, memory
from chatapp_lora.training.fitting import check, needed
from chatapp_lora.training.plan import Plan
from tests.plugins.lora_runs import plan
from tests.plugins.tiny_lora import tiny_model

GB = 1_000_000_000


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan for a tiny model, on a machine that is fast at bf16."""
    monkeypatch.setattr(fitting, "_fast", lambda: True)
    # The tiny model has two layers.
    monkeypatch.setattr(fitting, "AGAIN", 1)
    return plan(tmp_path, tiny_model(tmp_path / "tiny.gguf"), longest=45)


def test_what_makes_a_training_larger_makes_the_estimate_larger(made: Plan) -> None:
    base = needed(made).bytes
    assert base > fitting.LIBRARIES
    for larger in (
        replace(made, batch=8),
        replace(made, longest=46),
        replace(made, rank=64),
        replace(made, targets=(*made.targets, "up")),
        replace(made, full=True),
    ):
        assert needed(larger).bytes > base
    assert needed(made, spare=True).bytes < base


def test_what_fits_is_said_with_both_sizes(made: Plan) -> None:
    fit = check(made, 4 * GB, 8 * GB)
    assert fit.fits
    assert fit.possible
    assert fit.sentence.startswith("Training tiny on tiny.gguf needs about ")
    assert fit.sentence.endswith("4.0 GB are free.")


def test_where_it_is_tight_less_is_kept(made: Plan) -> None:
    wide, narrow = needed(made).bytes, needed(made, spare=True).bytes
    fit = check(made, (wide + narrow) // 2, 8 * GB)
    assert fit.fits
    assert fit.need.bytes == narrow
    assert fit.sentence.endswith("so it will be a third slower to save memory.")


def test_what_would_fit_is_named(made: Plan) -> None:
    large = replace(made, batch=64)
    room = needed(replace(large, batch=16), spare=True).bytes + 1
    fit = check(large, room, 8 * GB)
    assert (fit.fits, fit.possible) == (False, True)
    assert fit.sentence.endswith("close other programs, or take a batch of 16.")
    full = check(replace(made, full=True), needed(made).bytes + 1, 2)
    assert (full.fits, full.possible) == (False, False)
    assert "full fine-tuning keeps 16 bytes for each of" in full.sentence
    assert full.sentence.endswith("too little for it, or train an adapter instead of the whole model.")
    nothing = check(made, 1000, 8 * GB)
    assert nothing.sentence.endswith("or no model can be trained in so little memory.")


def test_where_the_model_is_too_large_a_smaller_one_is_named(made: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_weights", lambda plan, head: 16 * GB)
    fit = check(made, 4 * GB, 8 * GB)
    assert fit.sentence.endswith("too little for it, or train an adapter for a model of at most 1.4 billion weights.")


def test_a_model_that_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="gemma3, which cannot be trained"):
        check(plan(tmp_path, tiny_model(tmp_path / "tiny.gguf", "gemma3")))


def test_this_machine_has_memory_and_a_control_group_can_grant_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert memory.resident() <= memory.peak()
    assert 0 < memory.free() <= memory.installed()
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.installed() > 1 << 20
    for name, text in (("max", "1000000"), ("current", "700000"), ("stat", "inactive_file 200000\nother 1\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert (memory.installed(), memory.free()) == (1_000_000, 500_000)
