"""What answers: the protocol an engine follows and the values it is given.

An engine is declared by a plugin's `engines()` hook as an `EngineSpec`; `open` is called only when the user chose it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from chatapp.events import Event, Progress
from chatapp.messages import Message, Source
from chatapp.vectors import Vectors

if TYPE_CHECKING:
    from chatapp.host import Host
    from chatapp.pictures import Painter

Kind: TypeAlias = Literal["chat", "image", "embedding", "reader", "reranker"]
Report: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; None leaves the choice to the engine and the model's publisher.

    `temperature` 0 is greedy. `seed` None draws anew each time. `max_tokens` None is as much as the context holds.
    `logprobs` asks for that many alternatives per token (0: none). `grammar` is GBNF; `json_schema` a JSON schema the
    answer must fit; at most one of them.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int = 0
    grammar: str | None = None
    json_schema: Mapping[str, Any] | None = None

    def over(self, base: Sampling) -> Sampling:
        """This sampling where it says something, `base` where it is left at the default."""
        return Sampling(
            **{
                each.name: getattr(base if getattr(self, each.name) == each.default else self, each.name)
                for each in fields(self)
            }
        )


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call: its name, what it does, and its arguments as a JSON schema (2020-12) object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to an engine. `template` holds variables for the chat template (`enable_thinking`)."""

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    tools: tuple[Tool, ...] = ()
    template: Mapping[str, Any] = field(default_factory=dict)
    continue_last: bool = False
    """Go on writing the last message, an assistant's, instead of beginning a new one."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank weights laid over a model at `scale` (1.0: as trained); `path` is a local file."""

    name: str
    path: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What an adapter's file says: `rank` and `alpha` of its factors, the modules they change, bytes of the file.

    `invocation` is empty for an ordinary adapter, which changes how the whole conversation is read. An activated one
    (aLoRA; Greenewald et al., 2025) takes effect only from the last place on where the prompt has these token ids, so
    what was read before it stays valid; `invocation_text` is the text they stand for.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]
    bytes: int
    architecture: str
    invocation: tuple[int, ...] = ()
    invocation_text: str = ""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What an engine opens. `model` is a name its plugin understands, or a path; None where the engine has a default.

    `context_length` in tokens, `threads`, and `gpu_layers` are chosen for the machine when None. `options` are the
    engine's own, as JSON. `kind` says what for: a plugin that lays adapters over a chat model leaves the others alone.
    """

    model: str
    context_length: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    adapters: tuple[Adapter, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "chat"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an open engine says of itself.

    `context_length` in tokens. `features` names what it can do beyond text: "adapters", "grammar", "json_schema",
    "logprobs", "tools", "tokenize", "reasoning", "images". `details` is JSON for those who want to know more.
    """

    engine: str
    model: str
    context_length: int
    features: frozenset[str] = frozenset()
    details: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Engine(Protocol):
    """An open engine. Everything may raise EngineError; a failure leaves the object usable or says it is not."""

    @property
    def info(self) -> EngineInfo:
        """What was opened."""
        ...

    def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer, event by event, ending with Usage and Finished; closing the iterator stops within a token."""
        ...

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text is, by itself."""
        ...

    async def tune(self, config: EngineConfig) -> bool:
        """Take on `config` without opening again; False where that cannot be done and a new one must be opened."""
        ...

    async def close(self) -> None:
        """Give back everything; safe to call twice."""
        ...


@runtime_checkable
class TokenizingEngine(Engine, Protocol):
    """An engine with the feature "tokenize"."""

    async def tokenize(self, request: Request) -> list[str]:
        """The texts of the tokens that this request's prompt is read as, in order."""
        ...


@runtime_checkable
class AdaptingEngine(Engine, Protocol):
    """An engine with the feature "adapters": `tune` lays other adapters over the open model at once."""

    async def examine(self, adapter: Adapter) -> AdapterFacts:
        """What an adapter is; EngineError in one sentence when it is no adapter for the open model, or does nothing.

        Nothing is laid over the model for it; the conversation read so far is kept.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """An open engine of the kind "embedding": texts to vectors.

    Its `info.details` say "name" (what `Engines.ready` opens it by), "model" (a string that is the same wherever the
    vectors are), "dimensions", "tokenizer" (the path of its tokenizer.json, "" when there is none), "languages" (ISO
    639-1 codes, "*" for very many, empty when unknown), "precision" and "relevant_from" (the cosine from which on a
    passage is likely to answer a question, 0.0 when unknown).
    """

    @property
    def info(self) -> EngineInfo:
        """What was opened; `context_length` is how many tokens of a text count."""
        ...

    async def embed(
        self, texts: Sequence[str], *, query: bool = False, background: bool = False, report: Report | None = None
    ) -> Vectors:
        """One vector of unit length (L2) per text, in order; their dot product is the cosine similarity.

        `query` says that the texts are questions, which some models read otherwise than what answers them.
        `background` work is paused while an answer streams. `report` is told how many texts are done.
        """
        ...

    async def tune(self, config: EngineConfig) -> bool:
        """As `Engine.tune`."""
        ...

    async def close(self) -> None:
        """As `Engine.close`."""
        ...


@runtime_checkable
class Reader(Protocol):
    """An open engine of the kind "reader": files that are no plain text, PDF or office documents, as text."""

    @property
    def info(self) -> EngineInfo:
        """What was opened."""
        ...

    async def read(self, path: Path) -> Source:
        """The whole text of the file, to attach it to a message; UsageError in one sentence when it has none.

        Cancelling ends the work.
        """
        ...

    async def tune(self, config: EngineConfig) -> bool:
        """As `Engine.tune`."""
        ...

    async def close(self) -> None:
        """As `Engine.close`."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """An open engine of the kind "reranker": reads a question and a passage together and says how well they fit."""

    @property
    def info(self) -> EngineInfo:
        """What was opened; `context_length` is how many tokens of question and passage together count."""
        ...

    async def score(self, query: str, texts: Sequence[str], *, report: Report | None = None) -> list[float]:
        """How well each text answers the query, from 0 to 1, higher is better, in the order of the texts."""
        ...

    async def tune(self, config: EngineConfig) -> bool:
        """As `Engine.tune`."""
        ...

    async def close(self) -> None:
        """As `Engine.close`."""
        ...


AnyEngine: TypeAlias = "Engine | Embedder | Reader | Reranker | Painter"


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A kind of engine a plugin offers.

    `open` opens one, telling `Report` how far it is; it is cancelled when the user gives up. `accepts` says whether a
    model's name belongs to this engine, `models` lists the names it offers; both must be quick and touch no network.
    """

    name: str
    open: Callable[[Host, EngineConfig, Report], Awaitable[AnyEngine]]
    kind: Kind = "chat"
    description: str = ""
    accepts: Callable[[Host, str], bool] = lambda host, model: True
    models: Callable[[Host], Iterable[str]] = lambda host: ()
