"""What the forms for changes ask for: acts as `accord propose` reads them, their titles, and the same as commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, time, timedelta
from typing import Any, NamedTuple

import orjson

from api.console.forms import Fields
from api.errors import Invalid
from reconciler.access.instants import format_instant, parse_instant
from reconciler.wording.text import command_line, inert_json

Act = Mapping[str, Any]


class Form(NamedTuple):
    """A form for one act: its title, what its button page says, the fields it has, and where it leads back to."""

    title: str
    lead: str
    fields: tuple[str, ...]
    of_team: bool
    """Members of the team may propose it."""


FORMS: Mapping[str, Form] = {
    "add-member": Form(
        "Add a member to a team",
        "The member may use what the team may use, for as long as the membership lasts.",
        ("team", "user", "until", "reason"),
        True,
    ),
    "remove-member": Form(
        "Remove a member from a team",
        "What the person may use through this team alone ends with it.",
        ("team", "user", "why"),
        True,
    ),
    "grant": Form(
        "Let a team use an issuer", "All members of the team may use the issuer.", ("team", "issuer", "until", "why"), True
    ),
    "revoke": Form(
        "Let a team use an issuer no more",
        "Members who may use the issuer through this team alone may use it no more.",
        ("team", "issuer", "why"),
        True,
    ),
    "set-end": Form(
        "Set an end",
        "The membership or the permission ends by itself at the end of this day in UTC. No date means that it has no end.",
        ("team", "user", "issuer", "until", "reason"),
        True,
    ),
    "disable": Form(
        "Disable a user in Git",
        "All logins, sessions and tokens of the account are refused once this is applied. To end them now, disable it here, too.",
        ("name", "why"),
        False,
    ),
    "enable": Form(
        "Enable a user in Git",
        "The account is let in again, unless its directory or an administrator has disabled it too.",
        ("name", "why"),
        False,
    ),
}
"""The acts of `/proposals/new?act=`."""
LABELS = {
    "team": "Team",
    "user": "User",
    "issuer": "Issuer",
    "name": "User",
    "until": "Until the end of",
    "reason": "Reason",
    "why": "Reason",
}


def read_acts(act: str, form: Fields) -> tuple[Act, ...]:
    """The acts that a form of `FORMS` asks for. Raises Invalid."""
    team, user, issuer, until = (form.text(name) for name in ("team", "user", "issuer", "until"))
    if act in ("disable", "enable"):
        return ({"act": act, "name": _needed(form, "name")},)
    _needed(form, "team")
    end = {"until": read_day(until)} if until else {}
    if act == "set-end":
        if bool(user) == bool(issuer):
            raise Invalid("write the user whose membership ends, or the issuer whose permission ends")
        act = "add-member" if user else "grant"
    if act in ("grant", "revoke"):
        return ({"act": act, "team": team, "issuer": _needed(form, "issuer"), **(end if act == "grant" else {})},)
    _needed(form, "user")
    if act == "remove-member":
        return ({"act": act, "team": team, "user": user},)
    reason = {"reason": form.text("reason")} if form.text("reason") else {}
    return ({"act": act, "team": team, "user": user, **end, **reason},)


def read_day(text: str) -> str:
    """A day or an instant as it was written. Raises Invalid unless it is one."""
    try:
        parse_instant(text)
    except ValueError:
        raise Invalid("the end must be a day, as 2026-12-31, or an instant, as 2026-12-31T18:00:00Z") from None
    return text


def end_in_words(instant: str) -> str:
    """An end as a form and a file say it: a day, if it is the end of one in UTC, or else the instant."""
    moment = parse_instant(instant).astimezone(UTC)
    if moment.time() != time() or moment.date() == date.min:
        return format_instant(moment)
    return f"{moment - timedelta(days=1):%Y-%m-%d}"


def read_new_user(form: Fields) -> tuple[Act, ...]:
    """The acts of the form for a new user. Raises Invalid."""
    kind, first = form.text("type") or "person", form.text("initial")
    if kind not in ("person", "application"):
        raise Invalid("choose what kind of account it is")
    if first not in ("mail", "none"):
        raise Invalid("choose whether a password is mailed")
    full_name, teams = form.text("fullName"), names_in(form.texts("team"))
    given: dict[str, Any] = {"act": "add-user", "name": _needed(form, "name"), "email": _needed(form, "email")}
    given |= {"fullName": full_name} if full_name else {}
    given |= {"type": kind} if kind != "person" else {}
    given |= {"password": first} if (first == "mail") != (kind == "person") else {}  # otherwise it is the default
    return ({**given, "teams": teams} if teams else given,)


def names_in(texts: Iterable[str]) -> list[str]:
    """The names in fields, apart by blanks or commas, each once."""
    return list(dict.fromkeys(name for text in texts for name in text.replace(",", " ").split()))


class Known(NamedTuple):
    """What a form for a user starts from, as the database knows it."""

    email: str
    full_name: str
    enabled: bool
    teams: tuple[str, ...]


def known_in(form: Fields) -> Known:
    """What a form started from: only what was changed in it is proposed, so that nothing that Git has got since is undone."""
    return Known(
        form.text("was_email"),
        form.text("was_fullName"),
        form.text("was_enabled") == "yes",
        tuple(names_in(form.texts("was_team"))),
    )


def read_edited_user(name: str, form: Fields) -> tuple[Act, ...]:
    """The acts of the form for a declared user: what differs from what the form showed at first. Raises Invalid."""
    was, fields = known_in(form), dict[str, Any]()
    email, full_name = _needed(form, "email"), form.text("fullName")
    if email != was.email:
        fields["email"] = email
    if full_name != was.full_name:
        fields["fullName"] = full_name or None
    if form.text("change"):  # the moment of the preview, which must stay the same
        fields["passwordChangeRequiredAfter"] = _moment(form.text("change"))
    found: list[Act] = [{"act": "set", "kind": "User", "name": name, "fields": fields}] if fields else []
    enabled = form.text("enabled") == "yes"
    if enabled != was.enabled:
        found.append({"act": "enable" if enabled else "disable", "name": name})
    teams = names_in(form.texts("team"))
    found += [{"act": "add-member", "team": team, "user": name} for team in teams if team not in was.teams]
    found += [{"act": "remove-member", "team": team, "user": name} for team in was.teams if team not in teams]
    if not found:
        raise Invalid("nothing is changed yet; change what should be different, and preview that")
    return tuple(found)


def says_of_password(acts: Sequence[Act]) -> str:
    """What becomes of a user's password: in a sentence, also if that is nothing."""
    for act in acts:
        if act["act"] == "add-user":
            default = "mail" if act.get("type", "person") == "person" else "none"
            mailed = act.get("password", default) == "mail"
            return "A generated password is mailed once this is applied." if mailed else "The account gets no password yet."
    return "The password stays as it is." if leaves_password(acts) else "The password must be changed at the next login."


