"""The exceptions chatapp raises for things a user can mend.

Each message is one sentence that a person can act on; whoever shows it shows `str(error)` and nothing else.

    ChatappError
    ├── UsageError        the request itself is wrong (exit code 2 in the shell)
    ├── ConsentError      a tool needs a permission and nobody can give it (exit code 3)
    ├── SettingsError     a settings file or value
    ├── ModelError        a model file, the catalogue or a download
    │   └── OfflineError  the network would be needed and --offline forbids it
    ├── EngineError       an engine that cannot open, or failed while it answered
    ├── WorkerError       code in a child process raised
    │   └── WorkerDied    the child process itself went away
    ├── PluginError       a plugin that breaks the contract
    └── ArchiveError      conversations on disk
"""

from __future__ import annotations


class ChatappError(Exception):
    """Root of the tree; its text is one sentence that says what is wrong and what to do."""


class UsageError(ChatappError):
    """The request itself is wrong: an unknown name, a missing argument, a value out of range."""


class ConsentError(ChatappError):
    """A tool was not run because it needs the user's permission and there is nobody to ask."""


class SettingsError(ChatappError):
    """A settings file or value that cannot be used; names the file, the table and the key."""


class ModelError(ChatappError):
    """A model file, a catalogue entry or a download that cannot be used."""


class OfflineError(ModelError):
    """The network would be needed, and the user has forbidden it with ``--offline``."""


class EngineError(ChatappError):
    """An engine that cannot open, or that failed while it answered."""


class WorkerError(ChatappError):
    """Code in a child process raised; the text is the child's own exception."""


class WorkerDied(WorkerError):
    """The child process went away; the next use starts a fresh one."""


class PluginError(ChatappError):
    """A plugin that does not load or breaks the contract; names the plugin."""


class ArchiveError(ChatappError):
    """A conversation that cannot be read, written, found or imported."""
