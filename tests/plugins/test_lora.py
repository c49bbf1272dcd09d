"""Adapters as the user has them: the store, the mix, what the engine is given and what a switch costs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import chatapp_lora
from chatapp import Adapter, EngineConfig, Host, Session, UsageError
from chatapp.testing import RecordingUI, make_host, script
from chatapp_lora import store as store_module
from chatapp_lora.mixing import parsed, written
from chatapp_lora.store import Adapters
from tests.plugins.real import collect, text_of


@pytest.fixture(autouse=True)
def no_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the adapters a test makes."""
    monkeypatch.setattr(store_module, "BUNDLED", tmp_path / "bundled")


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the adapters plugin, the scripted engine and two adapters, one of them activated."""
    host = make_host(tmp_path, RecordingUI())
    host.add("lora", chatapp_lora)
    await host.startup()
    stored(host, "formal")
    stored(host, "brief", invocation="<|im_start|>assistant\n")
    yield Session(host)
    await host.shutdown()


def stored(host: Host, name: str, **card: object) -> Path:
    """An adapter in the store; what is in its file matters to no scripted engine."""
    file = host.paths.data / f"{name}.gguf"
    file.write_bytes(name.encode())
    return Adapters(host).add(file, name, card).path


async def ran(session: Session, line: str) -> str:
    """What a command says."""
    return "".join(getattr(event, "text", "") for event in await collect(session.run(line)))


def laid(session: Session) -> list[tuple[str, float]]:
    """The adapters the engine was given last."""
    return [(each.name, each.scale) for each in script(session).configs[-1].adapters]


async def test_a_mix_reaches_the_engine_with_its_files_and_goes_again(session: Session) -> None:
    assert "formal brief=0.5" in await ran(session, "/lora formal brief=0.5")
    await collect(session.send("Hello"))
    assert laid(session) == [("formal", 1.0), ("brief", 0.5)]
    assert [Path(each.path).read_text() for each in script(session).configs[-1].adapters] == ["formal", "brief"]
    assert session.status["lora"] == "formal brief=0.5"
    await ran(session, "/lora off")
    await collect(session.send("Hello"))
    assert laid(session) == []
    assert "lora" not in session.status


async def test_a_switch_says_what_must_be_read_again(session: Session) -> None:
    script(session).says("one two three")
    await collect(session.send("Hello there"))
    held = session.turn.usage  # type: ignore[union-attr]
    assert held is not None
    tokens = held.prompt_tokens + held.completion_tokens
    said = await ran(session, "/lora formal")
    assert f"reads {tokens} tokens again" in said
    assert session.status["lora"] == f"formal · reads {tokens} tokens again"
    await collect(session.send("And now?"))
    assert session.status["lora"] == "formal"


async def test_switching_an_activated_adapter_reads_nothing_again(session: Session) -> None:
    await collect(session.send("Hello there"))
    assert "nothing is read again" in await ran(session, "/lora brief")
    assert session.status["lora"] == "brief"
    assert "nothing is read again" in await ran(session, "/lora brief=0.3")
    assert "tokens again" in await ran(session, "/lora brief formal")


async def test_a_name_from_another_plugin_gets_its_file_and_what_is_unknown_is_told_once(session: Session) -> None:
    config = EngineConfig("scripted", adapters=(Adapter("brief", "", 0.4), Adapter("gone", ""), Adapter("x", "/x")))
    folded = [await chatapp_lora.configure_engine(config, session) for _ in range(2)]
    assert folded[0] == folded[1]
    assert [(each.name, each.scale, bool(each.path)) for each in folded[0].adapters] == [  # type: ignore[union-attr]
        ("x", 1.0, True),
        ("brief", 0.4, True),
    ]
    notices = [text for _, text in session.ui.notices]  # type: ignore[attr-defined]
    assert notices == ["The adapter gone is left out with scripted: it is not on this machine."]


async def test_other_kinds_of_engines_get_no_adapters(session: Session) -> None:
    await ran(session, "/lora formal")
    assert await chatapp_lora.configure_engine(EngineConfig("x", kind="image"), session) is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/lora fromal", "Did you mean formal?"),
        ("/lora formal=much", "no scale for formal"),
        ("/lora formal=nan", "no scale for formal"),
        ("/lora formal=99", "no scale for formal"),
        ("/lora formal formal=0.2", "named twice"),
        ("/lora rm gone", "no adapter called gone"),
        ("/lora restore", "No adapter was removed"),
        ("/lora add nowhere.gguf", "There is no nowhere.gguf"),
        ("/lora add nowhere.gguf Train!", "cannot be called"),
        ("/lora add nowhere.gguf train", "cannot be called"),
    ],
)
async def test_what_cannot_be_is_one_sentence_and_changes_nothing(session: Session, line: str, told: str) -> None:
    await ran(session, "/lora brief")
    with pytest.raises(UsageError, match=told.replace("?", r"\?")):
        await ran(session, line)
    assert session.values["lora"] == {"brief": 1.0}


async def test_what_is_removed_comes_back_with_its_card(session: Session) -> None:
    await ran(session, "/lora brief formal")
    assert "lora restore brief" in await ran(session, "/lora rm brief")
    assert Adapters(session.host).names() == ["formal"]
    assert session.values["lora"] == {"formal": 1.0}
    await ran(session, "/lora restore")
    assert Adapters(session.host).get("brief").invocation == "<|im_start|>assistant\n"


async def test_a_file_is_tried_kept_under_its_own_name_and_laid_on(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "My Style.gguf"
    file.write_bytes(b"weights")
    script(session).invocation = "Answer:"
    assert "my-style is here" in await ran(session, f'/lora add "{file}"')
    found = Adapters(session.host).get("my-style")
    assert (found.invocation, found.card["rank"], found.card["base"]) == ("Answer:", 8, "scripted")
    assert found.path.read_bytes() == file.read_bytes() == b"weights"
    session.ui.answers = [False]  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="already"):
        await ran(session, f'/lora add "{file}"')


async def test_an_own_adapter_goes_before_a_bundled_one_which_cannot_be_removed(
    session: Session, tmp_path: Path
) -> None:
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    (bundled / "json.gguf").write_bytes(b"bundled")
    adapters = Adapters(session.host)
    with pytest.raises(UsageError, match="comes with chatapp"):
        adapters.remove("json")
    stored(session.host, "json")
    assert adapters.get("json").path.parent == adapters.folder
    adapters.remove("json")
    assert adapters.get("json").bundled


async def test_a_damaged_card_costs_only_the_description(session: Session) -> None:
    path = Adapters(session.host).get("brief").path
    path.with_suffix(".json").write_text("{")
    assert Adapters(session.host).get("brief").card == {}
    assert "brief" in await ran(session, "/lora")


async def test_the_settings_mix_is_on_until_another_is_chosen(tmp_path: Path) -> None:
    host = make_host(tmp_path, RecordingUI(), lora={"default": "formal=0.5"})
    host.add("lora", chatapp_lora)
    await host.startup()
    stored(host, "formal")
    session = Session(host)
    assert text_of(await collect(session.send("Hello"))) == "OK."
    assert laid(session) == [("formal", 0.5)]
    await ran(session, "/lora off")
    await collect(session.send("Hello"))
    assert laid(session) == []
    await host.shutdown()


async def test_the_choice_is_kept_with_the_conversation(session: Session) -> None:
    await collect(session.send("Hello"))
    await ran(session, "/lora formal=0.5")
    kept = session.host.archive.load(session.conversation.id)
    assert json.loads(json.dumps(kept.values["lora"])) == {"formal": 0.5}


async def test_a_mix_is_written_as_it_is_read(session: Session) -> None:
    mix = {"formal": 1.0, "brief": -0.25}
    assert parsed(written(mix).split(), Adapters(session.host)) == mix
