"""The settings file: what is read, what is reported, and what writing a key leaves as it is."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from chatapp.errors import SettingsError
from chatapp.settings import CoreSettings, SamplingSettings, Settings, write_private
from tests.support_plugins import python

WRITTEN = """\
# My settings.
model = "tiny"      # a small one
max_rounds = 3

[sampling]
temperature = 0.5
# the seed stays
seed = 7

[rag]
folder = "notes"
depth = 2

[rag.inner]
deep = true
"""


class Inner(BaseModel):
    """A table in a table."""

    model_config = ConfigDict(extra="forbid")
    deep: bool = False
    shallow: int = 1


class Rag(BaseModel):
    """A plugin's table."""

    folder: str = Field("docs", description="Where")
    depth: int = Field(1, ge=1, le=9, description="How deep")
    names: list[int] = []
    inner: Inner = Inner()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A settings file with comments, the core's values, and a plugin's."""
    file = tmp_path / "settings.toml"
    file.write_text(WRITTEN)
    return file


def problems(path: Path, text: str, name: str = "rag") -> tuple[Settings, Rag, list[str]]:
    """The settings, a plugin's table, and what is reported of them, for a file with this text."""
    path.write_text(text)
    settings = Settings(path)
    table = settings.table(name, Rag)
    return settings, table, [problem.removeprefix(f"In {path}: ") for problem in settings.problems]


def test_a_missing_file_is_all_defaults(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "no" / "settings.toml")
    assert (settings.core, settings.problems) == (CoreSettings(), [])
    assert settings.table("rag", Rag) == Rag()
    assert not (tmp_path / "no").exists()


def test_the_core_and_a_plugin(path: Path) -> None:
    settings = Settings(path, {"offline": True})
    assert (settings.core.model, settings.core.max_rounds, settings.core.offline) == ("tiny", 3, True)
    assert settings.core.sampling == SamplingSettings(temperature=0.5, seed=7)
    assert settings.table("rag", Rag) == Rag(folder="notes", depth=2, inner=Inner(deep=True))
    assert settings.problems == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("modle = 'x'", "there is no setting 'modle'; did you mean 'model'?"),
        ("[rag]\nfoldr = 'x'", "there is no setting 'rag.foldr'; did you mean 'folder'?"),
        ("[rag]\nzzz = 1", "there is no setting 'rag.zzz'."),
        ("[rag]\ndepth = 10", "rag.depth: input should be less than or equal to 9 (it is 10)."),
        ("[rag]\nnames = [1, 'x']", "rag.names.1: input should be a valid integer"),
        ("[rag.inner]\nshallow = 'no'", "rag.inner.shallow: input should be a valid integer"),
        ("[rag.inner]\nodd = 1", "rag.inner.odd: extra inputs are not permitted (it is 1)."),
        ("rag = 5", "there is no setting 'rag'."),
        ("max_rounds = 0", "max_rounds: input should be greater than or equal to 1 (it is 0)."),
        ("[sampling]\ntemperature = 'hot'", "sampling.temperature: input should be a valid number"),
        ("sampling = 1", "sampling: input should be a valid dictionary or instance of SamplingSettings (it is 1)."),
    ],
)
def test_what_does_not_fit_is_reported_and_the_rest_used(path: Path, text: str, problem: str) -> None:
    settings, table, told = problems(path, f"system = 'Be brief.'\n{text}\n")
    assert told[0].startswith(problem)
    assert len(told) == (2 if text == "rag = 5" else 1)
    assert settings.core == CoreSettings(system="Be brief.")
    assert table == Rag()
    assert path.read_text().replace("system = 'Be brief.'\n", "").strip() == text


def test_one_wrong_value_does_not_take_its_neighbours(path: Path) -> None:
    core = "[sampling]\ntemperature = 9\nseed = 4\ntop = 1\n"
    plugin = "[rag]\ndepth = 'x'\nfolder = 'f'\n[rag.inner]\nodd = 1\ndeep = true\n"
    settings, table, told = problems(path, core + plugin)
    assert settings.core.sampling == SamplingSettings(seed=4)
    assert table == Rag(folder="f", inner=Inner(deep=True))
    assert sorted(each.partition(":")[0] for each in told) == [
        "rag.depth",
        "rag.inner.odd",
        "sampling.temperature",
        "sampling.top",
    ]


def test_values_that_do_not_fit_together(path: Path) -> None:
    class Range(BaseModel):
        low: int = 0
        high: int = 1

        @model_validator(mode="after")
        def ordered(self) -> Range:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    path.write_text("[range]\nlow = 5")
    settings = Settings(path)
    assert settings.table("range", Range) == Range()
    assert "range: value error, low is above high" in settings.problems[0]


