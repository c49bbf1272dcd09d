"""What went wrong between us and a server, as one sentence that says what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from chatapp import EngineError, one_line
from chatapp_openai.addresses import Place
from chatapp_openai.keys import how_to_set, masked

MOST = 200
"""Characters of a server's own words that are repeated."""
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may succeed."""
MARKUP = re.compile(r"\s*<(!doctype|html|\?xml)", re.IGNORECASE)


class Unanswered(Exception):
    """The server's answer ended before it said anything; the text completes "The server …"."""


class Strange(Exception):
    """The server's answer is none of OpenAI's interface; the text completes "The server …"."""


class Failures:
    """Tells failures of one server; `key` is never in what it says."""

    def __init__(self, place: Place, key: str) -> None:
        self._place = place
        self._key = key

    def sentence(self, reason: str) -> EngineError:
        """`reason` completes "The server NAME (its address) …"."""
        return EngineError(masked(f"The server {self._place.name} ({self._place.url}) {reason}", self._key))

    def of(self, error: Exception, model: str = "", known: Iterable[str] = ()) -> EngineError:
        """What an exception of the client means; `known` are the server's models, to name those like `model`."""
        import openai

        if isinstance(error, EngineError):
            return error
        if isinstance(error, openai.APIStatusError):
            return self._refused(error, model, list(known))
        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return self.sentence(self._silence(error))
        if isinstance(error, openai.APIConnectionError):
            return self.sentence(f"cannot be reached ({clause(_root(error))}): start it, or mend its url.")
        if isinstance(error, openai.APIError):
            return self.sentence(f"failed: {clause(error.message)}.")
        if isinstance(error, Unanswered | Strange):
            return self.sentence(f"{error}.")
        return self.sentence("sent something that is no answer of OpenAI's interface: look at its url and its log.")

    def _silence(self, error: Exception) -> str:
        if _named(error, "ConnectTimeout"):
            return "cannot be reached (no connection in time): start it, or mend its url."
        return (
            "says nothing any more: it is overloaded or stuck; the settings first_token_seconds and silent_seconds of "
            f"openai.servers.{self._place.name} say how long is waited."
        )

    def _refused(self, error: Any, model: str, known: list[str]) -> EngineError:
        status, said = error.status_code, words_of(error)
        told = f" ({said})" if said else ""
        place = self._place
        if status in (401, 403):
            what = "does not accept the key" if self._key else "wants a key"
            source = f" of {place.server.key_env}" if place.server.key_env and self._key else ""
            what = f"{what}{source}" if status == 401 else f"does not allow this with the key{source}"
            return self.sentence(f"{what}{told}: {how_to_set(place)}.")
        if status == 404:
            return self.sentence(self._missing(model, known, told))
        if status == 429:
            return self.sentence(f"takes no more requests now{told}: try again later, or look at the account's limits.")
        if 300 <= status < 400:
            target = one_line(error.response.headers.get("location", ""), MOST)
            return self.sentence(f"sends us on to {target or 'nowhere'}, which is not followed: is that its right url?")
        if status >= 500:
            return self.sentence(f"failed with status {status}{told}: try again, or look at its log.")
        return self.sentence(f"refused the request with status {status}{told}.")

    def _missing(self, model: str, known: list[str], told: str) -> str:
        if not model or (known and model in known):
            return f"has nothing at this address{told}: does its url end in /v1?"
        return f"has no model {model}{told}: {near(model, known)}."


def near(model: str, known: list[str]) -> str:
    """The server's models like that one, or some of them, as a clause; else what may be wrong."""
    names = get_close_matches(model, known, 3, 0.4) or known[:5]
    return f"it has {', '.join(names)}" if names else "is its name right, and does the server's url end in /v1?"


def retryable(error: Exception) -> bool:
    """Whether the same request may succeed a moment later; a server that is not there is not waited for."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in BUSY
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return False
    if isinstance(error, openai.APIConnectionError):
        return not _named(error, "ConnectError")
    return isinstance(error, Unanswered)


def retry_after(error: Exception) -> float | None:
    """The seconds that the server asks to wait (Retry-After, RFC 9110, 10.2.3); None where it does not say."""
    import time
    from email.utils import parsedate_to_datetime

    headers = getattr(getattr(error, "response", None), "headers", {})
    said = headers.get("retry-after", "")
    try:
        return max(float(said), 0.0)
    except ValueError:
        pass  # it may be a date
    try:
        return max(parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None


def words_of(error: Any) -> str:
    """The server's own words in an error: a clause without markup, "" where there are none."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        for name in ("message", "detail", "error"):
            if isinstance(body.get(name), str):
                return clause(body[name])
    return clause(body) if isinstance(body, str) and not MARKUP.match(body) else ""


def clause(said: object) -> str:
    """A text as a short clause on one line."""
    return one_line(str(said) or type(said).__name__, MOST).rstrip(".")


def _root(error: BaseException) -> str:
    """What lies at the bottom of it: the operating system's own words say most."""
    inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__
    if inner is not None:
        return _root(inner)
    # Python puts its own words in place of the system's, which for lookups of names have numbers below zero.
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(error) or type(error).__name__


def _named(error: BaseException, kind: str) -> bool:
    """Whether this or what caused it is of the kind, an exception of the client's own HTTP library."""
    each: BaseException | None = error
    while each is not None:
        if type(each).__name__ == kind:
            return True
        each = each.__cause__
    return False
