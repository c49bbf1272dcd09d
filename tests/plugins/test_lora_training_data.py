"""From chats to rows and batches: what is learnt, what is cut, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import pytest

from chatapp import EngineError, Message, Request, Text
from chatapp_llama.template import Template
from chatapp_lora.training.data import Rows, batch_of, order, rows
from chatapp_lora.training.plan import INVOCATION, Example
from chatapp_lora.training.rendering import Rendering
from chatapp_lora.training.vocabulary import Vocabulary
from tests.plugins.tiny_lora import CONTROLS, TEMPLATE, tiny_model

TALK = Example(
    (("system", "Be kind."), ("user", "Hello"), ("assistant", "Have a day."), ("user", "Sim?"), ("assistant", "Não!"))
)
SHORT = Example((("user", "Hello"), ("assistant", "day")))
THINKING = TEMPLATE.replace("'<|im_start|>assistant\\n' }}", "'<|im_start|>assistant\\n<think></think>' }}")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vocabulary]:
    with Vocabulary(tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")) as opened:
        yield opened


def rendering(source: str | None = TEMPLATE) -> Rendering:
    return Rendering(source, "", "<|im_end|>", CONTROLS)


def made(vocabulary: Vocabulary, *examples: Example, longest: int = 512, invocation: str = "") -> Rows:
    ids = vocabulary.tokenize(invocation) if invocation else []
    return rows(examples, rendering(), vocabulary, longest, ids, lambda _: None)


def text(vocabulary: Vocabulary, ids: list[int]) -> str:
    return b"".join(vocabulary.piece(token) for token in ids).decode()


def test_only_the_answers_and_their_ends_are_learnt(vocabulary: Vocabulary) -> None:
    (row,) = made(vocabulary, TALK).rows
    learnt = [token for token, flag in zip(row.ids, row.learnt, strict=True) if flag]
    assert text(vocabulary, learnt) == "Have a day.<|im_end|>Não!<|im_end|>"
    assert text(vocabulary, list(row.ids)).startswith("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello")


def test_an_activated_adapter_learns_one_answer_at_a_time(vocabulary: Vocabulary) -> None:
    found = made(vocabulary, TALK, invocation=INVOCATION).rows
    learnt = [[token for token, flag in zip(row.ids, row.learnt, strict=True) if flag] for row in found]
    assert [text(vocabulary, ids) for ids in learnt] == ["Have a day.<|im_end|>", "Não!<|im_end|>"]


def test_a_chat_without_the_invocation_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(EngineError, match="does not stand before the answer"):
        made(vocabulary, SHORT, invocation="Answer:")


def test_a_template_that_rewrites_earlier_turns_gives_a_text_for_each_answer() -> None:
    texts = rendering(THINKING).pieces(TALK)
    assert len(texts) == 2
    assert texts[1][0].text.endswith("<|im_start|>assistant\n<think></think>")
    assert texts[1][1].text == "Não!<|im_end|>"


def test_what_people_wrote_holds_no_control_token() -> None:
    (pieces,) = rendering().pieces(Example((("user", "<|im_end|>x"), ("assistant", "a<|im_start|>b"))))
    assert "< |im_end|>x" in pieces[0].text
    assert pieces[1].text == "a< |im_start|>b<|im_end|>"


def test_the_prompt_is_the_one_that_answering_renders() -> None:
    template = Template(TEMPLATE, "", "<|im_end|>", CONTROLS)
    messages = [Message(role, (Text(content),)) for role, content in TALK.messages]  # type: ignore[arg-type]
    for count in (3, 5):
        (pieces,) = rendering().pieces(Example(TALK.messages[:count]))
        prompt = "".join(piece.text for piece in pieces[:-1])
        assert prompt.encode() == template.render(Request(tuple(messages[: count - 1]))).text


def test_a_model_without_a_template_gets_chatml_and_a_broken_one_is_refused() -> None:
    (pieces,) = rendering(None).pieces(SHORT)
    assert pieces[0].text == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    with pytest.raises(EngineError, match="does not parse"):
        rendering("{% if %}")
    with pytest.raises(EngineError, match="refuses this chat"):
        rendering("{{ raise_exception('no') }}").pieces(SHORT)


def test_a_template_that_knows_no_system_message_gets_it_with_the_first_question() -> None:
    source = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + TEMPLATE
    (pieces,) = rendering(source).pieces(TALK)
    assert "Be kind.\n\nHello" in pieces[0].text


def test_what_is_too_long_is_cut_and_counted(vocabulary: Vocabulary) -> None:
    long = Example((("user", "Hello " * 60), ("assistant", "day")))
    found = made(vocabulary, SHORT, long, longest=60)
    assert found.cut == 1
    assert [len(row.ids) for row in found.rows][1] == 60
    # The end, where the answer is, stays.
    assert text(vocabulary, list(found.rows[1].ids)).endswith("<|im_start|>assistant\nday<|im_end|>")


def test_a_long_answer_keeps_its_beginning_and_some_of_its_question(vocabulary: Vocabulary) -> None:
    long = Example((("user", "Hello " * 30), ("assistant", "day " * 100)))
    (row,) = made(vocabulary, long, longest=60).rows
    assert len(row.ids) == 60
    assert row.learnt.index(True) == 30
    assert text(vocabulary, list(row.ids[:30])).endswith("<|im_start|>assistant\n")


def test_a_batch_pads_on_the_right_and_points_at_what_is_predicted(vocabulary: Vocabulary) -> None:
    found = made(vocabulary, SHORT, TALK).rows
    batch = batch_of(found)
    assert batch.ids.shape == batch.attention.shape == (2, len(found[1].ids))
    assert batch.attention.sum().item() == len(found[0].ids) + len(found[1].ids)
    flat = batch.ids.flatten().tolist()
    # The token after each place is the one that is to be predicted there.
    assert [flat[place + 1] for place in batch.places.tolist()] == batch.targets.tolist()
    assert text(vocabulary, batch.targets.tolist()) == "day<|im_end|>Have a day.<|im_end|>Não!<|im_end|>"


def test_each_round_has_every_row_once_and_the_seed_decides_the_order() -> None:
    lengths = [place % 7 for place in range(50)]
    first = list(islice(order(lengths, 4, 1), 26))
    assert sorted(chain(*first[:13])) == sorted(chain(*first[13:])) == list(range(50))
    assert first[:13] != first[13:]
    assert first == list(islice(order(lengths, 4, 1), 26))
    assert first != list(islice(order(lengths, 4, 2), 26))
    spread = [max(lengths[row] for row in rows) - min(lengths[row] for row in rows) for rows in first]
    assert sum(spread) / len(spread) < 3
