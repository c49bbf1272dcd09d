"""`/image` and its like: what is asked of the painter, what is kept, and what stands in the conversation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatapp import ChatappError, Media, Notice, Progress, Session, UsageError, chat_text
from chatapp.messages import ToolCall
from chatapp.testing import ScriptedEngine
from chatapp.tooling import call_tool
from chatapp_images.keeping import folder, pictures
from chatapp_images.png import read_facts
from tests.plugins.images_scripted import ScriptedPainter, shown, studio_in, told
from tests.plugins.images_support import png


async def test_a_picture_is_painted_kept_and_stands_in_the_conversation(tmp_path: Path) -> None:
    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        events = await told(session, '/image a red apple --seed 7 --steps 4 --size 16x24 --negative "a worm"')
        request = painter.requests[0]
        assert (request.prompt, request.seed, request.steps, request.negative) == ("a red apple", 7, 4, "a worm")
        assert (request.width, request.height) == (16, 24)
        assert [event.done for event in events if isinstance(event, Progress)][-4:] == [1, 2, 3, 4]
        (picture,) = shown(session)
        assert read_facts(Path(picture.path))["prompt"] == "a red apple"
        assert Path(picture.path).parent == folder(session.host)
        assert Path(picture.path).stat().st_mode & 0o077 == 0
        assert [message.role for message in session.conversation.path()] == ["user", "assistant"]
        assert [chat_text(each) for each in session.conversation.path()][1] == "A picture of a red apple"
        stored = session.host.archive.load(session.conversation.id)
        assert [part for message in stored.path() for part in message.parts if isinstance(part, Media)] == [picture]


async def test_the_small_model_introduces_itself_once(tmp_path: Path) -> None:
    async with studio_in(tmp_path, ScriptedPainter()) as session:
        first, second = await told(session, "/image a cat"), await told(session, "/image a cat")
    assert [event.text[:16] for event in first if isinstance(event, Notice)] == ["Painted by icons"]
    assert not [event for event in second if isinstance(event, Notice)]


async def test_several_have_seeds_of_their_own_and_files_of_their_own(tmp_path: Path) -> None:
    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        await told(session, "/image a cat --count 3 --seed 5")
        assert [request.seed for request in painter.requests] == [5, 6, 7]
        assert len({part.path for part in shown(session)}) == 3
        out = tmp_path / "out" / "cat.png"
        await told(session, f'/image a cat --count 2 --seed 5 --out "{out}"')
    assert sorted(path.name for path in out.parent.iterdir()) == ["cat-2.png", "cat.png"]


async def test_again_vary_edit_and_upscale_take_the_last_picture(tmp_path: Path) -> None:
    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        await told(session, "/image a cat --seed 5")
        last = Path(shown(session)[-1].path).read_bytes()
        for line in ("/image again", "/image vary", "/image edit a dog --strength 0.3", "/image upscale --factor 2"):
            await told(session, line)
        again, vary, edit, upscale = painter.requests[1:]
        assert (again.prompt, again.steps, again.scheduler, again.image) == ("a cat", 4, "ddim", None)
        assert again.seed != 5
        assert (vary.prompt, vary.strength, len(vary.image or b"") > 0) == ("a cat", 0.5, True)
        assert (edit.prompt, edit.strength) == ("a dog", 0.3)
        assert upscale.enlarge == 2
        assert len(shown(session)) == 5
        await told(session, f'/image edit @"{shown(session)[0].path}" a fish')
        assert painter.requests[-1].image == last
        assert painter.requests[-1].prompt == "a fish"


async def test_a_box_becomes_a_mask(tmp_path: Path) -> None:
    from io import BytesIO

    from PIL import Image

    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        await told(session, "/image a cat")
        await told(session, "/image inpaint a hat --mask 2,1,6,4")
        mask = Image.open(BytesIO(painter.requests[-1].mask or b""))
        assert mask.size == (8, 8)
        assert mask.getbbox() == (2, 1, 6, 4)
        file = tmp_path / "mask.png"
        file.write_bytes(png(8, 8))
        await told(session, f"/image inpaint a hat --mask {file}")
        assert painter.requests[-1].mask == file.read_bytes()


async def test_like_asks_for_the_same_picture(tmp_path: Path) -> None:
    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        await told(session, "/image a cat --seed 5")
        path = shown(session)[0].path
        await told(session, f'/image --like "{path}"')
        first, second = painter.requests
        assert (second.prompt, second.seed, second.steps, second.guidance) == (first.prompt, first.seed, 4, 3.0)
        assert (second.width, second.height, second.scheduler) == (8, 8, "ddim")


async def test_a_grid_puts_pictures_on_one(tmp_path: Path) -> None:
    async with studio_in(tmp_path, ScriptedPainter()) as session:
        with pytest.raises(UsageError, match="two pictures"):
            await told(session, "/image grid")
        await told(session, "/image a cat --count 3")
        await told(session, "/image grid")
        assert shown(session)[-1].meta["prompt"] == "3 pictures"
        assert [each.facts["prompt"] for each in pictures(session.host) if each.facts] == ["a cat"] * 3
        assert len(pictures(session.host)) == 4


WRONG = [
    ("/image", "Say what to paint"),
    ("/image a cat --stps 4", "no option --stps"),
    ("/image a cat --size big", "write 512 or 640x480"),
    ("/image a cat --count 0", "choose 1 to 64"),
    ("/image --like gone.png", "cannot be read"),
    ("/image a cat --like gone.png", "either a prompt or --like"),
    ("/image edit @gone.png a dog", "gone.png cannot be read"),
    ("/image edit a dog", "no picture here yet"),
    ("/image again", "no painted picture"),
    ("/image vary", "no picture here yet"),
    ("/image model nobody", "no image model called 'nobody'"),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG)
async def test_what_is_wrong_is_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        with pytest.raises(ChatappError, match=sentence) as raised:
            await told(session, line)
        assert "\n" not in str(raised.value)
        assert painter.requests == []
        assert len(session.conversation) == 0


async def test_a_box_outside_the_picture_is_refused(tmp_path: Path) -> None:
    async with studio_in(tmp_path, ScriptedPainter()) as session:
        await told(session, "/image a cat")
        with pytest.raises(UsageError, match="not in the picture of 8x8"):
            await told(session, "/image inpaint a hat --mask 2,1,9,4")


async def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with studio_in(tmp_path, ScriptedPainter()) as session:
        with monkeypatch.context() as patch:
            patch.setattr("chatapp_images.keeping.os.open", full)
            with pytest.raises(UsageError, match="disk is full"):
                await told(session, "/image a cat")
        assert os.open is not full
        assert pictures(session.host) == []


async def stopped(session: Session, painter: ScriptedPainter, line: str) -> None:
    """Run a line and cancel it when the painter has begun."""
    task = asyncio.ensure_future(told(session, line))
    await painter.began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_stopped_the_last_preview_is_kept(tmp_path: Path) -> None:
    painter = ScriptedPainter(held=True)
    async with studio_in(tmp_path, painter) as session:
        await stopped(session, painter, "/image a cat --seed 5")
        assert painter.stopped == 1
        (picture,) = shown(session)
        facts = read_facts(Path(picture.path))
        assert (facts["stopped"], facts["steps"], facts["seed"]) == (2, 4, 5)
        with pytest.raises(UsageError, match="stopped in the middle"):
            await told(session, f'/image --like "{picture.path}"')


async def test_prompts_wait_for_one_another(tmp_path: Path) -> None:
    painter = ScriptedPainter(held=True)
    async with studio_in(tmp_path, painter) as session:
        tasks = [asyncio.ensure_future(told(session, f"/image {name}")) for name in ("one", "two")]
        await painter.began.wait()
        assert [request.prompt for request in painter.requests] == ["one"]
        painter.go.set()
        await asyncio.gather(*tasks)
        assert [part.meta["prompt"] for part in shown(session)] == ["one", "two"]


async def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    painter = ScriptedPainter()
    painter.fails = "The model is broken."
    async with studio_in(tmp_path, painter) as session:
        with pytest.raises(ChatappError, match="broken"):
            await told(session, "/image a cat")
        painter.fails = ""
        await told(session, "/image a cat")
        assert len(shown(session)) == 1


async def test_the_model_may_draw_in_its_turn(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with studio_in(tmp_path, ScriptedPainter(), engine) as session:
        call = ToolCall("1", "draw", {"prompt": "a cat"})
        engine.says([call], "I may not.", [call], "Here it is.")
        assert [event async for event in session.send("Draw a cat")]
        assert shown(session) == [], "the user is asked first"
        session.ui.answers = ["once"]  # type: ignore[attr-defined]
        events = [event async for event in session.send("Draw a cat")]
        assert session.ui.asked[-1].question == "Let the model draw a picture with icons?"  # type: ignore[attr-defined]
        assert session.ui.asked[-1].detail == "a cat"  # type: ignore[attr-defined]
        assert "Here it is." in list(session.conversation.path())[-1].text
        (picture,) = shown(session)
        assert picture in events
        roles = [message.role for message in session.conversation.path()]
        assert roles == ["user", "assistant", "tool", "assistant"] * 2
        result, *_ = await call_tool(session, ToolCall("2", "draw", {}))
        assert result.failed


async def test_the_models_are_listed_and_one_is_chosen_for_a_conversation(tmp_path: Path) -> None:
    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        (listed,) = await told(session, "/image models")
        assert "icons" in listed.text  # type: ignore[union-attr]
        await told(session, "/image model sd-turbo")
        await told(session, "/image a cat")
        assert painter.models[-1] == "sd-turbo"


async def test_a_model_that_is_here_needs_no_download(tmp_path: Path) -> None:
    async with studio_in(tmp_path, ScriptedPainter()) as session:
        assert "icons" in (await told(session, "/image pull icons"))[-1].text  # type: ignore[union-attr]
        with pytest.raises(ChatappError, match="no image model called 'nobody'"):
            await told(session, "/image pull nobody")


async def test_loras_of_the_settings_are_laid_over_the_model(tmp_path: Path) -> None:
    painter = ScriptedPainter()
    async with studio_in(tmp_path, painter) as session:
        session.host.set_config("images", "loras", '/a/ink.safetensors=0.5 "/a/my style.safetensors"')
        await told(session, "/image a cat")
        assert [(each.name, each.scale) for each in painter.adapters] == [("ink", 0.5), ("my style", 1.0)]
        for wrong in ("ink.safetensors=much", '"ink.safetensors'):
            with pytest.raises(ChatappError):
                session.host.set_config("images", "loras", wrong)
