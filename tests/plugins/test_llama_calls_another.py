"""Another call in the same answer: what would begin one, and that it must be clearly likelier than the end."""

from __future__ import annotations

import pytest

from chatapp_llama.form import HERMES

from .calling import LLAMA, MISTRAL, QWEN, answered, template


@pytest.mark.parametrize(
    ("source", "first", "steps"),
    [
        (QWEN, 'weather", "arguments": {"place": "Rome"}', ["}", "\n", "</tool_call>"]),
        (MISTRAL, 'weather", "arguments": {"place": "Rome"}', []),
    ],
    ids=["qwen", "mistral"],
)
def test_what_would_begin_another_call_is_known_while_the_answer_may_still_end(
    source: str, first: str, steps: list[str]
) -> None:
    form = template(source).form
    calls = answered(form, form.marker, first)[2]
    written = ""
    for step in ["", *steps]:
        written += step
        calls.feed(step)
        assert list(calls.ready()) == []
        begins = [written + each for each in calls.another()]
        assert begins
        assert all(form.between.startswith(each) and not form.end.startswith(each) for each in begins)
    calls.feed(calls.another()[-1])
    list(calls.ready())
    assert calls.another() == []


def test_nothing_begins_another_call_in_a_form_of_one_call_or_before_a_call_is_whole() -> None:
    form = template(LLAMA).form
    assert answered(form, '{"name": "math.add"', 'math.add", "parameters": {"a": 1, "b": 2}')[2].another() == []
    assert answered(HERMES, "<tool_call>", 'weather", "arguments": {"place": "Ro')[2].another() == []
    assert answered(HERMES, "Hello.")[2].another() == []
