"""Date and time, here and in other places of the world."""

from __future__ import annotations

import difflib
from datetime import datetime, timedelta, tzinfo
from functools import cache
from typing import Annotated

from chatapp import Session, UsageError, action, visible

FARTHEST = 1_000_000
"""Days from now that can be asked for."""


@action("date and time", tool=True, consent="free", shell=False)
async def date_and_time(
    session: Session,
    zone: Annotated[str, "City or time zone, for example Tokyo or Europe/Lisbon; empty for the user's own"] = "",
    *,
    add_days: Annotated[int, "Days to add: 7 for a week from now, -1 for yesterday"] = 0,
) -> str:
    """Tell the date, the day of the week and the time. Use it whenever the answer depends on what day or time it is."""
    return told(zone, add_days)


def told(zone: str, add_days: int, now: datetime | None = None) -> str:
    """The moment as a sentence and in ISO 8601; `now` (None: this moment) has a time zone."""
    where = zone_of(zone)
    if abs(add_days) > FARTHEST:
        raise UsageError(f"add_days may be from -{FARTHEST:,} to {FARTHEST:,}.")
    here = (now or datetime.now().astimezone()).astimezone(where)
    try:
        moment = here + timedelta(days=add_days)
    except OverflowError as error:
        raise UsageError("That day is before the year 1 or after the year 9999: add fewer days.") from error
    if where is None:
        # The clock of this place may have been changed between the two days.
        moment = moment.replace(tzinfo=None).astimezone()
    year, week, _ = moment.isocalendar()
    day = f"{_DAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} {moment.year:04}"
    name = getattr(where, "key", "") or moment.tzname() or ""
    iso = moment.isoformat(timespec="seconds")
    return f"{day}, {moment:%H:%M:%S} {name} (ISO {iso}, week {week} of {year:04})"


def zone_of(name: str) -> tzinfo | None:
    """The time zone of that name or city, None for this place's own; UsageError with a near one where there is none."""
    from zoneinfo import ZoneInfo

    wanted = name.strip().replace(" ", "_").casefold()
    if wanted in ("", "local", "here"):
        return None
    known = _zones()
    if wanted in known:
        return ZoneInfo(known[wanted])
    near = difflib.get_close_matches(wanted, known, 1)
    hint = f"did you mean {known[near[0]]}?" if near else "name a zone like Europe/Lisbon, America/New_York or UTC."
    raise UsageError(f"There is no time zone {visible(name)!r}; {hint}")


@cache
def _zones() -> dict[str, str]:
    """The names of zones and of their cities, in small letters."""
    from zoneinfo import available_timezones

    names = sorted(available_timezones())
    cities = {each.rpartition("/")[2].casefold(): each for each in names if "/" in each and not each.startswith("Etc/")}
    return {**cities, **{each.casefold(): each for each in names}}


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Not by the locale: the model is told in English.
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
