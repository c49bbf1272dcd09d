"""Models for texts of a few kilobytes with random weights, made by the real libraries in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAKE = """
import json, pathlib, sys, torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"query passage : a parcel password money late lost . ?".split()]
words += [f"w{n}" for n in range(60)]
raw = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
    model_max_length=32,
)

def make(name, kind, seed=1, labels=1):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, num_labels=labels, initializer_range=0.5,
    )
    folder = pathlib.Path(sys.argv[1]) / name
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

def embeds(folder):
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    rows = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{part}"}
        for n, (path, part) in enumerate(parts)
    ]
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling").mkdir()
    for name, value in (
        ("modules.json", rows), ("sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False}),
        ("1_Pooling/config.json", pooling),
    ):
        (folder / name).write_text(json.dumps(value))

embeds(make("one", BertModel))
embeds(make("two", BertModel, seed=2))
make("reranker", BertForSequenceClassification)
make("three", BertForSequenceClassification, labels=3)
"""


def make_models(folder: Path) -> None:
    """Write into `folder` "one" and "two", which embed (16 dimensions) and differ in their weights, "reranker", and
    "three", a cross-encoder that gives three numbers; all read 32 tokens of a text."""
    command = [sys.executable, "-W", "ignore", "-c", MAKE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
