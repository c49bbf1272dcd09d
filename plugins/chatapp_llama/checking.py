"""Whether a file is an adapter for a model, found out before native code sees it.

llama.cpp trusts much of what such a file says: a number of another type ends its process, and a NaN in the weights
makes every answer junk. The rules are those of `llama_adapter_lora_init_impl` in llama.cpp (llama-adapter.cpp).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chatapp import AdapterFacts, EngineError, GgufHead, GgufTensor, ModelError, read_gguf, visible

NAME = re.compile(r"((?:blk\.\d{1,5}\.)?(\w+))\.weight\.lora_([ab])")
TARGETS = re.compile(
    r"attn_(q|k|v|qkv|output|gate|q_a|q_b|k_b|v_b|kv_b|kv_a_mqa)|ffn_(gate|up|down)(_exps|_shexp)?|ffn_gate_up_exps"
    r"|ffn_gate_inp|ssm_in|ssm_out|output"
)
"""The modules llama.cpp multiplies with an adapter's factors; what an adapter says of others it leaves unused."""
DTYPES: dict[str, Any] = {"F32": np.dtype("<u4"), "F16": np.dtype("<u2"), "BF16": np.dtype("<u2")}
UINT32, FLOAT32 = 4, 6
"""Types of values in a GGUF (docs/gguf.md of ggml)."""
LARGEST_ALPHA = 10_000.0
LARGEST_WEIGHT = 10_000.0
"""Trained factors are far below 10; damaged ones have exponents at random."""
LONGEST_INVOCATION = 1_000
AGAIN = "download or convert it again"
THIS_MODEL = "choose an adapter that was trained for this model"


def check(name: str, path: Path, model: GgufHead, vocabulary: int) -> AdapterFacts:
    """What the adapter is (`invocation_text` is left open); EngineError, in a sentence that begins with `name`.

    `vocabulary` is the model's, in tokens. Reads all of the file; blocks.
    """
    try:
        head = read_gguf(path)
        _Checker(name, head, model).check(vocabulary)
    except ModelError as error:
        raise EngineError(f"{name} is no adapter that can be used: {error}") from error
    except OSError as error:
        raise EngineError(f"{name} cannot be read ({error.strerror or error}): {AGAIN}.") from error
    return _facts(head)


def _facts(head: GgufHead) -> AdapterFacts:
    modules = {match[2] for tensor in head.tensors if (match := NAME.fullmatch(tensor.name))}
    return AdapterFacts(
        rank=max(tensor.shape[1] for tensor in head.tensors if tensor.name.endswith("lora_a")),
        alpha=float(head.values["adapter.lora.alpha"]),
        targets=tuple(sorted(modules)),
        bytes=head.size,
        architecture=str(head.values["general.architecture"]),
        invocation=tuple(head.values.get("adapter.alora.invocation_tokens", ())),
    )


