"""Which mix holds where, and the adapters that are loaded: the pieces by themselves, on a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp import Adapter, EngineError, Job
from chatapp_llama.adapters import MOST_IDLE, Adapters
from chatapp_llama.mix import Laid, Mix, Runs, last_place, plan, starts
from chatapp_llama.native import Model
from chatapp_llama.prefix import Evaluated
from chatapp_llama.service import Service
from chatapp_llama.size import Size
from tests.plugins.adapters import write_adapter
from tests.plugins.tiny_gguf import write_model

SIZE = Size(1024, 1, 0, 128, 0)
A, B = ("a", 1, 1), ("b", 1, 1)
ON_A: Mix = ((A, 1.0),)
ON_B: Mix = ((B, 1.0),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and an adapter for it."""
    made = tmp_path_factory.mktemp("adapters")
    write_adapter(made / "one.gguf", write_model(made / "model.gguf"))
    return made


def test_the_mix_at_each_place() -> None:
    runs = Runs([(0, ON_A), (3, ON_B), (5, ON_B), (7, ())])
    assert [runs.at(place) for place in range(9)] == [ON_A] * 3 + [ON_B] * 4 + [()] * 2
    assert runs.last == ()
    assert list(runs.portions(1, 10, 3)) == [(1, 3, ON_A), (3, 6, ON_B), (6, 7, ON_B), (7, 10, ())]
    runs.cut(5)
    assert (runs.runs, runs.last) == ([(0, ON_A), (3, ON_B)], ON_B)
    runs.cut(0)
    assert runs.runs == [(0, ())]


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ([], [], 9),
        ([(0, ON_A)], [], 0),
        ([(4, ON_A)], [], 4),
        ([(4, ON_A)], [(4, ON_A), (6, ())], 6),
        ([(4, ON_A)], [(4, ON_B)], 4),
        ([(4, ON_A), (9, ())], [(4, ON_A)], 9),
    ],
)
def test_where_two_rows_differ_first(one: list[tuple[int, Mix]], two: list[tuple[int, Mix]], same: int) -> None:
    assert Runs(one).agree(Runs(two), 9) == Runs(two).agree(Runs(one), 9) == same


def test_an_activated_adapter_begins_at_the_last_place_where_it_is_called() -> None:
    tokens = [1, 2, 3, 1, 2, 9]
    assert [last_place(tokens, wanted) for wanted in ([1, 2], [9], [2, 1], [1, 2, 3, 1, 2, 9, 9])] == [3, 5, None, None]
    laid = (Laid("a", A, 1.0), Laid("b", B, 0.5, (1, 2)), Laid("c", ("c", 1, 1), 1.0, (7,)))
    assert starts(tokens, laid) == [0, 3, None]
    assert plan(laid, [0, 3, None]).runs == [(0, ON_A), (3, (*ON_A, (B, 0.5)))]
    assert plan(laid[1:], [3, None]).runs == [(0, ()), (3, ((B, 0.5),))]
    assert plan((), []).runs == [(0, ())]


def test_what_is_held_is_good_only_under_the_mix_it_was_read_under() -> None:
    held = Evaluated()
    held.add([1, 2], lambda token: b"x")
    held.add([3, 4], lambda token: b"x", ON_A)
    prompt = [1, 2, 3, 4, 5]
    wanted = [Runs(), Runs([(0, ON_A)]), Runs([(2, ON_A)]), Runs([(2, ON_B)]), Runs([(3, ON_A)])]
    assert [held.good_for(prompt, runs) for runs in wanted] == [2, 0, 4, 2, 2]
    held.cut(3)
    assert held.good_for(prompt, Runs([(2, ON_A)])) == 3


def test_few_idle_adapters_stay_loaded(folder: Path, tmp_path: Path) -> None:
    path = folder / "model.gguf"
    model = Model(str(path), SIZE, lambda done: True)
    adapters = Adapters(model, path, lambda switch: None)
    many = [Adapter(f"a{n}", str(write_adapter(tmp_path / f"{n}.gguf", path, seed=n))) for n in range(MOST_IDLE + 4)]
    laid = [adapters.take(each)[0] for each in many]
    adapters.lay(((laid[0].key, 1.0),))
    adapters.forget(laid[:1])
    kept = [each.key in adapters._loaded for each in laid]
    assert kept == [True, False, False, False, *[True] * MOST_IDLE]
    # One that was forgotten is loaded again when it is wanted.
    assert adapters.take(many[1])[0].key == laid[1].key
    adapters.close()
    assert not adapters._loaded
    model.close()


def test_another_model_takes_the_place_of_the_first_and_of_its_adapters(folder: Path, tmp_path: Path) -> None:
    job = Job(1, lambda value: None)
    service = Service()
    (first,) = service.load(job, str(folder / "model.gguf"), SIZE)
    service.adapt(job, [Adapter("one", str(folder / "one.gguf"))])
    other = write_model(tmp_path / "other.gguf", "llama")
    (second,) = service.load(job, str(other), SIZE)
    assert (first["metadata"]["general.architecture"], second["metadata"]["general.architecture"]) == ("qwen2", "llama")
    with pytest.raises(EngineError, match="is for models of the architecture 'qwen2' and the open one is 'llama'"):
        service.adapt(job, [Adapter("one", str(folder / "one.gguf"))])
    service._close()
