"""Small documents of each kind, written by hand for the tests of reading."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
XML = '<?xml version="1.0" encoding="UTF-8"?>'
OFFICE = "application/vnd.openxmlformats-officedocument"


def packed(files: Mapping[str, str], first: str = "") -> bytes:
    """A ZIP archive of these texts; `first` names the one that is stored uncompressed before the others."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items(), key=lambda pair: pair[0] != first):
            archive.writestr(name, text, zipfile.ZIP_STORED if name == first else zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _package(main: str, kind: str, parts: Mapping[str, str], types: Mapping[str, str], links: str) -> bytes:
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{OFFICE}.{kind}"/>' for name, kind in types.items())
    return packed(
        {
            "[Content_Types].xml": f'{XML}<Types xmlns="{PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>',
            "_rels/.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{LINKS}/officeDocument" Target="{main}"/></Relationships>',
            f"{main.split('/')[0]}/_rels/{main.split('/')[1]}.rels": f'{XML}<Relationships '
            f'xmlns="{PACKAGE}/relationships">{links}</Relationships>',
            **parts,
        }
    )  # fmt: skip


def docx(paragraphs: Sequence[tuple[str, str]], table: Sequence[Sequence[str]] = (), footnote: str = "") -> bytes:
    """A Word document: (style, text) paragraphs such as ("Heading1", "Aim"), a table, and a footnote at the end."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>' if style else
        f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
        for style, text in paragraphs
    )  # fmt: skip
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    rows = "".join(f"<w:tr>{''.join(map(cell.format, row))}</w:tr>" for row in table)
    body += f"<w:tbl>{rows}</w:tbl>" if table else ""
    parts, types = {}, {"word/document.xml": "wordprocessingml.document.main+xml"}
    links = ""
    if footnote:
        body += '<w:p><w:r><w:t>Noted</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
        note = f'<w:footnote w:id="2"><w:p><w:r><w:t>{footnote}</w:t></w:r></w:p></w:footnote>'
        parts["word/footnotes.xml"] = f'{XML}<w:footnotes xmlns:w="{WORD}">{note}</w:footnotes>'
        types["word/footnotes.xml"] = "wordprocessingml.footnotes+xml"
        links = f'<Relationship Id="r9" Type="{LINKS}/footnotes" Target="footnotes.xml"/>'
    parts["word/document.xml"] = f'{XML}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return _package("word/document.xml", "word", parts, types, links)


def pptx(slides: Sequence[tuple[str, str]]) -> bytes:
    """A presentation: (title, body) per slide."""
    parts, types, links, ids = {}, {"ppt/presentation.xml": "presentationml.presentation.main+xml"}, "", ""
    for number, (title, body) in enumerate(slides, 1):
        shapes = "".join(
            f'<p:sp><p:nvSpPr><p:cNvPr id="{place}" name="S{place}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr>'
            f'</p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>'
            for place, (kind, text) in enumerate((("title", title), ("body", body)), 2)
        )  # fmt: skip
        parts[f"ppt/slides/slide{number}.xml"] = (
            f'{XML}<p:sld xmlns:p="{SLIDE}" xmlns:a="{DRAWING}"><p:cSld><p:spTree><p:nvGrpSpPr>'
            f'<p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{shapes}</p:spTree>'
            "</p:cSld></p:sld>"
        )
        types[f"ppt/slides/slide{number}.xml"] = "presentationml.slide+xml"
        links += f'<Relationship Id="r{number}" Type="{LINKS}/slide" Target="slides/slide{number}.xml"/>'
        ids += f'<p:sldId id="{255 + number}" r:id="r{number}"/>'
    parts["ppt/presentation.xml"] = (
        f'{XML}<p:presentation xmlns:p="{SLIDE}" xmlns:r="{LINKS}"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>'
    )
    return _package("ppt/presentation.xml", "ppt", parts, types, links)


def xlsx(sheets: Mapping[str, Sequence[Sequence[str | float]]]) -> bytes:
    """A workbook: rows of cells per sheet name."""
    parts, types, links, listed = {}, {"xl/workbook.xml": "spreadsheetml.sheet.main+xml"}, "", ""
    for number, (name, rows) in enumerate(sheets.items(), 1):
        text = '<c t="inlineStr"><is><t>{}</t></is></c>'
        cells = "".join(
            f"<row>{''.join(text.format(c) if isinstance(c, str) else f'<c><v>{c}</v></c>' for c in row)}</row>"
            for row in rows
        )
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'{XML}<worksheet xmlns="{SHEET}"><sheetData>{cells}</sheetData></worksheet>'
        )
        types[f"xl/worksheets/sheet{number}.xml"] = "spreadsheetml.worksheet+xml"
        links += f'<Relationship Id="r{number}" Type="{LINKS}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        listed += f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
    parts["xl/workbook.xml"] = f'{XML}<workbook xmlns="{SHEET}" xmlns:r="{LINKS}"><sheets>{listed}</sheets></workbook>'
    return _package("xl/workbook.xml", "xl", parts, types, links)


def odt(headings: Mapping[str, str], encrypted: bool = False) -> bytes:
    """An OpenDocument text: a paragraph below each heading."""
    space = "urn:oasis:names:tc:opendocument:xmlns"
    body = "".join(
        f'<text:h text:outline-level="1">{heading}</text:h><text:p>{text}</text:p>'
        for heading, text in headings.items()
    )
    secret = "<manifest:encryption-data/>" if encrypted else ""
    return packed(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'{XML}<office:document-content xmlns:office="{space}:office:1.0" '
            f'xmlns:text="{space}:text:1.0"><office:body><office:text>{body}</office:text></office:body></office:document-content>',
            "META-INF/manifest.xml": f'{XML}<manifest:manifest xmlns:manifest="{space}:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="content.xml">{secret}</manifest:file-entry></manifest:manifest>',
        },
        "mimetype",
    )  # fmt: skip


def epub(chapters: Mapping[str, str]) -> bytes:
    """An e-book: a paragraph below each chapter's heading."""
    names = [f"c{number}" for number in range(len(chapters))]
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in names)
    spine = "".join(f'<itemref idref="{n}"/>' for n in names)
    files = {
        f"OEBPS/{name}.xhtml": f'{XML}<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{heading}</title></head>'
        f"<body><h1>{heading}</h1><p>{text}</p></body></html>"
        for name, (heading, text) in zip(names, chapters.items(), strict=True)
    }  # fmt: skip
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{XML}<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/b.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
            "OEBPS/b.opf": f'{XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The book</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **files,
        },
        "mimetype",
    )  # fmt: skip


def pdf(pages: Sequence[Sequence[tuple[int, int, int, str]]]) -> bytes:
    """A PDF document: per page (x, y, size, text) lines in points, in the Latin alphabet; no line is a blank page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        drawn = "\n".join(f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET" for x, y, size, text in lines)
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return (out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}" + end).encode("latin-1")