class _Checker:
    def __init__(self, name: str, head: GgufHead, model: GgufHead) -> None:
        self._name, self._head, self._model = name, head, model
        self._shapes = {tensor.name: tensor.shape for tensor in model.tensors}

    def check(self, vocabulary: int) -> None:
        with self._head.path.open("rb") as file:
            self._kind()
            self._numbers(file.read(self._head.data))
            self._invocation(vocabulary)
            self._layout()
            pairs = self._pairs()
            for module, (a, b) in pairs.items():
                self._fits(module, a, b)
            self._weights(file, [each for pair in pairs.values() for each in pair])

    def _refuse(self, what: str, remedy: str = AGAIN) -> EngineError:
        return EngineError(f"{self._name} {what}: {remedy}.")

    def _kind(self) -> None:
        values = self._head.values
        if self._head.order != "<":
            raise self._refuse("is written for a machine of the other byte order", "convert it again on this machine")
        if values.get("general.type") != "adapter":
            raise self._refuse("is a whole model or something else, not an adapter", "choose a GGUF LoRA adapter")
        if values.get("adapter.type") != "lora":
            raise self._refuse("is an adapter of another type than LoRA", "choose a GGUF LoRA adapter")
        theirs, ours = values.get("general.architecture"), self._model.values.get("general.architecture")
        if theirs != ours:
            shown = visible(str(theirs))[:40]
            what = f"is for models of the architecture {shown!r} and the open one is {str(ours)!r}"
            raise self._refuse(what, THIS_MODEL)

    def _numbers(self, head: bytes) -> None:
        """llama.cpp ends the process for a number of another type than it expects, and asks only by name."""
        alpha = self._head.values.get("adapter.lora.alpha")
        if not isinstance(alpha, float) or not _typed(head, "adapter.lora.alpha", FLOAT32):
            raise self._refuse("does not say its alpha as a 32-bit float")
        if not 0 < alpha <= LARGEST_ALPHA:
            raise self._refuse(f"has the alpha {alpha:g}, which no adapter is trained with")
        if "general.alignment" in self._head.values and not _typed(head, "general.alignment", UINT32):
            raise self._refuse("says its alignment as another type than a 32-bit number")
        alignment = self._alignment
        if alignment & (alignment - 1) or not 8 <= alignment <= 1 << 16:
            raise self._refuse(f"has tensors that are aligned to {alignment} bytes, which no program writes")

    @property
    def _alignment(self) -> int:
        return int(self._head.values.get("general.alignment", 32))

    def _invocation(self, vocabulary: int) -> None:
        tokens = self._head.values.get("adapter.alora.invocation_tokens")
        if "adapter.alora.invocation_tokens" not in self._head.values:
            return
        if not isinstance(tokens, list) or not 0 < len(tokens) <= LONGEST_INVOCATION:
            raise self._refuse("does not list the tokens that switch it on as numbers")
        if not all(isinstance(token, int) and 0 <= token < vocabulary for token in tokens):
            what = "is switched on by tokens that this model's vocabulary does not have"
            raise self._refuse(what, THIS_MODEL)

    def _layout(self) -> None:
        """Tensors lie one after another, each at the next multiple of the alignment, as gguf.cpp wants them."""
        sizes = [-(-tensor.bytes // self._alignment) * self._alignment for tensor in self._head.tensors]
        for tensor, expected in zip(self._head.tensors, accumulate(sizes, initial=0), strict=False):
            if tensor.offset != expected:
                raise self._refuse(f"has {visible(tensor.name)[:60]} in a place where other weights lie or none")
        if len({tensor.name for tensor in self._head.tensors}) < len(self._head.tensors):
            raise self._refuse("has two tensors of one name")

    def _pairs(self) -> Mapping[str, tuple[GgufTensor, GgufTensor]]:
        found: dict[str, dict[str, GgufTensor]] = {}
        for tensor in self._head.tensors:
            match = NAME.fullmatch(tensor.name)
            if match is None or not TARGETS.fullmatch(match[2]):
                what = f"changes {visible(tensor.name)[:60]}, which llama.cpp would not apply"
                raise self._refuse(what, "train it on the attention and feed-forward weights only")
            if tensor.kind.name not in DTYPES:
                raise self._refuse(f"has weights of the type {tensor.kind.name}", "convert it again to F16 or F32")
            found.setdefault(match[1], {})[match[3]] = tensor
        if not found:
            raise self._refuse("holds no weights")
        for module, pair in found.items():
            if len(pair) < 2:
                raise self._refuse(f"has only one of the two factors of {module}")
        return {module: (pair["a"], pair["b"]) for module, pair in found.items()}

    def _fits(self, module: str, a: GgufTensor, b: GgufTensor) -> None:
        target = self._shapes.get(f"{module}.weight")
        if target is None:
            raise self._refuse(f"changes {module}, which this model does not have", THIS_MODEL)
        if not len(target) == len(a.shape) == len(b.shape) > 1:
            raise self._refuse(f"has factors of {module} with another number of dimensions than the model", THIS_MODEL)
        theirs, ours = (a.shape[0], b.shape[1], a.shape[2:], b.shape[2:]), (*target[:2], target[2:], target[2:])
        if theirs != ours:
            sizes = f"its {module} is {a.shape[0]} x {b.shape[1]}, this model's {target[0]} x {target[1]}"
            raise self._refuse(f"was trained for a model of another size ({sizes})", THIS_MODEL)
        if a.shape[1] != b.shape[0] or a.shape[1] < 1:
            raise self._refuse(f"has factors of {module} that do not agree: rank {a.shape[1]} and rank {b.shape[0]}")

    def _weights(self, file: BinaryIO, tensors: list[GgufTensor]) -> None:
        changes = False
        for tensor in tensors:
            file.seek(self._head.data + tensor.offset)
            array: Any = np.fromfile(file, DTYPES[tensor.kind.name], tensor.weights)
            if array.size < tensor.weights or _largest(array, tensor.kind.name) > LARGEST_WEIGHT:
                raise self._refuse(
                    f"has weights in {tensor.name} that are no numbers, or far too large for trained ones"
                )
            changes = changes or (tensor.name.endswith("lora_b") and bool((array << 1).any()))
        if not changes:
            raise self._refuse("changes nothing (all its factors B are zero)", "train it, or choose another")


def _largest(array: Any, kind: str) -> float:
    """The largest magnitude; infinity when one is infinite or not a number (all bits of the exponent set; IEEE 754)."""
    # Found among whole numbers, as the bits of a magnitude grow with it: no copy in another type is made.
    highest = int((array & (np.iinfo(array.dtype).max >> 1)).max())
    if kind == "F16":
        return math.inf if highest >= 0x7C00 else float(struct.unpack("<e", struct.pack("<H", highest))[0])
    bits = highest if kind == "F32" else highest << 16
    return math.inf if bits >= 0x7F800000 else float(struct.unpack("<f", struct.pack("<I", bits))[0])


def _typed(head: bytes, key: str, kind: int) -> bool:
    """Whether the head has this key with a value of this type; the reader keeps values without their types."""
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) in head
