"""The pictures and their names: fetched as two npm packages, checked, and cut down to the curated concepts."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from chatapp import SourceFailed

CONCEPTS = Path(__file__).with_name("concepts.txt")
GENDERS = ("m", "f", "mp", "fp")


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package in one version, with the SHA-512 of its archive, in base64 as npm states it."""

    name: str
    version: str
    integrity: str
    members: tuple[str, ...]


PACKAGES = (
    Package(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
        ("icons.json", "chars.json", "info.json"),
    ),
    Package(
        "emojibase-data",
        "17.0.0",
        "Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
        ("en/data.json", "pt/data.json", "LICENSE"),
    ),
)


@dataclass(frozen=True, slots=True)
class Named:
    """A Portuguese name and its gender: m, f, mp or fp."""

    text: str
    gender: str


@dataclass(frozen=True, slots=True)
class Concept:
    """One picture to learn: the icon's name in the set, and all that people call it.

    `names` and `portuguese` begin with the curated ones; `keywords` are looser. `recoloured` says whether it is also
    learnt in other colours, `paint` which colour they replace where that is not the largest one.
    """

    icon: str
    names: tuple[str, ...]
    portuguese: tuple[Named, ...]
    label: str = ""
    label_portuguese: str = ""
    keywords: tuple[str, ...] = ()
    keywords_portuguese: tuple[str, ...] = ()
    recoloured: bool = False
    paint: str = ""


def read_concepts(path: Path) -> list[Concept]:
    """The concepts of a curated list (its head explains the format); ValueError for a line that cannot be read."""
    lines = path.read_text("utf-8").splitlines()
    return [_concept(line) for line in lines if line.strip() and not line.startswith(("#", "- "))]


def _concept(line: str) -> Concept:
    icon, names, portuguese, *mark = (part.strip() for part in line.split("|"))
    parts = (name.strip().rpartition(" ") for name in portuguese.split(","))
    named = tuple(Named(name, gender) for name, _, gender in parts)
    if any(name.gender not in GENDERS for name in named):
        raise ValueError(f"A Portuguese name lacks its gender: {line}")
    recoloured, paint = (bool(mark), mark[0].strip("* ")) if mark else (False, "")
    return Concept(icon, tuple(name.strip() for name in names.split(",")), named, recoloured=recoloured, paint=paint)


def fetch(work: Path, concepts: Path = CONCEPTS) -> None:
    """Put the list of concepts and both packages, fetched with npm unless they are there, into the work folder.

    SourceFailed when a package cannot be had whole.
    """
    shutil.copyfile(concepts, work / "concepts.txt")
    for package in PACKAGES:
        target = work / "npm" / package.name.replace("/", "+")
        if not all((target / member).is_file() for member in package.members):
            _fetch(package, target)


def _fetch(package: Package, target: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SourceFailed("The icons come as npm packages, so install npm and try again.")
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.tgz"):
        old.unlink()
    asked = [npm, "pack", f"{package.name}@{package.version}", "--silent", "--pack-destination", str(target)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    archives = sorted(target.glob("*.tgz"))
    if done.returncode or not archives:
        raise SourceFailed(f"npm could not fetch {package.name}: {done.stderr.strip()[-300:] or 'no reason given'}")
    digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if digest != package.integrity:
        raise SourceFailed(f"The archive of {package.name} {package.version} is not the one expected; fetch it again.")
    with tarfile.open(archives[0]) as archive:
        for member in package.members:
            _unpack(archive, member, target / member)


def _unpack(archive: tarfile.TarFile, member: str, path: Path) -> None:
    source = archive.extractfile(f"package/{member}")
    if source is None:
        raise SourceFailed(f"The archive lacks {member}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.read())


@cache
def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def icons(work: Path) -> dict[str, str]:
    """Every icon of the set, as a whole SVG text by its name."""
    found = _json(work / "npm" / "@iconify-json+fluent-emoji-flat" / "icons.json")
    box = f"0 0 {found['width']} {found['height']}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">'
    return {name: f"{head}{icon['body']}</svg>" for name, icon in found["icons"].items()}


def concepts(work: Path) -> list[Concept]:
    """The work folder's concepts, with the labels and keywords of emojibase in two languages."""
    codes = _json(work / "npm" / "@iconify-json+fluent-emoji-flat" / "chars.json")
    code_of = {name: code.split("-fe0f")[0] for code, name in codes.items()}
    english, portuguese = (_entries(work, language) for language in ("en", "pt"))
    return [
        _described(concept, english.get(code, {}), portuguese.get(code, {}))
        for concept in read_concepts(work / "concepts.txt")
        for code in [code_of.get(concept.icon, "")]
    ]


def _entries(work: Path, language: str) -> dict[str, dict[str, Any]]:
    entries = _json(work / "npm" / "emojibase-data" / language / "data.json")
    return {entry["hexcode"].lower().split("-fe0f")[0]: entry for entry in entries}


def _described(concept: Concept, english: dict[str, Any], portuguese: dict[str, Any]) -> Concept:
    return replace(
        concept,
        label=english.get("label", concept.names[0]).lower(),
        label_portuguese=portuguese.get("label", concept.portuguese[0].text).lower(),
        keywords=tuple(tag for tag in english.get("tags", ()) if len(tag) > 1),
        keywords_portuguese=tuple(tag for tag in portuguese.get("tags", ()) if len(tag) > 1),
    )
