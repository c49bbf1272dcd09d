"""The gate in a conversation: who is chosen, what the engine is given for it, what stands below the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chatapp import EngineConfig, EngineError, EngineSpec, Host, Report, Session, TextDelta, UsageError, hookimpl
from chatapp.testing import script, sent_texts
from chatapp_experts.files import BUNDLED, read
from tests.plugins.experts_support import COOK, FILES, NEITHER, SAIL, expert_session, laid, line_below, notices
from tests.plugins.experts_support import put_expert as put
from tests.plugins.rag_support import BagEmbedder
from tests.support_plugins import run, send


@pytest.fixture
def embedder() -> BagEmbedder:
    """Counts what it is asked to embed."""
    return BagEmbedder()


@pytest.fixture
async def session(tmp_path: Path, embedder: BagEmbedder) -> AsyncIterator[Session]:
    """A session with the gate on."""
    async with expert_session(tmp_path, embedder=embedder) as made:
        await run(made, "/experts on")
        yield made


def texts(*names: str) -> list[str]:
    """What the bundled experts and these are compared by."""
    bundled = [text for name in ("brief", "json", "pt-br", "shell") for text in read(BUNDLED / f"{name}.toml").texts]
    known = {"cook": [COOK, f"{COOK} salt"], "sailor": [SAIL, f"{SAIL} rope"]}
    # By name, as files are: brief, cook, json, pt-br, sailor, shell.
    return sorted([*bundled, *(text for name in names for text in known[name])])


async def test_each_message_gets_its_expert(session: Session, embedder: BagEmbedder) -> None:
    assert session.status["experts"] == "on"
    await send(session, COOK)
    assert (laid(session), line_below(session)) == ({"cook": 0.8}, "Expert: cook")
    assert session.status["experts"] == "cook"
    await send(session, SAIL)
    assert (laid(session), line_below(session)) == ({"sailor": 1.0}, "Expert: sailor")
    *_, answer = session.conversation.path()
    assert answer.meta["status"]["experts"] == "sailor"
    await send(session, NEITHER)
    assert (laid(session), line_below(session)) == ({}, "")
    assert session.status["experts"] == "none"
    # The experts' texts once, then one text a message.
    assert embedder.embedded[-3:] == [COOK, SAIL, NEITHER]
    assert sorted(embedder.embedded[:-3]) == texts("cook", "sailor")


async def test_between_turns_the_last_mix_stays(session: Session) -> None:
    await send(session, COOK)
    before = len(script(session).configs)
    async with aclosing(session.warm()) as news:
        assert [each async for each in news] == []
    assert len(script(session).configs) == before
    await run(session, "/experts off")
    assert "experts" not in session.status
    await send(session, COOK)
    assert (laid(session), line_below(session)) == ({}, "")


async def test_the_answer_keeps_its_line(session: Session, tmp_path: Path) -> None:
    await send(session, COOK)
    session.conversation = session.host.archive.load(session.conversation.id)
    assert line_below(session) == "Expert: cook"
    # What the model reads next does not have it.
    await send(session, NEITHER)
    assert "Expert" not in str(sent_texts(script(session).requests[-1].messages))
    await run(session, f"/sessions export {session.conversation.id} {tmp_path / 'told.md'}")
    assert "Expert: cook" in (tmp_path / "told.md").read_text(encoding="utf-8")


async def test_a_stopped_answer_has_its_line_too(session: Session) -> None:
    script(session).says("One two three four.")
    async with aclosing(session.send(COOK)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert line_below(session) == "Expert: cook"
    assert line_below_kept(session) == "Expert: cook"


def line_below_kept(session: Session) -> str:
    """The same from the archive."""
    session.conversation = session.host.archive.load(session.conversation.id)
    return line_below(session)


async def test_two_experts_share_an_answer(session: Session) -> None:
    await run(session, "/experts top 2")
    await send(session, f"{COOK} {SAIL}")
    scales = laid(session)
    assert scales["cook"] / 0.8 + scales["sailor"] == pytest.approx(1, abs=0.01)
    assert scales["sailor"] == pytest.approx(0.5, abs=0.1)
    assert line_below(session).startswith("Experts: ")
    assert "cook 0." in line_below(session)
    # Of a message that one expert fits far better, the other is no part.
    await send(session, COOK)
    assert laid(session) == {"cook": 0.8}


async def test_a_floor_and_a_choice(session: Session, embedder: BagEmbedder) -> None:
    await run(session, "/experts floor 0.95")
    await send(session, f"{COOK} for a long evening with friends")
    assert laid(session) == {}
    await run(session, "/experts floor auto")
    await send(session, f"{COOK} for a long evening with friends")
    assert laid(session) == {"cook": 0.8}
    asked = len(embedder.embedded)
    await run(session, "/experts sailor")
    assert session.status["experts"] == "sailor"
    await send(session, COOK)
    assert (laid(session), len(embedder.embedded)) == ({"sailor": 1.0}, asked)
    await run(session, "/experts on")
    await send(session, COOK)
    assert laid(session) == {"cook": 0.8}


async def test_an_adapter_that_the_user_chose_stays_so(session: Session) -> None:
    session.values["lora"] = {"cook": 0.3}
    await send(session, COOK)
    assert (laid(session), line_below(session)) == ({}, "Expert: cook")


async def test_vectors_are_made_once(tmp_path: Path) -> None:
    for name, wanted in {"first": True, "again": False, "damaged": True}.items():
        embedder = BagEmbedder()
        async with expert_session(tmp_path, embedder=embedder, experts={"on": True}) as session:
            (kept,) = (tmp_path / "cache" / "experts").glob("*.f32") if name != "first" else (None,)
            if name == "damaged" and kept is not None:
                kept.write_bytes(kept.read_bytes()[:-400] + bytes(400))
            await send(session, COOK)
            assert laid(session) == {"cook": 0.8}
            assert embedder.embedded[-1] == COOK
            assert (sorted(embedder.embedded[:-1]) == texts("cook", "sailor")) is wanted
            assert len(embedder.embedded) == 1 or wanted


async def test_without_what_it_needs_the_model_answers_alone(tmp_path: Path) -> None:
    async with expert_session(tmp_path, plugins=(), experts={"on": True}) as session:
        for _ in range(2):
            assert await send(session, COOK) == "One two three four."
            assert (laid(session), line_below(session)) == ({}, "")
        assert "No expert was looked for: No plugin offers" in notices(session)[-1]
        with pytest.raises(EngineError, match=r"No plugin offers .*an engine to compare texts"):
            await run(session, "/experts top 2")
        # One that was chosen needs no comparing; its adapters need their plugin.
        await run(session, "/experts cook")
        await send(session, COOK)
        await send(session, COOK)
        assert (laid(session), line_below(session)) == ({}, "Expert: cook")
    assert notices(session).count("The plugin 'lora' is not loaded: experts answer without their adapters.") == 1


async def test_an_embedder_that_fails_is_told(session: Session, embedder: BagEmbedder) -> None:
    await send(session, COOK)
    embedder.failures = [EngineError("It broke.")]
    assert await send(session, COOK) == "One two three four."
    assert (laid(session), notices(session)[-1]) == ({}, "No expert was looked for: It broke.")
    await send(session, COOK)
    assert laid(session) == {"cook": 0.8}


class Slow:
    """An embedder that never finishes opening."""

    def __init__(self) -> None:
        self.opening, self.given_up = asyncio.Event(), False

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One of the kind "embedding"."""

        async def opened(host: Host, config: EngineConfig, report: Report) -> Any:
            self.opening.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up = True

        yield EngineSpec("slow", opened, "embedding")


