"""What can go wrong with a request, each with the status and the words it is answered with (problem details, RFC 9457)."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """A request that is not done. `detail` says why and what to do; `more` are members for programs."""

    status = 400
    title = "The request cannot be understood"
    name = "bad-request"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.more = more

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with the status."""
        return {}


class Invalid(Problem):
    """A body or parameter that does not fit its schema, or says something impossible."""

    status = 422
    title = "The request says something that cannot be"
    name = "invalid"


class Unauthenticated(Problem):
    """No credential, or none that counts. It never says which of a credential's faults it is, unless the caller proved it."""

    status = 401
    title = "Who is calling?"
    name = "unauthenticated"

    @property
    def headers(self) -> dict[str, str]:
        """RFC 6750, section 3."""
        return {"WWW-Authenticate": 'Bearer realm="accord"'}


class Forbidden(Problem):
    """The caller is known, and may not."""

    status = 403
    title = "Not permitted"
    name = "forbidden"


class NotFound(Problem):
    """There is no such thing, or none that the caller may see."""

    status = 404
    title = "Not found"
    name = "not-found"


class Conflict(Problem):
    """It cannot be done as things stand."""

    status = 409
    title = "It cannot be done as things stand"
    name = "conflict"


class Declared(Conflict):
    """A fact that the config repository declares; it is changed there."""

    title = "The config repository declares this"
    name = "declared-in-git"


class TooLarge(Problem):
    """A body over the limit."""

    status = 413
    title = "The body is too large"
    name = "too-large"


class UnsupportedMediaType(Problem):
    """A body of another type than the operation reads."""

    status = 415
    title = "Unsupported media type"
    name = "unsupported-media-type"


class TooManyFailures(Problem):
    """Logins from an address have to wait; `retry_after` is in seconds."""

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


class Unavailable(Problem):
    """The database cannot be read, so nothing is decided."""

    status = 503
    title = "Not available now"
    name = "unavailable"

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9110, section 10.2.3."""
        return {"Retry-After": "1"}


class Busy(Unavailable):
    """Too much of this at once."""

    title = "Busy"
    name = "busy"
