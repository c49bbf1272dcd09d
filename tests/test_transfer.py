"""Exports to read and to import again, and everything an import must refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatapp.conversation import Conversation, Node
from chatapp.errors import ArchiveError
from chatapp.messages import Data, Media, Message, Reasoning, Source, Text, ToolCall, ToolResult, user
from chatapp.transfer import MAX_CHARACTERS, VERSION, from_json, from_markdown, parse, read, to_json, to_markdown


def message(name: str, *parts: Any, role: Any = "user") -> Message:
    return Message(role, tuple(parts) or (Text(f"text of {name}"),), name, 100.0)


def small() -> Conversation:
    """Two questions, the first with two answers, the older of them shown."""
    conversation = Conversation("conv", "A title", 100.0, 100.0, {"role": "teacher"})
    conversation.add(message("q1"), None)
    conversation.add(message("a1", role="assistant"), "q1")
    conversation.add(message("q2"), "a1")
    conversation.add(message("a2", role="assistant"), "q1")
    conversation.step("a2", -1)
    conversation.pin("q1")
    return conversation


PAGE = """\
<!-- chatapp: conversation {"version":1,"id":"conv","title":"Pets","created":100.0,"updated":100.0,"values":{}} -->

# Pets

<!-- chatapp: message {"id":"q","role":"user","created":100.0,"context":"","meta":{},"pinned":false} -->

## You

<!-- chatapp: text -->

Draw a cat.

<!-- chatapp: message {"id":"a","role":"assistant","created":100.0,"context":"","meta":{},"pinned":false} -->

## Assistant

<!-- chatapp: reasoning {"seconds":2.0,"tokens":null} -->

<details>
<summary>Reasoning (2.0 s)</summary>

Cats have *whiskers*.

</details>

<!-- chatapp: text {"text":"A cat\\u001b[31m.\\n\\n"} -->

