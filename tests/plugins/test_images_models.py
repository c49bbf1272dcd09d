"""Which model a name stands for, what is refused before anything is loaded, and whether it fits."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chatapp import EngineConfig, EngineError, Host, ModelError
from chatapp_images import models
from chatapp_images.catalogue import CATALOGUE, ICONS, SD_15, that_fit
from chatapp_images.checking import check_folder
from chatapp_images.engine import open_painter
from chatapp_images.fitting import Need, Savings, fit, need
from chatapp_images.models import DONE, embedded, find, folder, list_models
from chatapp_images.setups import check
from chatapp_images.single import configuration
from chatapp_images.sizing import Canvas, Rules, canvas
from chatapp_images.weights import identity, read_header
from tests.plugins.images_support import plain_host, weights

GIGA = 1_000_000_000
XL_BASE = "stabilityai/stable-diffusion-xl-base-1.0"
XL = "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A started host with the icons chosen."""
    async with plain_host(tmp_path / "home", "icons") as made:
        yield made


def test_the_catalogue() -> None:
    assert list(CATALOGUE) == ["icons", "bk-sdm-tiny", "sd-turbo", "sdxl-turbo", "sd-1.5", "x4-upscaler"]
    assert [entry.name for entry in CATALOGUE.values() if entry.embedded] == ["icons"]
    for entry in CATALOGUE.values():
        assert entry.memory > entry.size
        assert entry.embedded or len(entry.revision) == 40 or entry.revision == "main"
        assert ("Non-Commercial" in entry.licence) == ("no commercial use" in entry.check)
    assert [entry.name for entry in that_fit(4 * GIGA)] == ["bk-sdm-tiny", "icons"]


def test_names(host: Host, tmp_path: Path) -> None:
    assert find(host).entry is ICONS
    assert find(host, "icons").path == embedded("icons")
    assert find(host, "sd-1.5").path == folder(host, SD_15.repository)
    other = find(host, "somebody/some-model")
    assert (other.repository, other.revision, other.entry, other.here) == ("somebody/some-model", "main", None, False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "a.safetensors").write_bytes(weights({"a": ((2,), 1.0)}))
    assert find(host, str(tmp_path / "mine")).name == str(tmp_path / "mine")
    assert find(host, str(tmp_path / "a.safetensors")).single
    for name, said in (
        ("nobody", "There is no image model called 'nobody': choose one of icons, "),
        (str(tmp_path / "none"), f"There is no {tmp_path / 'none'}: check the path."),
        ("some/where.safetensors", "where.safetensors: check the path."),
        ("model.ckpt", "is pickled, and reading a pickle runs whatever code is in it: take the model's .safetensors"),
    ):
        with pytest.raises(ModelError) as caught:
            find(host, name)
        assert said in str(caught.value)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ModelError, match=r"is no model: name a \.safetensors file, or a folder"):
        find(host, str(tmp_path / "notes.txt"))


def test_the_list_of_models(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "embedded", lambda name: tmp_path)
    for name in (SD_15.repository, "some/model", "other/thing--config"):
        (folder(host, name)).mkdir(parents=True)
        (folder(host, name) / DONE).write_text("{}")
    rows = {row[0]: (row[2], row[5]) for row in list_models(host)}
    assert rows["icons"] == ("MIT", "embedded, chosen")
    assert rows["sd-1.5"] == ("CreativeML OpenRAIL-M", "here")
    assert rows["sd-turbo"] == ("Stability AI Non-Commercial", "not downloaded")
    assert rows["some/model"] == ("", "here")
    assert "other/thing" not in rows
    host.set_config("images", "model", "/no/such/folder")
    assert list_models(host)[-1] == ("/no/such/folder", "", "", "", "", "not found, chosen")


@pytest.fixture
def place(tmp_path: Path, image_models: Path) -> Path:
    """The folder of a model that may be changed."""
    return shutil.copytree(image_models / "paints", tmp_path / "tiny")


