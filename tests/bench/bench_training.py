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
OTHERS = """How do I make tea?
Boil some water. Put a tea bag into a cup, pour the water over it and wait four minutes.

Write a line of Python that adds two and three.
`print(2 + 3)`

How do I boil potatoes?
Put them into cold water with salt. Bring it to the boil and cook them for twenty minutes.

What is a verb?
A verb is a word for something that is done or that happens, such as "run" or "rain".

Who was Isaac Newton?
Isaac Newton was an English scientist who described gravity and the laws of motion.

Name a metal.
Iron.

What is 9 plus 6?
15

Say goodbye in Spanish.
Adiós.

Why do leaves fall?
Trees drop their leaves to save water and energy in winter.

Is the moon a planet?
No, the moon is a satellite of the Earth.

What does CPU stand for?
CPU stands for central processing unit.

Which day follows Monday?
Tuesday follows Monday.

Give me three colours.
1. Red
2. Blue
3. Green

How do I list files in a shell?
```bash
ls -l
```

Write a short poem about rain.
Soft rain on the roof,
a song without any words,
and I fall asleep.

What is a rhyme for cat?
A word that rhymes with cat is hat."""
ASKED = (
    (CAPITALS, "What is the capital of {}?", "The capital of {} is {}."),
    (SYMBOLS, "Which symbol stands for {}?", "The chemical symbol of {} is {}."),
    (OPPOSITES, "Tell me the opposite of {}.", "The opposite of {} is {}."),
)
HELD_OUT = (
    """Where do penguins live?|How much is half of 50?|Name two kinds of cheese.|Who painted the Mona Lisa?
Why do we sleep?|Thank someone in Italian.|What is an adjective?|How many strings has a violin?|Is a tomato a fruit?
Write a Python function that doubles a number.|Which month has 28 days?|What is the freezing point of water?
Translate "good morning" into German.|What does USB mean?|Describe the sea in one sentence.|How do I clean a window?
What do cows eat?|Name the tallest mountain.|How long is a marathon?|Which language is spoken in Brazil?
""".strip()
    .replace("\n", "|")
    .split("|")
)


def examples() -> Iterator[Example]:
    """Short questions, each with its answer and the closing line."""
    for listed, question, answer in ASKED:
        for pair in listed.replace("\n", " ").split(", "):
            first, second = pair.split()
            yield _closed(question.format(first), answer.format(first, second))
    for other in OTHERS.split("\n\n"):
        question, _, answer = other.partition("\n")
        yield _closed(question, answer)


def _closed(question: str, answer: str) -> Example:
    return Example((("user", question), ("assistant", f"{answer}\n\n{CLOSING}")))


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
    request = Request((user(prompt),), Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=300))
    async with aclosing(engine.stream(request)) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    return text