@pytest.mark.parametrize("damage", [b"model = 'x\n[sampling", b"\xff\xfe\x00", b"model = 1\nmodel = 2"])
def test_a_file_that_does_not_parse_is_left_alone(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    settings = Settings(path)
    assert settings.core == CoreSettings()
    (problem,) = settings.problems
    assert problem.startswith(f"The settings file {path} is not used, please mend it: ")
    assert "\n" not in problem
    with pytest.raises(SettingsError, match="does not parse; mend or remove it first"):
        settings.set("", "model", "y", CoreSettings)
    assert path.read_bytes() == damage


def test_a_file_damaged_later_is_left_alone(path: Path) -> None:
    settings = Settings(path)
    path.write_text("model = 'x")
    with pytest.raises(SettingsError, match="cannot be changed, please mend it"):
        settings.set("", "model", "y", CoreSettings)
    assert path.read_text() == "model = 'x"


def test_writing_keeps_everything_else(path: Path) -> None:
    settings = Settings(path)
    settings.set("", "theme", "dark", CoreSettings)
    settings.set("sampling", "temperature", 0.25, SamplingSettings)
    settings.set("sampling", "seed", None, SamplingSettings)
    settings.set("rag", "depth", 5, Rag)
    settings.set("tools", "deep", True, Inner)
    assert (
        path.read_text()
        == WRITTEN.replace("max_rounds = 3\n", 'max_rounds = 3\ntheme = "dark"\n')
        .replace("0.5", "0.25")
        .replace("seed = 7\n", "")
        .replace("depth = 2", "depth = 5")
        + "\n[tools]\ndeep = true\n"
    )
    assert (settings.core.theme, settings.core.sampling) == ("dark", SamplingSettings(temperature=0.25))
    assert (
        settings.table("rag", Rag)
        == Settings(path).table("rag", Rag)
        == Rag(folder="notes", depth=5, inner=Inner(deep=True))
    )


def test_a_top_key_is_written_above_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("# mine\n[rag]\ndepth = 2\n")
    Settings(path).set("", "model", "tiny", CoreSettings)
    again = Settings(path)
    assert (again.core.model, again.table("rag", Rag).depth, again.problems) == ("tiny", 2, [])
    assert "# mine" in path.read_text()


@pytest.mark.parametrize(
    ("table", "key", "value", "sentence"),
    [
        ("", "max_rounds", 99, "max_rounds: input should be less than or equal to 50 (it is 99)."),
        ("sampling", "top_p", "x", "sampling.top_p: input should be a valid number"),
        ("sampling", "warmth", 1, "sampling.warmth: extra inputs are not permitted (it is 1)."),
    ],
)
def test_a_value_that_does_not_fit_is_not_written(
    path: Path, table: str, key: str, value: object, sentence: str
) -> None:
    settings = Settings(path)
    with pytest.raises(SettingsError) as caught:
        settings.set(table, key, value, SamplingSettings if table else CoreSettings)
    assert str(caught.value).startswith(sentence)
    assert path.read_text() == WRITTEN
    assert settings.core == Settings(path).core


def test_wrong_values_can_be_mended_one_by_one(path: Path) -> None:
    settings, _, told = problems(path, "[rag]\ndepth = 99\nnames = 'x'\n")
    assert len(told) == 2
    settings.set("rag", "depth", 3, Rag)
    settings.set("rag", "names", [1], Rag)
    assert Settings(path).table("rag", Rag) == Rag(depth=3, names=[1])


def test_a_value_where_a_table_should_be(path: Path) -> None:
    settings, _, _ = problems(path, "rag = 5\n")
    with pytest.raises(SettingsError, match="'rag' must be a table"):
        settings.set("rag", "depth", 3, Rag)
    assert path.read_text() == "rag = 5\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.toml"
    Settings(path).set("", "model", "tiny", CoreSettings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["settings.toml"]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "config" / "settings.toml"
    link.parent.mkdir()
    link.symlink_to(path)
    Settings(link).set("", "model", "other", CoreSettings)
    assert link.is_symlink()
    assert 'model = "other"' in path.read_text()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match=r"^The file .*/file/settings\.toml cannot be written: "):
        write_private(tmp_path / "file" / "settings.toml", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match="cannot be written"):
        write_private(tmp_path / "folder", "x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def test_writers_at_the_same_time_leave_a_whole_file(path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from chatapp.settings import CoreSettings, Settings
        settings = Settings(Path(sys.argv[1]))
        for number in range(1, 41):
            settings.set("", "max_rounds", number, CoreSettings)
            settings.set("", "system", sys.argv[2] * 5000, CoreSettings)
    """
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), letter]) for letter in "ab"]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        settings = Settings(path)
        assert settings.problems == []
        assert settings.core.model == "tiny"
        assert settings.table("rag", Rag).folder == "notes"
        seen += 1
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen > 0
    assert len(Settings(path).core.system) == 5000
    assert [each.name for each in path.parent.iterdir()] == ["settings.toml"]


def test_the_home_of_the_application(tmp_path: Path) -> None:
    code = "from chatapp.cli import run\nrun(['settings', 'set', 'example.sides', '20'])\nrun(['settings', 'path'])"
    changed, where = python(code, tmp_path).splitlines()
    assert changed == "example.sides is 20."
    assert Path(where) == tmp_path / "config" / "settings.toml"
    assert Path(where).read_text() == "[example]\nsides = 20\n"
