"""What a training starts from: a pipeline that is there already, or new parts around MiniLM's word vectors."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from chatapp import SourceFailed
from chatapp_images.training import text, vae

PIECES = 9_600
"""Word pieces kept of MiniLM's 30,522, the commonest first; more would not fit beside the UNet."""
WIDTH = 192
DEVIATION = 0.06
"""Of the word vectors, after they were brought down to `WIDTH` dimensions."""
LONGEST = 20
"""Tokens of a prompt, with the two around it."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
_LATIN = re.compile(r"(##)?[a-z0-9]+|[!-~]")


def copy(pipeline: Path, target: Path) -> None:
    """Start from the pipeline in that folder."""
    missing = [part for part in PARTS if not (pipeline / part).is_dir()]
    if missing:
        raise SourceFailed(f"{pipeline} is no pipeline to start from: it lacks {', '.join(missing)}.")
    for part in PARTS:
        shutil.copytree(pipeline / part, target / part, copy_function=shutil.copyfile, dirs_exist_ok=True)


def create(minilm: Path, target: Path, texts: Sequence[str]) -> None:
    """Start afresh: untrained parts, and word vectors from the sentence encoder MiniLM in the folder `minilm`.

    The words of `texts` are kept whole where MiniLM has them whole.
    """
    if not (minilm / "vocab.txt").is_file():
        raise SourceFailed(f"The word vectors are missing in {minilm}; run `chatapp embeddings pull` first.")
    torch.manual_seed(0)
    vae.create().save_pretrained(target / "vae")
    new_unet().save_pretrained(target / "unet")
    scheduler().save_pretrained(target / "scheduler")
    pieces = choose((minilm / "vocab.txt").read_text("utf-8").splitlines(), texts)
    write_tokenizer(pieces, target / "tokenizer")
    encoder = BertModel(encoder_config(len(pieces)))
    with torch.no_grad():
        encoder.embeddings.word_embeddings.weight.copy_(vectors(minilm, pieces))
    encoder.save_pretrained(target / "text_encoder")


def new_unet() -> UNet2DConditionModel:
    """An untrained UNet of 9.3 million parameters, with attention at 4x4 only, told the prompt as a whole as well."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(64, 96, 192),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


def scheduler() -> DDIMScheduler:
    """The noise schedule: squared cosine (Nichol & Dhariwal 2021), velocity, trailing spacing."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


def encoder_config(vocabulary: int) -> BertConfig:
    """A text encoder of two layers."""
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        use_attention_mask=True,
    )


def choose(pieces: Sequence[str], texts: Sequence[str], count: int = PIECES) -> list[str]:
    """The pieces to keep: every single character, the words of `texts`, then MiniLM's own order, commonest first."""
    latin = [piece for piece in pieces if _LATIN.fullmatch(piece)]
    wanted = set(text.words(texts))
    first = [piece for piece in latin if len(piece.removeprefix("##")) == 1 or piece in wanted]
    return list(dict.fromkeys([*SPECIAL, *first, *latin]))[:count]


def vectors(minilm: Path, pieces: Sequence[str]) -> torch.Tensor:
    """MiniLM's output for each piece alone, brought down to `WIDTH` principal components."""
    tokenizer, model = AutoTokenizer.from_pretrained(minilm), AutoModel.from_pretrained(minilm, dtype=torch.float32)
    around = [tokenizer.cls_token_id, tokenizer.sep_token_id]
    found = []
    for start in range(0, len(pieces), 256):
        ids = tokenizer.convert_tokens_to_ids(list(pieces[start : start + 256]))
        rows = torch.tensor([[around[0], each, around[1]] for each in ids])
        with torch.inference_mode():
            found.append(model(input_ids=rows, attention_mask=torch.ones_like(rows)).last_hidden_state[:, 1])
    table = torch.cat(found)
    table = table - table.mean(dim=0)
    _, _, directions = torch.linalg.svd(table, full_matrices=False)
    small = table @ directions[:WIDTH].T
    return small * (DEVIATION / small.std())


def write_tokenizer(pieces: Sequence[str], target: Path) -> None:
    """Write a BERT tokenizer that lowers case and drops accents, with these pieces in this order."""
    target.mkdir(parents=True, exist_ok=True)
    ids = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
    added = [{"id": ids[piece], "content": piece, "special": True, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False} for piece in SPECIAL]  # fmt: skip
    content: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", ids["[SEP]"]], "cls": ["[CLS]", ids["[CLS]"]]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids},
    }  # fmt: skip
    names = {f"{piece[1:-1].lower()}_token": piece for piece in SPECIAL}
    facts = {"tokenizer_class": "BertTokenizer", "model_max_length": LONGEST, "do_lower_case": True, **names}
    (target / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    (target / "tokenizer_config.json").write_text(json.dumps(facts, indent=2), "utf-8")
