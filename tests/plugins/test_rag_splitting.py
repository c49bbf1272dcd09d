"""Splitting: sizes with the heading, coverage, headings, records, definitions, pages and lines, and how work grows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from chatapp_rag.documents import Chunk, Document
from chatapp_rag.reading.measuring import Ruler
from chatapp_rag.reading.paged import joined
from chatapp_rag.reading.splitting import split

WORDS = [
    "river",
    "bridge",
    "forest",
    "Straße",
    "coordenação",
    "森の中",
    "unbelievable",
    "a",
    "1,234.50",
    "x=y;",
    "don't",
]
CODE = '''"""A module."""

import os


class Boat:
    """Swims."""

    @property
    def name(self) -> str:
        """Its name."""
        return "Boat of " + self.owner + " with a long, long name"

    def row(self, times: int) -> None:
        """Move on."""
        for _ in range(times):
            os.write(1, b"splash splash splash splash splash")


def sink(boat: Boat) -> None:
    """End it."""
    del boat
'''


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small tokenizer as embedding models have, which cuts and fills up texts unless it is told not to."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    made.train_from_iterator([prose(200, 1)], trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    made.enable_truncation(128)
    made.enable_padding(length=128)
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    made.save(str(path))
    return str(path)


def prose(sentences: int, seed: int) -> str:
    """Sentences in paragraphs, the same for the same seed."""
    chance = random.Random(seed)
    made = [" ".join(chance.choices(WORDS, k=12)) + "." for _ in range(sentences)]
    return "".join(each + chance.choice([" ", " ", "\n", "\n\n"]) for each in made)


def markdown(seed: int) -> str:
    """A document with headings, lists, code, tables and long stretches."""
    chance = random.Random(seed)
    parts: list[Callable[[], str]] = [
        lambda: f"{'#' * chance.randint(1, 6)} {' '.join(chance.choices(WORDS, k=chance.randint(1, 40)))}",
        lambda: f"A title of two words\n{chance.choice('=-') * 5}",
        lambda: prose(chance.randint(1, 20), chance.randint(0, 10_000)),
        lambda: "```python\n# no heading\n\nx = 1\n```",
        lambda: "| a | b |\n| --- | --- |\n" + "\n".join(f"| {row} | {prose(1, row).strip()} |" for row in range(20)),
        lambda: "- " + "\n- ".join(chance.choices(WORDS, k=9)),
        lambda: "w" * chance.randint(1, 3000),
        lambda: " \t ",
    ]
    return "\n\n".join(chance.choice(parts)() for _ in range(40))


def documents() -> list[Document]:
    """One of every kind, several of Markdown."""
    table = "id,note\n" + "".join(f'{row},"{prose(row % 9, row)}"\n' for row in range(60))
    text, pages = joined([markdown(seed) for seed in (7, 8, 9)])
    return [
        *(Document(markdown(seed), "markdown", lined=True) for seed in range(6)),
        Document(text, "markdown", pages=pages),
        Document(prose(300, 3), lined=True),
        Document("  \n\n x\n", lined=True),
        Document("word " * 5000, lined=True),
        Document("x1" * 5000),
        Document("\U0001f469\u200d\U0001f469\u200d\U0001f466" * 300, lined=True),
        Document(table, "rows", header="id,note", lined=True),
        Document("a" * 90 + ",b\n" + "1,2\n" * 90, "rows", header="a" * 90 + ",b", lined=True),
        Document("\n".join(json.dumps({"row": row}) for row in range(200)), "rows", lined=True),
        Document(CODE * 5, "code", language="python", lined=True),
        Document(CODE * 5, "code", language="unheard of", lined=True),
    ]


def bare(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())


@pytest.mark.parametrize("capacity", [24, 64, 256])
@pytest.mark.parametrize("counted", [True, False], ids=["tokens", "estimate"])
@pytest.mark.parametrize("place", range(len(documents())))
def test_every_chunk_fits_with_its_heading_and_nothing_is_lost(
    tokenizer: str, place: int, counted: bool, capacity: int
) -> None:
    document = documents()[place]
    ruler = Ruler(tokenizer if counted else "")
    chunks = split(document, ruler, capacity)
    assert bare("".join(each.text for each in chunks)) == bare(document.text)
    assert [each for each in chunks if not each.text.strip()] == []
    sizes = [ruler.size(each.embedded) + ruler.special for each in chunks]
    assert max(sizes) <= capacity
    lines = document.text.split("\n")
    for each in chunks if document.lined else ():
        assert each.first_line is not None
        assert each.text in "\n".join(lines[each.first_line - 1 : each.last_line])


def test_the_tokenizer_neither_cuts_nor_fills_up(tokenizer: str) -> None:
    ruler = Ruler(tokenizer)
    assert ruler.special == 2
    assert ruler.size("river") == 1
    assert ruler.size("river " * 1000) == 1000
    assert ruler.sizes(["river", "river " * 1000, ""], 10_000) == [1, 1000, 0]
    assert ruler.size("w" * 4000) == 500


def chunks_of(text: str, capacity: int = 40, **more: object) -> list[Chunk]:
    """The chunks of Markdown by the estimate of four characters to a token."""
    return split(Document(text, "markdown", lined=True, **more), Ruler(), capacity)  # type: ignore[arg-type]


def test_headings_are_paths() -> None:
    body = "Words that fill the part. " * 5
    text = f"Before.\n\n# A *b*\n\n{body}\n\n## C ##\n\n{body}\n\nD\n===\n\n{body}\n\nE\n---\n\n{body}"
    assert list(dict.fromkeys(each.heading for each in chunks_of(text))) == ["", "A b", "A b > C", "D", "D > E"]


def test_what_looks_like_a_heading_in_code_is_none() -> None:
    text = "# A\n\n~~~\n# no\n```\nNo\n===\n~~~\n\n    # no\n\nTwo\nlines\n---\n\n" + "Words. " * 40
    assert {each.heading for each in chunks_of(text)} == {"A"}


def test_small_sections_of_one_parent_are_together() -> None:
    (chunk,) = chunks_of("# A\n\n## B\n\nOne.\n\n## C\n\nTwo.\n", 200)
    assert chunk.heading == "A"
    first, second = chunks_of("# A\n\nOne.\n\n# B\n\nTwo.\n", 200)
    assert (first.heading, second.heading, second.locator) == ("A", "B", "lines 5-7")


def test_a_long_heading_keeps_its_end() -> None:
    deep = "\n\n".join(f"{'#' * level} Level {level} of a very deep document" for level in range(1, 6))
    chunks = chunks_of(f"{deep}\n\n{'Words. ' * 100}", 64)
    assert chunks[-1].heading == "Level 5 of a very deep document"


def test_a_table_repeats_its_columns() -> None:
    rows = "\n".join(f"| Ana {number} | {number} |" for number in range(40))
    first, *others = chunks_of(f"# People\n\n| Name | Age |\n| --- | --- |\n{rows}\n", 60)
    assert first.text.startswith("# People\n\n| Name | Age |")
    assert {each.heading for each in others} == {"People > Name | Age"}
    assert all(line.count("|") == 3 for each in others for line in each.text.split("\n"))


def test_records_are_whole_and_carry_the_header() -> None:
    lines = [f'{number},"Ana, the\n{number}th"' for number in range(40)]
    document = Document("id,name\n" + "\n".join(lines) + "\n", "rows", header="id,name", lined=True)
    first, *others = split(document, Ruler(), 30)
    assert first.text.startswith("id,name\n0,")
    assert {each.heading for each in others} == {"id,name"}
    assert all(each.text.count('"') % 2 == 0 for each in others)
    assert (others[-1].last_line, len(others) > 5) == (81, True)


def test_code_names_its_definitions() -> None:
    chunks = split(Document(CODE, "code", language="python", lined=True), Ruler(), 60)
    found = {each.heading: each.first_line for each in chunks}
    assert {"class Boat > def row", "def sink"} <= set(found)
    assert found["def sink"] == 20


@pytest.mark.parametrize(
    ("language", "code", "heading"),
    [
        ("javascript", "class A {\n  run(x) {\n    BODY\n  }\n}", "class A > run"),
        ("javascript", "const go = async (x) => {\n    BODY\n}", "go"),
        ("typescript", "export interface A {\n  x: string\n}\nfunction f(): void {\n    BODY\n}", "function f"),
        ("rust", "impl Tree for Oak {\n  fn grow(&self) {\n    BODY\n  }\n}", "impl Tree for Oak > fn grow"),
        ("go", "package p\n\nfunc (t *Tree) Grow(n int) {\n    BODY\n}", "func (t *Tree) Grow"),
        ("java", "class A {\n  @Override\n  public void run() {\n    BODY\n  }\n}", "class A > public void run"),
        ("c", "static int *grow(int n) {\n    BODY\n}", "static int *grow"),
        ("cpp", "namespace n {\nclass A {\n  void run() {\n    BODY\n  }\n};\n}", "namespace n > class A > void run"),
        ("bash", "grow() {\n    BODY\n}", "grow"),
    ],
)
def test_definitions_of_other_languages(language: str, code: str, heading: str) -> None:
    text = code.replace("BODY", "\n    ".join(f"call{number}(1);" for number in range(60)))
    chunks = split(Document(text, "code", language=language, lined=True), Ruler(), 100)
    assert heading in {each.heading for each in chunks}


def test_a_chunk_is_on_one_page() -> None:
    text, pages = joined(["First page. " * 3, "", "# Third\n\nMore words. " * 3])
    chunks = split(Document(text, "markdown", pages=pages), Ruler(), 256)
    assert [(each.page, "First" in each.text) for each in chunks] == [(1, True), *[(3, False)] * (len(chunks) - 1)]
    assert chunks[-1].locator == "page 3"


class Counting(Ruler):
    """Adds up the characters it is asked about, a measure of work that no other program can disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def size(self, text: str) -> int:
        """As the real one."""
        self.asked += len(text)
        return super().size(text)


@pytest.mark.parametrize("kind", ["text", "markdown", "rows", "code"])
@pytest.mark.parametrize("unit", ["word ", "x", "# ", "a | b\n", "Words, then a line.\n", "```\n", '"'])
def test_work_grows_with_the_text_and_no_faster(kind: str, unit: str) -> None:
    asked = []
    for size in (100_000, 400_000):
        ruler = Counting()
        text = unit * (size // len(unit))
        split(Document(text, kind, language="python"), ruler, 256)  # type: ignore[arg-type]
        asked.append(ruler.asked)
    assert asked[1] <= asked[0] * 6


def test_a_tokenizer_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="No such file"):
        Ruler(str(tmp_path / "tokenizer.json"))


def test_straight_quotes_are_no_place_to_cut() -> None:
    sentences = [f"The reader's number {n} isn't the writer's \"own\" number." for n in range(40)]
    chunks = split(Document(" ".join(sentences), "markdown"), Ruler(), 64)
    assert len(chunks) > 5
    assert all(chunk.text.startswith("The reader") and chunk.text.endswith("number.") for chunk in chunks)
