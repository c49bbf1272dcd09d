"""One answer as it comes together, told piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatapp import Event, Finished, ReasoningDelta, Source, TextDelta, ToolCall, Usage
from chatapp_serve import forcing, shaping


class Choice:
    """One answer. `tell` is called with each delta that a streamed answer has.

    `insisted` says that the answer is to be a call: its text is one. `alternatives` are shown for each token where
    probabilities were asked for.
    """

    def __init__(self, tell: Callable[..., None], *, insisted: bool = False, alternatives: int = 0) -> None:
        self._tell = tell
        self._insisted = insisted
        self._alternatives = alternatives
        self._begun = False
        self.text: list[TextDelta] = []
        self.reasoning = ""
        self.calls: list[ToolCall] = []
        self.sources: list[Source] = []
        self.usages: list[Usage] = []
        self.finished = Finished()

    def take(self, event: Event) -> None:
        """Note an event."""
        if isinstance(event, TextDelta):
            self._said(event)
        elif isinstance(event, ReasoningDelta):
            self.reasoning += event.text
            self._add({"reasoning_content": event.text})
        elif isinstance(event, ToolCall):
            self._called(event)
        elif isinstance(event, Source):
            self.sources.append(event)
        elif isinstance(event, Usage):
            self.usages.append(event)
        elif isinstance(event, Finished):
            self.finished = event

    def _said(self, delta: TextDelta) -> None:
        self.text.append(delta)
        if not self._insisted:
            self._add({"content": delta.text}, logprobs=shaping.probabilities([delta], self._alternatives))

    def _called(self, call: ToolCall) -> None:
        self.calls.append(call)
        self._add({"tool_calls": [{"index": len(self.calls) - 1, **shaping.call(call)}]})

    def _add(self, delta: dict[str, Any], **more: Any) -> None:
        if not self._begun:
            self._tell({"role": "assistant", "content": ""})
        self._begun = True
        self._tell(delta, **more)

    def end(self) -> None:
        """All of it has come."""
        if self._insisted:
            self._make_call()
        last = {"sources": [shaping.cited(each) for each in self.sources]} if self.sources else {}
        self._add(last, finish_reason=shaping.REASONS[self.finished.reason])

    def _make_call(self) -> None:
        call = forcing.written("".join(each.text for each in self.text))
        if call is None:
            # Cut short: what there is of it is given as text.
            self._insisted = False
            whole, self.text = self.text, []
            for each in whole:
                self._said(each)
            return
        self.text = []
        self.finished = Finished("tool_calls")
        self._called(call)

    def whole(self, index: int) -> dict[str, Any]:
        """The whole of it."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(each.text for each in self.text) or None}
        message["refusal"] = None
        message |= {"tool_calls": [shaping.call(each) for each in self.calls]} if self.calls else {}
        message |= {"reasoning_content": self.reasoning} if self.reasoning else {}
        message |= {"sources": [shaping.cited(each) for each in self.sources]} if self.sources else {}
        return {
            "index": index,
            "message": message,
            "logprobs": shaping.probabilities(self.text, self._alternatives),
            "finish_reason": shaping.REASONS[self.finished.reason],
        }
