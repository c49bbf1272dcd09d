"""How much memory this process takes, and how much there is."""

from __future__ import annotations

import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def resident() -> int:
    """Bytes of this process that are in memory now, those mapped from files included."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """The most bytes that ever were; where the system does not keep count (Windows), those now."""
    if sys.platform == "win32":
        return resident()
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, Linux in kilobytes.
    return most if sys.platform == "darwin" else most * 1024


def installed() -> int:
    """Bytes of main memory that programs may have together."""
    import psutil

    return min(int(psutil.virtual_memory().total), _limit())


def free() -> int:
    """Bytes that can still be taken."""
    import psutil

    return min(int(psutil.virtual_memory().available), _granted())


def _limit() -> int:
    """What the control group (Linux, version 2) allows in all; very much where there is none."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
    except OSError:
        return 1 << 62
    return (1 << 62) if limit == "max" else int(limit)


def _granted() -> int:
    """What the control group still allows."""
    limit = _limit()
    if limit == 1 << 62:
        return limit
    held = int((CGROUP / "memory.current").read_text())
    stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    # Files held in the group's cache are given up when memory is asked for.
    return max(0, limit - held + int(stat.get("inactive_file", 0)))
