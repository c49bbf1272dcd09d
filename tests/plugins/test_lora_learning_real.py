"""The whole path with real training and a real engine, on a model of a few kilobytes."""

from __future__ import annotations

import json
from pathlib import Path

import chatapp_lora
from chatapp import Data, Notice, Progress, Session
from chatapp_lora.store import Adapters
from tests.plugins.lora_scripted import told
from tests.plugins.real import collect, real_session, sampled, text_of
from tests.plugins.tiny_gguf import write_model

STEPS = 12


def chats(folder: Path) -> Path:
    """Questions that are all answered alike."""
    path = folder / "chats.jsonl"
    rows = [{"input": f"question {number}", "output": "z" * 12} for number in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


async def answer(session: Session) -> str:
    """What is answered to a question that was not learnt, as a conversation's first."""
    session.conversation.cut(None)
    return text_of(await collect(session.send("another question")))


async def test_what_was_learnt_in_the_chat_is_there_when_it_is_switched_on(tmp_path: Path) -> None:
    model = write_model(tmp_path / "tiny.gguf")
    async with real_session(tmp_path, model, lora={"threads": 1}) as session:
        session.host.add("lora", chatapp_lora)
        sampled(session, max_tokens=12)
        before = await answer(session)
        assert before != "z" * 12
        how = f"--activated --steps {STEPS} --lr 0.05 --targets q,k,v,o,gate,up,down"
        events = await told(session, f'/lora train zzz --data "{chats(tmp_path)}" {how}')
        assert [each.text for each in events if isinstance(each, Notice)] == []
        assert {each.done for each in events if isinstance(each, Progress) and each.unit == "steps"} == {
            *range(1, STEPS + 1)
        }
        card = Adapters(session.host).get("zzz").card
        held_out = dict(card["held_out_losses"])
        assert held_out[card["best"]] < held_out[0] / 2
        table = next(each for each in events if isinstance(each, Data) and each.name == "lora.compared")
        assert all(row["without"] != row["with zzz"] for row in table.value)
        # The comparison has left the conversation's own mix, which is none.
        assert await answer(session) == before
        await told(session, "/lora zzz")
        assert await answer(session) == "z" * 12
        await told(session, "/lora off")
        assert await answer(session) == before
