"""Makes image models of random weights and some hundred kilobytes; a program of its own, as it imports diffusers.

`python images_maker.py FOLDER SIDE TOKENS` writes into FOLDER, for pictures of SIDE pixels and prompts of TOKENS
tokens: "paints" and "enlarges", pipelines in diffusers' layout; and for "sd", "sd2" and "xl", Stable Diffusion 1, 2 and
XL, the same weights twice: "sd" in diffusers' layout, and "sd.safetensors", one file with the names of CompVis and
Stability AI; "sd-config" is what is fetched for such a file, the configurations and the tokenizer.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors.torch import save_file

WORDS = ["a", "red", "blue", "green", "apple", "cat", "house", "sun", ".", ","]
WIDTH = 16
"""Of the text encoders, and of the second level of the networks that paint."""
SECOND = 12
"""Layers of the second text encoder of Stable Diffusion XL: by the tenth its files are told from others."""


def tiny(folder: Path, side: int, tokens: int, enlarges: bool = False) -> None:
    """A Stable Diffusion with a BERT and, unless it `enlarges`, a tiny autoencoder, as the embedded model has them."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(f"w{n}" for n in range(40))]
    torch.manual_seed(1)
    text = transformers.BertConfig(
        vocab_size=len(words), hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=tokens, initializer_range=0.5, use_attention_mask=True,
    )  # fmt: skip
    parts = {
        "text_encoder": transformers.BertModel(text),
        "unet": unet(side // 4, in_channels=7 if enlarges else 4, num_class_embeds=1000 if enlarges else None),
        "vae": autoencoder() if enlarges else tiny_autoencoder(),
        "tokenizer": transformers.BertTokenizer(
            vocab={word: n for n, word in enumerate(words)}, model_max_length=tokens
        ),
        "scheduler": diffusers.DDIMScheduler(
            beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", timestep_spacing="trailing",
            clip_sample=False, steps_offset=1,
        ),
        "safety_checker": None,
        "feature_extractor": None,
    }  # fmt: skip
    if enlarges:
        noise = diffusers.DDPMScheduler()
        made = diffusers.StableDiffusionUpscalePipeline(**parts, low_res_scheduler=noise, watermarker=None)
    else:
        made = diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
    made.save_pretrained(folder, safe_serialization=True)


def unet(size: int, **more: Any) -> Any:
    """A network that predicts noise, with two levels; `size` of its latents."""
    kinds = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    sizes = {"out_channels": 4, "layers_per_block": 1, "norm_num_groups": 4, "block_out_channels": (8, WIDTH)}
    common = {"cross_attention_dim": WIDTH, "attention_head_dim": 2, "in_channels": 4}
    return diffusers.UNet2DConditionModel(sample_size=size, **kinds, **sizes, **(common | more))


def autoencoder() -> Any:
    """One that makes pictures four times smaller, with attention."""
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    return diffusers.AutoencoderKL(block_out_channels=(8, 8, 8), norm_num_groups=4, layers_per_block=1, **kinds)


def tiny_autoencoder() -> Any:
    """One that makes pictures four times smaller, as TAESD does."""
    return diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8), latent_channels=4,
        num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1), scaling_factor=1.0,
    )  # fmt: skip


def stable(folder: Path, name: str, side: int, tokens: int) -> None:
    """Stable Diffusion 1 ("sd"), 2 ("sd2") or XL ("xl") in three forms; see the top."""
    xl = name == "xl"
    torch.manual_seed(2)
    tokenizer = clip_tokenizer(tokens)
    time = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4} if xl else {}
    wide = {"cross_attention_dim": WIDTH + 32, "projection_class_embeddings_input_dim": 32 + 6 * 4} if xl else {}
    parts: dict[str, Any] = {
        "vae": autoencoder(),
        "unet": unet(side // 4, **time, **wide),
        "tokenizer": tokenizer,
        "text_encoder": transformers.CLIPTextModel(clip(tokenizer, tokens, WIDTH, 2)),
        "scheduler": diffusers.PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1),
        "feature_extractor": None,
    }
    if xl:
        second = transformers.CLIPTextModelWithProjection(clip(tokenizer, tokens, 32, SECOND))
        more: dict[str, Any] = {"text_encoder_2": second, "tokenizer_2": tokenizer}
        made = diffusers.StableDiffusionXLPipeline(**parts, **more, image_encoder=None, add_watermarker=False)
    else:
        made = diffusers.StableDiffusionPipeline(**parts, safety_checker=None, requires_safety_checker=False)
    made.save_pretrained(folder / name, safe_serialization=True)
    save_file(original(made, name, tokens), str(folder / f"{name}.safetensors"))
    configuration(folder / name, folder / f"{name}-config")


def clip_tokenizer(tokens: int) -> Any:
    """A tokenizer of CLIP's kind that knows letters and some words' ends."""
    letters = [chr(n) for n in range(33, 127)]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(
        vocab={piece: n for n, piece in enumerate(pieces)}, merges=[], model_max_length=tokens
    )


def clip(tokenizer: Any, tokens: int, width: int, layers: int) -> Any:
    """The configuration of a text encoder."""
    return transformers.CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, projection_dim=width, num_hidden_layers=layers,
        intermediate_size=2 * width, num_attention_heads=2, max_position_embeddings=tokens,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, initializer_factor=20.0,
    )  # fmt: skip


