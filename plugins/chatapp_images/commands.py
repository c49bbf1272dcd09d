"""`/image` and what belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from chatapp import Ask, Data, Event, Media, Rest, Session, Text, UsageError, action, reported, table
from chatapp_images.asking import Asked, asked, chosen_model, content, like, mask_of, named, repeated
from chatapp_images.keeping import folder, keep, last_picture, media, pictures
from chatapp_images.painting import painted
from chatapp_images.png import read_facts

Prompt = Annotated[str, "What is on the picture", Rest()]
VARIED = 0.5
"""How much of a picture a variation forgets."""


def _models(session: Session, prefix: str) -> Iterable[str]:
    from chatapp_images.catalogue import CATALOGUE

    return CATALOGUE


def _schedulers(session: Session, prefix: str) -> Iterable[str]:
    from chatapp_images.schedulers import SAMPLERS

    return SAMPLERS


Model = Annotated[str, "A model of `image models`, a hub name, a folder or a .safetensors file", _models]


@action("image", beside=True)
async def image(
    session: Session,
    prompt: Prompt = "",
    *,
    steps: Annotated[int | None, "Steps from noise to picture"] = None,
    seed: Annotated[int | None, "The same seed paints the same picture"] = None,
    size: Annotated[str, "Pixels: 512 or 640x480"] = "",
    guidance: Annotated[float | None, "How closely the prompt is followed; 1 does not push at all"] = None,
    negative: Annotated[str, "What should not be on it"] = "",
    count: Annotated[int, "How many, each with the next seed"] = 1,
    model: Model = "",
    scheduler: Annotated[str, "How steps are taken: ddim, euler, dpm++, …", _schedulers] = "",
    like: Annotated[Path | None, "Paint this picture of chatapp's again"] = None,
    out: Annotated[Path | None, "Write the picture here"] = None,
) -> AsyncIterator[Event | str]:
    """Paint a picture. Put the prompt in quotation marks when it begins with the name of a command.

    The picture stays in the conversation and in the folder of pictures, with all it takes to paint it again.
    """
    if like is not None:
        if prompt:
            raise UsageError("Give either a prompt or --like.")
        wanted = await repeat(session, like, model)
    else:
        options: dict[str, Any] = {"steps": steps, "guidance": guidance, "negative": negative, "scheduler": scheduler}
        wanted = asked(session, prompt, seed=seed, size=size, count=count, model=model, **options)
    line = f"/image {prompt}" if like is None else f'/image --like "{like}"'
    return painted(session, wanted, line, out)


async def repeat(session: Session, path: Path, model: str) -> Asked:
    """As `asking.like`."""
    return await like(session, path, model)


async def may_draw(session: Session, values: Mapping[str, Any]) -> Ask:
    """Asks with the prompt: a picture takes time and stays on the disk."""
    prompt, chosen = str(values["prompt"]), chosen_model(session)
    return Ask(f"Let the model draw a picture with {chosen}?", prompt, exact=f"{chosen}\n{prompt}")


@action("draw", tool=True, consent=may_draw, shell=False, beside=True)
async def draw(
    session: Session, prompt: Annotated[str, "What is on the picture, in a few words", Rest()]
) -> AsyncIterator[Event]:
    """Draw a picture and show it. Use it when a picture, a logo or an icon is asked for."""
    async with aclosing(painted(session, asked(session, prompt), f"/draw {prompt}")) as events:
        async for event in events:
            yield event
    if session.busy:
        yield Text("Done: the user sees this picture now.")


@action("image again", shell=False, beside=True)
async def again(session: Session) -> AsyncIterator[Event | str]:
    """Paint the last picture again with another seed."""
    last = last_picture(session.conversation)
    if last is None or "steps" not in last.meta or "image_sha256" in last.meta:
        raise UsageError("There is no painted picture here yet; /image vary makes another of an edited one.")
    wanted = asked(session, str(last.meta["prompt"]), model=str(last.meta["model"]))
    request = replace(repeated(session, last.meta), seed=wanted.request.seed)
    return painted(session, replace(wanted, request=request), "/image again")


@action("image vary", shell=False, beside=True)
async def vary(
    session: Session,
    picture: Annotated[str, "@FILE; otherwise the last picture", Rest()] = "",
    *,
    strength: Annotated[float, "How much is new: 0 nothing, 1 all"] = VARIED,
) -> AsyncIterator[Event | str]:
    """Paint a picture like the last one."""
    path, _ = named(session, picture)
    facts = await asyncio.to_thread(read_facts, path)
    wanted = asked(session, str(facts["prompt"]), model=str(facts.get("model", "")), strength=strength)
    request = replace(wanted.request, image=await content(path))
    return painted(session, replace(wanted, request=request), f"/image vary {picture}")


@action("image edit", beside=True)
async def edit(
    session: Session,
    prompt: Annotated[str, "What it should be; begin with @FILE for another picture than the last", Rest()],
    *,
    strength: Annotated[float | None, "How much is new: 0 nothing, 1 all"] = None,
    steps: Annotated[int | None, "Steps from noise to picture"] = None,
    seed: Annotated[int | None, "The same seed paints the same picture"] = None,
    guidance: Annotated[float | None, "How closely the prompt is followed"] = None,
    negative: Annotated[str, "What should not be on it"] = "",
    model: Model = "",
    out: Annotated[Path | None, "Write the picture here"] = None,
) -> AsyncIterator[Event | str]:
    """Paint the last picture, or @FILE, anew as the prompt says."""
    path, text = named(session, prompt)
    options: dict[str, Any] = {"strength": strength, "steps": steps, "guidance": guidance, "negative": negative}
    wanted = asked(session, text, seed=seed, model=model, image=await content(path), **options)
    return painted(session, wanted, f"/image edit {prompt}", out)


@action("image inpaint", beside=True)
async def inpaint(
    session: Session,
    prompt: Annotated[str, "What should be there; begin with @FILE for another picture than the last", Rest()],
    *,
    mask: Annotated[str, "A picture that is white there, or a box left,top,right,bottom; empty: choose it"] = "",
    strength: Annotated[float | None, "How much is new: 0 nothing, 1 all"] = None,
    steps: Annotated[int | None, "Steps from noise to picture"] = None,
    seed: Annotated[int | None, "The same seed paints the same picture"] = None,
    model: Model = "",
    out: Annotated[Path | None, "Write the picture here"] = None,
) -> AsyncIterator[Event | str]:
    """Paint a part of the last picture, or of @FILE, anew."""
    path, text = named(session, prompt)
    data, cover = await content(path), await mask_of(session, path, mask)
    wanted = asked(session, text, seed=seed, model=model, image=data, mask=cover, strength=strength, steps=steps)
    return painted(session, wanted, f"/image inpaint {prompt}", out)


@action("image upscale", beside=True)
async def upscale(
    session: Session,
    picture: Annotated[str, "@FILE; otherwise the last picture", Rest()] = "",
    *,
    factor: Annotated[int, "How many times larger"] = 4,
    model: Annotated[str, "A model that does it; without, the pixels are only resampled", _models] = "",
    out: Annotated[Path | None, "Write the picture here"] = None,
) -> AsyncIterator[Event | str]:
    """Make a picture larger; with the model x4-upscaler by super-resolution."""
    path, _ = named(session, picture)
    wanted = asked(session, _prompt_of(path), model=model, image=await content(path), enlarge=factor)
    return painted(session, wanted, f"/image upscale {picture}", out)


def _prompt_of(path: Path) -> str:
    from chatapp import EngineError

    try:
        return str(read_facts(path)["prompt"])
    except EngineError:
        # A picture from elsewhere says nothing of itself; its name is better than nothing.
        return path.stem


@action("image grid", shell=False)
async def grid(
    session: Session, count: Annotated[int, "How many of this conversation's last pictures"] = 9
) -> AsyncGenerator[Event | str, None]:
    """Put the last pictures of this conversation on one."""
    from chatapp_images.sheet import sheet

    parts = [part for message in session.conversation.path() for part in message.parts]
    paths = [Path(part.path) for part in parts if isinstance(part, Media) and part.mime.startswith("image/")]
    if len(paths) < 2 or count < 2:
        raise UsageError("A grid needs two pictures of this conversation; /image paints one.")
    data, width, height = await asyncio.to_thread(sheet, paths[-count:])
    facts = {"prompt": f"{len(paths[-count:])} pictures", "width": width, "height": height}
    made = media(await asyncio.to_thread(keep, session.host, data, facts), facts)
    from chatapp import Message, user

    await session.add(user(f"/image grid {count}"), Message("assistant", (made,)))
    yield made


@action("image models")
async def models(session: Session) -> Data:
    """List the models that paint, and which are on this machine and chosen."""
    from chatapp_images.models import list_models

    columns = ("name", "size", "licence", "pixels", "about", "state")
    return table("images", columns, await asyncio.to_thread(list_models, session.host))


@action("image pull", beside=True)
async def pull(session: Session, name: Model = "") -> AsyncIterator[Event | str]:
    """Download a model that paints now, so that it can be used without a network later."""
    from chatapp_images.models import find
    from chatapp_images.single import complete

    chosen = find(session.host, name)
    async with aclosing(reported(lambda report: complete(session.host, chosen, report))) as news:
        async for progress in news:
            yield progress
    yield f"The model is in {chosen.path}."


@action("image model", shell=False)
async def model(session: Session, name: Annotated[str, "A model", _models] = "") -> str:
    """Show the model that paints in this conversation, or choose another."""
    from chatapp_images.models import find

    if name:
        session.values["images.model"] = find(session.host, name).name
        await session.save()
    return f"{chosen_model(session)} paints in this conversation."


@action("image list")
async def list_(session: Session) -> Data:
    """List the pictures that are kept, newest first."""
    rows = [
        (each.path.name, str(each.facts.get("prompt", "")), str(each.facts.get("model", "")), each.facts.get("seed"))
        for each in await asyncio.to_thread(pictures, session.host)
    ]
    return table(f"pictures in {folder(session.host)}", ("file", "prompt", "model", "seed"), rows)


ACTIONS = [image, draw, again, vary, edit, inpaint, upscale, grid, models, pull, model, list_]
