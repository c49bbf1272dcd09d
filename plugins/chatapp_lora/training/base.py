"""A GGUF as a model of transformers: unpacked once, kept as safetensors, and mapped into memory from then on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapp import EngineError, GgufHead, Progress, human_bytes, read_gguf, visible
from chatapp_lora.training.names import FREQUENCIES, architecture, module_of, rows_of_heads, to_halves, value
from chatapp_lora.training.weights import mapped, portions

if TYPE_CHECKING:
    import torch

Report = Callable[[Progress], None]
TORCH = {"bf16": "bfloat16", "fp32": "float32"}
"""What torch calls the number formats a model is computed in."""
FORMAT = 1
"""Raised when what is unpacked changes, so that older files are made again."""
LETTERS = {2: "BF16", 4: "F32"}
SPARE = 200_000_000
"""Bytes of the disk that are left free."""


@dataclass(frozen=True, slots=True)
class Base:
    """A model ready to be trained, all its weights frozen, and the head of the GGUF it came from."""

    model: Any
    head: GgufHead
    dtype: str


def load_base(path: Path, sha256: str, dtype: str, cache: Path, keep: bool, report: Report) -> Base:
    """The model of a GGUF in "bf16" or "fp32", from `cache` where it was unpacked before and is whole.

    With `keep` False the unpacked file is deleted again; the model stays mapped. EngineError in one sentence for an
    architecture or a file that cannot be trained, and where the disk has no room.
    """
    import torch
    from safetensors.torch import load_file

    head = read_gguf(path)
    config = configuration(head)
    place = cache / f"{sha256}-{dtype}-{FORMAT}.safetensors"
    report(Progress("Reading the base model"))
    if not _whole(place):
        with torch.no_grad():
            _unpack(head, getattr(torch, TORCH[dtype]), place, report)
    tensors = load_file(place)
    if not keep:
        # The map holds on to the file's blocks until the process ends.
        place.unlink()
        _note(place).unlink()
    return Base(_assembled(config, tensors, path), head, dtype)


def configuration(head: GgufHead) -> Any:
    """The transformers configuration of a GGUF's head; EngineError for what cannot be trained."""
    from transformers import AutoConfig

    name = architecture(head)
    names = {tensor.name for tensor in head.tensors}
    heads = int(value(head, "attention.head_count"))
    width = int(value(head, "embedding_length"))
    if value(head, "rope.scaling.type", "none") not in ("none", "linear"):
        raise EngineError(f"{visible(head.path.name)} stretches its context in a way that cannot be trained: {_OTHER}")
    optional = {"attention_bias": "blk.0.attn_q.bias" in names} if name != "qwen2" else {}
    return AutoConfig.for_model(
        name,
        vocab_size=next((t.shape[1] for t in head.tensors if t.name == "token_embd.weight" and len(t.shape) == 2), 0),
        hidden_size=width,
        intermediate_size=int(value(head, "feed_forward_length")),
        num_hidden_layers=int(value(head, "block_count")),
        num_attention_heads=heads,
        num_key_value_heads=int(value(head, "attention.head_count_kv", heads)),
        head_dim=int(value(head, "attention.key_length", width // heads)),
        max_position_embeddings=int(value(head, "context_length")),
        rms_norm_eps=float(value(head, "attention.layer_norm_rms_epsilon")),
        rope_parameters={"rope_type": "default", "rope_theta": float(value(head, "rope.freq_base", 10_000.0))},
        tie_word_embeddings="output.weight" not in names,
        use_cache=False,
        **optional,
    )


_OTHER = "choose another model."


def _assembled(config: Any, tensors: Mapping[str, torch.Tensor], path: Path) -> Any:
    """A model with these tensors as its weights; nothing is copied."""
    import torch
    from transformers import AutoModelForCausalLM

    frequencies = tensors.get(FREQUENCIES)
    weights = {name: tensor for name, tensor in tensors.items() if name != FREQUENCIES}
    if config.tie_word_embeddings and "model.embed_tokens.weight" in weights:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=next(iter(weights.values())).dtype)
    try:
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        clause = " ".join(str(error).split())[:200]
        shown = visible(path.name)
        raise EngineError(f"{shown} has other tensors than its architecture ({clause}): {_OTHER}") from None
    model.tie_weights()
    # What is computed, not stored, was left without values on the meta device.
    rotary = type(model.model.rotary_emb)(config=config)
    if frequencies is not None:
        rotary.inv_freq = rotary.inv_freq / frequencies.float()
    model.model.rotary_emb = rotary
    return model.requires_grad_(False).eval()


def _unpack(head: GgufHead, dtype: torch.dtype, place: Path, report: Report) -> None:
    """Write the weights, as transformers names them, and beside them what tells a damaged file.

    One tensor is in memory at a time. The layout: github.com/huggingface/safetensors, "Format".
    """
    names = {tensor.name: module_of(tensor.name) or tensor.name for tensor in head.tensors}
    unknown = [name for name, module in names.items() if name == module != FREQUENCIES]
    if unknown:
        raise EngineError(f"{visible(head.path.name)} holds {visible(unknown[0])}, which is unknown here: {_OTHER}")
    table, size = {}, 0
    for tensor in head.tensors:
        end = size + tensor.weights * dtype.itemsize
        shape = list(reversed(tensor.shape))
        table[names[tensor.name]] = {"dtype": LETTERS[dtype.itemsize], "shape": shape, "data_offsets": [size, end]}
        size = end
    _need_room(head, size, place.parent)
    partial, digest = place.with_suffix(".partial"), hashlib.sha256()
    with partial.open("wb") as file:
        for portion in _contents(head, dtype, table, report):
            digest.update(portion)
            file.write(portion)
    _note(place).write_text(json.dumps({"sha256": digest.hexdigest(), "bytes": partial.stat().st_size}))
    partial.replace(place)


def _contents(head: GgufHead, dtype: torch.dtype, table: Mapping[str, Any], report: Report) -> Iterator[Any]:
    """The bytes of the safetensors file: its table, and one tensor after another."""
    import torch

    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    data = mapped(head)
    for done, tensor in enumerate(head.tensors):
        whole = torch.cat([torch.from_numpy(part).to(dtype) for part in portions(data, head, tensor)])
        shaped = whole.reshape(tuple(reversed(tensor.shape)))
        rows = to_halves(shaped, rows_of_heads(head, tensor.name)).contiguous()
        yield rows.flatten().view(torch.uint8).numpy()
        report(Progress("Unpacking the base model", done + 1, len(head.tensors), "layers"))


def _need_room(head: GgufHead, size: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    room = shutil.disk_usage(folder).free
    if room < size + SPARE:
        raise EngineError(
            f"Unpacking {visible(head.path.name)} takes {human_bytes(size)} of disk and {human_bytes(room)} are free: "
            "make room."
        )


def _whole(place: Path) -> bool:
    """Whether the file is there and is what was written."""
    try:
        noted = json.loads(_note(place).read_text())
        return bool(place.stat().st_size == noted["bytes"] and _sha256(place) == noted["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _note(place: Path) -> Path:
    return place.with_suffix(".json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fastest() -> str:
    """The format to compute in: "bf16", half the memory, unless this machine is clearly slower at it; then "fp32"."""
    import torch

    seconds = {name: _seconds(getattr(torch, kind)) for name, kind in TORCH.items()}
    return "bf16" if seconds["bf16"] <= 1.25 * seconds["fp32"] else "fp32"


def _seconds(dtype: torch.dtype) -> float:
    """The least time of some multiplications as they occur in a layer."""
    import time

    import torch

    left, right = torch.ones(128, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    taken = []
    for _ in range(6):
        begun = time.perf_counter()
        torch.nn.functional.linear(left, right)
        taken.append(time.perf_counter() - begun)
    return min(taken)
