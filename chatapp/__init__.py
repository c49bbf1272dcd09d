"""chatapp: a local AI assistant for the terminal in which every capability is a plugin.

This is the public API; plugins import from here and from nowhere else in the package. Names are resolved when first
used, so that importing `chatapp` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatapp.actions import Action as Action
    from chatapp.actions import Rest as Rest
    from chatapp.actions import action as action
    from chatapp.actions import similar as similar
    from chatapp.attach import attached as attached
    from chatapp.attach import read_source as read_source
    from chatapp.child import Job as Job
    from chatapp.commands.table import table as table
    from chatapp.consent import Ask as Ask
    from chatapp.consent import Decision as Decision
    from chatapp.consent import Permissions as Permissions
    from chatapp.context import Block as Block
    from chatapp.context import Piece as Piece
    from chatapp.conversation import Conversation as Conversation
    from chatapp.engine import Adapter as Adapter
    from chatapp.engine import AdapterFacts as AdapterFacts
    from chatapp.engine import AdaptingEngine as AdaptingEngine
    from chatapp.engine import Embedder as Embedder
    from chatapp.engine import Engine as Engine
    from chatapp.engine import EngineConfig as EngineConfig
    from chatapp.engine import EngineInfo as EngineInfo
    from chatapp.engine import EngineSpec as EngineSpec
    from chatapp.engine import Reader as Reader
    from chatapp.engine import Report as Report
    from chatapp.engine import Request as Request
    from chatapp.engine import Reranker as Reranker
    from chatapp.engine import Sampling as Sampling
    from chatapp.engine import TokenizingEngine as TokenizingEngine
    from chatapp.engine import Tool as Tool
    from chatapp.errors import ArchiveError as ArchiveError
    from chatapp.errors import ChatappError as ChatappError
    from chatapp.errors import ConsentError as ConsentError
    from chatapp.errors import EngineError as EngineError
    from chatapp.errors import ModelError as ModelError
    from chatapp.errors import OfflineError as OfflineError
    from chatapp.errors import PluginError as PluginError
    from chatapp.errors import SettingsError as SettingsError
    from chatapp.errors import UsageError as UsageError
    from chatapp.errors import WorkerDied as WorkerDied
    from chatapp.errors import WorkerError as WorkerError
    from chatapp.evaluation import Evaluation as Evaluation
    from chatapp.evaluation import Tally as Tally
    from chatapp.evaluation import wilson as wilson
    from chatapp.events import Event as Event
    from chatapp.events import Finished as Finished
    from chatapp.events import Notice as Notice
    from chatapp.events import Progress as Progress
    from chatapp.events import Reason as Reason
    from chatapp.events import ReasoningDelta as ReasoningDelta
    from chatapp.events import TextDelta as TextDelta
    from chatapp.events import TokenLogprob as TokenLogprob
    from chatapp.events import Usage as Usage
    from chatapp.gguf import GgufHead as GgufHead
    from chatapp.gguf import GgufItems as GgufItems
    from chatapp.gguf import GgufTensor as GgufTensor
    from chatapp.gguf import read_gguf as read_gguf
    from chatapp.hookspecs import hookimpl as hookimpl
    from chatapp.host import Host as Host
    from chatapp.loaded import LoadedWorker as LoadedWorker
    from chatapp.marks import template_tags as template_tags
    from chatapp.messages import Data as Data
    from chatapp.messages import Media as Media
    from chatapp.messages import Message as Message
    from chatapp.messages import Part as Part
    from chatapp.messages import Reasoning as Reasoning
    from chatapp.messages import Source as Source
    from chatapp.messages import Text as Text
    from chatapp.messages import ToolCall as ToolCall
    from chatapp.messages import ToolResult as ToolResult
    from chatapp.messages import assistant as assistant
    from chatapp.messages import chat_text as chat_text
    from chatapp.messages import user as user
    from chatapp.models.lock import FileLock as FileLock
    from chatapp.models.sources import SourceFailed as SourceFailed
    from chatapp.models.wheels import download_wheel as download_wheel
    from chatapp.models.wheels import growing as growing
    from chatapp.models.wheels import opened_wheel as opened_wheel
    from chatapp.models.wheels import wheel_member as wheel_member
    from chatapp.paths import Paths as Paths
    from chatapp.pictures import Painter as Painter
    from chatapp.pictures import Picture as Picture
    from chatapp.pictures import PictureRequest as PictureRequest
    from chatapp.pictures import PictureStep as PictureStep
    from chatapp.progress import human_bytes as human_bytes
    from chatapp.progress import reported as reported
    from chatapp.session import Session as Session
    from chatapp.settings import SamplingSettings as SamplingSettings
    from chatapp.settings import write_private as write_private
    from chatapp.text import one_line as one_line
    from chatapp.text import visible as visible
    from chatapp.textfiles import named_file as named_file
    from chatapp.textfiles import named_files as named_files
    from chatapp.textfiles import read_text as read_text
    from chatapp.tooling import Called as Called
    from chatapp.tooling import asked as asked
    from chatapp.tooling import asks_first as asks_first
    from chatapp.tooling import call_tool as call_tool
    from chatapp.tooling import must_answer as must_answer
    from chatapp.tooling import repeats as repeats
    from chatapp.tooling import tool_of as tool_of
    from chatapp.tooling import tools_for as tools_for
    from chatapp.tooling import use_tool as use_tool
    from chatapp.turn import Turn as Turn
    from chatapp.turn import completed as completed
    from chatapp.ui import UI as UI
    from chatapp.ui import Panel as Panel
    from chatapp.ui import PlainUI as PlainUI
    from chatapp.vectors import Vectors as Vectors
    from chatapp.watched import Watched as Watched
    from chatapp.workers import Worker as Worker

API_VERSION = "1.0"
"""The version of the public names and hooks, MAJOR.MINOR: what is added raises the minor, what breaks a plugin the
major. A plugin may say which it was written for, ``chatapp_api = "1.0"`` in its module; one for a newer is refused."""

_HOME = {
    "actions": "Action Rest action similar",
    "attach": "attached read_source",
    "child": "Job",
    "commands.table": "table",
    "consent": "Ask Decision Permissions",
    "context": "Block Piece",
    "conversation": "Conversation",
    "engine": "Adapter AdapterFacts AdaptingEngine Embedder Engine EngineConfig EngineInfo EngineSpec Reader Report "
    "Request Reranker Sampling TokenizingEngine Tool",
    "errors": "ArchiveError ChatappError ConsentError EngineError ModelError OfflineError PluginError SettingsError "
    "UsageError WorkerDied WorkerError",
    "evaluation": "Evaluation Tally wilson",
    "events": "Event Finished Notice Progress Reason ReasoningDelta TextDelta TokenLogprob Usage",
    "gguf": "GgufHead GgufItems GgufTensor read_gguf",
    "hookspecs": "hookimpl",
    "host": "Host",
    "loaded": "LoadedWorker",
    "marks": "template_tags",
    "messages": "Data Media Message Part Reasoning Source Text ToolCall ToolResult assistant chat_text user",
    "models.lock": "FileLock",
    "models.sources": "SourceFailed",
    "models.wheels": "download_wheel growing opened_wheel wheel_member",
    "paths": "Paths",
    "pictures": "Painter Picture PictureRequest PictureStep",
    "progress": "human_bytes reported",
    "session": "Session",
    "settings": "SamplingSettings write_private",
    "text": "one_line visible",
    "textfiles": "named_file named_files read_text",
    "tooling": "Called asked asks_first call_tool must_answer repeats tool_of tools_for use_tool",
    "turn": "Turn completed",
    "ui": "Panel PlainUI UI",
    "vectors": "Vectors",
    "watched": "Watched",
    "workers": "Worker",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = ["API_VERSION", *sorted(_MODULE_OF)]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        return _renamed(name)
    value = getattr(import_module(f"chatapp.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def _renamed(name: str) -> Any:
    """What an old name stands for today. Not kept here: each plugin that uses it is to hear of it."""
    from chatapp.deprecation import name_now

    new = name_now(name)
    if not new:
        raise AttributeError(f"module 'chatapp' has no attribute {name!r}")
    return getattr(sys.modules[__name__], new)


def __dir__() -> list[str]:
    return __all__
