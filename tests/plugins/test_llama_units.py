"""The llama plugin's pieces by themselves: sizes, sampling, settings, the reuse of a prefix, held-back stop texts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from chatapp import EngineConfig, EngineError, Sampling, commands
from chatapp.testing import RecordingUI, make_host
from chatapp_llama.answering import StopText
from chatapp_llama.engine import recommended
from chatapp_llama.failures import explain, look
from chatapp_llama.options import LARGE_CONTEXT, SMALL_CONTEXT, LlamaSettings, available_cores, check_memory, size_for
from chatapp_llama.prefix import Evaluated, common, tokens_of
from chatapp_llama.sampler import DEFAULTS
from chatapp_llama.size import BATCH, Size

CONTROL = {900: b"<s>", 901: b"</s>"}


def piece(token: int) -> bytes:
    """A control token's text, else the byte itself; tokens above 256 are two letters."""
    if token in CONTROL:
        return CONTROL[token]
    return bytes([token]) if token < 256 else bytes([token - 256]) * 2


def tokenize(text: bytes, begin: bool) -> list[int]:
    """Control tokens, then pairs of equal letters, then letters: as greedy as a real vocabulary."""
    tokens: list[int] = []
    place = 0
    while place < len(text):
        control = next((token for token, form in CONTROL.items() if text.startswith(form, place)), None)
        if control is not None:
            token, size = control, len(CONTROL[control])
        elif text[place : place + 1] == text[place + 1 : place + 2]:
            token, size = text[place] + 256, 2
        else:
            token, size = text[place], 1
        tokens.append(token)
        place += size
    return tokens


def held(tokens: Sequence[int], *steps: int) -> Evaluated:
    """A context that holds these tokens, read in steps of these sizes."""
    made = Evaluated()
    place = 0
    for size in steps or (len(tokens),):
        made.add(tokens[place : place + size], piece)
        place += size
    return made


def tokens(prompt: bytes, before: Evaluated) -> list[int]:
    """The prompt's tokens, given what the context holds."""
    return tokens_of(prompt, before, tokenize, CONTROL.__contains__, list(CONTROL.values()))


def text_of(found: Sequence[int]) -> bytes:
    """What tokens stand for."""
    return b"".join(piece(token) for token in found)


def test_the_first_prompt_is_cut_as_a_whole() -> None:
    assert tokens(b"<s>aab</s>", Evaluated()) == [900, ord("a") + 256, ord("b"), 901]
    assert tokens(b"", Evaluated()) == []


def test_an_answers_own_tokens_are_kept_though_its_text_would_be_cut_otherwise() -> None:
    # The model drew a, a; the same text cut by itself is one token.
    before = held([900, ord("q"), 901, ord("a"), ord("a")])
    found = tokens(b"<s>q</s>aa</s><s>r", before)
    assert found[:5] == before.tokens
    assert found[5:] == [901, 900, ord("r")]


def test_what_was_cut_in_the_middle_of_a_text_is_cut_again() -> None:
    before = held([900, ord("q"), 901, ord("a")])
    # The answer stopped after "a"; the text goes on with another "a", which together are one token.
    assert tokens(b"<s>q</s>aa</s>", before) == [900, ord("q"), 901, ord("a") + 256, 901]
    edited = tokens(b"<s>different</s>", before)
    assert edited[0] == 900
    assert text_of(edited) == b"<s>different</s>"


@pytest.mark.parametrize("prompt", [b"<s>q</s>", b"<s>q</s>a", b"<s>q", b"x<s>q</s>ab", b"<s>q</s>abc</s>", b"<s"])
def test_the_tokens_always_stand_for_the_prompt(prompt: bytes) -> None:
    for count in range(6):
        before = held([900, ord("q"), 901, ord("a"), ord("b")][:count])
        assert text_of(tokens(prompt, before)) == prompt


def test_cutting_the_context_keeps_text_and_tokens_together() -> None:
    before = held([900, ord("a") + 256, ord("b"), 901], 2, 1, 1)
    assert (bytes(before.text), before.ends, before.steps) == (b"<s>aab</s>", [3, 5, 6, 10], {0, 2, 3})
    before.cut(2)
    assert (bytes(before.text), before.tokens, before.steps) == (b"<s>aa", [900, ord("a") + 256], {0, 2})
    before.cut(0)
    assert (bytes(before.text), before.tokens, before.ends) == (b"", [], [])


def test_with_a_fixed_seed_reading_begins_at_a_step() -> None:
    before = held([1, 2, 3, 4, 5, 6], 4, 2)
    assert [before.last_step(count) for count in (0, 3, 4, 5, 6)] == [0, 0, 4, 4, 4]
    assert Evaluated().last_step(9) == 0


def test_common_beginnings() -> None:
    assert [common([], [1]), common([1, 2], [1, 2, 3]), common([1, 2, 3], [1, 9, 3]), common([5], [6])] == [0, 2, 1, 0]


