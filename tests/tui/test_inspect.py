"""Inspecting in the terminal chat: the model's tables, coloured tokens, a cursor that lists alternatives."""

from __future__ import annotations

import math
from pathlib import Path

from textual.widgets import Static

import chatapp_inspect
from chatapp.events import Event, Finished, TextDelta, TokenLogprob
from chatapp.testing import ScriptedEngine
from chatapp_inspect.widgets import AnswerTokens, ModelFacts, PromptTokens, style_of
from tests.plugins.test_inspect_gguf import LLAMA, made

from .support import host_in, running


def said(*tokens: tuple[str, float]) -> list[Event | Exception]:
    """An answer whose tokens had these chances, with " else" as the alternative."""
    events: list[Event | Exception] = [
        TextDelta(text, (TokenLogprob(text, math.log(chance), ((" else", math.log(0.4)), (text, math.log(chance)))),))
        for text, chance in tokens
    ]
    return [*events, Finished("stop")]


async def test_a_cursor_walks_over_the_answer(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("inspect", chatapp_inspect)
    async with running(tmp_path, host=host, engine=engine, size=(100, 40)) as chat:
        await chat.send("/inspect on")
        engine.says(said(("Hello", 0.95), (" [bold]\n", 0.3), ("end", 0.6), ("?", 0.1)))
        await chat.send("Hi")
        assert engine.requests[0].sampling.logprobs == 5
        await chat.shows("inspect recording")
        await chat.send("/inspect answer")
        widget = chat.app.screen.query_one(AnswerTokens)
        await chat.until(lambda: widget.has_focus)
        await chat.shows("Token 1 of 4: Hello  95.0%")
        await chat.press("right")
        await chat.shows("Token 2 of 4: ·[bold]↵  30.0%")
        await chat.shows("40.0%")
        await chat.shows("·else")
        await chat.press("down")
        await chat.shows("Token 4 of 4: ?  10.0%")
        await chat.press("right", "up", "home", "left")
        assert widget.place == 0
        await chat.press("end")
        assert widget.place == 3
        spans = {(span.start, span.style) for span in chat.app.screen.query_one("#answer", Static).content.spans}  # type: ignore[union-attr]
        assert (5, style_of(0.3)) in spans
        assert any(str(style).startswith("reverse") for _, style in spans)
        await chat.press("escape")
        assert chat.chat.composer.has_focus


async def test_tokens_and_the_model_are_drawn(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("inspect", chatapp_inspect)
    path = tmp_path / "small.gguf"
    path.write_bytes(made(LLAMA))
    async with running(tmp_path, host=host, engine=engine, size=(110, 60)) as chat:
        await chat.send("One [red]two")
        await chat.send("/inspect tokens")
        assert chat.app.screen.query_one(PromptTokens).display
        await chat.shows("2. user: 3 tokens")
        await chat.shows("<user>One[red]two")
        await chat.send(f"/inspect {path}")
        assert chat.app.screen.query_one(ModelFacts).display
        await chat.shows("Grouped-query attention: 4 heads share")
        await chat.shows("Q4_K")
        path.write_bytes(made(LLAMA)[:100])
        await chat.send(f"/inspect {path}")
        await chat.shows("small.gguf is cut short")
