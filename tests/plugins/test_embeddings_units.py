"""Vectors, the steps that texts are read in, and precisions, without a model."""

from __future__ import annotations

from array import array

import pytest

from chatapp import Job, Vectors
from chatapp_embeddings.loading import costs, precision_for, steps


def test_vectors() -> None:
    vectors = Vectors.of([[1.0, 0.0], [0.0, 1.0], [0.5, 0.25]])
    assert (len(vectors), vectors.dimensions) == (3, 2)
    assert list(vectors) == [[1.0, 0.0], [0.0, 1.0], [0.5, 0.25]]
    assert vectors[-1] == [0.5, 0.25]
    assert list(vectors[1:]) == [[0.0, 1.0], [0.5, 0.25]]
    assert vectors.data == array("f", [1, 0, 0, 1, 0.5, 0.25]).tobytes()
    with pytest.raises(IndexError):
        vectors[3]
    assert list(Vectors.of([])) == []


def test_steps_are_sorted_bounded_and_cancelled() -> None:
    texts = ["x" * length for length in (4, 4000, 40, 400, 4000, 8)]
    lengths = costs(texts, 256)
    assert lengths == [3, 256, 12, 102, 256, 4]
    job = Job(1, lambda value: None)
    taken = list(steps(job, lengths, 2, list))
    assert taken == [(some, some) for some in ([1, 4], [3, 2], [5, 0])]
    # A step holds no more than its tokens at first, whatever the number of texts allowed.
    first, _ = next(steps(job, [256] * 100, 64, list))
    assert len(first) == 8
    job.cancelled = True
    assert list(steps(job, lengths, 2, list)) == []


def test_auto_is_float32_off_the_processor() -> None:
    assert precision_for("bfloat16", "cpu") == "bfloat16"
    assert precision_for("float32", "cpu") == "float32"
    pytest.importorskip("torch")
    assert precision_for("auto", "cuda") == "float32"
    assert precision_for("auto", "cpu") in ("float32", "bfloat16")