@pytest.mark.parametrize(
    ("stops", "pieces", "shown", "found"),
    [
        ((), ["any", "thing"], "anything", False),
        (("",), ["any"], "any", False),
        (("STOP",), ["go on ST", "ILL"], "go on STILL", False),
        (("STOP",), ["go on S", "TO", "P now"], "go on ", True),
        (("STOP",), ["SSTOP"], "S", True),
        (("b", "abc"), ["xa", "bc"], "x", True),
        (("é!",), ["caf", "é", "!"], "caf", True),
        (("\n\n",), ["one\n", "two\n", "\nthree"], "one\ntwo", True),
    ],
)
def test_stop_texts_are_never_shown_and_nothing_else_is_lost(
    stops: tuple[str, ...], pieces: list[str], shown: str, found: bool
) -> None:
    stop = StopText(stops)
    text = ""
    for each in pieces:
        text += stop.feed(each)
        if stop.found:
            break
    text += "" if stop.found else stop.rest()
    assert (text, stop.found) == (shown, found)


def test_a_size_is_the_configurations_then_the_settings_then_the_machines() -> None:
    config, settings = EngineConfig("m"), LlamaSettings()
    chosen = size_for(config, settings)
    assert chosen.context in (SMALL_CONTEXT, LARGE_CONTEXT)
    assert chosen == Size(chosen.context, available_cores(), -1, BATCH, -1, 512 * 2**20)
    settings = LlamaSettings(context_length=1000, threads=3, gpu_layers=0, batch=64, flash_attention=False)
    assert size_for(config, settings) == Size(1000, 3, 0, 64, 0, 512 * 2**20)
    config = EngineConfig("m", context_length=2000, threads=1, gpu_layers=7)
    assert size_for(config, settings) == Size(2000, 1, 7, 64, 0, 512 * 2**20)
    assert size_for(EngineConfig("m", gpu_layers=0), LlamaSettings(gpu_layers=9)).gpu_layers == 0
    assert size_for(config, LlamaSettings(flash_attention=True)).flash_attention == 1


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "values",
    [{"context_length": 10}, {"threads": 0}, {"gpu_layers": -2}, {"batch": 1}, {"batch": "many"}, {"contextlength": 9}],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LlamaSettings.model_validate(values)


def test_a_file_larger_than_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.gguf"
    total = psutil.virtual_memory().total
    with path.open("wb") as file:
        file.truncate(total)
    with pytest.raises(EngineError, match=r"needs about [\d.]+ GB of memory and this machine has [\d.]+ GB"):
        check_memory(path)
    with path.open("wb") as file:
        file.truncate(total // 2)
    check_memory(path)


async def test_the_publishers_sampling_stands_below_what_was_chosen(tmp_path: Path, model_path: Path) -> None:
    host = make_host(tmp_path, RecordingUI())
    host.add("chatapp", commands)
    try:
        name = next(iter(host.models.catalogue))
        advised = recommended(host, name)
        assert advised == Sampling(**host.models.catalogue[name].sampling)  # type: ignore[arg-type]
        assert recommended(host, str(model_path)) == Sampling()
        merged = Sampling(temperature=0.0).over(advised).over(DEFAULTS)
        assert merged.temperature == 0.0
        assert merged.top_k == (advised.top_k if advised.top_k is not None else DEFAULTS.top_k)
    finally:
        await host.shutdown()


def _unreadable(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path, "There is no file"),
        (lambda path: path.mkdir() or path, "is a folder; name the .gguf file inside it."),
        (lambda path: path.touch() or path, "is empty; download or copy the model again."),
        (lambda path: path.write_bytes(b"GGU") and path, "is not a GGUF model"),
        (lambda path: path.write_bytes(b"\x00ELF and more") and path, "is not a GGUF model"),
        (_unreadable, "is not a regular file"),
    ],
)
def test_what_is_plainly_wrong_with_a_file_is_a_sentence(
    tmp_path: Path, make: Callable[[Path], Path], sentence: str
) -> None:
    wrong = look(make(tmp_path / "model.gguf"))
    assert wrong is not None
    assert sentence in wrong
    assert str(tmp_path) in wrong


def test_nothing_is_wrong_with_the_real_one(model_path: Path) -> None:
    assert look(model_path) is None


@pytest.mark.parametrize(
    ("log", "context", "sentence"),
    [
        (["llama_model_load: error: unknown model architecture: 'perceptron'"], 0, "architecture 'perceptron'"),
        (
            ["tensor 'x' is not within the file bounds, model is corrupted or incomplete"],
            0,
            "cut short or damaged",
        ),
        (["gguf_init_from_file: failed to read key"], 0, "cut short or damaged"),
        (["alloc_tensor: unable to allocate CPU buffer"], 0, "does not fit into this machine's memory"),
        (["llama_init: failed"], 32768, "not enough memory for a context of 32,768 tokens"),
        (["", "something new."], 0, "(something new)"),
        ([], 0, "(it gave no reason)"),
    ],
)
def test_what_llama_cpp_logs_becomes_a_sentence(log: list[str], context: int, sentence: str) -> None:
    explained = explain("/m.gguf", log, context)
    assert sentence in explained
    assert "/m.gguf" in explained
    assert "\n" not in explained
