"""Fetching models: which files, from a hub on this machine that answers well, badly or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatapp import Host, ModelError, OfflineError, Progress
from chatapp_images import fetching, single
from chatapp_images.fetching import Remote, ensure, select
from chatapp_images.models import DONE, find
from chatapp_images.single import KINDS, complete
from tests.plugins.images_support import plain_host
from tests.support_models import Hub, serving, sha256, soon

pytest.importorskip("huggingface_hub")
NAME, COMMIT = "toys/tiny", "c" * 40


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A started host that may use the network."""
    async with plain_host(tmp_path / "home", NAME, offline=False) as made:
        yield made


@pytest.fixture
def hub(tmp_path: Path, image_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one tiny model."""
    place = image_models / "paints"
    files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    files["unet/diffusion_pytorch_model.bin"] = b"pickled"
    files["README.md"] = b"# A model"
    with serving(offering(files)) as server:
        for name, value in server.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        yield server


def offering(files: dict[str, bytes], **changed: Any) -> Hub:
    """A hub that offers these files of the one model, and says so when it is asked; `changed` SHA-256s it states."""
    siblings = [
        {
            "rfilename": name,
            "size": len(data),
            "blobId": "0",
            **(
                {"lfs": {"sha256": changed.get(name, sha256(data)), "size": len(data), "pointerSize": 1}}
                if name.endswith(".safetensors")
                else {}
            ),
        }
        for name, data in files.items()
    ]
    answer = json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode()
    return Hub(
        {f"api/models/{NAME}/revision/main?blobs=True/": answer, f"api/models/{NAME}/revision/main?blobs=true/": answer}
        | {f"{NAME}/{name}": data for name, data in files.items()}
    )


async def test_a_model_arrives_whole(host: Host, hub: Hub) -> None:
    news: list[Progress] = []
    chosen = find(host)
    await ensure(host, chosen, news.append)
    assert chosen.here
    held = {str(path.relative_to(chosen.path)) for path in chosen.path.rglob("*") if path.is_file()}
    assert "README.md" not in held
    assert "unet/diffusion_pytorch_model.bin" not in held
    assert {"model_index.json", "unet/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json", DONE} <= held
    assert json.loads((chosen.path / DONE).read_text())["commit"] == COMMIT
    assert [news[0].label, news[-1].label] == [f"Looking for {NAME} on the hub", f"Checking {NAME}"]
    asked = len(hub.downloads)
    await ensure(host, chosen, news.append)
    assert len(hub.downloads) == asked


async def test_cancelling_keeps_what_has_arrived(host: Host, hub: Hub) -> None:
    hub.pause = 0.2
    part = find(host).path.with_name("toys--tiny.part")
    work = asyncio.ensure_future(ensure(host, find(host), lambda progress: None))
    await soon((part / "model_index.json").is_file)
    work.cancel()
    await asyncio.wait([work])
    assert work.cancelled()
    assert not find(host).here
    assert (part / "model_index.json").is_file()
    hub.pause = 0
    await ensure(host, find(host), lambda progress: None)
    assert find(host).here
    assert not part.exists()


@pytest.fixture
def file(image_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model in one file, whose configuration is that of the hub's model."""
    monkeypatch.setattr(single, "KINDS", ((KINDS[-1][0], NAME, "main"),))
    return image_models / "sd.safetensors"


async def test_for_a_single_file_the_configuration_is_fetched(host: Host, hub: Hub, file: Path) -> None:
    news: list[Progress] = []
    place = await complete(host, find(host, str(file)), news.append)
    assert place is not None
    assert place.name == "toys--tiny--config"
    held = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert {"model_index.json", "unet/config.json", "tokenizer/tokenizer.json", DONE} <= held
    assert not any(name.endswith(".safetensors") for name in held)
    assert news[0].label == "Looking for sd.safetensors's configuration on the hub"
    asked = len(hub.downloads)
    assert await complete(host, find(host, str(file)), news.append) == place
    assert len(hub.downloads) == asked


async def test_a_single_file_without_its_configuration(host: Host, hub: Hub, file: Path, tmp_path: Path) -> None:
    async with plain_host(tmp_path / "quiet", NAME) as quiet:
        with pytest.raises(OfflineError) as caught:
            await complete(quiet, find(quiet, str(file)), lambda progress: None)
    assert str(caught.value) == (
        f"sd.safetensors's configuration is not downloaded, and --offline forbids it: run `chatapp image pull {file}` "
        "once without --offline."
    )
    hub.status = 503
    with pytest.raises(ModelError) as failed:
        await complete(host, find(host, str(file)), lambda progress: None)
    assert str(failed.value).startswith("sd.safetensors's configuration could not be downloaded from the hub")
    assert str(failed.value).endswith("Try again, or choose a folder in diffusers' layout in the setting images.model.")


async def test_offline(host: Host, hub: Hub, tmp_path: Path) -> None:
    async with plain_host(tmp_path / "quiet", NAME) as quiet:
        with pytest.raises(OfflineError, match=r"^toys/tiny is not downloaded, and --offline forbids it: run `chatapp"):
            await ensure(quiet, find(quiet), lambda progress: None)
    assert hub.downloads == []


async def test_a_hub_that_fails(host: Host, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status = 503
    with pytest.raises(
        ModelError, match=r"^toys/tiny could not be downloaded from the hub repository toys/tiny: .*\.$"
    ):
        await ensure(host, find(host), lambda progress: None)
    hub.status, hub.silent = None, True
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", 0.5)
    with pytest.raises(ModelError, match=r"it did not answer within 0\.5 s\. Try again, or name a folder"):
        await ensure(host, find(host), lambda progress: None)


async def test_a_name_that_the_hub_does_not_know(host: Host, hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"could not be downloaded from the hub repository nobody/nothing: .*\.$"):
        await ensure(host, find(host, "nobody/nothing"), lambda progress: None)


async def test_what_is_not_as_announced_is_deleted(host: Host, hub: Hub) -> None:
    name = "unet/diffusion_pytorch_model.safetensors"
    files = {key.removeprefix(f"{NAME}/"): data for key, data in hub.files.items() if key.startswith(NAME)}
    hub.files = offering(files, **{name: "0" * 64}).files
    with pytest.raises(ModelError, match=rf"its {name} is not what the hub announced and was deleted"):
        await ensure(host, find(host), lambda progress: None)
    assert not find(host).here


async def test_code_of_a_models_own_is_seen_before_its_weights_are_fetched(host: Host, hub: Hub) -> None:
    index = json.loads(hub.files[f"{NAME}/model_index.json"]) | {"unet": ["my_unet", "Mine"]}
    files = {key.removeprefix(f"{NAME}/"): data for key, data in hub.files.items() if key.startswith(NAME)}
    hub.files = offering(files | {"model_index.json": json.dumps(index).encode()}).files
    with pytest.raises(ModelError, match="takes its unet from code of its own"):
        await ensure(host, find(host), lambda progress: None)
    assert len(hub.downloads) <= 2


def remote(*names: str) -> list[Remote]:
    """Files of those names."""
    return [Remote(name, 1, "") for name in names]


def test_the_files_that_are_needed() -> None:
    files = remote(
        "model_index.json", "README.md", "v1-5.ckpt", "unet/config.json", "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors", "safety_checker/model.safetensors", "tokenizer/merges.txt",
        "vae/diffusion_pytorch_model.safetensors", "deep/er/model.safetensors", "../evil/model.safetensors",
    )  # fmt: skip
    found = [file.name for file in select(files, NAME)]
    assert found == [
        "model_index.json",
        "unet/config.json",
        "tokenizer/merges.txt",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert [file.name for file in select(files, NAME, weights=False)] == found[:3]
    for names, said in (
        (("model.gguf",), "holds no diffusers model"),
        (("model_index.json", "unet/model.bin"), "has its unet pickled only, and reading a pickle runs"),
        (("model_index.json", "unet/config.json"), "holds no .safetensors weights"),
    ):
        with pytest.raises(ModelError, match=said):
            select(remote(*names), NAME)