def test_a_sound_folder(place: Path) -> None:
    layout = check_folder(place)
    assert (layout.pipeline, layout.variant) == ("StableDiffusionPipeline", None)
    assert set(layout.components) == {"scheduler", "text_encoder", "tokenizer", "unet", "vae"}
    assert set(layout.parameters()) == {"text_encoder", "unet", "vae"}
    for path in list(layout.weights):
        shutil.copy(path, path.with_suffix(".fp16.safetensors"))
    assert check_folder(place).variant == "fp16"


def rewritten(name: str, change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    """Changes the JSON in one file of a folder."""

    def work(place: Path) -> None:
        value = json.loads((place / name).read_text())
        change(value)
        (place / name).write_text(json.dumps(value))

    return work


def pickle_instead(place: Path) -> None:
    """As a model that somebody shared as pickles."""
    (place / "unet" / "diffusion_pytorch_model.safetensors").rename(place / "unet" / "diffusion_pytorch_model.bin")


def cut(place: Path) -> None:
    """As a download that broke off."""
    path = place / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


INDEX = "model_index.json"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (pickle_instead, "diffusion_pytorch_model.bin is pickled, and reading a pickle runs whatever code is in it"),
        (cut, "where its header names"),
        (lambda place: (place / INDEX).unlink(), "holds no diffusers model (no model_index.json): name another one."),
        (
            lambda place: (place / INDEX).write_text("{"),
            "model_index.json is not valid JSON: download the model again.",
        ),
        (lambda place: (place / INDEX).write_text("[]"), "model_index.json holds no JSON object"),
        (lambda place: (place / INDEX).write_text(" " * 5_000_001), "is too large for a configuration"),
        (rewritten(INDEX, lambda it: it.update(unet=["my_unet", "Mine"])), "takes its unet from code of its own"),
        (rewritten(INDEX, lambda it: it.update(unet=["diffusers", "a.b"])), "takes its unet from code of its own"),
        (rewritten(INDEX, lambda it: it.update({"../x": ["diffusers", "Y"]})), "is damaged (at '../x')"),
        (rewritten(INDEX, lambda it: it.pop("_class_name")), "names no pipeline of diffusers: name another model."),
        (rewritten("unet/config.json", lambda it: it.update(_class_name="Evil")), "says 'Evil' where UNet2DCondition"),
        (rewritten("text_encoder/config.json", lambda it: it.update(auto_map={})), "asks for code of the model's own"),
        (lambda place: shutil.rmtree(place / "vae"), "The model's part"),
        (lambda place: (place / "vae" / "config.json").unlink(), "vae has no configuration: download the model again."),
        (lambda place: [path.unlink() for path in place.rglob("*.safetensors")], "holds no weights"),
    ],
)
def test_what_is_not_loaded(place: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(place)
    with pytest.raises(ModelError) as caught:
        check_folder(place)
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


def header(text: bytes, body: bytes = b"") -> bytes:
    """A safetensors file with that header."""
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not a safetensors file or is cut off: download it again."),
        (b"PK\x03\x04" + bytes(100), "is not a safetensors file or is cut off"),
        (struct.pack("<Q", 2**62) + bytes(100), "is not a safetensors file or is cut off"),
        (header(b"{]"), "The header of "),
        (header(b"[" * 50_000), "is damaged: download it again."),
        (header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', bytes(4)), "is damaged"),
        (header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', bytes(8)), "is damaged"),
        (header(b'{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}', bytes(4)), "is damaged"),
        (weights({"a": ((4,), 1.0)})[:-1], "holds 15 bytes of weights where its header names 16: download it again."),
    ],
)
def test_damaged_weights(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read_header(tmp_path / "a.safetensors")
    assert said in str(caught.value)


async def test_a_folder_that_is_none_opens_nothing(host: Host, tmp_path: Path, place: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="holds no diffusers model"):
        await open_painter(host, EngineConfig(str(tmp_path / "empty"), kind="image"), lambda progress: None)
    rewritten("unet/config.json", lambda it: it.update(cross_attention_dim=24))(place)
    with pytest.raises(EngineError, match=r"^The model .*tiny cannot be loaded: [^\n]+\.$"):
        await open_painter(host, EngineConfig(str(place), kind="image"), lambda progress: None)


def test_single_files(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for tensors, said in (
        ({"unet.lora_A.weight": ((1,), 1.0)}, "is an adapter, not a model: lay it over one."),
        ({"other": ((1,), 1.0)}, "is no whole model of Stable Diffusion 1, 2 or XL"),
    ):
        path.write_bytes(weights(tensors))
        with pytest.raises(ModelError, match=said):
            configuration(host, find(host, str(path)))
    path.write_bytes(weights({XL: ((1,), 1.0)}))
    assert check(find(host, str(path))) is None
    source = configuration(host, find(host, str(path)))
    assert (source.name, source.repository, len(source.revision)) == (str(path), XL_BASE, 40)
    assert source.path.name == "stabilityai--stable-diffusion-xl-base-1.0--config"
    # A model of its kind that is here has all that it needs.
    folder(host, XL_BASE).mkdir(parents=True)
    (folder(host, XL_BASE) / DONE).write_text("{}")
    assert configuration(host, find(host, str(path))).path == folder(host, XL_BASE)


def test_an_identity_is_of_the_weights(tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    one, two = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    first = identity([two, one], cache)
    assert first == identity([one, two], cache)
    assert len(json.loads(cache.read_text())) == 2
    one.write_bytes(b"31")
    assert identity([one, two], cache) != first
    cache.write_text("nonsense")
    assert identity([one], cache) != first


def test_what_does_not_fit_says_what_would() -> None:
    wanted = Need(weights=6 * GIGA, largest=0, working=3 * GIGA)
    assert fit("big", wanted, 10 * GIGA) == Savings()
    assert fit("big", wanted, 8 * GIGA) == Savings(slices=True)
    assert fit("big", wanted, 5 * GIGA, can_offload=True) == Savings(slices=True, offload=True)
    with pytest.raises(EngineError) as caught:
        fit("big", wanted, 3 * GIGA + GIGA // 5)
    assert str(caught.value) == (
        "big needs about 7.0 GB of memory and 3.2 GB are free; bk-sdm-tiny (3.0 GB) or icons (600 MB) would do."
    )
    with pytest.raises(EngineError, match=r"are free; close other programs\.$"):
        fit("icons", wanted, GIGA // 10)
    parts = {"unet": 2000, "vae": 20_000_000}
    assert need(parts, 10, 10, 2, copies=True) == Need(40_004_000, 40_000_000, 160_000)
    assert need({"unet": 2000, "vae": 10}, 10, 10, 4, copies=False).working == 80_000


LARGE, SMALL = Rules((512, 512), 8, 512), Rules((64, 64), 8, 512)


def test_sizes() -> None:
    assert canvas(LARGE, None, None) == Canvas((512, 512), (512, 512))
    assert canvas(LARGE, 640, None).painted == (640, 640)
    note = "513×500 was rounded to 512×496, as the model paints multiples of 8 pixels."
    assert canvas(LARGE, 513, 500) == Canvas((512, 496), (512, 496), (note,))
    reduced = canvas(LARGE, None, None, (4000, 3000))
    assert reduced.painted == (592, 440)
    assert "reduced from 4000×3000" in reduced.notes[0]
    assert canvas(LARGE, None, None, (600, 400)).painted == (600, 400)
    assert canvas(SMALL, None, None) == Canvas((64, 64), (512, 512))
    assert canvas(SMALL, 1024, 512) == Canvas((88, 48), (1024, 512))
    assert canvas(SMALL, None, None, (1600, 800)) == Canvas((88, 48), (512, 256))
    for rules, size in ((LARGE, (4000, 512)), (LARGE, (32, 32)), (SMALL, (8, 8)), (LARGE, (2048, 128))):
        with pytest.raises(EngineError, match=rf"^A picture of {size[0]}×{size[1]} "):
            canvas(rules, *size)
