"""The calculator: exact, and nothing of what is given to it is run."""

from __future__ import annotations

import asyncio
from typing import Annotated

from chatapp import Rest, Session, action, one_line


@action("calculate", tool=True, consent="free", shell=False)
async def calculate(
    session: Session,
    expression: Annotated[str, "For example (1200 - 15% of 80) / 7 or sqrt(2) * sin(pi/6); angles in radians", Rest()],
) -> str:
    """Calculate exactly. Use it for any arithmetic instead of doing it in your head.

    Knows + - * / // % ** and sqrt, cbrt, exp, ln, log(x, base), log10, sin, cos, tan, round, floor, factorial, gcd,
    comb, min, max, sum, mean, pi, e.
    """
    from chatapp_tools.arithmetic import compute

    return f"{one_line(expression, 200)} {await asyncio.to_thread(compute, expression)}"
