"""The contents of an export of the predecessor as plain values. Problems are collected, not raised.

Its properties are named as the predecessor's REST API and its database name them. A property that says nothing of access, and one
that nobody knows, is left out with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, NamedTuple

from reconciler.access.problems import Problem, Severity
from reconciler.source.imported import Path, Place
from reconciler.wording.nearest import nearest
from reconciler.wording.text import printable

RULE = "certdog"
_ID = re.compile(r"[0-9a-fA-F]{24}")
_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
_SECTIONS = frozenset(("users", "teams", "issuers", "emailTemplates", "settings"))
_IDS = ("id", "_id")
_OFTEN = frozenset((*_IDS, "_class"))
_USER = _OFTEN | {"username", "email", "enabled", "disabled", "password", "passwordHash", "adUser", "isAdUser", "teamsIds"}
_OF_LOGINS = {"group", "numFailedLoginAttempts", "userMessage", "nextAllowedLogonTime"}
"""What the predecessor keeps of logins, and the kind of user that its teams say as well."""
_FLAGS = {"dontSendEmailsOnIssue", "dontSendReminderEmails"}
_TEAM = _OFTEN | _FLAGS | {"name", "description", "internalGroup", "adGroups", "authorisedCas", "ipWhiteList", "adminUsernames"}
_ISSUER = _OFTEN | {"caName", "caCerts", "enabled", "caType", "caTypeName", "caSubjectDn"}
_OF_SUBJECTS = "dnRestrictionId"
"""Which subjects an issuer signs, if it is restricted."""
_RESTRICTS = re.compile(
    r"white_?list|allow_?list|(allowed|permitted)_?ip|(en|dis)abled|ad_?user|locked|expired|suspended|^(in|is_?)?active$",
    re.IGNORECASE,
)
"""What a property's name has if it takes something away from somebody; without it, they would have more than before."""
_SETTINGS = frozenset(("sendOnIssue", "sendOnExpiry", "reminderDays", "alwaysSendTo"))
MAILS = {"issued": "certificate-issued", "expiring": "certificate-expiring"}
"""Its kinds of mail, and what they are called here."""


class OldUser(NamedTuple):
    """A user. `hash`: of the password, by bcrypt."""

    place: Place
    id: str | None
    name: str
    email: str
    enabled: bool
    is_directorys: bool
    administrates: bool
    """The user itself says that it is an administrator."""
    hash: str | None
    teams: tuple[tuple[str, Place], ...]

    def __repr__(self) -> str:
        """Without the hash."""
        return f"OldUser({self.name!r})"


class OldTeam(NamedTuple):
    """A team. Its issuers are ids or names; its permitted IPs are as they are written."""

    place: Place
    id: str | None
    name: str
    description: str
    administrator: bool
    ad_groups: tuple[str, ...]
    issuers: tuple[tuple[str, Place], ...]
    permitted_ips: tuple[tuple[str, Place], ...]
    suppress_issued: bool
    suppress_reminders: bool


class OldIssuer(NamedTuple):
    """An issuer, with its CA certificates as PEM."""

    place: Place
    id: str | None
    name: str
    enabled: bool
    certificates: tuple[tuple[str, Place], ...]


class OldMail(NamedTuple):
    """A mail template, by Accord's name of the mail."""

    place: Place
    name: str
    subject: str
    body: str


class OldSettings(NamedTuple):
    """What the settings say of mails; None: nothing."""

    on_issue: bool | None = None
    on_expiry: bool | None = None
    days: tuple[int, ...] | None = None
    always_send_to: tuple[str, ...] | None = None


class Export(NamedTuple):
    """A whole export."""

    users: tuple[OldUser, ...]
    teams: tuple[OldTeam, ...]
    issuers: tuple[OldIssuer, ...]
    mails: tuple[OldMail, ...]
    settings: OldSettings


