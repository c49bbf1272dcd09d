"""What a server does not know of a request: found in its refusal, said once, and left out from then on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatapp import Notice
from chatapp_openai.failing import words_of

STATUSES = frozenset({400, 404, 415, 422, 500, 501})
"""With which servers refuse what they do not know; llama-cpp-python's own says 500."""
SIGNS: Mapping[str, str] = {
    "tools": r"\btools?\b|tool.choice|function.call",
    "pictures": r"\bimages?\b|image_url|multi.?modal|vision",
    "logprobs": r"logprobs",
    "stream_options": r"stream_options|include_usage",
    "response_format": r"response_format|json_schema|json_object",
}
"""How a refusal names something; by its own name where it is not here."""
NEVER = frozenset({"model", "messages"})
TOGETHER: Mapping[str, tuple[str, ...]] = {"tools": ("tools", "tool_choice"), "logprobs": ("logprobs", "top_logprobs")}
QUIET = frozenset({"stream_options"})
"""What nobody misses: tokens are counted without it."""


class Learned(Exception):
    """The server refused something that can be left out: the same may be asked again without it."""


class Refusals:
    """What one open server and model refused, and what the user was told."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._refused: set[str] = set()
        self._told: set[str] = set()
        self._news: list[Notice] = []

    @property
    def pictures(self) -> bool:
        """Whether pictures are refused."""
        return "pictures" in self._refused

    def tell(self, sentence: str) -> None:
        """Say something once, with the next answer."""
        if sentence not in self._told:
            self._told.add(sentence)
            self._news.append(Notice(sentence, "warning"))

    def missing(self, name: str) -> None:
        """Say once that the server has no such thing, and that it is left out."""
        self.tell(f"The server {self._server} does not take {name}: it is left out.")

    def news(self) -> list[Notice]:
        """What is to be said now."""
        news, self._news = self._news, []
        return news

    def without(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body as the server takes it."""
        left = {name: value for name, value in body.items() if name not in self._refused}
        if "max_tokens" in self._refused and "max_tokens" in body:
            left["max_completion_tokens"] = body["max_tokens"]
        if "max_completion_tokens" in self._refused:
            left.pop("max_completion_tokens", None)
        form = left.get("response_format", {})
        if "json_schema" in self._refused and "json_schema" in form:
            left["response_format"] = {"type": "json_object", "schema": form["json_schema"]["schema"]}
        return left

    def learn(self, error: Any, body: Mapping[str, Any], *, pictures: bool) -> bool:
        """Whether the refusal names something that was sent and can be left out: then it will be, and that is told."""
        if getattr(error, "status_code", 0) not in STATUSES:
            return False
        said = f"{getattr(error, 'param', '') or ''} {words_of(error)} {getattr(error, 'message', '')}".lower()
        sent = [*(["pictures"] if pictures else []), *(name for name in body if name not in NEVER | {"stream"})]
        # The longest first: top_logprobs before logprobs.
        for name in sorted(sent, key=len, reverse=True):
            if re.search(SIGNS.get(name, rf"\b{name}\b"), said):
                self._leave_out(name, body, said)
                return True
        return False

    def _leave_out(self, name: str, body: Mapping[str, Any], said: str) -> None:
        form = body.get(name)
        if name == "max_tokens" and "max_completion_tokens" in said:
            self._refused.add(name)
        elif name == "response_format" and isinstance(form, Mapping) and "json_schema" in form:
            # Older servers know a schema only in the form that came before OpenAI's.
            self._refused.add("json_schema")
        else:
            together = next((each for each in TOGETHER.values() if name in each), (name,))
            self._refused.update(together)
            if name not in QUIET:
                self.missing(together[0])
