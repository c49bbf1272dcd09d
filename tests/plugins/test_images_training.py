"""The icons model's training, on four pictures drawn here and the smallest of models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("resvg_py")
pytest.importorskip("diffusers")

import torch
from diffusers import (
    AutoencoderTiny,
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    AutoPipelineForText2Image,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import AutoTokenizer, BertConfig, BertModel

from chatapp import SourceFailed
from chatapp_images.training import (
    captions,
    checkpoint,
    data,
    distributed,
    evaluate,
    export,
    latents,
    pictures,
    portuguese,
    running,
    start,
    steps,
    text,
    vae,
)
from chatapp_images.training.unet import Plan, Trainer, rate_at

ICONS = {
    "red-apple": '<circle cx="16" cy="18" r="11" fill="#f8312f"/><path d="M16 3h4v6h-4z" fill="#44911b"/>',
    "fish": '<ellipse cx="14" cy="16" rx="11" ry="7" fill="#0a84e0"/><path d="M22 16l8-6v12z" fill="#0074ba"/>',
    "house": '<path d="M4 14h24v14H4z" fill="#fcd53f"/><path d="M2 14L16 3l14 11z" fill="#8a5339"/>',
    "rock": '<path d="M3 27L10 9l12-4 8 22z" fill="#9b9b9b"/>',
}
CONCEPTS = """# The things to draw.
red-apple | apple, red apple | maçã f | *
fish | fish | peixe m | *
house | house, home | casa f
- boat | boat | barco m
rock | rock | pedra f
"""
CODES = {"red-apple": "1f34e", "fish": "1f41f", "house": "1f3e0", "rock": "1faa8"}
PLAN = Plan(samples=32, batch=8, warmup=2, log_every=2)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder with the pictures, and with untrained parts to start from."""
    npm = tmp_path / "npm"
    (tmp_path / "concepts.txt").write_text(CONCEPTS, "utf-8")
    icons = {name: {"body": body} for name, body in ICONS.items()}
    _write(npm / "@iconify-json+fluent-emoji-flat" / "icons.json", {"icons": icons, "width": 32, "height": 32})
    _write(npm / "@iconify-json+fluent-emoji-flat" / "chars.json", {code: name for name, code in CODES.items()})
    for language, tags in (("en", ["fruit", "red"]), ("pt", ["fruta"])):
        entries = [{"hexcode": code.upper(), "label": name, "tags": tags} for name, code in CODES.items()]
        _write(npm / "emojibase-data" / language / "data.json", entries)
    (npm / "emojibase-data" / "LICENSE").write_text("MIT\n\nCopyright one\n\nPermission is hereby granted, so.\n")
    _parts(tmp_path / "start")
    return tmp_path


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def _parts(folder: Path) -> None:
    torch.manual_seed(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["red", "apple", "fish", "house", "home", "rock", "of", "the", "picture", "drawing", "blue", "green"]
    start.write_tokenizer(
        [*start.SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words], folder / "tokenizer"
    )
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "use_attention_mask": True}
    config = BertConfig(vocab_size=5 + 52 + len(words), max_position_embeddings=32, **size, **still)
    BertModel(config).save_pretrained(folder / "text_encoder")
    blocks = {"encoder_block_out_channels": (8, 8, 8), "decoder_block_out_channels": (8, 8, 8)}
    counts = {"num_encoder_blocks": (1, 1, 1), "num_decoder_blocks": (1, 1, 1)}
    AutoencoderTiny(**blocks, **counts, scaling_factor=1.1).save_pretrained(folder / "vae")
    down, up = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")
    shape = {"sample_size": 16, "block_out_channels": (8, 16), "down_block_types": down, "up_block_types": up}
    heads = {"attention_head_dim": 2, "addition_embed_type": "text", "addition_embed_type_num_heads": 2}
    unet = UNet2DConditionModel(**shape, **heads, layers_per_block=1, norm_num_groups=4, cross_attention_dim=16)
    unet.save_pretrained(folder / "unet")
    start.scheduler().save_pretrained(folder / "scheduler")


@pytest.fixture
def ready(work: Path) -> Path:
    """The work folder with all steps before the UNet's training done."""
    setting = steps.Setting(work, vae_samples=0)
    for step in (steps.train_vae, steps.make_latents, steps.extend_text):
        step(setting)
    return work


def _trainer(work: Path, plan: Plan = PLAN) -> Trainer:
    return running.prepare_trainer(distributed.Group(), work, plan)


