"""The text encoder and its tokenizer, with whole tokens for the Portuguese words."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertModel, PreTrainedTokenizerBase

from chatapp_images.training.captions import Wording, vocabulary
from chatapp_images.training.portuguese import MEANINGS

EXTENDED = "has_portuguese_words"
"""Set in the text encoder's config.json once the Portuguese words were added."""
_WORD = re.compile(r"[a-z0-9]+")


def plain(text: str) -> str:
    """The text in lower case and without accents, as the tokenizer reads it."""
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


def words(texts: Iterable[str]) -> list[str]:
    """Every word of the texts once, as the tokenizer reads it, in order of appearance."""
    return list(dict.fromkeys(word for text in texts for word in _WORD.findall(plain(text))))


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, (texts, longest), padded and cut as the stock pipeline does."""
    found = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
    )
    return found["input_ids"], found["attention_mask"]


def extend(source: Path, target: Path, wordings: Sequence[Wording]) -> None:
    """Write the text encoder and tokenizer of the pipeline in `source` to `target`, with the Portuguese words added.

    A new word's vector starts from those of the English names of what it names. The words to train and their rows
    are written to `rows.json`: the new ones, and old pieces that mean something else in Portuguese captions. Where the
    source was extended before, words that it has keep their vectors.
    """
    english, portuguese = (words(texts) for texts in vocabulary(wordings))
    tokenizer = AutoTokenizer.from_pretrained(source / "tokenizer")
    model = BertModel.from_pretrained(source / "text_encoder", dtype=torch.float32)
    own = [word for word in portuguese if word not in set(english)]
    known = tokenizer.get_vocab()
    new = [word for word in own if word not in known]
    vectors = _start(own, wordings, tokenizer, model)
    rows = {word: known[word] for word in own if word in known}
    fresh = {word: len(known) + place for place, word in enumerate(new)}
    begun = fresh if getattr(model.config, EXTENDED, False) else rows | fresh
    with torch.no_grad():
        model.resize_token_embeddings(len(known) + len(new), mean_resizing=False)
        for word, row in begun.items():
            model.embeddings.word_embeddings.weight[row] = vectors[word]
    setattr(model.config, EXTENDED, True)
    model.save_pretrained(target / "text_encoder")
    _write_tokenizer(source / "tokenizer", target / "tokenizer", new)
    (target / "rows.json").write_text(json.dumps(rows | fresh, ensure_ascii=False), "utf-8")


def _start(
    own: Sequence[str], wordings: Sequence[Wording], tokenizer: PreTrainedTokenizerBase, model: BertModel
) -> dict[str, torch.Tensor]:
    table = model.embeddings.word_embeddings.weight.detach()

    def vector(text: str) -> torch.Tensor:
        return table[tokenizer(text, add_special_tokens=False)["input_ids"]].mean(dim=0)

    found: dict[str, list[torch.Tensor]] = {word: [] for word in own}
    for wording in wordings:
        meaning = vector(wording.names[0])
        for word in words(name.text for name in wording.portuguese):
            if word in found:
                found[word].append(meaning)
    average = table.mean(dim=0)
    means = {word: torch.stack(vectors).mean(dim=0) if vectors else average for word, vectors in found.items()}
    return means | {word: vector(MEANINGS[word]) for word in own if word in MEANINGS}


def _write_tokenizer(source: Path, target: Path, new: Sequence[str]) -> None:
    shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    path = target / "tokenizer.json"
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    entries = content["model"]["vocab"]
    entries.update({word: len(entries) + place for place, word in enumerate(new)})
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), "utf-8")
