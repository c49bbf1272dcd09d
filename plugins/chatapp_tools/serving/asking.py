"""Consent where another program calls: named in the settings, asked through that program, or refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp import MCPError, types
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from chatapp import Action, Ask, ConsentError, Host, Session, ToolCall, asked
from chatapp_tools.options import ToolsSettings

LONGEST = 4000
"""Characters of a question that is handed to another program."""
KEY = "consent"
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"allow": {"type": "boolean", "title": "Allow this once", "default": False}},
    "required": ["allow"],
}


class NeedsInput(Exception):
    """The call waits for the caller's user; `result` is what the caller is given (MCP 2026-07-28)."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__()
        self.result = result


class Gate:
    """Decides on each call whether it may run.

    Permissions given in the chat do not count here: they were given to the local model.
    """

    def __init__(self, host: Host) -> None:
        self._allowed = frozenset(host.config(ToolsSettings).mcp_allowed)
        self._secret = secrets.token_bytes(32)

    def consent(
        self, action: Action, call: ToolCall, ctx: Any, params: types.CallToolRequestParams
    ) -> Callable[[Session, Mapping[str, Any]], Awaitable[Ask | None]]:
        """The consent of `action` for this one call: nothing to ask, or ConsentError, or `NeedsInput`."""

        async def decide(session: Session, values: Mapping[str, Any]) -> None:
            ask = await asked(session, action, call, values)
            if ask is None or action.tool_name in self._allowed:
                return
            if not await self._agreed(ask, action, ctx, params):
                raise ConsentError(
                    f"The user did not allow {action.tool_name!r}; tools named in mcp_allowed in the settings of "
                    "chatapp run without asking."
                )

        return decide

    async def _agreed(self, ask: Ask, action: Action, ctx: Any, params: types.CallToolRequestParams) -> bool:
        """Whether the caller's user says yes; no where the caller cannot ask."""
        capabilities = ctx.session.client_capabilities
        if capabilities is None or capabilities.elicitation is None:
            return False
        dangers = "".join(f"\nThis part can do harm: {each}" for each in ask.dangers)
        message = f"{action.tool_name}, called by this program: {ask.question}{dangers}\n\n{ask.detail}"
        if len(message) > LONGEST:
            # What cannot be shown whole cannot be agreed to.
            return False
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return self._answered(message, action, params)
        try:
            given = await ctx.session.elicit_form(message, _FORM, related_request_id=ctx.request_id)
        except MCPError:
            return False
        return _yes(given)

    def _answered(self, message: str, action: Action, params: types.CallToolRequestParams) -> bool:
        state = hmac.new(self._secret, json.dumps([action.name, message]).encode(), hashlib.sha256).hexdigest()
        answer = (params.input_responses or {}).get(KEY)
        if answer is None or not hmac.compare_digest(params.request_state or "", state):
            form = types.ElicitRequestFormParams(message=message, requested_schema=_FORM)
            requests: types.InputRequests = {KEY: types.ElicitRequest(params=form)}
            raise NeedsInput(types.InputRequiredResult(input_requests=requests, request_state=state))
        return isinstance(answer, types.ElicitResult) and _yes(answer)


def _yes(given: types.ElicitResult) -> bool:
    return given.action == "accept" and (given.content or {}).get("allow") is True
