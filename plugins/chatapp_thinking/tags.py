"""The tags that models put around their reasoning, and splitting a stream by them.

Sources: the chat templates that the publishers ship with Qwen3, DeepSeek-R1, Magistral, Seed-OSS, Kimi, Command A and
gpt-oss (the harmony format).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["reasoning", "text"]
Piece: TypeAlias = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Tag:
    """What opens and closes reasoning. With an empty `close` the answer follows at once and nothing is reasoning.

    `noise` is what the model may write before it closes and nobody wants to read. `plain` says that both are ordinary
    text to the engine, so that an answer can be begun with them; control tokens cannot be written by hand.
    """

    open: str
    close: str
    noise: str = ""
    plain: bool = True


FINAL = "<|channel|>final<|message|>"
TAGS = (
    Tag("<think>", "</think>"),
    Tag("<thinking>", "</thinking>"),
    Tag("<reasoning>", "</reasoning>"),
    Tag("<thought>", "</thought>"),
    Tag("<seed:think>", "</seed:think>"),
    Tag("[THINK]", "[/THINK]", plain=False),
    Tag("◁think▷", "◁/think▷"),
    Tag("<|START_THINKING|>", "<|END_THINKING|>", plain=False),
    Tag("<|channel|>analysis<|message|>", f"<|start|>assistant{FINAL}", noise="<|end|>", plain=False),
    Tag(FINAL, "", plain=False),
)
SIGNS = (*(tag.open for tag in TAGS if tag.close), "<|channel|>")
"""What the chat template of a model that reasons by itself has in it."""


def reasons(template: str) -> bool:
    """Whether this chat template is that of a model that reasons by itself."""
    return any(sign in template for sign in SIGNS)


def knows(template: str, variable: str) -> bool:
    """Whether the template looks at that variable: ``enable_thinking`` of Qwen3, ``thinking`` of DeepSeek."""
    return re.search(rf"\{{%[^%]*\b{variable}\b", template) is not None


def opened_by(prompt: str) -> Tag | None:
    """The tag that the prompt itself ends with, so that the answer begins inside the reasoning."""
    tail = prompt.rstrip()
    return next((tag for tag in TAGS if tag.close and tail.endswith(tag.open)), None)


def overlap(text: str, wanted: str) -> int:
    """How many of the text's last characters begin `wanted`, without being all of it."""
    most = min(len(text), len(wanted) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(wanted[:size])), 0)


class TagSplit:
    """Splits a text that comes in pieces. A tag counts at the very beginning only: later on it is something quoted.

    `tag` opened the reasoning, None where none did; `reasoning` is what stood inside so far, as written.
    """

    def __init__(self, tag: Tag | None = None) -> None:
        self.tag = tag
        self.inside = tag is not None
        self.reasoning = ""
        self._begun = self.inside
        self._fresh = True
        self._shown = False
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        """What can be told apart now; the rest is held until more comes."""
        self._held += text
        if not self._begun and not self._begin():
            return []
        return [*self._reason(), *self._answer()]

    def end(self) -> list[Piece]:
        """What was held, now that no more comes."""
        held, self._held = self._held, ""
        if not self.inside:
            return [("text", held)] if held else []
        self.reasoning += held
        return self._show(held.removesuffix(self.tag.noise).rstrip() if self.tag else held)

    def _begin(self) -> bool:
        """Look for a tag; whether it is known by now if there is one."""
        head = self._held.lstrip()
        self.tag = next((tag for tag in TAGS if head.startswith(tag.open)), None)
        if self.tag is None and (not head or any(tag.open.startswith(head) for tag in TAGS)):
            return False
        if self.tag is not None:
            self._held = head[len(self.tag.open) :]
            self.inside = bool(self.tag.close)
        self._begun, self._fresh = True, self.tag is not None
        return True

    def _reason(self) -> list[Piece]:
        if not self.inside or self.tag is None:
            return []
        before, closed, after = self._held.partition(self.tag.close)
        if closed:
            self.inside, self._held = False, after
            self.reasoning += before
            return self._show(before.rstrip().removesuffix(self.tag.noise).rstrip())
        # White space before the end of the reasoning is no part of it, nor is what may begin the closing tag.
        end = len(before) - max(overlap(before, self.tag.close), overlap(before, self.tag.noise + self.tag.close))
        shown = before[:end].rstrip()
        self.reasoning += shown
        self._held = before[len(shown) :]
        return self._show(shown)

    def _show(self, text: str) -> list[Piece]:
        text = text if self._shown else text.lstrip()
        self._shown = self._shown or bool(text)
        return [("reasoning", text)] if text else []

    def _answer(self) -> list[Piece]:
        if self.inside:
            return []
        text = self._held.lstrip() if self._fresh else self._held
        self._held = ""
        self._fresh = self._fresh and not text
        return [("text", text)] if text else []
