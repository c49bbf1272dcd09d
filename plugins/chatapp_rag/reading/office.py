"""Documents that kreuzberg reads: PDF, office files, e-books, web pages and e-mail. No OCR, no network, no cache."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from chatapp_rag.documents import Document
from chatapp_rag.reading.kinds import DOCUMENTS, Unreadable
from chatapp_rag.reading.paged import joined, pages_of
from chatapp_rag.reading.webpage import prepared

if TYPE_CHECKING:
    from kreuzberg import ExtractionConfig, ExtractionResult

SCANNED = "has no text layer: its pages are pictures; run OCR on it first, e.g. ocrmypdf"
# Only what looks like an address: brackets and parentheses follow each other in formulas and programs as well.
_TARGET = r"\((?=[^()\s]*[/#:.?])(?:[^()\s]|\([^()]*\))*(?:\s+\"[^\"\n]*\")?\)"
_PICTURE = re.compile(rf"!\[([^\]\n]*)\]{_TARGET}")
_LINK = re.compile(rf"(?<!!)\[((?:[^\[\]\n]|\[[^\[\]\n]*\])*)\]{_TARGET}")
# Columns as wide as their longest cell are mostly filling.
_ROW = re.compile(r"^\|.*$", re.M)
_FILL = re.compile(r"([ -])\1{3,}")
_META = re.compile(r"\A---\n(?:[^\n]+\n)*\n")
_UNNAMED = frozenset({"(anonymous)", "untitled", "untitled document", "powerpoint presentation", "(unspecified)"})


def read_office(data: bytes, kind: str) -> Document:
    """The document as Markdown; pages where it has them. `kind` is one of `DOCUMENTS`. `Unreadable` says why not."""
    media, what = DOCUMENTS[kind]
    title = ""
    if kind == "html":
        title, data = prepared(data)
    result = _extracted(data, media, what)
    if kind == "pdf":
        document = _paged(result)
    else:
        text = _META.sub("", result.content) if kind == "html" else result.content
        plain = _LINK.sub(r"\1", _PICTURE.sub(r"\1", text)).replace("\0", "")
        document = Document(_ROW.sub(lambda row: _FILL.sub(r"\1\1\1", row[0]), plain), "markdown")
    if not document.text.strip():
        raise Unreadable(SCANNED if kind == "pdf" else "has no text")
    return Document(document.text, "markdown", title or _title(result.metadata), pages=document.pages)


def _paged(result: ExtractionResult) -> Document:
    nodes: Any = (result.document or {}).get("nodes", [])
    pages = pages_of(result.pages or [], nodes)
    if not any(pages):
        return Document(result.content, "markdown")
    text, offsets = joined([page.replace("\0", "") for page in pages])
    return Document(text, "markdown", pages=offsets)


def _extracted(data: bytes, media: str, what: str) -> ExtractionResult:
    from kreuzberg import KreuzbergError, extract_bytes_sync

    try:
        return extract_bytes_sync(data, media, config=_config())
    except (KreuzbergError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).lower()
        if "password" in reason or "encrypt" in reason:
            raise Unreadable("needs a password: save a copy without one") from error
        raise Unreadable(f"is damaged, cut off, or no {what}: it cannot be opened") from error


def _config() -> ExtractionConfig:
    from kreuzberg import ContentFilterConfig, ExtractionConfig, PageConfig

    return ExtractionConfig(
        use_cache=False,
        # Its tidying takes out what it holds for noise.
        enable_quality_processing=False,
        ocr=None,
        pages=PageConfig(extract_pages=True),
        output_format="markdown",
        include_document_structure=True,
        # A title near the top edge counts as a running header there, so these are kept.
        content_filter=ContentFilterConfig(include_headers=True, include_footers=True, strip_repeating_text=False),
        html_options={
            "extract_metadata": False,
            "preprocessing": {
                "enabled": True, "preset": "standard", "remove_navigation": True, "remove_forms": False,
            },
        },
    )  # fmt: skip


def _title(metadata: Any) -> str:
    title = metadata.get("title") or metadata.get("subject") or ""
    title = " ".join(str(title).split())
    return "" if title.lower() in _UNNAMED else title[:200]
