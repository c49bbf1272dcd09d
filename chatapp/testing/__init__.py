"""A pytest plugin for those who write plugins for chatapp, and for chatapp itself. It comes with the wheel.

Its fixtures are in `chatapp.testing.fixtures`: `plugins`, `engine`, `ui`, `host`, `session`, `pilot`, `shell`,
`golden`, `small_model`, `chatapp_model` and `chatapp_home`. Everything lives in a temporary folder; nothing of the
user's is touched.

    @pytest.fixture
    def plugins():
        return [my_plugin]

    async def test_my_plugin(session, engine):
        engine.says("Hello.")
        turn = await completed(session, "Hi")
        assert turn.text == "Hello."
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatapp.testing.acting import run_action as run_action
    from chatapp.testing.golden import Golden as Golden
    from chatapp.testing.isolation import NetworkRefused as NetworkRefused
    from chatapp.testing.making import MODEL as MODEL
    from chatapp.testing.making import make_host as make_host
    from chatapp.testing.making import script as script
    from chatapp.testing.making import sent_texts as sent_texts
    from chatapp.testing.piloting import Chat as Chat
    from chatapp.testing.piloting import Pilot as Pilot
    from chatapp.testing.prefix import assert_prefix_stable as assert_prefix_stable
    from chatapp.testing.recording import RecordingUI as RecordingUI
    from chatapp.testing.scripted import ScriptedEngine as ScriptedEngine
    from chatapp.testing.shelling import Ran as Ran
    from chatapp.testing.shelling import Shell as Shell

_HOME = {
    "acting": "run_action",
    "golden": "Golden",
    "isolation": "NetworkRefused",
    "making": "MODEL make_host script sent_texts",
    "piloting": "Chat Pilot",
    "prefix": "assert_prefix_stable",
    "recording": "RecordingUI",
    "scripted": "ScriptedEngine",
    "shelling": "Ran Shell",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)

# pytest loads this module in every run where chatapp is installed: it imports nothing until a fixture is used.
pytest_plugins = ["chatapp.testing.fixtures"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'chatapp.testing' has no attribute {name!r}")
    value = getattr(import_module(f"chatapp.testing.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
