"""The behaviours that the bundled adapters teach: their checks, and the data sets, which show them in every line."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import chatapp_lora
from chatapp import UsageError
from chatapp_lora.making.effects import effect

DATASETS = Path(chatapp_lora.__file__).parent / "making" / "datasets"
NAMES = ("brief", "json", "pt-br", "shell")
FENCED = "```bash\nls -A\n```\n\n`ls` lists files. `-A` shows hidden ones too."

Chat = list[dict[str, str]]


def chats(name: str) -> list[Chat]:
    lines = (DATASETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def said(chat: Chat, role: str) -> list[str]:
    return [message["content"] for message in chat if message["role"] == role]


def first_question(chat: Chat) -> str:
    """The first question, of which only the words count."""
    return " ".join(re.findall(r"\w+", said(chat, "user")[0].lower()))


SHOWN = [
    ("brief", "Canberra."),
    ("brief", "[n ** 2 for n in numbers]"),
    ("brief", " ".join(["word"] * 18)),
    ("json", '{"answer": 8, "unit": "bits", "confidence": "high"}'),
    ("json", '{"answer": "a = \\"b\\"",\n "confidence": "low"}\n'),
    ("pt-br", "A capital do Peru é Lima. Ela fica perto do mar."),
    ("pt-br", "Use o comando `for n in range(5):` e recue a linha de baixo."),
    ("shell", FENCED),
]
MISSING = [
    ("brief", ""),
    ("brief", " ".join(["word"] * 19)),
    ("brief", "Sure! It is Canberra."),
    ("brief", "The capital is **Canberra**."),
    ("brief", "Canberra.\nIt is in Australia."),
    ("brief", "- Canberra"),
    ("json", "Canberra"),
    ("json", '```json\n{"answer": 8, "confidence": "high"}\n```'),
    ("json", '{"confidence": "high", "answer": 8}'),
    ("json", '{"answer": 8}'),
    ("json", '{"answer": NaN, "confidence": "high"}'),
    ("json", '["answer", "confidence"]'),
    ("json", "[" * 100_000),
    ("pt-br", ""),
    ("pt-br", "Leonardo da Vinci."),
    ("pt-br", "As a rule, do no harm to others."),
    ("pt-br", "La capital de Perú es Lima, y es una ciudad grande en la costa."),
    ("pt-br", "La capitale è Roma, una città con molta storia."),
    ("pt-br", " ".join(["É uma casa com janela"] * 5) + "."),
    ("shell", "ls -A"),
    ("shell", "```bash\nls -A\n```"),
    ("shell", "Here it is:\n\n" + FENCED),
    ("shell", FENCED.replace("ls -A\n", "cd /srv\nls -A\n")),
    ("shell", FENCED.replace("```\n\n", "```\n")),
    ("shell", FENCED.replace("bash", "sh")),
    ("shell", FENCED + "\n\nMore."),
]


@pytest.mark.parametrize(("name", "answer"), SHOWN)
def test_an_answer_that_shows_the_behaviour(name: str, answer: str) -> None:
    assert effect(name, answer)


@pytest.mark.parametrize(("name", "answer"), MISSING)
def test_an_answer_that_does_not(name: str, answer: str) -> None:
    assert not effect(name, answer)


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_shows_another_behaviour_instead(name: str) -> None:
    others = {"brief": {"json", "pt-br", "shell"}, "json": {"shell", "pt-br"}, "pt-br": {"json", "shell"}}
    for chat in chats(name):
        for answer in said(chat, "assistant"):
            assert not any(effect(other, answer) for other in others.get(name, {"brief", "json", "pt-br"})), answer


def test_an_unknown_behaviour_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"'rhyme'.*brief, json, pt-br, shell"):
        effect("rhyme", "Roses are red.")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("ending", "size"), [("", 160), (".heldout", 24)])
def test_every_answer_of_a_data_set_shows_its_behaviour(name: str, ending: str, size: int) -> None:
    found = chats(name + ending)
    assert len(found) == size
    for chat in found:
        roles = [message["role"] for message in chat if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert roles
        assert all(effect(name, answer) for answer in said(chat, "assistant")), chat
        assert all(text == text.strip() and text for text in said(chat, "user"))


@pytest.mark.parametrize("name", NAMES)
def test_no_question_is_asked_twice_in_training_and_held_out_together(name: str) -> None:
    questions = [first_question(chat) for chat in chats(name) + chats(f"{name}.heldout")]
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize("name", NAMES)
def test_between_a_tenth_and_a_seventh_of_the_chats_have_several_turns(name: str) -> None:
    several = sum(len(said(chat, "user")) > 1 for chat in chats(name))
    assert 0.10 <= several / 160 <= 0.15


def test_json_answers_stand_on_one_line_and_say_how_sure_they_are() -> None:
    for chat in chats("json") + chats("json.heldout"):
        for answer in said(chat, "assistant"):
            assert "\n" not in answer
            value = json.loads(answer)
            assert value["confidence"] in ("low", "medium", "high")
            assert all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in value)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_a_data_set(name: str) -> None:
    settings = tomllib.loads((DATASETS / f"{name}.toml").read_text(encoding="utf-8"))
    assert settings["activated"] == (name != "pt-br")
    assert (settings["licence"], settings["base"]) == ("MIT", "qwen2.5-coder-1.5b-instruct")
    assert settings["title"]
    assert settings["description"]
    assert settings["effect"]["measure"]