def test_a_training_that_was_interrupted_ends_with_the_same_weights(ready: Path) -> None:
    whole = _trainer(ready)
    for _ in range(4):
        whole.advance()
    first = _trainer(ready)
    first.advance()
    first.advance()
    first.save(ready / "half.safetensors")
    second = _trainer(ready)
    second.resume(ready / "half.safetensors")
    second.advance()
    second.advance()
    assert second.seen == whole.seen == 32
    assert second.loss == whole.loss
    before = _trainer(ready).parameters
    for name, parameter in whole.parameters.items():
        assert torch.equal(parameter, second.parameters[name]), name
        assert torch.equal(whole.average[name], second.average[name]), name
    assert any(not torch.equal(before[name], parameter) for name, parameter in whole.parameters.items())
    assert not torch.equal(before["words"], whole.parameters["words"])


def test_a_training_asked_to_end_saves_and_stops_after_its_step(ready: Path) -> None:
    trainer = _trainer(ready)
    trainer.group.asked = True
    running.train(trainer, ready / "unet")
    assert trainer.stopping
    _, facts = checkpoint.load(ready / "unet" / "last.safetensors")
    assert (facts["seen"], facts["plan"]["samples"]) == (8, 32)


def test_one_process_learns_the_same_when_weights_are_averaged(ready: Path) -> None:
    one, other = _trainer(ready), _trainer(ready, replace(PLAN, sync=2))
    for _ in range(2):
        one.advance()
        other.advance()
    for name, parameter in one.parameters.items():
        assert torch.equal(parameter, other.parameters[name]), name


@pytest.mark.long
def test_two_processes_train_together_and_follow_a_changed_plan(ready: Path) -> None:
    _write(ready / "unet" / "plan.json", {"samples": 24})
    assert distributed.launch(running.run, (ready, PLAN), 2) == 0
    tensors, facts = checkpoint.load(ready / "unet" / "last.safetensors")
    assert (facts["seen"], facts["step"]) == (24, 3)
    _, before = checkpoint.load(ready / "unet" / "before-tail.safetensors")
    assert before["seen"] == 24 * 0.7 // 8 * 8 + 8
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


def test_the_export_draws_changes_and_fills_in_pictures_without_code_of_its_own(ready: Path) -> None:
    trainer = _trainer(ready)
    trainer.advance()
    trainer.save(ready / "unet" / "last.safetensors")
    size = export.write(ready, ready / "unet" / "last.safetensors", ready / "export")
    assert size == export.size_of(ready / "export")
    assert str(ready) not in "".join(path.read_text("utf-8") for path in (ready / "export").rglob("*.json"))
    assert "Copyright (c) Microsoft Corporation" in (ready / "export" / "LICENSE").read_text("utf-8")
    picture, mask = Image.new("RGB", (64, 64), "red"), Image.new("L", (64, 64), 255)
    given = {"image": picture, "strength": 1.0}
    for kind, more in (
        (AutoPipelineForText2Image, {"height": 64, "width": 64}),
        (AutoPipelineForImage2Image, given),
        (AutoPipelineForInpainting, {**given, "mask_image": mask, "height": 64, "width": 64}),
    ):
        pipeline = kind.from_pretrained(ready / "export")
        pipeline.set_progress_bar_config(disable=True)
        assert pipeline("maçã", num_inference_steps=2, **more).images[0].size == (64, 64)
    own = AutoTokenizer.from_pretrained(ready / "export" / "tokenizer")
    assert own.tokenize("Maçã") == own.tokenize("maca") == ["maca"]
    weights = BertModel.from_pretrained(ready / "export" / "text_encoder").embeddings.word_embeddings.weight
    row = weights[own.convert_tokens_to_ids("maca")].float()
    assert torch.allclose(row, trainer.average["words"][trainer.painter.vocabulary.index("maca")], atol=1e-3)


def test_the_evaluation_writes_figures_grids_and_the_card(ready: Path) -> None:
    trainer = _trainer(ready)
    trainer.save(ready / "unet" / "last.safetensors")
    setting = steps.Setting(ready)
    steps.export(setting)
    cached, wordings = running.worded(ready)
    artist = evaluate.Artist(ready / "export", steps=1)
    figures = evaluate.measure(artist, cached, wordings)
    assert figures["concepts"] == figures["tested"] == 4
    assert figures["five"] == 1.0
    assert (figures["coloured"], figures["coloured_new"]) == (20, 20)
    evaluate.draw_grids(artist, ready)
    with Image.open(ready / "grid.png") as grid:
        assert grid.size == (768, 4 * 146)
    export.write_card(figures | {"seen": 8, "size": 25.0}, ready / "export")
    assert "100 %" in (ready / "export" / "README.md").read_text("utf-8")


def test_a_picture_is_nearest_to_itself(ready: Path) -> None:
    cached, _ = running.worded(ready)
    assert evaluate.ranks(cached.plain[:, 0], range(4), cached) == [0, 0, 0, 0]
    assert evaluate.ranks(cached.plain[:1, 0], [3], cached)[0] > 0