class ExportReader:
    """Reads an export; anything that does not fit becomes a problem."""

    def __init__(self, file: str, locate: Callable[[Path], tuple[int, int]]) -> None:
        self._file = file
        self._locate = locate
        self._told: set[tuple[str, str, bool]] = set()
        self.problems: list[Problem] = []

    def read(self, content: Any) -> Export:
        """Read the document."""
        if not isinstance(content, Mapping):
            self._problem((), "the file must contain an object with `users`, `teams` and `issuers`")
            return Export((), (), (), (), OldSettings())
        self._known("the export", content, _SECTIONS, ())
        if not content.keys() & _SECTIONS:
            self._problem((), f"the export has none of {', '.join(f'`{each}`' for each in sorted(_SECTIONS))}")
        return Export(
            tuple(self._users(content)),
            tuple(self._teams(content)),
            tuple(self._issuers(content)),
            tuple(self._mails(content)),
            self._settings(content),
        )

    def _users(self, content: Mapping[str, Any]) -> Iterator[OldUser]:
        for path, each in self._objects(content, "users"):
            self._known("users", each, _USER | _OF_LOGINS, path)
            name, email = self._name(each, "username", path), self._text(each, "email", path)
            if name is None:
                continue
            yield OldUser(
                self._place(path),
                self._id(each, path),
                name,
                email or "",
                self._is_enabled(each, path),
                self._flag(each, "adUser", path) or self._flag(each, "isAdUser", path),
                each.get("group") == "ADMIN",
                self._hash(each, path),
                tuple(self._references(each, "teamsIds", path)),
            )

    def _teams(self, content: Mapping[str, Any]) -> Iterator[OldTeam]:
        for path, each in self._objects(content, "teams"):
            self._known("teams", each, _TEAM, path)
            name = self._name(each, "name", path)
            group = self._text(each, "internalGroup", path) or "USER"
            if group not in ("USER", "ADMIN"):
                self._problem((*path, "internalGroup"), "`internalGroup` must be USER or ADMIN")
            if name is None:
                continue
            yield OldTeam(
                self._place(path),
                self._id(each, path),
                name,
                (self._text(each, "description", path) or "").strip(),
                group == "ADMIN",
                tuple(dict.fromkeys(text.strip() for text, _ in self._texts(each, "adGroups", path))),
                tuple(self._references(each, "authorisedCas", path)),
                tuple(self._addresses(each, path)),
                self._flag(each, "dontSendEmailsOnIssue", path),
                self._flag(each, "dontSendReminderEmails", path),
            )

    def _issuers(self, content: Mapping[str, Any]) -> Iterator[OldIssuer]:
        for path, each in self._objects(content, "issuers"):
            self._known("issuers", each, _ISSUER if each.get(_OF_SUBJECTS) else _ISSUER | {_OF_SUBJECTS}, path)
            name = self._name(each, "caName", path)
            if name is not None:
                enabled, certificates = self._flag(each, "enabled", path, usual=True), tuple(self._texts(each, "caCerts", path))
                yield OldIssuer(self._place(path), self._id(each, path), name, enabled, certificates)

    def _mails(self, content: Mapping[str, Any]) -> Iterator[OldMail]:
        mails = self._mapping(content, "emailTemplates")
        for name, each in mails.items():
            path: Path = ("emailTemplates", name)
            if name not in MAILS:
                self._problem(path, f"`{printable(name)}` is no mail of the predecessor's; write {' or '.join(MAILS)}")
            elif not isinstance(each, Mapping):
                self._problem(path, f"`{name}` must be an object with `subject` and `body`")
            else:
                self._known("emailTemplates", each, frozenset(("subject", "body")), path)
                subject, body = self._name(each, "subject", path), self._name(each, "body", path)
                if subject is not None and body is not None:
                    yield OldMail(self._place(path), MAILS[name], subject, body)

    def _settings(self, content: Mapping[str, Any]) -> OldSettings:
        path: Path = ("settings",)
        found = self._mapping(content, "settings")
        self._known("settings", found, _SETTINGS, path)
        days = [text for text, _ in self._listed(found, "reminderDays", path)]
        if not all(day.isascii() and day.isdigit() and len(day) < 6 for day in days):
            self._problem((*path, "reminderDays"), "`reminderDays` must be numbers of days, such as `30,10`")
            days = []
        return OldSettings(
            None if found.get("sendOnIssue") is None else self._flag(found, "sendOnIssue", path),
            None if found.get("sendOnExpiry") is None else self._flag(found, "sendOnExpiry", path),
            tuple(map(int, days)) or None,
            tuple(text for text, _ in self._listed(found, "alwaysSendTo", path)) or None,
        )

    def _place(self, path: Path) -> Place:
        return Place(self._file, self._locate, path, RULE)

    def _problem(self, path: Path, message: str, severity: Severity = "error", suggestion: str | None = None) -> None:
        self.problems.append(self._place(path).problem(message, severity, suggestion))

    def _known(self, what: str, content: Mapping[str, Any], keys: Set[str], path: Path) -> None:
        """Tell what is left out, once for each property; that it may restrict access, even if it said nothing before."""
        for key in content:
            restricts = content[key] is not None and _RESTRICTS.search(key) is not None
            if key not in keys and (what, key, restricts) not in self._told:
                self._told.add((what, key, restricts))
                near = nearest(key, keys)
                hint = f"; did you mean `{near}`?" if near else ""
                if restricts:
                    message = (
                        f"`{printable(key)}` of {what} may restrict access, and Accord does not know it{hint or '; remove it'}"
                    )
                    self._problem((*path, key), message, "error", near)
                else:
                    self._problem((*path, key), f"`{printable(key)}` of {what} is not taken over{hint}", "warning", near)

    def _mapping(self, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = content.get(key)
        if value is None or isinstance(value, Mapping):
            return value or {}
        self._problem((key,), f"`{key}` must be an object")
        return {}

    def _objects(self, content: Mapping[str, Any], key: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        value = content.get(key)
        if value is not None and not isinstance(value, list):
            self._problem((key,), f"`{key}` must be a list")
            return
        for index, item in enumerate(value or ()):
            if isinstance(item, Mapping):
                yield (key, index), item
            else:
                self._problem((key, index), f"each of `{key}` must be an object")

    def _text(self, content: Mapping[str, Any], key: str, path: Path) -> str | None:
        value = content.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self._problem((*path, key), f"`{key}` must be text")
            return None
        if not _is_whole(value):
            self._problem((*path, key), f"`{key}` holds half of a character; correct it")
            return None
        return value

    def _name(self, content: Mapping[str, Any], key: str, path: Path) -> str | None:
        """Text that must be there."""
        found = (self._text(content, key, path) or "").strip()
        if not found and not isinstance(content.get(key), int | list | dict):
            self._problem(path, f"`{key}` is missing")
        return found or None

    def _flag(self, content: Mapping[str, Any], key: str, path: Path, *, usual: bool = False) -> bool:
        value = content.get(key, usual)
        if not isinstance(value, bool) and (value is not None or usual):  # null cannot mean what true does
            self._problem((*path, key), f"`{key}` must be true or false")
        return value if isinstance(value, bool) else usual

    def _is_enabled(self, content: Mapping[str, Any], path: Path) -> bool:
        """Whether an account may be used: neither property says that it may not."""
        enabled, disabled = self._flag(content, "enabled", path, usual=True), self._flag(content, "disabled", path)
        if "disabled" in content and content["disabled"] is None:
            self._problem((*path, "disabled"), "`disabled` must be true or false")
        return enabled and not disabled

    def _texts(self, content: Mapping[str, Any], key: str, path: Path) -> Iterator[tuple[str, Place]]:
        value = content.get(key)
        if value is not None and not isinstance(value, list):
            self._problem((*path, key), f"`{key}` must be a list")
            return
        for index, item in enumerate(value or ()):
            if isinstance(item, str) and item.strip() and _is_whole(item):
                yield item, self._place((*path, key, index))
            else:
                self._problem((*path, key, index), f"each of `{key}` must be text")

    def _listed(self, content: Mapping[str, Any], key: str, path: Path) -> Iterator[tuple[str, Place]]:
        """The parts of a text with commas in it, or of a list."""
        if isinstance(content.get(key), list):
            yield from self._texts(content, key, path)
            return
        for part in (self._text(content, key, path) or "").split(","):
            if part.strip():
                yield part.strip(), self._place((*path, key))

    def _addresses(self, content: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Place]]:
        """Permitted IPs. A list that says something must never become none, which permits every address."""
        before = len(self.problems)
        found = list(self._listed(content, "ipWhiteList", path))
        value = content.get("ipWhiteList")
        if not found and value not in (None, "", []) and len(self.problems) == before:
            self._problem((*path, "ipWhiteList"), "`ipWhiteList` names no address; write null if every address is permitted")
        yield from found

    def _references(self, content: Mapping[str, Any], key: str, path: Path) -> Iterator[tuple[str, Place]]:
        """Ids, also as MongoDB exports them, or names."""
        value = content.get(key)
        if value is not None and not isinstance(value, list):
            self._problem((*path, key), f"`{key}` must be a list")
            return
        for index, item in enumerate(value or ()):
            found = item.get("$oid") if isinstance(item, Mapping) else item
            if isinstance(found, str) and found.strip() and _is_whole(found):
                yield found, self._place((*path, key, index))
            else:
                self._problem((*path, key, index), f"each of `{key}` must be an id or a name")

    def _id(self, content: Mapping[str, Any], path: Path) -> str | None:
        given = [(key, content[key]) for key in _IDS if content.get(key) is not None]
        if not given:
            return None
        key, value = given[0]
        found = value.get("$oid") if isinstance(value, Mapping) else value
        if isinstance(found, str) and _ID.fullmatch(found):
            return found.lower()
        self._problem((*path, key), f"`{key}` must have 24 hexadecimal digits")
        return None

    def _hash(self, content: Mapping[str, Any], path: Path) -> str | None:
        """A password's hash. It is in no message."""
        key = "passwordHash" if content.get("passwordHash") else "password"
        value = content.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, str) and _HASH.fullmatch(value):
            return value
        self._problem((*path, key), f"`{key}` is no bcrypt hash of a cost from 4 to 14, so it is left out", "warning")
        return None


def reference(text: str) -> str:
    """What an id or a name is looked up by: ids are the same in capitals, and names are not."""
    return text.lower() if _ID.fullmatch(text) else text


def _is_whole(text: str) -> bool:
    """Whether a text can be written: JSON can hold half of a character."""
    return not any("\ud800" <= each <= "\udfff" for each in text)
