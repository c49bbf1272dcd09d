"""Reading documents: what each kind becomes, and the reason for each that cannot be read."""

from __future__ import annotations

import json
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

from chatapp_rag.documents import Document
from chatapp_rag.reading.files import Unreadable, read, read_bytes
from tests.plugins.rag_files import docx, epub, odt, packed, pdf, pptx, xlsx

PAGE = """<!DOCTYPE html><html><head><title>Café &amp; bar</title><meta charset="iso-8859-1">
<style>p {color: red}</style></head><body><nav><ul><li><a href="/">Main menu</a></li></ul></nav>
<div role="navigation">Also a menu</div><h1>Drinks</h1><script>var hidden = 1;</script>
<p>A café serves <a href="http://x.example/y">coffee</a>.</p><h2>Food</h2><p>Cake.</p>
<svg><text>drawn</text></svg></body></html>"""

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def text_of(name: str, data: bytes) -> str:
    """The text of a file with its white space collapsed."""
    return " ".join(read_bytes(name, data).text.split())


def reason(name: str, data: bytes) -> str:
    """Why a file cannot be read."""
    with pytest.raises(Unreadable) as caught:
        read_bytes(name, data)
    return str(caught.value)


def test_a_pdf_has_its_pages(tmp_path: Path) -> None:
    pages = [[(72, 810, 24, "The title"), (72, 700, 11, "First page.")], [], [(72, 700, 11, "Third page.")]]
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(pages))
    document = read(path)
    assert document.kind == "markdown"
    bounds = [*document.pages, len(document.text)]
    parts = [document.text[start:end] for start, end in pairwise(bounds)]
    assert ["The title" in parts[0], "First page." in parts[0], parts[1].strip(), parts[2].strip()] == [
        True, True, "", "Third page.",
    ]  # fmt: skip


def test_a_pdf_in_columns_is_read_column_by_column() -> None:
    left = [(50, 700 - 14 * row, 11, f"left column {row}") for row in range(20)]
    right = [(320, 700 - 14 * row, 11, f"right column {row}") for row in range(20)]
    text = text_of("a.pdf", pdf([[*left, *right]]))
    assert "left column 18 left column 19 right column 0 right column 1" in text


def test_running_heads_stay_on_every_page() -> None:
    text = text_of("a.pdf", pdf([[(72, 815, 11, "Report"), (72, 600, 11, f"Text {page}.")] for page in range(4)]))
    assert text.count("Report") == 4


def test_a_word_document_has_headings_tables_and_footnotes() -> None:
    data = docx(
        [("Heading1", "Aim"), ("", "Some text."), ("Heading2", "Way")], [["Name", "Age"], ["Ana", "7"]], "Small print"
    )
    text = read_bytes("a.docx", data).text
    assert "# Aim\n\nSome text." in text
    assert "| Ana | 7 |" in text
    assert "Small print" in text


def test_a_workbook_has_its_sheets() -> None:
    text = read_bytes("a.xlsx", xlsx({"People": [["Name", "Age"], ["Ana", 7]], "Places": [["City"], ["Bonn"]]})).text
    assert text.index("## People") < text.index("| Ana | 7 |") < text.index("## Places") < text.index("| Bonn |")


def test_slides_books_and_open_documents_have_headings() -> None:
    assert "## Two" in read_bytes("a.pptx", pptx([("One", "First body"), ("Two", "Second body")])).text
    assert "# Two\n\nSecond" in read_bytes("a.odt", odt({"One": "First", "Two": "Second"})).text
    book = read_bytes("a.epub", epub({"One": "First", "Two": "Second"}))
    assert "# Two\n\nSecond" in book.text
    assert book.title == "The book"


