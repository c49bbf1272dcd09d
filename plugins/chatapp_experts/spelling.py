"""What an embedding misses of a message: its spelling, as hashed runs of letters (Weinberger et al., 2009).

An English embedding model sees little of the language a text is in, and little of a word like "JSON" in a sentence
about fruit; runs of two to four letters see both.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter

DIMENSIONS = 512
RUNS = (2, 3, 4)
LONGEST = 2000
"""Characters of a message that are looked at, as an embedding model reads only the beginning of a long one."""
_WORD = re.compile(r"\w+|[^\w\s]")


def spelling(text: str) -> list[float]:
    """A vector of DIMENSIONS components and unit length: the roots of how often each hashed run of letters occurs."""
    flat = f" {' '.join(_WORD.findall(text[:LONGEST].casefold()))} "
    runs = (flat[start : start + size] for size in RUNS for start in range(len(flat) - size + 1))
    counts = Counter(zlib.crc32(run.encode("utf-8", "replace")) % DIMENSIONS for run in runs)
    # The root of a count has the count as its square: their sum is the number of runs.
    length = math.sqrt(counts.total()) or 1.0
    return [math.sqrt(counts[place]) / length for place in range(DIMENSIONS)]