@pytest.mark.parametrize("colour", list(pictures.COLOURS))
def test_recolouring_gives_the_colour_named_and_leaves_the_rest(work: Path, colour: str) -> None:
    svg = pictures.recolour(data.icons(work)["red-apple"], colour)
    assert "#44911b" in svg
    assert pictures.colour_name(pictures.areas(svg).most_common(1)[0][0]) == colour
    if colour != "white":
        assert evaluate.shown_colour(pictures.draw(svg), colour) == colour


def test_a_shade_stays_a_shade(work: Path) -> None:
    svg = pictures.recolour(data.icons(work)["fish"], "green")
    first, second = (pictures.hsl(colour) for colour in sorted(pictures.areas(svg), key=lambda c: pictures.hsl(c)[2]))
    assert pictures.apart(first[0], second[0]) < 0.01
    assert first[2] < second[2]


def test_colours_agree_with_portuguese_nouns() -> None:
    assert portuguese.coloured("maçã", "f", "red") == "maçã vermelha"
    assert portuguese.coloured("carro", "m", "red") == "carro vermelho"
    assert portuguese.coloured("uvas", "fp", "purple") == "uvas roxas"
    assert portuguese.coloured("meias", "fp", "blue") == "meias azuis"
    assert portuguese.coloured("casa", "f", "pink") == "casa rosa"
    assert portuguese.article("casa", "f") == "uma casa"


def test_captions_name_the_thing_and_the_colour_asked_for(ready: Path) -> None:
    _, wordings = running.worded(ready)
    apple = wordings[0]
    assert apple.colour == "red"
    told = {captions.caption(apple, Random(seed), "green") for seed in range(300)}
    assert {"green apple", "a green apple", "maçã verde", "uma maçã verde"} <= told
    assert not any("red" in caption.split() for caption in told)
    plain = {captions.caption(apple, Random(seed)) for seed in range(300)}
    assert {"apple", "an apple", "red apple", "maçã", "uma maçã", "maçã vermelha"} <= plain
    assert "fruit" not in plain  # every concept has that keyword


def test_a_line_without_a_gender_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("fish | fish | peixe\n", "utf-8")
    with pytest.raises(ValueError, match="gender"):
        data.read_concepts(tmp_path / "list.txt")


def test_a_package_that_is_not_the_one_expected_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text('#!/bin/sh\nfor folder; do :; done\necho other > "$folder/package.tgz"\n', "utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=":")
    with pytest.raises(SourceFailed, match="not the one expected"):
        data.fetch(tmp_path)
    assert data.read_concepts(tmp_path / "concepts.txt")


def test_words_keep_what_they_learnt_when_the_list_grows() -> None:
    saved, fresh = torch.tensor([[1.0], [2.0]]), torch.tensor([[7.0], [8.0], [9.0]])
    assert checkpoint.placed(saved, ["gato", "casa"], ["casa", "sol", "gato"], fresh).tolist() == [[2.0], [8.0], [1.0]]


def test_a_new_word_starts_from_what_it_means(ready: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ready / "text" / "tokenizer")
    table = BertModel.from_pretrained(ready / "text" / "text_encoder").embeddings.word_embeddings.weight
    for word, meaning in (("peixe", "fish"), ("casa", "house"), ("vermelha", "red"), ("azuis", "blue")):
        assert torch.equal(*(table[tokenizer.convert_tokens_to_ids(each)] for each in (word, meaning)))
    assert text.plain("Maçã É") == "maca e"


def test_the_rate_warms_up_stays_and_falls() -> None:
    plan = Plan(samples=1000, batch=10, warmup=10, tail=0.4)
    assert rate_at(0, plan) == pytest.approx(0.1)
    assert rate_at(300, plan) == rate_at(600, plan) == 1.0
    assert rate_at(800, plan) == pytest.approx(0.51)
    assert rate_at(1000, plan) == pytest.approx(0.02)


def test_an_autoencoder_learns_and_a_frozen_encoder_stays(work: Path) -> None:
    shown = vae.tensor_of(list(latents.pictures(data.icons(work), data.concepts(work))))
    model = AutoencoderTiny.from_pretrained(work / "start" / "vae")
    before, encoder = vae.quality(model, shown), {name: p.clone() for name, p in model.encoder.named_parameters()}
    plan = vae.VaePlan(samples=320, batch=8, rate=3e-3, warmup=2, ema=0.5, frozen=True)
    trained = vae.train(distributed.Group(), plan, model, shown, work / "vae.safetensors")
    assert vae.quality(trained, shown) > before + 1
    assert all(torch.equal(p, encoder[name]) for name, p in trained.encoder.named_parameters())
