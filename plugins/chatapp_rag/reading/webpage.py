"""A web page before it is read: decoded, and without its head, drawings and what its own marks call navigation."""

from __future__ import annotations

import html
import re

from chatapp_rag.reading.decoding import decoded

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]{0,200}?encoding=[\"']([\w.:-]+)", re.I
)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.I | re.S)
# kreuzberg writes what stands in the head before the text; drawings become text by their source.
_HEAD = re.compile(r"<title\b.*?</title\s*>|<svg\b.*?</svg\s*>|<meta\b[^>]*>|<link\b[^>]*>|<\?xml[^>]*>", re.I | re.S)
# Of a class only a list's is believed: what stands in <div class="menu"> may be what a restaurant serves.
_MENU = re.compile(
    r"<(\w+)\b[^>]*\brole\s*=\s*[\"']?(?:navigation|menu|menubar)\b[^>]*>"
    r"|<(ul|ol)\b[^>]*\b(?:class|id)\s*=\s*[\"'][^\"'>]*\b(?:menu|nav|navbar|breadcrumbs?)\b[^>]*>",
    re.I,
)


def prepared(data: bytes) -> tuple[str, bytes]:
    """A page's title, and the page in UTF-8 without its head and menus (elements ``nav`` are left to the reader)."""
    stated = _CHARSET.search(data[:4096])
    text = decoded(data, (stated[1] or stated[2]).decode("ascii", "ignore") if stated else "")
    found = _TITLE.search(text)
    title = " ".join(html.unescape(found[1]).split()) if found else ""
    return title, without_menus(_HEAD.sub("", text)).encode("utf-8", "replace")


def without_menus(text: str) -> str:
    """The page without the elements that are marked as navigation; one that is never closed stays."""
    kept, at = [], 0
    while (found := _MENU.search(text, at)) is not None:
        end = _closing(text, found[1] or found[2], found.end())
        kept.append(text[at : found.start() if end else found.end()])
        at = end or found.end()
    return "".join([*kept, text[at:]])


def _closing(text: str, tag: str, start: int) -> int:
    """Where the element that begins before `start` ends; 0 for never."""
    depth = 1
    for each in re.finditer(rf"<(/?){tag}\b[^>]*>", text[start : start + 200_000], re.I):
        depth += -1 if each[1] else 1
        if depth == 0:
            return start + each.end()
    return 0