def leaves_password(acts: Sequence[Act]) -> bool:
    """Whether an edit of a user says nothing of the password."""
    return not any("passwordChangeRequiredAfter" in (act.get("fields") or {}) for act in acts)


def teams_of(acts: Sequence[Act]) -> set[str]:
    """The teams that acts change."""
    return {str(act["team"]) for act in acts if "team" in act} | {team for act in acts for team in act.get("teams", ())}


def is_of_teams(acts: Sequence[Act], teams: Iterable[str]) -> bool:
    """Whether acts change members and permissions of these teams alone."""
    of_team = all(act["act"] in ("add-member", "remove-member", "grant", "revoke") for act in acts)
    return of_team and teams_of(acts) <= set(teams)


def _needed(form: Fields, name: str) -> str:
    found = form.text(name)
    if not found:
        raise Invalid(_MISSING[name])
    return found


def _moment(text: str) -> str:
    try:
        return format_instant(parse_instant(text))
    except ValueError:
        raise Invalid("the form is damaged; open it again") from None


_MISSING = {
    "team": "write the team's name",
    "user": "write the user's name",
    "issuer": "write the issuer's name",
    "name": "write the user's name",
    "email": "write the e-mail address",
}


def command_of(acts: Sequence[Act], reason: str) -> str:
    """What one types for the same on a terminal."""
    if len(acts) == 1:
        act, *rest = _arguments(acts[0])
        return command_line(["accord", "propose", act, *([f"--reason={reason}"] if reason else []), *rest])
    document = orjson.dumps({"version": 1, "acts": list(acts), **({"reason": reason} if reason else {})}).decode()
    return f"accord propose from-json - <<'END'\n{inert_json(document)}\nEND"


_OPTIONS = {"email": "--email", "fullName": "--full-name", "type": "--type", "password": "--password", "until": "--until"}


def _arguments(act: Act) -> list[str]:
    named = [str(act[name]) for name in ("team", "name", "user", "issuer") if name in act]
    options = [f"{option}={act[name]}" for name, option in _OPTIONS.items() if name in act]
    options += [f"--team={team}" for team in act.get("teams", ())]
    if act["act"] == "set":
        named = [str(act["kind"]), *named, *(f"{name}={'' if value is None else value}" for name, value in act["fields"].items())]
    ends = ["--"] if any(each.startswith("-") for each in named) else []  # what follows is no option, whatever it looks like
    return [str(act["act"]), *options, *ends, *named]
