"""What can go wrong with a request, with the status and words of the answer (problem details, RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import orjson


def problem_details(status: int, name: str, title: str, detail: str, more: Mapping[str, Any] | None = None) -> bytes:
    """The body of an answer (RFC 9457). The type is a name, not an address to follow."""
    told = {"type": f"urn:accord:problem:{name}", "title": title, "status": status, "detail": detail}
    return orjson.dumps({**told, **(more or {})})


class Problem(Exception):
    """A request that fails. `detail` says why and what to do; `more` are members for programs."""

    status = 400
    title = "The request cannot be understood"
    name = "bad-request"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.more = more
        self.actor = ""
        """The account that is refused, if it is known. Neither this nor `why` is ever in the answer."""
        self.why = str(more.get("reason", self.name))
        """The reason, for the log."""

    def of(self, actor: str, why: str = "") -> Self:
        """This problem, with whom it concerns and why, for logs alone."""
        self.actor, self.why = actor, why or self.why
        return self

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the status."""
        return {}


class Invalid(Problem):
    """A body or parameter that does not fit its schema, or is impossible."""

    status = 422
    title = "The request is invalid"
    name = "invalid"


class Unauthenticated(Problem):
    """No credential, or an invalid one. The answer never tells what is wrong with a credential that the caller has not proved."""

    status = 401
    title = "Authentication is required"
    name = "unauthenticated"
    challenge = 'Bearer realm="accord"'

    @property
    def headers(self) -> dict[str, str]:
        """RFC 6750, section 3."""
        return {"WWW-Authenticate": self.challenge}


class Forbidden(Problem):
    """The caller is known but may not do this."""

    status = 403
    title = "Not permitted"
    name = "forbidden"


class NotFound(Problem):
    """It does not exist, or the caller may not see it."""

    status = 404
    title = "Not found"
    name = "not-found"


class Conflict(Problem):
    """It conflicts with the current state."""

    status = 409
    title = "It conflicts with the current state"
    name = "conflict"


class Declared(Conflict):
    """A fact that the config repository declares, to be changed there."""

    title = "The config repository declares this"
    name = "declared-in-git"


class TooSlow(Problem):
    """A body that took too long to arrive."""

    status = 408
    title = "The request arrived too slowly"
    name = "too-slow"


class TooLarge(Problem):
    """A body over the limit."""

    status = 413
    title = "The body is too large"
    name = "too-large"


class UnsupportedMediaType(Problem):
    """A body of a media type that the operation does not read."""

    status = 415
    title = "Unsupported media type"
    name = "unsupported-media-type"


class TooManyFailures(Problem):
    """Logins from an address must wait; `retry_after` is in seconds."""

    status = 429
    title = "Too many failed logins"
    name = "too-many-failures"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail, retryAfter=retry_after)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9110, section 10.2.3."""
        return {"Retry-After": str(self.retry_after)}


class QuotaExceeded(TooManyFailures):
    """An account or a team would cause more mails than the Settings permit before `retry_after`."""

    title = "Too many mails"
    name = "quota-exceeded"


class NotOffered(Problem):
    """Something that clients of other products ask for and Accord never does."""

    status = 501
    title = "Accord does not do this"
    name = "not-offered"


class Unavailable(Problem):
    """The database is unavailable, so nothing is decided."""

    status = 503
    title = "Not available now"
    name = "unavailable"

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9110, section 10.2.3."""
        return {"Retry-After": "1"}


class Busy(Unavailable):
    """Too many such requests at once."""

    title = "Busy"
    name = "busy"
