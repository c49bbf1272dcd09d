"""Finding a real small model for tests that ask for one. Nothing is ever downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

OPTION = "--chatapp-model"
SMALL = "qwen2.5-coder-0.5b-instruct"


def find_model(wanted: str) -> Path:
    """The file of the model `wanted` (a name in the user's store, or a path), else of the small one of the catalogue.

    Fails the test when the one that was asked for is not there, skips it when none was asked for and none is there.
    """
    from chatapp.errors import ModelError
    from chatapp.models import open_store
    from chatapp.paths import paths

    try:
        return open_store(paths(), offline=True).path(wanted or SMALL)
    except ModelError as error:
        if wanted:
            pytest.fail(f"{OPTION}={wanted}: {error}", pytrace=False)
        pytest.skip(f"No small model is here: chatapp models pull {SMALL}, or pytest {OPTION}=PATH.")
