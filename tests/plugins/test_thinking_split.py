"""Reasoning apart from text: every tag, cut anywhere, and steps that end in a marker."""

from __future__ import annotations

import pytest

from chatapp import Event, ReasoningDelta, TextDelta, TokenLogprob
from chatapp_thinking.marker import MARKER, MarkerSplit
from chatapp_thinking.splitting import Split
from chatapp_thinking.tags import TAGS, Tag, TagSplit, knows, opened_by, reasons

Splitter = TagSplit | MarkerSplit
TAGGED = [tag for tag in TAGS if tag.close]


def split(splitter: Splitter, text: str, size: int) -> tuple[str, str]:
    """(reasoning, text) of a text that comes in pieces of so many characters."""
    pieces = [piece for at in range(0, len(text), size) for piece in splitter.feed(text[at : at + size])]
    pieces += splitter.end()
    said = {"reasoning": "", "text": ""}
    for kind, each in pieces:
        said[kind] += each
    return said["reasoning"], said["text"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("tag", TAGGED, ids=lambda tag: tag.open)
def test_every_tag_is_found_wherever_it_is_cut(tag: Tag, size: int) -> None:
    text = (
        f"\n{tag.open}\nFirst a < b.\n\nThen c.\n{tag.noise}{tag.close}\n\nThe answer </b> is 4. {tag.open} is a tag."
    )
    assert split(TagSplit(), text, size) == (
        "First a < b.\n\nThen c.",
        f"The answer </b> is 4. {tag.open} is a tag.",
    )


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_stream_that_begins_inside(size: int) -> None:
    assert split(TagSplit(TAGS[0]), "\nI think.\n</think>\n\nDone.", size) == ("I think.", "Done.")


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_is_no_tag_is_left_as_it_is(size: int) -> None:
    for text in ("  <th> is HTML.", "<thin", "Hi <think>this</think>", "<", " \n", ""):
        assert split(TagSplit(), text, size) == ("", text)


@pytest.mark.parametrize("size", [1, 5])
def test_reasoning_that_is_never_closed_or_empty(size: int) -> None:
    assert split(TagSplit(), "<think>Cut off in </thi", size) == ("Cut off in </thi", "")
    assert split(TagSplit(), "<think>\n\n</think>\n\nYes.", size) == ("", "Yes.")
    assert split(TagSplit(), "<|channel|>final<|message|>Yes.", size) == ("", "Yes.")


def test_templates() -> None:
    qwen = "{%- if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>{%- endif %}"
    assert reasons(qwen)
    assert knows(qwen, "enable_thinking")
    assert not knows(qwen, "thinking")
    assert reasons("<|start|>assistant<|channel|>analysis")
    assert not reasons("{% for message in messages %}<|im_start|>{{ message.role }}{% endfor %}")
    assert opened_by("<|im_start|>assistant\n<think>\n") == TAGS[0]
    assert opened_by("<|im_start|>assistant\n<think>\n\n</think>\n\n") is None


STEPS = "1. There are 3 boxes.\n2. 3 * 4 = 12.\n"


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("marked", "answer"),
    [
        ("Final answer: 12", "12"),
        ("\nFinal answer:\n12 boxes\n", "12 boxes\n"),
        ("\n**Final answer:** 12", "12"),
        ("\n**Final Answer**: **12**", "**12**"),
        ("\n**Final answer: 12**", "**12**"),
        ("### Final answer\n\n12", "12"),
        ("3. The final answer is: 12", "12"),
        ("Therefore, the final answer is:\n\\[\n12\n\\]", "\\[\n12\n\\]"),
        ("So the final answer: 12", "12"),
        ("Resposta final: 12", "12"),
        ("Final answer: 12\nFinal answer: 13", "12\nFinal answer: 13"),
    ],
)
def test_the_marker_as_models_write_it(marked: str, answer: str, size: int) -> None:
    reasoning, text = split(MarkerSplit(), STEPS + marked, size)
    assert (reasoning, text) == (STEPS.rstrip(), answer)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        STEPS + "So it is 12.",
        STEPS + "The final answer is 12.",
        STEPS + "Final answers differ: 1 and 2.\n",
        STEPS + "Final answer:  \n",
        STEPS + "Final ans",
        STEPS + "Therefore, the final result is: 12",
        STEPS + "So a",
        "\n\nThe answer: 12",
    ],
)
def test_without_a_marker_the_whole_is_the_answer(text: str, size: int) -> None:
    reasoning, answer = split(MarkerSplit(), text, size)
    assert answer == text
    assert reasoning in (text, "")


def test_nothing_before_the_marker() -> None:
    assert split(MarkerSplit(), f"{MARKER} 12", 1) == ("", "12")
    assert split(MarkerSplit(), "", 1) == ("", "")


def probable(*tokens: str) -> list[TextDelta]:
    """Deltas with a log probability each."""
    return [TextDelta(token, (TokenLogprob(token, -0.5),)) for token in tokens]


def through(splitter: Split, deltas: list[TextDelta]) -> list[Event]:
    """All events that come of these deltas."""
    return [event for delta in deltas for event in splitter.feed(delta)] + list(splitter.end())


def test_text_keeps_its_log_probabilities() -> None:
    events = through(Split(), probable("<thi", "nk>", "Hm", "</think>", "\n\n", "Yes", "."))
    assert [event for event in events if isinstance(event, ReasoningDelta)] == [ReasoningDelta("Hm")]
    texts = [event for event in events if isinstance(event, TextDelta)]
    assert "".join(event.text for event in texts) == "Yes."
    assert [each.token for event in texts for each in event.logprobs][-2:] == ["Yes", "."]
    assert "Hm" not in [each.token for event in texts for each in event.logprobs]


def test_an_answer_without_a_marker_keeps_all_of_them() -> None:
    events = through(Split(marked=True), probable("It", " is", " 12", "."))
    assert events[-1] == TextDelta("It is 12.", tuple(each.logprobs[0] for each in probable("It", " is", " 12", ".")))


def test_deltas_pass_as_they_are_when_nothing_is_thought() -> None:
    deltas = probable("One", " two", "", " three")
    assert [event for event in through(Split(), deltas) if isinstance(event, TextDelta) and event.text] == [
        TextDelta("One", deltas[0].logprobs),
        TextDelta(" two", deltas[1].logprobs),
        TextDelta(" three", (*deltas[2].logprobs, *deltas[3].logprobs)),
    ]
