"""`/agent` and `/tools`: whether the model may use tools here, and which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from chatapp import Data, Permissions, Session, action, one_line, table, tools_for
from chatapp_tools.offering import choose, is_on, named, off, offered, switch

WIDTH = 60


def _tools(session: Session, prefix: str) -> Iterable[str]:
    return tools_for(session)


Tools = Annotated[str, "Tools, or plugins for all of theirs", _tools]


@action("agent", shell=False)
async def agent(
    session: Session, state: Annotated[Literal["on", "off", ""], "Whether it may; nothing says how it stands"] = ""
) -> str:
    """Let the model use tools in this conversation, or no longer; what can do harm asks first."""
    if state:
        choose(session, on=state == "on")
        await session.save()
    count = len(offered(session))
    return f"The model may use {count} tools: `/tools` lists them." if is_on(session) else "The model uses no tools."


@action("tools", ask=True, shell=False)
async def tools(session: Session, *names: Tools) -> str | Data:
    """Offer the model these tools only; without a name, list all tools."""
    if not names:
        return await list_.function(session)  # type: ignore[no-any-return]
    chosen = named(session, names)
    choose(session, on=True, only=chosen)
    await session.save()
    return f"The model may use {', '.join(chosen)}; `/tools on all` offers all again."


@action("tools list")
async def list_(session: Session) -> Data:
    """List the tools by plugin: which are offered here, and which ask first."""
    known, now, without = tools_for(session), offered(session), off(session)
    rows = [
        (
            each.owner,
            name,
            "on" if name in now and is_on(session) else "off" if name in without else "",
            "runs freely" if each.consent == "free" else "asks first" if each.consent == "ask" else "asks where needed",
            one_line(each.summary, WIDTH),
        )
        for name, each in sorted(known.items(), key=lambda item: (item[1].owner, item[0]))
    ]
    return table("tools", ("plugin", "tool", "here", "consent", "what it does"), rows, "No plugin offers a tool.")


@action("tools on", shell=False)
async def on(session: Session, *names: Tools, role: Annotated[bool, "For the role that answers now"] = False) -> str:
    """Offer tools to the model; `all` for all there are."""
    if names in ((), ("all",)):
        choose(session, on=True, only=[], off=[])
        await session.save()
        return f"The model may use {len(offered(session))} tools."
    chosen = named(session, names)
    switch(session, chosen, True, role)
    await session.save()
    return f"On: {', '.join(chosen)}." + ("" if is_on(session) else " `/agent on` lets the model use tools.")


@action("tools off", shell=False)
async def off_(session: Session, *names: Tools, role: Annotated[bool, "For the role that answers now"] = False) -> str:
    """Offer tools to the model no longer."""
    if not names:
        choose(session, on=False)
        await session.save()
        return "The model uses no tools."
    chosen = named(session, names)
    switch(session, chosen, False, role)
    await session.save()
    return f"Off: {', '.join(chosen)}."


@action("tools permissions")
async def permissions(session: Session, *, withdraw: Annotated[bool, "Take all of them back"] = False) -> Data | str:
    """List what you allowed tools for longer than once."""
    kept = Permissions.of(session.host)
    if withdraw:
        count = kept.withdraw()
        return f"{count} permission{'s' * (count != 1)} taken back: tools ask again."
    rows = [(each["tool"], each["question"], each["lasts"], each["when"]) for each in kept.all()]
    return table(
        "tools.permissions", ("tool", "what", "lasts", "since"), rows, "Nothing is allowed for longer than once."
    )


ACTIONS = (agent, tools, list_, on, off_, permissions)
