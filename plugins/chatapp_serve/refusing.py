"""What a request is refused with, in the form that clients of OpenAI's interface expect."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


class Refused(Exception):
    """A request that is not answered; `status` is HTTP's, the text one sentence, `code` what programs look at."""

    def __init__(self, status: int, text: str, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code

    def body(self) -> dict[str, Any]:
        """The error object."""
        kind = KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": str(self), "type": kind, "param": None, "code": self.code or None}}

    def response(self) -> JSONResponse:
        """The whole answer; a client that is turned away is told when to come again."""
        headers = {"Retry-After": "5"} if self.status in (429, 503) else {}
        return JSONResponse(self.body(), self.status, headers)
