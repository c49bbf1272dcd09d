"""What a file is: by its content where that is clear, else by the ending of its name."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import PurePath
from typing import Final

OFFICE: Final = "application/vnd.openxmlformats-officedocument"
OPEN: Final = "application/vnd.oasis.opendocument"

DOCUMENTS: Final = {
    "pdf": ("application/pdf", "PDF file"),
    "docx": (f"{OFFICE}.wordprocessingml.document", "Word document"),
    "pptx": (f"{OFFICE}.presentationml.presentation", "presentation"),
    "xlsx": (f"{OFFICE}.spreadsheetml.sheet", "workbook"),
    "doc": ("application/msword", "Word document"),
    "ppt": ("application/vnd.ms-powerpoint", "presentation"),
    "xls": ("application/vnd.ms-excel", "workbook"),
    "odt": (f"{OPEN}.text", "OpenDocument text"),
    "ods": (f"{OPEN}.spreadsheet", "OpenDocument spreadsheet"),
    "epub": ("application/epub+zip", "e-book"),
    "html": ("text/html", "web page"),
    "rtf": ("application/rtf", "RTF document"),
    "eml": ("message/rfc822", "e-mail"),
    "msg": ("application/vnd.ms-outlook", "e-mail"),
}
"""The kinds that a library reads: their media type, and what people call them."""

_SAME = {"docm": "docx", "dotx": "docx", "pptm": "pptx", "ppsx": "pptx", "xlsm": "xlsx", "htm": "html", "xhtml": "html"}

CODE: Final = {
    "py": "python", "pyi": "python", "js": "javascript", "mjs": "javascript", "cjs": "javascript", "jsx": "javascript",
    "ts": "typescript", "tsx": "tsx", "rs": "rust", "go": "go", "java": "java", "c": "c", "h": "c", "cc": "cpp",
    "cpp": "cpp", "cxx": "cpp", "hpp": "cpp", "hh": "cpp", "cs": "csharp", "rb": "ruby", "php": "php", "sh": "bash",
    "bash": "bash", "kt": "kotlin", "swift": "swift", "scala": "scala", "lua": "lua", "r": "r", "jl": "julia",
    "sql": "sql", "pl": "perl", "zsh": "bash", "css": "css", "scss": "css", "json": "json", "toml": "toml",
    "yaml": "yaml", "yml": "yaml",
}  # fmt: skip
"""The programming language of a file's ending."""

MARKDOWN: Final = frozenset({"md", "markdown", "mdx", "mdown", "qmd", "rmd"})
ROWS: Final = frozenset({"csv", "tsv", "jsonl", "ndjson"})
_LIKE_HTML = frozenset({"", "txt", "text", "log", *DOCUMENTS, *_SAME})

_ENDINGS: Final = (
    "png jpg jpeg gif bmp tif tiff webp ico icns heic avif svg psd ai mp3 wav flac ogg m4a aac mp4 mkv avi mov webm "
    "wmv zip tar gz tgz bz2 xz zst 7z rar jar war whl egg deb rpm dmg iso img bin exe dll so dylib a o obj lib pyc pyo "
    "class wasm ttf otf woff woff2 eot db sqlite sqlite3 mdb parquet feather arrow npy npz pkl pickle h5 hdf5 onnx pt "
    "pth safetensors gguf ggml lance mo pack idx key p12 pfx der crt keystore"
)
_NO_DOCUMENT: Final = frozenset(_ENDINGS.split())

_SIGNATURES = (
    (b"\x89PNG\r\n", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"), (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"), (b"\x7fELF", "a program"), (b"MZ\x90", "a program"), (b"\x1f\x8b", "an archive"),
    (b"7z\xbc\xaf", "an archive"), (b"Rar!\x1a", "an archive"), (b"\xfd7zXZ", "an archive"),
    (b"\x28\xb5\x2f\xfd", "an archive"), (b"BZh", "an archive"), (b"SQLite format 3\0", "a database"),
    (b"ID3", "a recording"), (b"OggS", "a recording"), (b"fLaC", "a recording"), (b"PAR1", "a data file"),
    (b"GGUF", "a model"), (b"RIFF", "a picture or a recording"), (b"\x1aE\xdf\xa3", "a film"),
    (b"\xca\xfe\xba\xbe", "a program"),
)  # fmt: skip

_INSIDE = (("word/", "docx"), ("ppt/", "pptx"), ("xl/", "xlsx"))
_STREAMS = (("WordDocument", "doc"), ("PowerPoint Document", "ppt"), ("Workbook", "xls"), ("Book", "xls"))
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Unreadable(Exception):
    """Why a file has no text for us: the rest of a sentence that begins with its name. Stays in the child process."""


def ending(name: str) -> str:
    """The ending of a file's name in lower case, without the dot: ``pdf``; the usual one of several (``htm``: html)."""
    plain = PurePath(name).suffix.lower().lstrip(".")
    return _SAME.get(plain, plain)


def is_document(name: str) -> bool:
    """Whether a name's ending is not one of pictures, archives, programs and the like."""
    return ending(name) not in _NO_DOCUMENT


def kind_of(name: str, data: bytes) -> str:
    """One of `DOCUMENTS`, or "" for text; `Unreadable` where the content is plainly something else."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(_OLE):
        return _compound(data)
    if data.startswith(b"PK\x03\x04"):
        return _zipped(data, ending(name))
    if data.lstrip()[:5] == b"{\\rtf":
        return "rtf"
    for start, what in _SIGNATURES:
        if data.startswith(start):
            raise Unreadable(f"is {what}, not a document")
    if data[4:8] == b"ftyp":
        raise Unreadable("is a film or a recording, not a document")
    return _by_name(ending(name), data)


def _by_name(end: str, data: bytes) -> str:
    if end == "eml":
        return "eml"
    if looks_html(data) and end in _LIKE_HTML:
        return "html"
    return "html" if end == "html" else ""


def looks_html(data: bytes) -> bool:
    """Whether it begins as a web page does, after a mark of the encoding, an XML declaration and comments."""
    start = data[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    while start.startswith((b"<!--", b"<?xml")):
        _, _, start = start.partition(b">")
        start = start.lstrip()
    return start.startswith((b"<!doctype html", b"<html"))


def _zipped(data: bytes, end: str) -> str:
    what = DOCUMENTS[end][1] if end in DOCUMENTS else "ZIP archive"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if any(entry.flag_bits & 1 for entry in archive.infolist()):
                raise Unreadable("needs a password: save a copy without one")
            media = archive.read("mimetype").decode("ascii", "replace").strip() if "mimetype" in names else ""
            manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise Unreadable(
            f"is damaged or cut off: it does not open as {'an' if what[0] in 'eO' else 'a'} {what}"
        ) from error
    if b"encryption-data" in manifest:
        raise Unreadable("needs a password: save a copy without one")
    for kind, (known, _) in DOCUMENTS.items():
        if media.startswith(known):
            return kind
    for folder, kind in _INSIDE:
        if any(name.startswith(folder) for name in names):
            return kind
    raise Unreadable("is an archive, not a document; unpack it first")


def _compound(data: bytes) -> str:
    # The names of the streams inside are in UTF-16; this tells the kinds apart without a reader of the format.
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise Unreadable("needs a password: save a copy without one")
    for stream, kind in _STREAMS:
        if stream.encode("utf-16-le") in data:
            return kind
    if "__properties_version1.0".encode("utf-16-le") in data:
        return "msg"
    raise Unreadable("is a compound file of a kind that is not read")
