"""A PDF file's text, page by page: the reader's outline where it holds every word of the page, else the page as it is.

The outline joins lines to paragraphs, mends hyphens and knows headings and tables, but it was seen to lose or change
words (``righttt`` for a ligature); the plain text of the page does not, so the two are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_HYPHEN = re.compile("[\x02\u00ad]\\s*\n\\s*|[\x02\u00ad]")
_WORD = re.compile(r"\w+")
_LOST = 0.005
Node = Mapping[str, Any]


def joined(pages: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """The pages with a blank line between them, and the offsets in characters at which they begin."""
    offsets, length = [], 0
    for page in pages:
        offsets.append(length)
        length += len(page) + 2
    return "\n\n".join(pages), tuple(offsets)


def pages_of(plain: Iterable[Mapping[str, Any]], nodes: Iterable[Node]) -> list[str]:
    """Markdown of each page. `plain` are kreuzberg's pages, `nodes` those of its document structure."""
    outlined: dict[int, list[Node]] = {}
    for node in nodes:
        if node.get("page") is not None and node["content"]["node_type"] != "group":
            outlined.setdefault(node["page"], []).append(node["content"])
    return [_page(page["content"], outlined.get(page["page_number"], [])) for page in plain]


def _page(plain: str, contents: Sequence[Node]) -> str:
    text = _HYPHEN.sub("", plain.replace("\r\n", "\n").replace("\r", "\n"))
    outline = "\n\n".join(filter(None, map(_block, contents)))
    said, shown = Counter(_WORD.findall(text)), Counter(_WORD.findall(outline))
    lost = [word for word in (said - shown).elements() if not word.isdigit()]
    # Page numbers may go; other words may not, and none may come that the page does not have.
    if len(lost) <= len(_WORD.findall(text)) * _LOST and not shown - said:
        return outline
    return "\n".join(_marked(text.split("\n"), contents)).strip()


def _block(content: Node) -> str:
    kind = content["node_type"]
    text = _HYPHEN.sub("", content.get("text") or "")
    if kind == "heading":
        return f"{'#' * min(6, content.get('level', 1))} {' '.join(text.split())}"
    if kind == "list_item":
        return f"- {' '.join(text.split())}"
    if kind == "table":
        return _table(content["grid"])
    return text.strip() if kind == "code" else " ".join(text.split())


def _table(grid: Mapping[str, Any]) -> str:
    rows = [[""] * grid["cols"] for _ in range(grid["rows"])]
    for cell in grid["cells"]:
        rows[cell["row"]][cell["col"]] = " ".join(cell["content"].split()).replace("|", "\\|")
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines[:1], "|" + " --- |" * grid["cols"], *lines[1:]]) if lines else ""


def _marked(lines: Iterable[str], contents: Iterable[Node]) -> Iterator[str]:
    """The lines of a page, those that the outline calls headings marked as such."""
    levels = {
        _key(content["text"]): content.get("level", 1) for content in contents if content["node_type"] == "heading"
    }
    for line in lines:
        level = levels.get(_key(line))
        yield f"\n{'#' * min(6, level)} {line.strip()}\n" if level and line.strip() else line.rstrip()


def _key(text: str) -> str:
    return "".join(_WORD.findall(text)).casefold()
