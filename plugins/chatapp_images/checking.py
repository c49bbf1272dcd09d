"""Whether a folder is a diffusers pipeline that may be loaded: standard classes, sound configurations, no pickles.

Nothing of the folder is run or mapped into memory here; only its JSON and the headers of its weights are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import ModelError
from chatapp_images.weights import PICKLED, Tensors, pickled, read_header

INDEX = "model_index.json"
MOST_JSON = 5_000_000
"""Bytes of a configuration: the longest known ones have some ten thousand."""
LIBRARIES = frozenset({"diffusers", "transformers", "stable_diffusion"})
"""Where components may come from; "stable_diffusion" is diffusers' own folder of its safety checker."""
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
CONFIGS = ("config.json", "scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a pipeline's folder holds: its class, its components (folder to library and class), and its weights."""

    pipeline: str
    components: Mapping[str, tuple[str, str]]
    weights: Mapping[Path, Tensors]
    variant: str | None

    def parameters(self) -> dict[str, int]:
        """How many numbers each component has."""
        found: dict[str, int] = {}
        for path, tensors in self.weights.items():
            found[path.parent.name] = found.get(path.parent.name, 0) + tensors.count
        return found


def check_folder(folder: Path) -> Layout:
    """What is in the pipeline's folder; ModelError in one sentence says why it is none or must not be loaded."""
    if not folder.is_dir():
        raise ModelError(f"There is no folder {folder}: check the path.")
    if not (folder / INDEX).is_file():
        loose = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in PICKLED]
        if loose:
            raise ModelError(pickled(loose[0]))
        raise ModelError(f"The folder {folder} holds no diffusers model (no {INDEX}): name another one.")
    index = read_json(folder / INDEX)
    components = components_of(index, str(folder / INDEX))
    for name, (library, kind) in components.items():
        _check_component(folder / name, library, kind)
    found = {name: _weights(folder / name) for name in components}
    held = [pair for pair in found.values() if any(pair)]
    if not held:
        raise ModelError(f"The folder {folder} holds no weights: download the model again.")
    # diffusers takes one variant for all components.
    variant = "fp16" if all(half for _, half in held) else None
    files = {path: read_header(path) for plain, half in held for path in (half if variant else plain or half)}
    return Layout(str(index["_class_name"]), components, files, variant)


def components_of(index: Mapping[str, Any], where: str) -> dict[str, tuple[str, str]]:
    """The components an index names, the safety checker aside; ModelError where one is not of the known libraries."""
    kind = index.get("_class_name")
    if not isinstance(kind, str) or not PLAIN.fullmatch(kind):
        raise ModelError(f"{where} names no pipeline of diffusers: name another model.")
    found = {}
    for name, each in index.items():
        if not isinstance(each, list) or name in ("safety_checker", "feature_extractor", "image_encoder"):
            continue
        if len(each) != 2 or not PLAIN.fullmatch(name):
            raise ModelError(f"{where} is damaged (at {name[:40]!r}): download the model again.")
        if each[0] is None:
            continue
        library, kind = each
        if library not in LIBRARIES or not isinstance(kind, str) or not PLAIN.fullmatch(kind):
            raise ModelError(
                f"{where} takes its {name} from code of its own ({str(library)[:40]!r}), which is not run: choose a "
                "model made of diffusers' and transformers' own parts."
            )
        found[name] = (str(library), kind)
    if not found:
        raise ModelError(f"{where} names no components: download the model again.")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of bounded size; ModelError says what is wrong with it."""
    try:
        if path.stat().st_size > MOST_JSON:
            raise ModelError(f"{path} is too large for a configuration: download the model again.")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): download the model again.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: download the model again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object: download the model again.")
    return value


def _check_component(folder: Path, library: str, kind: str) -> None:
    if not folder.is_dir():
        raise ModelError(f"The model's part {folder} is missing: download the model again.")
    configs = [folder / name for name in CONFIGS if (folder / name).is_file()]
    if not configs:
        raise ModelError(f"The model's part {folder} has no configuration: download the model again.")
    for path in configs:
        config = read_json(path)
        if "auto_map" in config:
            raise ModelError(f"{path} asks for code of the model's own, which is not run: choose another model.")
        stated = config.get("_class_name", kind)
        if library == "diffusers" and "scheduler" not in path.name and stated != kind:
            raise ModelError(f"{path} says {str(stated)[:60]!r} where {kind} is expected: download the model again.")


def _weights(folder: Path) -> tuple[list[Path], list[Path]]:
    """The component's weights in full and in half precision; ModelError where it has pickled ones only."""
    every = [path for path in sorted(folder.glob("*.safetensors")) if "non_ema" not in path.name]
    half = [path for path in every if ".fp16" in path.name]
    plain = [path for path in every if "." not in path.name.removesuffix(".safetensors")]
    if not plain and not half:
        wrong = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in PICKLED]
        if wrong:
            raise ModelError(pickled(wrong[0]))
    return plain, half
