"""Reading chats to learn from: JSON lines in the four forms that are usual."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chatapp import UsageError, visible
from chatapp_lora.training.plan import Example

LARGEST_FILE = 200_000_000
LARGEST_LINE = 1_000_000
MOST_EXAMPLES = 200_000
PAIRS = ("input", "prompt", "output", "completion")
ROLES = ("system", "user", "assistant")
FORMS = '{"messages": […]}, {"input", "output"}, {"prompt", "completion"} or {"instruction", "input", "output"}'


class _Wrong(Exception):
    """What is wrong with a line, to complete the sentence "FILE, line N: …"."""


def read_chats(path: Path) -> list[Example]:
    """The chats of a UTF-8 file, one JSON object a line; blank lines are passed over.

    The forms: {"messages": [{"role", "content"}, …]} with "user" and "assistant" in turn after at most one "system",
    {"input", "output"}, {"prompt", "completion"}, and {"instruction", "input", "output"} with an "input" that may lack.
    UsageError says in one sentence, with file and line, what cannot be read, what stands twice, and which questions
    have two different answers. Blocks: call it in a thread.
    """
    shown = visible(str(path))
    try:
        if not path.is_file():
            raise UsageError(f"{shown} is not a file: name a JSON-lines file of chats.")
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{shown} has more than {LARGEST_FILE // 1_000_000} MB: train on a part of it.")
        return _examples(path, shown)
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror or error}.") from error


def _examples(path: Path, shown: str) -> list[Example]:
    found: list[Example] = []
    lines: dict[tuple[tuple[str, str], ...], tuple[int, str]] = {}
    for number, line in _lines(path, shown):
        try:
            example = _example(line)
            question, answer = example.messages[:-1], example.messages[-1][1]
            before = lines.setdefault(question, (number, answer))
            if before[0] != number:
                how = "is the same as" if before[1] == answer else "answers otherwise the same question as"
                raise _Wrong(f"this chat {how} line {before[0]}: keep one of them")
            found.append(example)
        except _Wrong as error:
            raise UsageError(f"{shown}, line {number}: {error}.") from None
        if len(found) > MOST_EXAMPLES:
            raise UsageError(f"{shown} holds more than {MOST_EXAMPLES:,} chats: train on a part of it.")
    if not found:
        raise UsageError(f"{shown} holds no chats: write one JSON object a line, in a form such as {FORMS}.")
    return found


def _lines(path: Path, shown: str) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        number = 0
        while data := file.readline(LARGEST_LINE + 1):
            number += 1
            if len(data) > LARGEST_LINE:
                raise UsageError(f"{shown}, line {number}: it is longer than a million bytes; shorten the chat.")
            try:
                text = data.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise UsageError(f"{shown}, line {number}: it is not UTF-8; save the file as UTF-8.") from None
            if text:
                yield number, text


def _example(line: str) -> Example:
    try:
        form = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Wrong(f"it is not JSON ({error})") from None
    if not isinstance(form, Mapping):
        raise _Wrong(f"it is not a JSON object; the forms are {FORMS}")
    messages = _messages(form)
    _check(messages)
    return Example(messages)


def _messages(form: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    keys = set(form)
    if keys == {"messages"}:
        return _given(form["messages"])
    if keys in ({"input", "output"}, {"prompt", "completion"}):
        question, answer = (_text(form, key) for key in PAIRS if key in keys)
    elif keys in ({"instruction", "output"}, {"instruction", "input", "output"}):
        parts = [_text(form, "instruction"), _text(form, "input") if "input" in form else ""]
        question, answer = "\n\n".join(filter(None, parts)), _text(form, "output")
    else:
        raise _Wrong(f"it has the keys {visible(', '.join(map(str, form))) or 'of nothing'}; the forms are {FORMS}")
    return ("user", question), ("assistant", answer)


def _given(messages: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(messages, list) or not all(isinstance(each, Mapping) for each in messages):
        raise _Wrong('"messages" is not a list of {"role", "content"}')
    for each in messages:
        if set(each) != {"role", "content"}:
            raise _Wrong('a message has other keys than "role" and "content"')
        if each["role"] not in ROLES:
            raise _Wrong(f"the role {visible(str(each['role']))} is unknown; it is one of {', '.join(ROLES)}")
    return tuple((str(each["role"]), _text(each, "content")) for each in messages)


def _check(messages: tuple[tuple[str, str], ...]) -> None:
    roles = [role for role, _ in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns != ["user", "assistant"] * (len(turns) // 2) or not turns:
        raise _Wrong("after at most one system message, user and assistant have to speak in turn, the assistant last")
    for role, content in messages:
        if not content.strip():
            raise _Wrong({"assistant": "an answer is empty"}.get(role, f"a message of the {role} is empty"))


def _text(form: Mapping[str, Any], key: str) -> str:
    if not isinstance(form[key], str):
        raise _Wrong(f'"{key}" is not a text')
    try:
        form[key].encode()
    except UnicodeEncodeError:
        raise _Wrong(f'"{key}" holds half of a surrogate pair, which is no text') from None
    return str(form[key])
