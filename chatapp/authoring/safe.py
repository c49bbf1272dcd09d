"""`chatapp --safe-mode`: a chat that works whatever the plugins do, in which one that does harm can be switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatapp.errors import EngineError

if TYPE_CHECKING:
    from chatapp.engine import EngineSpec
    from chatapp.host import Host


def load_safely(host: Host) -> None:
    """Load those bundled plugins only that offer an engine for the chosen model; the others are listed as off."""
    own = set(host.plugins)
    host.load(lambda found: found.plugin.origin == "bundled")
    engine = _engine(host)
    loaded = [name for name, plugin in host.plugins.items() if name not in own and plugin.state != "off"]
    kept = [name for name in loaded if engine in host.declared.engines_of(name)]
    for name in loaded:
        if name not in kept:
            host.leave_out(name)
    host.status["mode"] = "safe mode"
    # What is wrong with plugins that are left out is not of interest now.
    host.problems[:] = [
        *host.settings.problems,
        f"Safe mode: {', '.join(kept) or 'no plugin'} and the application's own commands are all that is loaded. "
        "Start without --safe-mode for the rest.",
    ]


def _engine(host: Host) -> EngineSpec | None:
    """The engine that would answer; None where there is none, which whoever asks it is told."""
    try:
        return host.engines.spec(host.settings.core.model or host.default_model)
    except EngineError:
        return None
