"""Models of a few kilobytes with random weights, made by the real libraries in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MAKE = """
import sys, torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

kind, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"query passage : a parcel password money late lost . ?".split()]
words += [f"w{n}" for n in range(60)]
raw = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
    model_max_length=32,
)
torch.manual_seed(seed)
config = BertConfig(
    vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=32, num_labels=int(sys.argv[4]), initializer_range=0.5,
)
model = (BertModel if kind == "embedding" else BertForSequenceClassification)(config)
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
if kind == "embedding":
    from sentence_transformers import SentenceTransformer, models as parts
    transformer = parts.Transformer(folder, max_seq_length=32)
    SentenceTransformer(modules=[transformer, parts.Pooling(16)], device="cpu").save(folder)
"""


def make(kind: str, folder: Path, seed: int = 1, labels: int = 1) -> Path:
    """A model for "embedding" (16 dimensions) or "reranker" in `folder`, which reads 32 tokens of a text."""
    if find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed: pip install 'chatapp[embeddings]'")
    command = [sys.executable, "-W", "ignore", "-c", MAKE, kind, str(folder), str(seed), str(labels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder
