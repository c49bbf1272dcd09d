"""A connection to one server: the official client, set up so that nothing goes anywhere else."""

from __future__ import annotations

import asyncio
import importlib
import random
from asyncio import sleep
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

from chatapp import EngineError, Host, Progress, Report, one_line
from chatapp_openai.addresses import Place, allow
from chatapp_openai.failing import BUSY, MARKUP, Failures, Strange, retry_after, retryable
from chatapp_openai.keys import key_of

LIBRARY = "openai"
NO_KEY = "none"
"""The client wants some key; servers without keys do not look at it."""
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
"""How long the server may take for its list of models, and for the tokens of a text."""
PAINT_SECONDS = 600.0
LONGEST_WAIT = 120.0
"""A server that wants to be left alone for longer is not waited for."""
OWNERS: Mapping[str, str] = {"vllm": "vllm", "llamacpp": "llama-server", "me": "llama-cpp-python"}
"""What servers say in their list of models owns them, and which software that is."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """A model in a server's list. `length` is its context in tokens and `parent` the model an adapter belongs to."""

    id: str
    owner: str = ""
    length: int | None = None
    parent: str = ""


class Link:
    """A connection to a server; made by `connect`."""

    def __init__(self, host: Host, place: Place, client: Any, key: str) -> None:
        self.place = place
        self.client = client
        self.failures = Failures(place, key)
        self._host = host
        self._key = key

    async def allowed(self) -> None:
        """Raise OfflineError where the server may not be asked (any more)."""
        await allow(self._host, self.place)

    async def models(self, seconds: float = ANSWER_SECONDS) -> list[Served] | None:
        """The server's models; None where it has no list. Raises what the client raises, and Strange."""
        import openai

        await self.allowed()
        try:
            raw = await self.client.models.with_raw_response.list(timeout=timeout(seconds))
        except openai.NotFoundError:
            return None
        found = _json(raw)
        rows = found.get("data") if isinstance(found, dict) else found
        if not isinstance(rows, list):
            raise Strange(_no_json(raw))
        return [_served(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]

    async def ask(self, path: str, body: Mapping[str, Any], seconds: float = ANSWER_SECONDS) -> Any:
        """The JSON that an address of the server's own, outside OpenAI's interface, answers."""
        await self.allowed()
        limits = {"timeout": timeout(seconds)}
        return await self.client.post(f"{self.place.root}{path}", body=dict(body), cast_to=object, options=limits)

    async def patiently(self, ask: Callable[[], Awaitable[T]], report: Report) -> T:
        """What `ask` gives, asked again with growing pauses while the server is busy; raises as `ask` does."""
        tried = 0
        while True:
            await self.allowed()
            try:
                return await ask()
            except Exception as error:
                if await self._renewed(error):
                    continue
                seconds = self._pause(error, tried)
                if seconds is None:
                    raise
                await self._wait(error, seconds, report)
                tried += 1

    async def _renewed(self, error: Exception) -> bool:
        """Whether the key was refused and the user has put another one in its place since."""
        if getattr(error, "status_code", 0) != 401 or (key := await key_of(self.place)) == self._key:
            return False
        self._key = key
        self.client.api_key = key or NO_KEY
        self.failures = Failures(self.place, key)
        return True

    def _pause(self, error: Exception, tried: int) -> float | None:
        """How long to wait before the next try, None where there is to be none."""
        if tried >= self.place.server.retries or not retryable(error):
            return None
        asked = retry_after(error)
        if asked is not None:
            return asked if asked <= LONGEST_WAIT else None
        return float(2**tried) * random.uniform(0.75, 1.0)

    async def _wait(self, error: Exception, seconds: float, report: Report) -> None:
        status = getattr(error, "status_code", None)
        why = {None: "broke off", 429: "is busy"}.get(status, f"failed ({status})")
        label = one_line(f"{self.place.name} {why}: asking again", 80)
        waited = 0.0
        while waited < seconds:
            report(Progress(label, waited, seconds, "s"))
            await sleep(min(1.0, seconds - waited))
            waited += 1.0

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()


async def connect(host: Host, place: Place) -> Link:
    """A connection to the server, which is not yet asked anything; EngineError or OfflineError says what is wrong."""
    await allow(host, place)
    if find_spec(LIBRARY) is None:
        raise EngineError("The client for remote models is not installed; pip install 'chatapp[openai]' would.")
    key = await key_of(place)
    openai = await asyncio.to_thread(importlib.import_module, LIBRARY)
    # A proxy is for the way out: what is meant for this machine must not take it. Where a server sends us on to is
    # nowhere the user has named, and would be given the key.
    http = openai.DefaultAsyncHttpxClient(trust_env=not place.local, follow_redirects=False)
    client = openai.AsyncOpenAI(
        base_url=place.url, api_key=key or NO_KEY, max_retries=0, http_client=http, timeout=timeout(PAINT_SECONDS),
    )  # fmt: skip
    # What the environment says of OpenAI's own service is not for other servers. A copy of the client (`with_options`)
    # would read it again.
    client.organization = client.project = client.admin_api_key = None
    client._custom_headers = {}
    return Link(host, place, client, key)


def timeout(seconds: float) -> Any:
    """The client's limits: little time to connect, and `seconds` of silence at the most."""
    import openai

    return openai.Timeout(seconds, connect=CONNECT_SECONDS)


async def look(link: Link) -> list[Served] | None:
    """The server's models when it is opened; EngineError where it is not there, or not at this address.

    None where it has no list or cannot give it now: what is wrong with the server itself, the first question shows.
    """
    import openai

    place = link.place
    strange: Exception | None = None
    found: list[Served] | None = None
    try:
        found = await link.models()
    except Strange as error:
        strange = error
    except openai.APIStatusError as error:
        if error.status_code not in BUSY:
            raise link.failures.of(error) from error
    except Exception as error:
        raise link.failures.of(error) from error
    if found is None and not place.url.endswith("/v1") and await _answers(link):
        raise link.failures.sentence(f"answers at {place.url}/v1: set openai.servers.{place.name}.url to that.")
    if strange is not None:
        raise link.failures.of(strange) from strange
    return found


async def _answers(link: Link) -> bool:
    import openai

    try:
        answer = await link.client.get(
            f"{link.place.url}/v1/models", cast_to=object, options={"timeout": timeout(ANSWER_SECONDS)}
        )
    except (openai.OpenAIError, ValueError):
        return False
    return isinstance(answer, dict) and "data" in answer


def kind_of(link: Link, models: list[Served] | None) -> str:
    """What software the server is: as the settings say, else as its list of models betrays, else "openai"."""
    said = link.place.server.kind
    if said != "auto":
        return said
    return next((OWNERS[each.owner] for each in models or () if each.owner in OWNERS), "openai")


async def length_of(link: Link, kind: str, served: list[Served] | None, model: str) -> int | None:
    """The context of a model in tokens, as far as the server tells; llama-server tells it at an address of its own."""
    import openai

    listed = next((each.length for each in served or () if each.id == model), None)
    if listed is not None or kind != "llama-server":
        return listed
    try:
        found = await link.client.get(
            f"{link.place.root}/props", cast_to=object, options={"timeout": timeout(ANSWER_SECONDS)}
        )
        return int(found["default_generation_settings"]["n_ctx"])
    except (openai.OpenAIError, LookupError, TypeError, ValueError):
        return None


def _served(row: Mapping[str, Any]) -> Served:
    meta = row.get("meta")
    inner = meta.get("n_ctx") if isinstance(meta, dict) else None
    lengths = (row.get("max_model_len"), row.get("context_length"), inner)
    length = next((each for each in lengths if isinstance(each, int) and each > 0), None)
    return Served(row["id"], str(row.get("owned_by") or ""), length, str(row.get("parent") or ""))


def _json(raw: Any) -> Any:
    try:
        return raw.http_response.json()
    except ValueError as error:
        raise Strange(_no_json(raw)) from error


def _no_json(raw: Any) -> str:
    return not_json(raw.http_response.headers.get("content-type", ""), raw.http_response.text)


def not_json(content_type: str, text: str) -> str:
    """What to say of an answer that is none: "it …"."""
    if "html" in content_type or MARKUP.match(text):
        return "answers with a web page: its url is that of something else, or lacks the /v1 at its end"
    return "answers with something that is no JSON of OpenAI's interface: look at its url and its log"
