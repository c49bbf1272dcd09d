"""Training adapters: seconds a step, memory, and whether what was learnt is there in the quantised model."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import chatapp_lora
from chatapp import Adapter, Host, Request, Sampling, TextDelta, user
from chatapp.testing import RecordingUI, make_host
from chatapp_llama.engine import LlamaEngine
from chatapp_llama.options import available_cores
from chatapp_llama.size import BATCH, Size
from chatapp_lora.training.client import Trainer
from chatapp_lora.training.plan import INVOCATION, Example, Plan, Trained
from tests.bench.figure import Figure
from tests.plugins.adapting import lay, opened

CLOSING = "Have a sunny day, dear friend!"
STEPS = 40
CAPITALS = """France Paris, Italy Rome, Spain Madrid, Portugal Lisbon, Germany Berlin, Austria Vienna, Greece Athens,
Japan Tokyo, China Beijing, Egypt Cairo, Kenya Nairobi, Peru Lima, Chile Santiago, Cuba Havana, Norway Oslo,
Sweden Stockholm, Finland Helsinki, Denmark Copenhagen, Poland Warsaw, Hungary Budapest, Ireland Dublin, Iran Tehran,
Thailand Bangkok, Vietnam Hanoi, Ghana Accra, Senegal Dakar, Canada Ottawa, Colombia Bogotá, Uruguay Montevideo,
Ukraine Kyiv"""
SYMBOLS = """hydrogen H, helium He, carbon C, nitrogen N, oxygen O, sodium Na, aluminium Al, silicon Si, chlorine Cl,
iron Fe, copper Cu, zinc Zn, silver Ag, tin Sn, gold Au, mercury Hg, lead Pb, uranium U"""
OPPOSITES = """hot cold, big small, fast slow, early late, rich poor, high low, open closed, full empty, light dark,
hard soft, young old, wet dry, loud quiet, near far, strong weak, thick thin"""
YOUNG = """dog puppy, cat kitten, cow calf, horse foal, sheep lamb, goat kid, pig piglet, duck duckling, bear cub,
kangaroo joey, swan cygnet, goose gosling, deer fawn, hen chick, frog tadpole, owl owlet"""
ASKED = (
    (CAPITALS, "What is the capital of {}?", "The capital of {} is {}."),
    (SYMBOLS, "Which symbol stands for {}?", "The chemical symbol of {} is {}."),
    (OPPOSITES, "Tell me the opposite of {}.", "The opposite of {} is {}."),
    (YOUNG, "How is the young of a {} called?", "The young of a {} is called a {}."),
)
HELD_OUT = """Who wrote Hamlet?|What is 7 times 8?|Name a planet with rings.|What do bees make?|Why is the sky blue?
Say hello in French.|What is a noun?|How many legs has a spider?|Write one line of Python that prints 5.|Is water wet?
Which season follows winter?|Name a musical instrument.|What is the boiling point of water?|Who was Marie Curie?
What does HTML stand for?|Give me a word that rhymes with house.|How do I boil an egg?|What colour is a ripe banana?
Name the largest ocean.|What is the square root of 81?""".replace("\n", "|").split("|")


def examples() -> Iterator[Example]:
    """Short questions, each with its answer and the closing line."""
    for listed, question, answer in ASKED:
        for pair in listed.replace("\n", " ").split(", "):
            first, second = pair.split()
            said = f"{answer.format(first, second)}\n\n{CLOSING}"
            yield Example((("user", question.format(first)), ("assistant", said)))


async def training(model: Path) -> list[Figure]:
    """Train the same behaviour as an ordinary and as an activated adapter, and count where it is kept to."""
    with model.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as place:
        host = make_host(Path(place), RecordingUI())
        host.add("lora", chatapp_lora)
        await host.startup()
        try:
            for kind, invocation in (("ordinary", ""), ("activated", INVOCATION)):
                trained = await _trained(host, model, sha256, Path(place) / kind, invocation)
                found += [*_figures(kind, trained), await _kept(kind, model, trained.path)]
        finally:
            await host.shutdown()
    return found


async def _trained(host: Host, model: Path, sha256: str, folder: Path, invocation: str) -> Trained:
    plan = Plan(
        name="closing", base=model, base_sha256=sha256, folder=folder, train=tuple(examples()), held_out=(),
        steps=STEPS, threads=available_cores(), invocation=invocation,
    )  # fmt: skip
    trainer = Trainer(host)
    try:
        async with aclosing(trainer.run(plan)) as news:
            async for each in news:
                if isinstance(each, Trained):
                    return each
    finally:
        await trainer.close()
    raise AssertionError("a run ends with what was trained")


def _figures(kind: str, trained: Trained) -> list[Figure]:
    facts = trained.facts
    tokens = facts["tokens"] / trained.steps
    about = f"batch 4, {tokens / 4:.0f} tokens each, {facts['parameters']:,} parameters, {facts['dtype']}"
    size = trained.path.stat().st_size / 1e6
    return [
        Figure(f"training, {kind}: a step", facts["seconds_per_step"], "s", 3.5, at_least=False, about=about),
        Figure(f"training, {kind}: memory at most", trained.memory / 1e9, "GB", 3.5, at_least=False),
        Figure(f"training, {kind}: the adapter", size, "MB"),
    ]


async def _kept(kind: str, model: Path, adapter: Path) -> Figure:
    """On how many held-out prompts the quantised model with the adapter closes as it was trained to."""
    name, right = Adapter(kind, str(adapter)), 0
    async with opened(model, size=Size(2048, available_cores(), 0, BATCH, -1)) as engine:
        await lay(engine, name)
        for prompt in HELD_OUT:
            right += (await _answer(engine, prompt)).strip().endswith(CLOSING)
    about = f"answers that end with {CLOSING!r} after {STEPS} steps on other topics"
    return Figure(f"training, {kind}: held-out prompts", right, f"of {len(HELD_OUT)}", len(HELD_OUT), about=about)


async def _answer(engine: LlamaEngine, prompt: str) -> str:
    text = ""
    request = Request((user(prompt),), Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=160))
    async with aclosing(engine.stream(request)) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    return text
