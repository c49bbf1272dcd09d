"""Experts' files: the bundled ones are whole, the user's win, and what is wrong is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp import Host, UsageError
from chatapp.testing import make_host
from chatapp_experts.files import BUNDLED, find, paths, read
from chatapp_experts.head import digest, fitting
from chatapp_experts.labelled import MESSAGES, load
from tests.plugins.experts_support import FILES, put_expert

NAMES = ["brief", "json", "pt-br", "shell"]
GOOD = FILES["cook"]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with nothing of the user's."""
    return make_host(tmp_path)


def test_the_bundled_experts(host: Host) -> None:
    assert list(paths(host)) == NAMES
    for name in NAMES:
        expert = find(host, name)
        assert expert.file.adapters == {name: 1.0}
        assert len(expert.file.examples) >= 8
        assert len(set(expert.texts)) == len(expert.texts)


def test_the_users_file_wins(host: Host, tmp_path: Path) -> None:
    put_expert(tmp_path, "json", GOOD)
    put_expert(tmp_path, "train", GOOD)
    assert list(paths(host)) == NAMES
    assert find(host, "json").file.adapters == {"cook": 0.8}
    with pytest.raises(UsageError, match=r"There is no expert 'jso'; did you mean 'json'\?"):
        find(host, "jso")


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("description = soup", 1, "invalid value"),
        ('description = "a"\nexamples = [', 2, ""),
        ('examples = ["a"]', 1, "description: this key is missing."),
        ('description = " "', 1, "description: string should have at least 1 character."),
        (f"{GOOD}more = 1e9\n", 5, "adapters.more: input should be less than or equal to 10."),
        (f'\ncolour = "red"\n{GOOD}', 2, "colour: there is no such key."),
        (f'\nrol = "writer"\n{GOOD}', 2, "rol: there is no such key; did you mean 'role'?"),
        (f"{GOOD}[sampling]\ntop_p = 3\n", 6, "sampling.top_p: input should be less than or equal to 1."),
        (f"{GOOD}[sampling]\ntemperatur = 3\n", 6, "sampling.temperatur: there is no such key; did you mean"),
        (GOOD.replace("0.8", "nan"), 4, "adapters.cook: input should be a finite number."),
        (GOOD.replace("0.8", "11"), 4, "adapters.cook: input should be less than or equal to 10."),
        (GOOD.replace('["soup', '[7, "soup'), 2, "examples.1: input should be a valid string."),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    path = put_expert(tmp_path, "cook", text)
    with pytest.raises(UsageError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}, line {line}: {sentence}")
    assert "\n" not in str(refused.value)


def test_the_messages_that_come_along() -> None:
    splits = {name: load(MESSAGES / f"{name}.jsonl", {*NAMES, "none"}) for name in ("train", "tune", "test")}
    every = [message.text.casefold() for messages in splits.values() for message in messages]
    own = [text.casefold() for name in NAMES for text in read(BUNDLED / f"{name}.toml").texts]
    assert len(set(every + own)) == len(every) + len(own) >= 240
    for messages in splits.values():
        for label in (*NAMES, "none"):
            assert sum(message.expert == label for message in messages) >= 12


def test_the_bundled_head_fits_the_bundled_experts(host: Host) -> None:
    head = fitting(host, "all-MiniLM-L6-v2@53aa51172d14", [find(host, name) for name in NAMES])
    assert head is not None, "Train it anew: chatapp experts train --out plugins/chatapp_experts/bundled/head.json"
    assert set(head.classes) == {*NAMES, "none"}
    # What is for measuring was not learnt from.
    test = {message.key for message in load(MESSAGES / "test.jsonl", head.classes)}
    assert test.isdisjoint(head.seen)
    assert digest(next(iter(load(MESSAGES / "train.jsonl", head.classes))).text) in head.seen


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{broken", "line 2: this is no JSON"),
        ("[1]", 'line 2: a row has to be an object with the texts "text" and "expert".'),
        ('{"text": " ", "expert": "json"}', "line 2: a row has to be an object"),
        ('{"text": "a", "expert": "jsn"}', "line 2: there is no expert 'jsn'; did you mean 'json'?"),
        ('{"text": "Hello", "expert": "json"}', "line 2: this message stands in the file already"),
    ],
)
def test_labelled_messages_that_are_none(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text('{"text": "Hello", "expert": "none"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        load(path, {"json", "none"})
    assert f"{path}, {sentence}" in str(refused.value)
    path.write_text("\n")
    with pytest.raises(UsageError, match="has no messages"):
        load(path, {"none"})
