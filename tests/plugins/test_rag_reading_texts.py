"""Reading text files: encodings, line ends, records, what they are split along, and the language they are in."""

from __future__ import annotations

import pytest

from chatapp_rag.reading.decoding import decoded
from chatapp_rag.reading.files import read_bytes
from chatapp_rag.reading.languages import language_of
from chatapp_rag.reading.texts import records, separator

GERMAN = "Die Straße führt über die Brücke, und dahinter beginnt ein großer, dunkler Wald voller Vögel."
FRENCH = "L'été dernier, nous avons marché jusqu'à la forêt où chantait un très vieux rossignol à l'aube."
PORTUGUESE = "A coordenação do curso não respondeu à solicitação, porém os alunos já estão em férias até março."
SPANISH = "El niño soñó que volaba sobre las montañas más altas del país; ¿quién sabe qué pasó después?"
ITALIAN = "La città è più bella di notte, perché le luci si riflettono nell'acqua e tutto diventa quieto."
ENGLISH = "The road leads across the bridge, and behind it begins a large dark forest that is full of birds."
POLISH = "Zażółć gęślą jaźń, powiedział chłopiec, który wcześnie rano wyszedł z domu nad jezioro łowić ryby."
RUSSIAN = "Дорога ведёт через мост, а за ним начинается большой тёмный лес, в котором живут птицы."
CHINESE = "这条路通向一座桥，桥的后面是一片黑暗的大森林，里面住着许多鸟。"
TAIWANESE = "這條路通向一座橋，橋的後面是一片黑暗的大森林，裡面住著許多鳥。"
JAPANESE = "道は橋を渡り、その向こうには鳥がたくさん住んでいる大きな暗い森が始まります。"
KOREAN = "길은 다리를 건너고 그 뒤에는 새들이 가득한 크고 어두운 숲이 시작됩니다."
TURKISH = "Köprünün arkasında kuşlarla dolu büyük ve karanlık bir orman başlıyor, yol oradan geçiyor."
GREEK = "Ο δρόμος περνάει πάνω από τη γέφυρα και πίσω της αρχίζει ένα μεγάλο σκοτεινό δάσος."
ARABIC = "الطريق يعبر الجسر وخلفه تبدأ غابة كبيرة مظلمة مليئة بالطيور."

WRITTEN = [
    *((GERMAN, encoding) for encoding in ("iso-8859-1", "cp1252", "utf-16-le", "utf-32-be", "utf-8-sig", "utf-16")),
    *((FRENCH, encoding) for encoding in ("iso-8859-1", "cp1252")),
    *((PORTUGUESE, encoding) for encoding in ("iso-8859-1", "cp1252")),
    *((SPANISH, "cp1252"), (ITALIAN, "cp1252"), (POLISH, "cp1250"), (POLISH, "iso-8859-2"), (TURKISH, "cp1254")),
    *((RUSSIAN, encoding) for encoding in ("cp1251", "koi8-r", "cp866", "utf-16-le", "utf-16-be")),
    *((CHINESE, "gb18030"), (CHINESE, "gbk"), (TAIWANESE, "big5"), (KOREAN, "cp949"), (KOREAN, "euc-kr")),
    *((JAPANESE, encoding) for encoding in ("shift_jis", "cp932", "euc-jp", "iso2022_jp")),
    *((GREEK, "cp1253"), (ARABIC, "cp1256")),
]


@pytest.mark.parametrize(("text", "encoding"), WRITTEN, ids=[f"{text[:6]}-{encoding}" for text, encoding in WRITTEN])
def test_old_encodings_are_told_apart(text: str, encoding: str) -> None:
    assert decoded(f"{text}\n{text}".encode(encoding)) == f"{text}\n{text}"


def test_a_short_table_of_names_is_decoded() -> None:
    text = "名前,年齢\n佐藤太郎,30\n髙橋淳,35\n"
    assert decoded(text.encode("cp932")) == text


def test_an_early_part_without_accents_does_not_mislead() -> None:
    text = "Plain words.\n" * 40_000 + GERMAN + "\n" + GERMAN
    assert decoded(text.encode("cp1252")) == text


def test_what_a_program_states_about_itself_counts() -> None:
    data = "# -*- coding: iso-8859-15 -*-\nprice = '5 €'\n".encode("iso-8859-15")
    assert "5 €" in read_bytes("a.py", data).text


def test_a_damaged_byte_does_not_make_a_file_unreadable() -> None:
    data = f"{RUSSIAN}\n".encode() * 50
    assert decoded(data[:100] + b"\xff" + data[100:]).count("мост") >= 49


def test_line_ends_become_one_kind_and_controls_are_harmless() -> None:
    text = read_bytes("a.txt", b"one\r\ntwo\rthree\n\tfour\x1b[31m red\x07\x00 end\x1b]0;title\x07\n").text
    assert text == "one\ntwo\nthree\n\tfour\x1b[31m red\x07 end\x1b]0;title\x07\n"


def test_each_ending_has_its_kind() -> None:
    kinds = {
        name: read_bytes(name, b"# Title\n\na, b\n")
        for name in ("a.md", "a.txt", "a.py", "a.csv", "a.jsonl", "a", "a.json")
    }
    assert {name: each.kind for name, each in kinds.items()} == {
        "a.md": "markdown", "a.txt": "text", "a.py": "code", "a.csv": "rows", "a.jsonl": "rows", "a": "text",
        "a.json": "code",
    }  # fmt: skip
    assert kinds["a.md"].title == "Title"
    assert kinds["a.py"].language == "python"
    assert all(each.lined for each in kinds.values())


@pytest.mark.parametrize(
    ("table", "header", "delimiter"),
    [
        ("name,age\nAna,7\n", "name,age", ","),
        ("name;price\nAna;1,50\nEva;2,50\n", "name;price", ";"),
        ("name\tage\nAna\t7\n", "name\tage", "\t"),
        ("1,2\n3,4\n", "", ","),
        ("a,,b\n1,2,3\n", "", ","),
        ('"full\nname",age\nAna,7\n', '"full\nname",age', ","),
    ],
)
def test_the_names_of_columns_are_found(table: str, header: str, delimiter: str) -> None:
    assert read_bytes("a.csv", table.encode()).header == header
    assert separator(table) == delimiter


def test_a_record_keeps_its_lines_together() -> None:
    text = 'id,note\n1,"two\nlines, ""quoted"""\n2,5" disk\n3,plain\n4,"never closed\n5,last'
    assert [text[start:end] for start, end in records(text)] == [
        "id,note\n", '1,"two\nlines, ""quoted"""\n', '2,5" disk\n', "3,plain\n", '4,"never closed\n', "5,last",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *((ENGLISH, "en"), (PORTUGUESE, "pt"), (GERMAN, "de"), (FRENCH, "fr"), (SPANISH, "es"), (ITALIAN, "it")),
        *((RUSSIAN, "ru"), (CHINESE * 2, "zh"), (JAPANESE * 2, "ja"), ("Kurz.", ""), ("1 2 3 " * 50, "")),
    ],
)
def test_the_language_is_told_where_it_is_clear(text: str, code: str) -> None:
    assert language_of(text) == code