async def test_opening_can_be_given_up(tmp_path: Path) -> None:
    slow = Slow()
    async with expert_session(tmp_path, plugins=(("slow", slow),), experts={"on": True}) as session:

        async def turn() -> None:
            async with aclosing(session.send(COOK)) as events:
                async for _ in events:
                    pass

        task = asyncio.ensure_future(turn())
        await slow.opening.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.given_up
        assert not session.busy
        await run(session, "/experts off")
        assert await send(session, COOK) == "One two three four."


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("top 9", "Say how many experts may answer together, 1 to 4: /experts top 2."),
        ("top", "Say how many experts may answer together"),
        ("floor high", "Say from which score on an expert answers, 0 to 1"),
        ("floor nan", "Say from which score on an expert answers, 0 to 1"),
        ("cok", "There is no expert 'cok'; did you mean 'cook'?"),
        ("why", "No message was judged yet"),
    ],
)
async def test_what_cannot_be_meant_changes_nothing(session: Session, line: str, sentence: str) -> None:
    before = dict(session.values)
    with pytest.raises(UsageError) as refused:
        await run(session, f"/experts {line}")
    assert sentence in str(refused.value)
    assert session.values == before


async def test_list_and_why(session: Session) -> None:
    await send(session, COOK)
    state, listed = await run(session, "/experts")
    assert getattr(state, "text", "") == "The best expert answers each message; the model alone where none fits."
    rows = {row["expert"]: row for row in getattr(listed, "value", [])}
    assert list(rows) == ["brief", "cook", "json", "pt-br", "sailor", "shell"]
    assert (rows["cook"]["adapters"], rows["cook"]["last weight"], rows["cook"]["whose"]) == (
        "cook=0.8",
        "1.00",
        "yours",
    )
    assert (rows["json"]["adapters"], rows["json"]["last weight"], rows["json"]["whose"]) == ("json", "", "bundled")
    told, why = await run(session, "/experts why")
    assert getattr(told, "text", "").endswith("cook answered.")
    assert getattr(why, "value", [])[0] == {"expert": "cook", "score": "0.93", "weight": "1.00"}


async def test_a_file_with_a_fault_leaves_the_last_good_version(session: Session, tmp_path: Path) -> None:
    await send(session, COOK)
    path = put(tmp_path, "cook", FILES["cook"].replace("0.8", '"much"'))
    await send(session, COOK)
    await send(session, COOK)
    assert laid(session) == {"cook": 0.8}
    assert sum(text.startswith(f"{path}, line 4: adapters.cook: ") for text in notices(session)) == 1
    put(tmp_path, "cook", FILES["cook"].replace("0.8", "0.5"))
    await send(session, COOK)
    assert laid(session) == {"cook": 0.5}
