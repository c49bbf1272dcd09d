"""The files of the default model, by name, size and SHA-256, and whether they are what they should be.

all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0): 384 dimensions, reads 256 tokens of a text. The SHA-256 decides,
whoever serves the bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "all-MiniLM-L6-v2"


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a file must be: its size in bytes and its SHA-256."""

    size: int
    sha256: str

    def fits(self, path: Path) -> bool:
        """Whether the file at `path` is this one; reads all of it if the size is right."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


FILES: Mapping[str, Pinned] = {
    "model.safetensors": Pinned(90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    "config.json": Pinned(612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    "config_sentence_transformers.json": Pinned(
        116, "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
    ),
    "modules.json": Pinned(349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    "sentence_bert_config.json": Pinned(53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
    "special_tokens_map.json": Pinned(112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
    "tokenizer.json": Pinned(466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    "tokenizer_config.json": Pinned(350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
    "vocab.txt": Pinned(231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    "1_Pooling/config.json": Pinned(190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
}


def total(files: Mapping[str, Pinned]) -> int:
    """The bytes of all files together."""
    return sum(each.size for each in files.values())


def damaged(folder: Path, files: Mapping[str, Pinned]) -> list[str]:
    """The names of the files that are missing in `folder` or are not what they should be."""
    return [name for name, each in files.items() if not each.fits(folder / name)]


def install(source: Path, folder: Path, files: Mapping[str, Pinned]) -> None:
    """Move verified files from `source`, on the same disk, into `folder`, each in one step and private.

    Other files in `folder` stay as they are.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in files:
        (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
        (source / name).chmod(0o600)
        with (source / name).open("rb") as file:
            os.fsync(file.fileno())
        (source / name).replace(folder / name)