A cat␛[31m.



<!-- chatapp: part {"kind":"media","path":"pictures/my cat.png","mime":"image/png","alt":"A [cat]","meta":{}} -->

![A \\[cat\\]](<pictures/my%20cat.png>)

<!-- chatapp: part {"kind":"source","title":"Cats\\u003cb\\u003e","text":"Cats purr. --\\u003e",\
"uri":"https://cats.example/a b","locator":"page 3","number":1,"score":null,\
"before":"","after":""} -->

> [1] [Cats\\<b\\>](<https://cats.example/a%20b>), page 3

<!-- chatapp: end -->
"""


def pets() -> Conversation:
    conversation = Conversation("conv", "Pets", 100.0, 100.0)
    conversation.append(message("q", Text("Draw a cat.")))
    parts = (
        Reasoning("Cats have *whiskers*.", 2.0),
        Text("A cat\x1b[31m.\n\n"),
        Media("pictures/my cat.png", "image/png", "A [cat]"),
        Source("Cats<b>", "Cats purr. -->", "https://cats.example/a b", "page 3", 1),
    )
    conversation.append(message("a", *parts, role="assistant"))
    return conversation


def test_markdown_page_in_full() -> None:
    assert to_markdown(pets()) == PAGE


def test_what_an_answer_cites_is_listed_below_it_and_comes_back() -> None:
    conversation = Conversation("conv", "Pets", 100.0, 100.0)
    conversation.append(message("q", Text("What do cats do?")))
    passage = Source("cats.md", "Cats purr.", "/docs/cats.md", "lines 3-5", 1, 0.5, "What is above.", "What is below.")
    more = Source("dogs.md", "Dogs bark.", "/docs/dogs.md", number=2)
    conversation.append(message("a", Text("They purr [1], unlike dogs [2]."), passage, more, role="assistant"))
    page = to_markdown(conversation)
    assert [line for line in page.splitlines() if line and not line.startswith("<!--")][-3:] == [
        "They purr [1], unlike dogs [2].",
        "> [1] [cats.md](</docs/cats.md>), lines 3-5",
        "> [2] [dogs.md](</docs/dogs.md>)",
    ]
    assert from_markdown(page) == from_json(to_json(conversation)) == conversation


def test_markdown_page_is_imported_again() -> None:
    assert from_markdown(PAGE) == pets()
    assert from_markdown(PAGE.replace("\n", "\r\n")) == pets()
    assert from_markdown(PAGE + "\nmy notes below\n") == pets()


def test_what_was_edited_on_the_page_is_what_is_imported() -> None:
    edited = (
        PAGE.replace("Draw a cat.", "Draw a dog.\n\nA big one.").replace("*whiskers*", "tails").replace("A cat␛", "No")
    )
    question, answer = from_markdown(edited).path()
    assert question.text == "Draw a dog.\n\nA big one."
    assert answer.parts[:2] == (Reasoning("Cats have tails.", 2.0), Text("No[31m.\n\n"))


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (ToolCall("1", "search`", {"q": "a\nb"}), '**Calls** `searchˋ`\n\n```json\n{\n  "q": "a\\nb"\n}\n```'),
        (ToolResult("1", "search", "```\nx\n```"), "**Answer of** `search`\n\n````\n```\nx\n```\n````"),
        (ToolResult("1", "search", "no", failed=True), "**Failed** `search`\n\n```\nno\n```"),
        (Media("a.wav", "audio/wav"), "[a.wav](<a.wav>)"),
        (Media("javascript:alert(1)//a", "image/png", "x"), "!x `javascript:alert(1)//a`"),
        (Source("Title", "text"), "> Title"),
        (Source("", "text", "/docs/a\x1b.txt"), "> [/docs/a␛.txt](</docs/a␛.txt>)"),
        (Data("rag.stats", 3, "three \x07 hits"), "three ␇ hits"),
        (Text("left open:\n```python\ncode()"), "left open:\n```python\ncode()\n```"),
        (Text("~~~~\ncode\n~~~"), "~~~~\ncode\n~~~\n~~~~"),
        (Text("``` `not` a block"), "``` `not` a block"),
        (Text("a\n<!-- chatapp: end -->\n\\<!-- chatapp: x"), "a\n\\<!-- chatapp: end -->\n\\\\<!-- chatapp: x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_a_part_is_shown_and_that_it_comes_back(part: Any, shown: str) -> None:
    conversation = Conversation("conv", "", 100.0, 100.0)
    conversation.append(message("q", part))
    text = to_markdown(conversation)
    assert f" -->\n\n{shown}\n\n<!-- chatapp: end -->\n" in text
    assert from_markdown(text) == conversation


def test_json_names_its_format_and_holds_the_whole_tree() -> None:
    raw = json.loads(to_json(small()))
    assert (raw["format"], raw["version"]) == ("chatapp.conversation", VERSION)
    assert [node["message"]["id"] for node in raw["nodes"]] == ["q1", "a1", "q2", "a2"]
    assert (raw["nodes"][0]["children"], raw["nodes"][0]["chosen"], raw["nodes"][0]["pinned"]) == (
        ["a1", "a2"],
        "a1",
        True,
    )
    assert from_json(json.dumps(raw, indent=4)) == small()


def test_a_file_of_either_kind_is_read(tmp_path: Path) -> None:
    for name, text in (("c.json", to_json(small())), ("bom.json", "\ufeff" + to_json(small()))):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert read(tmp_path / name) == small()
    (tmp_path / "c.md").write_text("\ufeff\r\n" + PAGE.replace("\n", "\r\n"), encoding="utf-8", newline="")
    assert read(tmp_path / "c.md") == pets()


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(4 * MAX_CHARACTERS + 1)
    for name, said in (
        ("picture", "is not text"),
        ("huge", "is too large"),
        ("none", "No such file"),
        ("", "directory"),
    ):
        with pytest.raises(ArchiveError, match=said):
            read(tmp_path / name)


@pytest.mark.parametrize("write", [to_json, to_markdown])
def test_an_export_cut_short_anywhere_is_refused(write: Any) -> None:
    text = write(small()).rstrip()
    for length in range(len(text)):
        with pytest.raises(ArchiveError) as caught:
            parse(text[:length])
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)


def test_a_chain_of_a_hundred_thousand_messages_comes_back() -> None:
    conversation = Conversation()
    last = None
    for number in range(100_000):
        made = user(f"message {number}")
        conversation.nodes[made.id] = Node(made, last)
        if last is None:
            conversation.roots, conversation.chosen_root = [made.id], made.id
        else:
            conversation.nodes[last].children, conversation.nodes[last].chosen = [made.id], made.id
        last = made.id
    # Compared piece by piece: a difference in something so large would take minutes to print.
    for again in (from_json(to_json(conversation)), from_markdown(to_markdown(conversation))):
        assert list(again.nodes) == list(conversation.nodes)
        assert (again == conversation) is True


def broken(change: Any) -> str:
    raw = json.loads(to_json(small()))
    nodes = {node["message"]["id"]: node for node in raw["nodes"]}
    change(raw, nodes)
    return json.dumps(raw)


def ring(raw: Any, nodes: Any) -> None:
    """q2 and a1 hang from each other instead of from q1."""
    nodes["q1"].update(children=["a2"], chosen="a2")
    nodes["a1"].update(parent="q2")
    nodes["q2"].update(children=["a1"])


HOSTILE: list[tuple[Any, str]] = [
    (ring, "form a ring or hang in the air"),
    (lambda raw, nodes: raw.update(roots=[], chosen_root=None), "form a ring or hang in the air"),
    (lambda raw, nodes: raw["nodes"].append(nodes["q1"]), "Message q1 is in the file twice"),
    (lambda raw, nodes: nodes["q2"].update(children=["ghost"]), "Message ghost is missing from the file"),
    (lambda raw, nodes: nodes["q1"].update(children=["a1", "a1", "a2"]), "Message a1 is claimed by two places"),
    (lambda raw, nodes: nodes["q2"].update(children=["a2"]), "Message a2 is claimed by two places"),
    (lambda raw, nodes: nodes["q2"].update(children=["q2"]), "Message q2 is claimed by two places"),
    (lambda raw, nodes: nodes["a1"].update(parent="ghost"), "Message a1 is claimed by two places"),
    (lambda raw, nodes: nodes["q1"].update(chosen="q2"), "shows a message after q1 that does not follow it"),
    (lambda raw, nodes: nodes["q1"].update(chosen=["a1"]), "shows a message after q1 that does not follow it"),
    (lambda raw, nodes: raw.update(chosen_root="a1"), "shows a message after the start"),
    (lambda raw, nodes: raw.update(roots="q1"), "The list of first messages should be a list, not 'q1'."),
    (lambda raw, nodes: raw.update(roots=[["q1"]]), "The list of first messages should be 1 to 64 letters"),
    (lambda raw, nodes: raw.update(nodes={}), "The list of messages should be a list, not dict."),
    (lambda raw, nodes: raw["nodes"].append(7), "A message's place should be an object, not 7."),
    (lambda raw, nodes: nodes["q1"].update(pinned="yes"), "Message q1: pinned should be true or false, not 'yes'."),
    (lambda raw, nodes: nodes["q1"]["message"].update(role="root"), "Message q1: role should be one of"),
    (lambda raw, nodes: nodes["q1"].update(weight=1), "A message's place has the unknown field 'weight'"),
    (lambda raw, nodes: raw.update(version=VERSION + 1), "was exported by a newer chatapp; update chatapp"),
    (lambda raw, nodes: raw.update(version="1"), "does not say which version"),
    (lambda raw, nodes: raw.update(format="other"), "This is no conversation that chatapp exported"),
    (lambda raw, nodes: raw.update(id="../../x"), "The conversation's id should be 1 to 64 letters"),
    (lambda raw, nodes: raw.update(id="a b"), "The conversation's id should be 1 to 64 letters"),
    (lambda raw, nodes: raw.update(title=None), "The title should be text, not null."),
    (lambda raw, nodes: raw.update(created="x"), "The conversation's time should be a time"),
    (lambda raw, nodes: raw.update(values=[]), "The conversation's values should be an object, not list."),
]


@pytest.mark.parametrize(("change", "said"), HOSTILE, ids=[said for _, said in HOSTILE])
def test_hostile_json_is_one_sentence(change: Any, said: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        from_json(broken(change))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is nothing to import: the file is empty."),
        (" \n\t", "There is nothing to import: the file is empty."),
        ("x" * (MAX_CHARACTERS + 1), "The file is 67,108,865 characters long, and at most"),
        ("[" * 1_000_000, "The file is nested too deeply"),
        ("[]", "This is no conversation that chatapp exported"),
        ("null", "This is no conversation that chatapp exported"),
        ("# Just Markdown\n\nHello.", "it stops being JSON at line 1, column 1"),
        (PAGE.replace('"version":1', '"version":2'), "was exported by a newer chatapp"),
        (PAGE.replace('"version":1', '"version":true'), "does not say which version"),
        (PAGE.replace('"id":"a"', '"id":"q"'), "Message q is in the file twice"),
        (PAGE.replace("chatapp: text", "chatapp: song"), "its marker “song” is out of place"),
        (PAGE.replace("chatapp: text -->", "chatapp: text {-->"), "its marker <!-- chatapp: text {--> cannot be read"),
        (PAGE.replace('{"seconds":2.0', '{"seconds":"2"'), "Message a: parts[0].seconds should be a number or null"),
        (PAGE.replace('"role":"user"', '"role":"root"'), "Message q: role should be one of"),
        (PAGE.replace("chatapp: end", "chatapp: text"), "The file is cut short: its end mark is missing."),
        (PAGE + PAGE, "There is more than one conversation in the file"),
        ("<!-- chatapp: end -->\n", "This is no conversation that chatapp exported"),
        (PAGE.replace("chatapp: message", "chatapp: part", 1), "its marker “part” is out of place"),
    ],
)
def test_bad_text_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        parse(text)
    assert said in str(caught.value)
