"""Compares libraries that turn documents into text, on a folder whose EXPECTED.json says what each file holds.

    python compare_readers.py FOLDER             what is installed here, as a table in Markdown
    python compare_readers.py FOLDER --library pypdf

EXPECTED.json maps file names to ``behaviour`` ("ok", or "error", "encrypted", "no_text": no text may come of it),
``must_include`` and ``must_not_include``, compared in Unicode form NFKC with white space collapsed. Install each
library in an environment of its own and run this there; one that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import unicodedata
from collections.abc import Callable
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Read = Callable[[Path], str]


def ours() -> Read:
    """What chatapp does."""
    from chatapp_rag.reading.files import read

    return lambda path: read(path).text


def kreuzberg() -> Read:
    """Alone, without a cache."""
    from kreuzberg import ExtractionConfig, extract_file_sync

    config = ExtractionConfig(use_cache=False, output_format="markdown")
    return lambda path: extract_file_sync(str(path), config=config).content


def markitdown() -> Read:
    """With all its optional parts."""
    from markitdown import MarkItDown  # type: ignore[import-not-found, unused-ignore]

    converter = MarkItDown()
    return lambda path: str(converter.convert(str(path)).text_content)


def docling() -> Read:
    """Without OCR; its models of page layout must be there already."""
    from docling.document_converter import DocumentConverter  # type: ignore[import-not-found, unused-ignore]

    converter = DocumentConverter()
    return lambda path: str(converter.convert(path).document.export_to_markdown())


def pypdfium2() -> Read:
    """PDF only."""
    import pypdfium2 as pdfium  # type: ignore[import-not-found, unused-ignore]

    return lambda path: "\n".join(page.get_textpage().get_text_range() for page in pdfium.PdfDocument(path))


def pypdf() -> Read:
    """PDF only."""
    from pypdf import PdfReader  # type: ignore[import-not-found, unused-ignore]

    return lambda path: "\n".join(page.extract_text() for page in PdfReader(path).pages)


LIBRARIES: dict[str, tuple[str, Callable[[], Read]]] = {
    "chatapp": ("chatapp_rag", ours),
    "kreuzberg": ("kreuzberg", kreuzberg),
    "markitdown": ("markitdown", markitdown),
    "docling": ("docling", docling),
    "pypdfium2": ("pypdfium2", pypdfium2),
    "pypdf": ("pypdf", pypdf),
}


def plain(text: str) -> str:
    """The text as it is compared."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text))


def verdict(read: Read, path: Path, expected: dict[str, Any]) -> str:
    """What is wrong about what came of a file; "" for nothing."""
    try:
        text, failure = plain(read(path)), ""
    except Exception as error:  # noqa: BLE001 - any error of a library is a result
        text, failure = "", f"{type(error).__name__}: {str(error)[:80]}"
    if expected["behaviour"] != "ok":
        return "text where there is none" if text.strip() else ""
    missing = [each for each in expected["must_include"] if plain(each) not in text]
    unwanted = [each for each in expected["must_not_include"] if plain(each) in text]
    wrong = [*(f"lacks {each[:40]!r}" for each in missing), *(f"has {each!r}" for each in unwanted)]
    return failure or "; ".join(wrong)


def installed() -> tuple[float, int]:
    """Megabytes and number of the packages in this environment, without pip and setuptools."""
    folder = Path(next(path for path in sys.path if path.endswith("site-packages")))
    tools = ("pip", "setuptools", "_distutils_hack", "pkg_resources")
    ours = [path for path in folder.iterdir() if not path.name.split("-")[0].startswith(tools)]
    size = sum(path.stat().st_size for top in ours for path in (top, *top.rglob("*")) if path.is_file())
    return size / 1e6, len({dist.name for dist in distributions(path=[str(folder)])} - {"pip", "setuptools"})


def main() -> None:
    """Print the table, and below it what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--library", choices=LIBRARIES)
    arguments = parser.parse_args()
    expected = json.loads((arguments.folder / "EXPECTED.json").read_text(encoding="utf-8"))
    size, packages = installed()
    wrongs = []
    print("| library | right | PDF right | seconds | MB installed | packages |\n| --- | --- | --- | --- | --- | --- |")
    for name in [arguments.library] if arguments.library else LIBRARIES:
        module, make = LIBRARIES[name]
        if find_spec(module) is None:
            continue
        started = time.perf_counter()
        read = make()
        wrong = {file: verdict(read, arguments.folder / file, facts) for file, facts in expected.items()}
        seconds = time.perf_counter() - started
        pdf = [file for file in wrong if file.endswith(".pdf")]
        right = sum(not why for why in wrong.values())
        row = (f"{right} of {len(wrong)}", f"{sum(not wrong[file] for file in pdf)} of {len(pdf)}", f"{seconds:.2f}")
        print(f"| {name} | {' | '.join(row)} | {size:.0f} | {packages} |")
        wrongs += [f"- {name}, {file}: {why}" for file, why in wrong.items() if why]
    print("\n" + "\n".join(wrongs))


if __name__ == "__main__":
    main()