def test_rich_text_and_mail_are_decoded() -> None:
    assert text_of("a.rtf", rb"{\rtf1\ansi\ansicpg1252 Caf\'e9 \u8364?5\par}") == "Café €5"
    mail = (
        b"From: a@b.example\r\nSubject: Hello\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nCaf\xe9 text.\r\n"
    )
    assert "Café text." in text_of("a.eml", mail)
    assert "Hello" in text_of("a.eml", mail)


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-8-sig", "utf-16"])
def test_a_web_page_loses_menus_and_keeps_headings(encoding: str) -> None:
    document = read_bytes("a.html", PAGE.encode(encoding))
    assert document.title == "Café & bar"
    assert "# Drinks\n\nA café serves coffee.\n\n## Food\n\nCake." in document.text
    assert [each for each in ("menu", "hidden", "color", "drawn", "x.example") if each in document.text] == []


def test_what_only_looks_like_a_menu_stays() -> None:
    page = """<!doctype html><form><ul class="top menu"><li>Home<ul><li>Sub</ul></ul><h1>Menu</h1>
    <div class="menu"><p>Soup</p></div><aside>Note</aside><p>f[0](x) and <a href="#n">[1]</a></p>
    <div role="navigation">never closed <p>Fish</p></form>"""
    assert text_of("a.html", page.encode()) == "# Menu Soup Note f[0](x) and [1] never closed Fish"


def test_the_content_decides_where_the_ending_is_wrong() -> None:
    assert "Line one." in text_of("a.txt", pdf([[(72, 700, 11, "Line one.")]]))
    assert read_bytes("a.pdf", PAGE.encode("iso-8859-1")).title == "Café & bar"
    assert "Some text." in text_of("a.pdf", docx([("", "Some text.")]))
    assert read_bytes("a.docx", b"Plain words.\n") == Document("Plain words.\n", lined=True)
    assert read_bytes("page.md", b"<html> is a tag.\n").kind == "markdown"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b" \n\t\n", "has no text"),
        ("a.pdf", pdf([[], []]), "OCR"),
        ("a.docx", docx([]), "has no text"),
        ("a.pdf", pdf([[(72, 700, 11, "Text " * 50)]])[:400], "damaged"),
        ("a.docx", docx([("", "Some text.")])[:500], "damaged or cut off: it does not open as a Word document"),
        ("a.pdf", bytes(range(256)) * 4, "no PDF file"),
        ("a.txt", bytes(range(256)) * 4, "not text"),
        ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(100), "is a picture"),
        ("a.docx", b"\x7fELF" + bytes(100), "is a program"),
        ("a.txt", packed({"x.txt": "Some text."}), "archive"),
        ("a.png", b"Plain words", "is no document (.png)"),
        ("a.odt", odt({"One": "First"}, encrypted=True), "password"),
        ("a.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("a.doc", OLE, "not read"),
        ("a.ipynb", b'{"cells": [', "no notebook"),
    ],
)  # fmt: skip
def test_the_reason_is_given(name: str, data: bytes, words: str) -> None:
    assert words in reason(name, data)


def test_an_archive_with_a_password_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(docx([("", "Some text.")]))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    # The flag of the first entry, in the table at the end.
    data[start + 8] |= 1
    assert "password" in reason("a.docx", bytes(data))


def test_a_file_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: No such file"):
        read(tmp_path / "none.txt")


def test_a_notebook_has_its_cells_and_outputs() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "Why."]},
        {
            "cell_type": "code",
            "source": "print(6 * 7)",
            "outputs": [
                {"output_type": "stream", "text": ["42\n"]},
                {"output_type": "execute_result", "data": {"text/plain": "a\ud800b", "image/png": "iVBORw0"}},
                {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["long"]},
            ],
        },
    ]
    document = read_bytes("a.ipynb", json.dumps({"cells": cells, "metadata": {}}).encode())
    assert (document.kind, document.title, document.lined) == ("markdown", "Study", False)
    for each in ("# Study\nWhy.", "```python\nprint(6 * 7)\n```", "```text\n42\n```", "a?b", "KeyError: 'x'"):
        assert each in document.text
    assert "iVBORw0" not in document.text


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    (tmp_path / "a.pdf").write_bytes(pdf([[(72, 700, 11, "Some text.")]]))
    code = "from pathlib import Path; from chatapp_rag.reading.files import read; assert read(Path('a.pdf')).text"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]