def configuration(whole: Path, folder: Path) -> None:
    """What of a model in diffusers' layout is not weights, as its publishers lay it out."""
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    for place in folder.glob("tokenizer*"):
        held = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        (place / "vocab.json").write_text(json.dumps(held["vocab"]), encoding="utf-8")
        merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in held["merges"])])
        (place / "merges.txt").write_text(f"{merges}\n", encoding="utf-8")
        (place / "tokenizer.json").unlink()
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    if "safety_checker" in index:
        # Stable Diffusion 1 names both, and neither is fetched.
        index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
        index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
        index.pop("requires_safety_checker", None)
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")


def original(made: Any, name: str, tokens: int) -> dict[str, Any]:
    """All weights of a pipeline by the names of CompVis' and Stability AI's files, and what else is in those."""
    found = {f"model.diffusion_model.{_unet_name(key)}": value for key, value in made.unet.state_dict().items()}
    for key, value in made.vae.state_dict().items():
        square = ".attentions." in key and "group_norm" not in key and key.endswith("weight")
        found[f"first_stage_model.{_vae_name(key)}"] = value[:, :, None, None] if square else value
    if name != "sd":
        encoder = made.text_encoder if name == "sd2" else made.text_encoder_2
        place = "cond_stage_model" if name == "sd2" else "conditioner.embedders.1"
        found |= {f"{place}.model.{key}": value for key, value in _open_clip(encoder).items()}
        found[f"{place}.model.logit_scale"] = torch.ones(())
    if name != "sd2":
        place = "cond_stage_model" if name == "sd" else "conditioner.embedders.0"
        for key, value in made.text_encoder.state_dict().items():
            found[f"{place}.transformer.text_model.{key.removeprefix('text_model.')}"] = value
        found[f"{place}.transformer.text_model.embeddings.position_ids"] = torch.arange(tokens)[None]
    found["alphas_cumprod"] = torch.ones(1000)
    return {key: value.contiguous() for key, value in found.items()}


def _renamed(key: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        key = re.sub(old, new, key)
    return key


def _unet_name(key: str) -> str:
    """Blocks are counted one after another; each level has one residual block, and one more on the way up."""
    if found := re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.", key):
        way, level, what, place = found[1], int(found[2]), found[3], int(found[4])
        rest = key[found.end() :]
        if what == "downsamplers":
            start = f"input_blocks.{2 * level + 2}.0.op."
        elif what == "upsamplers":
            start = f"output_blocks.{2 * level + 1}.{2 if level == 0 else 1}.conv."
        else:
            number = 2 * level + place + (way == "down")
            start = f"{'input' if way == 'down' else 'output'}_blocks.{number}.{int(what == 'attentions')}."
        key = start + (rest.removeprefix("conv.") if "samplers" in what else rest)
    residual = {
        r"\bnorm1(?=\.\w+$)": "in_layers.0", r"\bconv1\b": "in_layers.2", r"\bnorm2(?=\.\w+$)": "out_layers.0",
        r"\bconv2\b": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
    }  # fmt: skip
    if "transformer_blocks" not in key:
        key = _renamed(key, residual)
    return _renamed(key, {
        r"mid_block\.resnets\.0": "middle_block.0", r"mid_block\.attentions\.0": "middle_block.1",
        r"mid_block\.resnets\.1": "middle_block.2", r"time_embedding\.linear_1": "time_embed.0",
        r"time_embedding\.linear_2": "time_embed.2", r"add_embedding\.linear_1": "label_emb.0.0",
        r"add_embedding\.linear_2": "label_emb.0.2", r"^conv_in": "input_blocks.0.0", "^conv_norm_out": "out.0",
        r"^conv_out": "out.2",
    })  # fmt: skip


def _vae_name(key: str) -> str:
    """The decoder's levels are counted from the picture."""
    key = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{2 - int(found[1])}", key)
    return _renamed(key, {
        r"down_blocks\.": "down.", r"samplers\.0": "sample", r"mid_block\.resnets\.0": "mid.block_1",
        r"mid_block\.resnets\.1": "mid.block_2", r"\.resnets\.": ".block.", "conv_shortcut": "nin_shortcut",
        r"mid_block\.attentions\.0\.group_norm": "mid.attn_1.norm", r"mid_block\.attentions\.0": "mid.attn_1",
        r"to_([qkv])\b": r"\1", r"to_out\.0": "proj_out", "conv_norm_out": "norm_out",
    })  # fmt: skip


def _open_clip(encoder: Any) -> dict[str, Any]:
    """A text encoder by OpenCLIP's names, in which query, key and value are one matrix."""
    state = {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    found = {}
    for key, value in state.items():
        if ".q_proj." in key:
            whole = torch.cat([state[key.replace(".q_proj.", f".{one}_proj.")] for one in "qkv"])
            key, value = key.replace("q_proj.", "in_proj_"), whole
        elif ".k_proj." in key or ".v_proj." in key:
            continue
        found[_renamed(key, {
            r"encoder\.layers": "transformer.resblocks", "layer_norm": "ln_", "fc1": "c_fc", "fc2": "c_proj",
            "self_attn": "attn", "final_ln_": "ln_final", r"embeddings\.position_embedding\.weight":
            "positional_embedding", r"embeddings\.token_embedding": "token_embedding",
            r"text_projection\.weight": "text_projection",
        })] = value.T if key == "text_projection.weight" else value  # fmt: skip
    return found


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    place, side, tokens = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    tiny(place / "paints", side, tokens)
    tiny(place / "enlarges", side, tokens, enlarges=True)
    for name in ("sd", "sd2", "xl"):
        stable(place, name, side, tokens)
