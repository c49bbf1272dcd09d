"""Sets of examples as files: read, broken in every way, edited, taken back, and made of CSV."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from chatapp import Host, UsageError
from chatapp.testing import make_host
from chatapp_fewshot.editing import STEPS, Editor
from chatapp_fewshot.examples import Example, ExampleSet, split, spread
from chatapp_fewshot.library import BUNDLED, Library
from chatapp_fewshot.reading import LARGEST, LONGEST, MOST, read_set
from chatapp_fewshot.sheet import read_sheet

TOML = """# My own notes.
instruction = "Say the colour."

[[examples]]  # the first
input = "grass"
output = "green"

[[examples]]
input = "snow"
output = 3.5

[[examples]]
input = "sky"
output = ""
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host on an empty folder."""
    return make_host(tmp_path)


def written(host: Host, name: str, text: str | bytes) -> Path:
    """A set's file in the user's folder."""
    path = host.paths.config / "fewshot" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def pairs(found: ExampleSet) -> list[tuple[str, str]]:
    """The pairs of a set."""
    return [(each.input, each.output) for each in found.examples]


def test_lines_of_json(host: Host) -> None:
    text = (
        '\ufeff{"instruction": "Say it.", "description": "Few"}\n\n# a note\n{"input": " a ", "output": 1, "id": 7}\r\n'
    )
    written(host, "few.jsonl", text + '{"input": "b\u2028c", "output": "2"}')
    found = Library(host).read("few")
    assert (found.instruction, found.description, found.problems) == ("Say it.", "Few", ())
    assert pairs(found) == [("a", "1"), ("b\u2028c", "2")]
    assert [each.place for each in found.examples] == [3, 4]


BROKEN = [
    ("{", "this is not JSON (expecting property name enclosed in double quotes at column 2)"),
    ("[]", "it is no object with input and output"),
    ("null", "it is no object with input and output"),
    ('{"input": "a"}', "it has no text as its output"),
    ('{"input": ["a"], "output": "b"}', "it has no text as its input"),
    ('{"input": "a", "output": true}', "it has no text as its output"),
    ('{"input": "a", "output": " "}', "its output is empty"),
    ('{"input": "a", "output": "\\ud800"}', "its output holds a broken character"),
    ('{"question": "a"}', "it has 'question', but no input and output"),
    ("{}", "it is empty"),
    ('{"instruction": "again"}', "the set has an instruction already"),
    ("[" * 100_000, "this is nested too deeply"),
    (json.dumps({"input": "a" * (LONGEST + 1), "output": "b"}), "its input is longer than 20,000 characters"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN)
def test_a_broken_line_is_named_and_the_others_are_used(host: Host, line: str, reason: str) -> None:
    good = '{"input": "a", "output": "b"}'
    path = written(host, "broken.jsonl", f'{{"instruction": "x"}}\n{good}\n{line}\n{good}\n')
    found = Library(host).read("broken")
    assert len(found.examples) == 2
    assert found.problems == (f"{path} line 3: {reason}; it is left out.",)


def test_too_many_problems_and_too_many_examples(host: Host) -> None:
    path = written(host, "many.jsonl", "x\n" * 30)
    problems = Library(host).read("many").problems
    assert len(problems) == 21
    assert problems[-1] == f"{path}: 10 more lines cannot be used."
    written(host, "crowd.jsonl", '{"input": "a", "output": "b"}\n' * (MOST + 2))
    crowd = Library(host).read("crowd")
    assert (len(crowd.examples), len(crowd.problems)) == (MOST, 2)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("latin.jsonl", b'{"input": "a", "output": "b"}\n{"input": "caf\xe9"', "line 2: this is not UTF-8 text"),
        ("huge.jsonl", b" " * (LARGEST + 1), "is larger than 5 MB"),
        ("cut.toml", b'instruction = "a"\n[[examples]\n', "line 2: this is not TOML"),
        ("deep.toml", b"a = " + b"[" * 50_000, "this is not TOML"),
        ("odd.toml", b"examples = 3", r"must be tables \[\[examples\]\]"),
    ],
)
def test_a_file_that_cannot_be_used(host: Host, name: str, data: bytes, reason: str) -> None:
    path = written(host, name, data)
    with pytest.raises(UsageError, match=reason) as raised:
        Library(host).read(path.stem)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_random_bytes_never_break_the_reader(tmp_path: Path) -> None:
    rng = random.Random(1)
    good = b'{"input": "a", "output": "b"}\n' * 20
    outcomes: set[bool | str] = set()
    for number in range(300):
        data = bytearray(good)
        for _ in range(rng.randint(1, 30)):
            data[rng.randrange(len(data))] = rng.randrange(256 if number % 3 == 0 else 128)
        path = tmp_path / ("x.toml" if number % 5 == 0 else "x.jsonl")
        path.write_bytes(data)
        try:
            outcomes.add(bool(read_set("x", path).examples))
        except UsageError as error:
            outcomes.add(str(error).split()[0].rstrip(","))
    assert outcomes <= {True, False, *(str(tmp_path / name) for name in ("x.jsonl", "x.toml"))}
    assert len(outcomes) > 2


def test_toml_is_read_and_edited_in_place(host: Host) -> None:
    path = written(host, "colours.toml", TOML)
    found = Library(host).read("colours")
    assert found.instruction == "Say the colour."
    assert pairs(found) == [("grass", "green"), ("snow", "3.5")]
    assert found.problems == (f"{path} line 12: its output is empty; it is left out.",)
    editor = Editor(host)
    assert editor.add("colours", 'a "rose"\nor two', "red") == 3
    assert editor.remove("colours", 1).input == "grass"
    text = path.read_text()
    assert text.startswith("# My own notes.\n")
    assert pairs(Library(host).read("colours")) == [("snow", "3.5"), ('a "rose"\nor two', "red")]
    editor.undo("colours")
    editor.undo("colours")
    assert path.read_text() == TOML
    with pytest.raises(UsageError, match="There is no change of the set 'colours' to take back"):
        editor.undo("colours")


def test_adding_begins_a_set_and_undo_ends_it(host: Host) -> None:
    editor = Editor(host)
    assert editor.add("new", "é\n2", "b") == 1
    path = host.paths.config / "fewshot" / "new.jsonl"
    assert path.read_text(encoding="utf-8") == '{"input": "é\\n2", "output": "b"}\n'
    assert path.stat().st_mode & 0o777 == 0o600
    assert editor.undo("new") == "The set 'new' is gone again."
    assert not path.exists()


def test_editing_keeps_comments_and_broken_lines(host: Host) -> None:
    lines = ["# mine", '{"input": "a", "output": "1"}', "broken", '{"input": "b", "output": "2"}']
    path = written(host, "kept.jsonl", "\n".join(lines))
    editor = Editor(host)
    editor.remove("kept", 2)
    assert path.read_text() == "\n".join(lines[:3])
    editor.add("kept", "c", "3")
    assert path.read_text() == "\n".join([*lines[:3], '{"input": "c", "output": "3"}', ""])
    for number in (0, 3, -1):
        with pytest.raises(UsageError, match="has the examples 1 to 2"):
            editor.remove("kept", number)


def test_undo_does_not_undo_what_was_edited_by_hand(host: Host) -> None:
    editor = Editor(host)
    editor.add("mine", "a", "b")
    path = host.paths.config / "fewshot" / "mine.jsonl"
    path.write_text(path.read_text() + '{"input": "by hand", "output": "x"}\n')
    with pytest.raises(UsageError, match="was edited since the last change"):
        editor.undo("mine")
    assert "by hand" in path.read_text()
    (host.paths.data / "fewshot" / "mine.undo.json").write_text('[{"ending": "/../../x"}, 3]')
    with pytest.raises(UsageError, match="no change"):
        editor.undo("mine")


def test_changes_that_can_be_taken_back_are_bounded(host: Host) -> None:
    editor = Editor(host)
    for number in range(STEPS + 5):
        editor.add("long", str(number), "x")
    for _ in range(STEPS):
        editor.undo("long")
    with pytest.raises(UsageError, match="no change"):
        editor.undo("long")
    assert len(Library(host).read("long").examples) == 5


def test_a_bundled_set_is_copied_before_it_is_changed(host: Host) -> None:
    before = (BUNDLED / "tickets.jsonl").read_bytes()
    assert Editor(host).add("tickets", "Where is my money?", "Q-MONEY") == 101
    assert (BUNDLED / "tickets.jsonl").read_bytes() == before
    own = Library(host).read("tickets")
    assert (len(own.examples), own.bundled) == (101, False)
    Editor(host).undo("tickets")
    assert len(Library(host).read("tickets").examples) == 100


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "off", "similar", "a" * 65, "a\0b", "-x"])
def test_a_name_cannot_leave_the_folder(host: Host, name: str) -> None:
    with pytest.raises(UsageError, match="A set cannot be called"):
        Editor(host).add(name, "a", "b")
    with pytest.raises(UsageError, match="There is no example set"):
        Library(host).read(name)


def test_a_changed_file_is_read_anew(host: Host) -> None:
    path = written(host, "live.jsonl", '{"input": "a", "output": "b"}\n')
    assert len(Library(host).read("live").examples) == 1
    path.write_text(path.read_text() * 2)
    assert len(Library(host).read("live").examples) == 2


def test_the_bundled_set_is_what_it_says() -> None:
    found = read_set("tickets", BUNDLED / "tickets.jsonl")
    assert found.problems == ()
    assert len({each.input for each in found.examples}) == len(found.examples) == 100
    labels = [each.output for each in found.examples]
    assert {labels.count(label) for label in labels} == {20}
    assert len(set(labels)) == 5
    assert all(label in found.instruction for label in labels)


def test_spreading_and_splitting() -> None:
    examples = [Example(f"{label}{number}", label) for label in "aab" for number in range(5)]
    assert [examples[place].output for place in spread(examples)[:4]] == ["a", "b", "a", "b"]
    assert sorted(spread(examples)) == list(range(15))
    held, pool = split(examples)
    assert split(examples) == (held, pool)
    assert split(examples, seed=1) != (held, pool)
    assert {*held} | {*pool} == {*examples}
    assert [each.output for each in held].count("b") == 2
    assert [each.output for each in held].count("a") == 4
    different = [Example(str(number), str(number)) for number in range(10)]
    assert [len(part) for part in split(different)] == [4, 6]
    assert [len(part) for part in split(different[:1])] == [0, 1]
    assert split([]) == ([], [])


CSV = [
    ("text,label\na,x\nb,y\n", "'text' and 'label'", [("a", "x"), ("b", "y")]),
    ('id;Answer;Question\n1;x;"a; ""b"""\n', "'Question' and 'Answer'", [('a; "b"', "x")]),
    ("a\tx\nb\tx\nc\ty\nd\ty\ne\tx\n", "1 and 2 (no row of names)", list(zip("abcde", "xxyyx", strict=True))),
    ("what\twhere\n" + "a\tx\nb\ty\n" * 3, "'what' and 'where'", [("a", "x"), ("b", "y")] * 3),
    ('"two\nlines",x\n\nb,y\n', "1 and 2 (no row of names)", [("two\nlines", "x"), ("b", "y")]),
]


@pytest.mark.parametrize(("text", "columns", "expected"), CSV)
def test_csv_columns_are_found(tmp_path: Path, text: str, columns: str, expected: list[tuple[str, str]]) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-16" if "id;" in text else "utf-8")
    sheet = read_sheet(path)
    assert list(sheet.pairs) == expected
    assert sheet.columns == f"the columns {columns}"
    assert sheet.problems == ()


def test_csv_columns_can_be_said_and_bad_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("one,two,three\na,b,c\nd\n,,e\nf,,g\n")
    sheet = read_sheet(path, "three", "1")
    assert sheet.pairs == (("c", "a"), ("g", "f"))
    assert sheet.problems == (
        f"{path} line 3: it has too few cells; it is left out.",
        f"{path} line 4: its output is empty; it is left out.",
    )
    with pytest.raises(UsageError, match="has no column 'four'; its first row is: one, two, three"):
        read_sheet(path, "four")
    with pytest.raises(UsageError, match="input and output are the same column"):
        read_sheet(path, "two", "2")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"only\none\ncolumn\n", b"\x00\xff\xfe", b'"' + b"a" * 200_000])
def test_what_is_no_csv(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=str(path)):
        read_sheet(path)
