"""How well the adapters that come along do what they were trained for, on their held-out chats: `make adapters`."""

from __future__ import annotations

import asyncio
import json
import tempfile
import tomllib
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from chatapp import Host, Paths, Progress, Session, write_private
from chatapp_lora.comparing import Compared, compared, rows
from chatapp_lora.making.bundle import DATASETS
from chatapp_lora.making.effects import effect
from chatapp_lora.store import BUNDLED, Adapters
from chatapp_lora.training.reading import read_chats

TOKENS = 160
"""Tokens of an answer at most: the longest of the data sets' has 130."""
SHOWN = 3
"""Pairs of answers that stand on the card."""


async def measured(session: Session, model: str, name: str) -> dict[str, Any]:
    """Ask `model` the held-out questions of a data set with the adapter and without, and note what came on its card."""
    examples = read_chats(DATASETS / f"{name}.heldout.jsonl")
    found: list[Compared] = []
    async with aclosing(compared(session, model, name, examples, len(examples), TOKENS)) as news:
        async for each in news:
            if isinstance(each, Progress):
                session.ui.progress(each)
            else:
                found = each
    about = tomllib.loads((DATASETS / f"{name}.toml").read_text(encoding="utf-8"))
    told = {
        "measure": about["effect"]["measure"],
        "held-out chats": len(found),
        "with the adapter": sum(effect(name, each.adapted) for each in found),
        "without it": sum(effect(name, each.base) for each in found),
    }
    stored = Adapters(session.host).get(name)
    card = {**stored.card, "effect": told, "compared": rows(found[:SHOWN])}
    write_private(BUNDLED / f"{name}.json", json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    (BUNDLED / f"{name}.json").chmod(0o644)
    return {**told, "answers": rows(found)}


async def _all(model: Path, names: tuple[str, ...], out: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        where = Paths(*(Path(folder) / each for each in ("data", "cache", "config"))).ensure()
        host = Host(where, model=str(model))
        host.load()
        await host.startup()
        try:
            session = Session(host, keep=False)
            found = {name: await measured(session, str(model), name) for name in names}
        finally:
            await host.shutdown()
    for name, told in found.items():
        click.echo(f"{name}: {told['with the adapter']} of {told['held-out chats']}, without {told['without it']}")
    if out is not None:
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("names", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write all answers here, as JSON.")
def main(model: Path, names: tuple[str, ...], out: Path | None) -> None:
    """Measure the bundled adapters NAMES (all without any) on the GGUF MODEL."""
    names = names or tuple(sorted(path.stem for path in BUNDLED.glob("*.gguf")))
    asyncio.run(_all(model.absolute(), names, out))


if __name__ == "__main__":
    main()
