"""Chats to learn from: the forms that are read, and the sentence for each thing that is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chatapp import UsageError
from chatapp_lora.training import reading
from chatapp_lora.training.plan import Example
from chatapp_lora.training.reading import read_chats

PAIR = Example((("user", "Hi"), ("assistant", "Olá, não é?")))


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "chats.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "form",
    [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Olá, não é?"}]},
        {"input": "Hi", "output": "Olá, não é?"},
        {"completion": "Olá, não é?", "prompt": "Hi"},
        {"instruction": "Hi", "output": "Olá, não é?"},
        {"instruction": "Hi", "input": "", "output": "Olá, não é?"},
    ],
)
def test_each_form_is_read(tmp_path: Path, form: Any) -> None:
    assert read_chats(written(tmp_path, "", form, "  ")) == [PAIR]


def test_an_instruction_and_its_input_are_one_question_and_a_system_message_stays(tmp_path: Path) -> None:
    system = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user", "assistant")]
    path = written(tmp_path, {"instruction": "Add", "input": "1 2", "output": "3"}, {"messages": system})
    first, second = read_chats(path)
    assert first.messages == (("user", "Add\n\n1 2"), ("assistant", "3"))
    assert [role for role, _ in second.messages] == ["system", "user", "assistant", "user", "assistant"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + '{"input": "Hi", "output": "Olá, não é?"}\r\n'.encode())
    assert read_chats(path) == [PAIR]


GOOD = {"input": "Hi", "output": "Yes"}
USER, ASSISTANT = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{not json", "line 2: it is not JSON"),
        ("[" * 100_000, "line 2: it is not JSON"),
        ([1], "line 2: it is not a JSON object"),
        ({}, "line 2: it has the keys of nothing"),
        ({"question": "a", "answer": "b"}, "line 2: it has the keys question, answer"),
        ({"input": 3, "output": "b"}, 'line 2: "input" is not a text'),
        ({"input": "a", "output": " \n"}, "line 2: an answer is empty"),
        ({"input": " ", "output": "b"}, "line 2: a message of the user is empty"),
        ('{"input": "a", "output": "\\ud800"}', 'line 2: "output" holds half of a surrogate pair'),
        ({"messages": []}, "line 2: after at most one system message"),
        ({"messages": "a"}, 'line 2: "messages" is not a list'),
        ({"messages": [USER]}, "line 2: after at most one system message"),
        ({"messages": [USER, USER, ASSISTANT]}, "line 2: after at most one system message"),
        ({"messages": [ASSISTANT]}, "line 2: after at most one system message"),
        ({"messages": [{**USER, "weight": 1}, ASSISTANT]}, "line 2: a message has other keys"),
        ({"messages": [{"role": "bot", "content": "a"}, ASSISTANT]}, "line 2: the role bot is unknown"),
        (GOOD, "line 2: this chat is the same as line 1: keep one of them"),
        ({**GOOD, "output": "No"}, "line 2: this chat answers otherwise the same question as line 1"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, line: Any, sentence: str) -> None:
    path = written(tmp_path, GOOD, line)
    with pytest.raises(UsageError, match=re.escape(f"{path}, {sentence}")) as raised:
        read_chats(path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b'{"input": "a", "output": "b"}\n{"input": "\xff", "output": "b"}')
    with pytest.raises(UsageError, match="line 2: it is not UTF-8"):
        read_chats(path)


def test_a_file_without_chats_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no chats"):
        read_chats(written(tmp_path, "", " "))
    with pytest.raises(UsageError, match="is not a file"):
        read_chats(tmp_path)


def test_what_is_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, GOOD, {"input": "b", "output": "x" * 100}, {"input": "c", "output": "d"})
    monkeypatch.setattr(reading, "MOST_EXAMPLES", 2)
    with pytest.raises(UsageError, match="more than 2 chats"):
        read_chats(path)
    monkeypatch.setattr(reading, "LARGEST_LINE", 99)
    with pytest.raises(UsageError, match="line 2: it is longer than"):
        read_chats(path)
    monkeypatch.setattr(reading, "LARGEST_FILE", 99)
    with pytest.raises(UsageError, match="has more than 0 MB"):
        read_chats(path)
