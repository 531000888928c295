"""Rules between documents: references, names, lists. Pure; one function checks both a whole state and a delta."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.ca_certificates import has_expired, shown_ca_certificate
from reconciler.access.delegation import Zones, oversteps
from reconciler.access.login_names import folded
from reconciler.access.permitted_ips import covers_everything, overlapping, parse_rule
from reconciler.access.problems import Problem, Severity
from reconciler.access.references import references
from reconciler.access.resources import (
    KINDS,
    Declaration,
    Delegation,
    EmailTemplate,
    Issuer,
    Key,
    Kind,
    Resource,
    Settings,
    Team,
    User,
)
from reconciler.access.state import ended
from reconciler.wording.nearest import nearest

if TYPE_CHECKING:
    from reconciler.source.load import Loaded

Path = tuple[str | int, ...]
Locate = Callable[[Sequence[tuple[Declaration, Sequence[str | int]]]], list[tuple[int, int]]]
"""Returns line and column of each path in a declaration's document."""

_WORDS: dict[Kind, str] = {
    "User": "user",
    "Team": "team",
    "Issuer": "issuer",
    "EmailTemplate": "template",
    "Settings": "settings",
}


class Surroundings(NamedTuple):
    """What exists besides the declarations being checked and matters to them. Empty if there is nothing else."""

    names: Mapping[Kind, frozenset[str]] = {}
    """Existing names among those that the declarations declare or mention."""
    references: Mapping[tuple[Kind, str], tuple[str, ...]] = {}
    """Resource that is no longer declared → teams that still refer to it."""
    display_names: Mapping[tuple[Kind, str], str] = {}
    """Kind and casefolded display name, or name, of issuers and teams → the one that is shown so."""
    previous_names: Mapping[tuple[Kind, str], str] = {}
    """Kind and earlier name → the resource that claims it."""
    identities: Mapping[str, str] = {}
    """Casefolded identity → the user who has it."""
    certdog_ids: Mapping[tuple[Kind, str], str] = {}
    """Kind and identifier for existing clients → the resource that declares it."""
    logins: Mapping[str, str] = {}
    """Folded alias for logging in → the user who has it."""
    granted_issuers: frozenset[str] = frozenset()
    """Issuers that at least one team may use."""
    broken: frozenset[tuple[Kind, str]] = frozenset()
    """Resources in documents with errors: references to them are valid, but their content is unknown."""
    delegation: tuple[Delegation, ...] = ()
    """What the settings delegate, if the declarations have none of their own."""
    root: str = ""
    """What the names of files have in front of their path from the repository's root."""


_NOTHING = Surroundings()
_MOST_COMPARED = 500_000
"""How many pairs of names to compare (about ten seconds) for suggestions; after that, unknown references get no suggestion."""


class _Found(NamedTuple):
    declaration: Declaration
    path: Path
    rule: str
    message: str
    suggestion: str | None = None
    severity: Severity = "error"


def nowhere(spots: Sequence[object]) -> list[tuple[int, int]]:
    """Locate nothing, for problems whose places do not matter."""
    return [(1, 1)] * len(spots)


def problems_of(loaded: Loaded, now: datetime) -> list[Problem]:
    """Return all problems, within and between documents, ordered by place."""
    declarations = [*loaded.declarations, *loaded.partial]
    if not declarations and any(problem.severity == "error" for problem in loaded.problems):
        return sorted(loaded.problems)  # these errors explain why nothing is declared
    between = check(declarations, now, Surroundings(broken=loaded.broken, root=loaded.root), locate=loaded.locate)
    return sorted([*loaded.problems, *between])


def check(
    declarations: Sequence[Declaration], now: datetime, surroundings: Surroundings = _NOTHING, *, locate: Locate
) -> list[Problem]:
    """Return everything wrong between documents, and warnings about single documents."""
    names: dict[Kind, set[str]] = {kind: set(surroundings.names.get(kind, ())) for kind in KINDS}
    of_kind: dict[Kind, list[Declaration]] = {kind: [] for kind in KINDS}
    for declaration in declarations:
        of_kind[declaration.kind].append(declaration)
        names[declaration.kind].add(declaration.resource.name)
    for kind, name in surroundings.broken:
        names[kind].add(name)
    found = [
        *_twice(declarations, surroundings),
        *_previously(declarations, names, surroundings),
        *_references([*of_kind["Team"], *of_kind["Settings"]], names),
        *_display_names("Issuer", of_kind["Issuer"], surroundings),
        *_display_names("Team", of_kind["Team"], surroundings),
        *_certdog_ids(declarations, surroundings),
        *_unused_issuers(of_kind["Issuer"], of_kind["Team"], surroundings),
        *_passwords(of_kind["User"]),
        *_identities(of_kind["User"], surroundings),
        *_logins(of_kind["User"], names["User"], surroundings),
        *_short_passwords(of_kind["Settings"]),
        *_delegated(declarations, of_kind["Settings"], surroundings),
    ]
    for declaration in of_kind["Team"]:
        found += _within(declaration, now, surroundings)
    for declaration in of_kind["Issuer"]:
        found += _expired_certificates(declaration, now)
    for declaration in of_kind["EmailTemplate"]:
        found += _template(declaration)
    problems = _problems(found, locate)
    if not declarations and not surroundings.names and not surroundings.broken:
        problems.append(Problem(".", 1, 1, "nothing-declared", "warning", "no resources were found; is the path right?"))
    return [*problems, *_left_behind(surroundings)]


def unknown_groups(loaded: Loaded, missing: Collection[str]) -> list[Problem]:
    """Warn about each group that a team names but no directory has."""
    found = [
        _Found(declaration, ("spec", "adGroups", name), "unknown-ad-group", message, None, "warning")
        for declaration in [*loaded.declarations, *loaded.partial]
        if isinstance(declaration.resource, Team)
        for name in declaration.resource.ad_groups
        if name in missing
        for message in (f"no directory has a group `{name}`; find existing names with `accord-api directory groups --search`",)
    ]
    return _problems(found, loaded.locate)


def groups_named(loaded: Loaded) -> set[str]:
    """Return the AD groups that teams name."""
    teams = (each.resource for each in [*loaded.declarations, *loaded.partial] if isinstance(each.resource, Team))
    return {name for team in teams for name in team.ad_groups}


def _problems(found: Sequence[_Found], locate: Locate) -> list[Problem]:
    places = locate([(each.declaration, each.path) for each in found])
    return [
        Problem(each.declaration.origin.file, line, column, each.rule, each.severity, each.message, each.suggestion)
        for each, (line, column) in zip(found, places, strict=True)
    ]


def _left_behind(surroundings: Surroundings) -> Iterator[Problem]:
    """Report teams elsewhere that refer to what is no longer declared; only a delta has them, without their place."""
    for (kind, name), teams in sorted(surroundings.references.items()):
        for team in teams:
            message = f"{_WORDS[kind]} `{name}` is no longer declared, but `{team}` still refers to it"
            yield Problem(team, 1, 1, "unknown-reference", "error", message)


def _twice(declarations: Sequence[Declaration], surroundings: Surroundings) -> Iterator[_Found]:
    seen: dict[Kind, dict[str, Declaration]] = {kind: {} for kind in KINDS}
    for declaration in declarations:
        kind, resource, _ = declaration
        name, others = resource.name.casefold(), seen[kind]
        if name in others:
            message = f"{_WORDS[kind]} `{resource.name}` is declared twice; the other one is in {others[name].origin}"
            yield _Found(declaration, ("metadata", "name"), "duplicate-name", message)
        elif resource.name in surroundings.names.get(kind, ()):
            message = f"{_WORDS[kind]} `{resource.name}` is declared twice; the other one is in an unchanged file"
            yield _Found(declaration, ("metadata", "name"), "duplicate-name", message)
        else:
            others[name] = declaration


def _previously(
    declarations: Sequence[Declaration], names: Mapping[Kind, set[str]], surroundings: Surroundings
) -> Iterator[_Found]:
    """Check that each earlier name is claimed once. Another resource may have it now, unless the claims go round in a circle."""
    claimed: dict[tuple[Kind, str], str] = dict(surroundings.previous_names)
    claims: list[tuple[Declaration, str]] = []
    for declaration in declarations:
        kind, resource, _ = declaration
        for old in resource.previously:
            path = ("metadata", "previously", old)
            if old == resource.name:
                message = f"`{old}` is its name now, so it cannot be an earlier one; remove it"
                yield _Found(declaration, path, "previously", message)
            elif claimed.setdefault((kind, old), resource.name) != resource.name:
                message = f"`{claimed[kind, old]}` also claims the earlier name `{old}`; only one resource can have had it"
                yield _Found(declaration, path, "previously", message)
            elif old in names[kind]:
                claims.append((declaration, old))
    circles = _circles(claimed, {(declaration.kind, old) for declaration, old in claims})
    for declaration, old in claims:
        kind, resource, _ = declaration
        if {(kind, old), (kind, resource.name)} <= circles:
            message = (
                f"`{resource.name}` and `{old}` exchange names, perhaps with others between; that takes two revisions: first "
                "rename one to a free name, then both to their names, each with only the name before in `previously`"
            )
            yield _Found(declaration, ("metadata", "previously", old), "previously", message)


def _circles(claimed: Mapping[Key, str], starts: Iterable[Key]) -> set[Key]:
    """Return the resources among which each has an earlier name of the next, following every claim once."""
    found: set[Key] = set()
    followed: set[Key] = set()
    for start in starts:
        path: dict[Key, int] = {}
        key: Key | None = start
        while key is not None and key not in followed and key not in path:
            path[key] = len(path)
            key = (key[0], claimed[key]) if key in claimed else None
        if key in path:
            found.update(list(path)[path[key] :])
        followed.update(path)
    return found


def _identities(users: Sequence[Declaration], surroundings: Surroundings) -> Iterator[_Found]:
    """Check that no two users are the same person: it would be unclear whose the account in the database is."""
    seen: dict[str, str] = dict(surroundings.identities)
    for declaration in users:
        user = declaration.resource
        if not isinstance(user, User) or user.identity is None:
            continue
        holder = seen.setdefault(user.identity.casefold(), user.name)
        if holder != user.name:
            message = (
                f"user `{holder}` has the same identity; give each person one of their own, and a second account of "
                "the same person none"
            )
            yield _Found(declaration, ("metadata", "identity"), "duplicate-identity", message)


def _references(declarations: Sequence[Declaration], names: Mapping[Kind, set[str]]) -> Iterator[_Found]:
    near: dict[tuple[Kind, str], str | None] = {}
    compared = 0
    for declaration in declarations:
        for kind, path, name in unknown_references(declaration.resource, names):
            if (kind, name) not in near:
                near[kind, name] = nearest(name, names[kind]) if compared < _MOST_COMPARED else None
                compared += len(names[kind])
            suggestion = near[kind, name]
            hint = f"; did you mean `{suggestion}`?" if suggestion else ""
            yield _Found(declaration, path, "unknown-reference", f"unknown {_WORDS[kind]} `{name}`{hint}", suggestion)


def unknown_references(resource: Resource, names: Mapping[Kind, set[str]]) -> Iterator[tuple[Kind, Path, str]]:
    """Yield the unknown names that a resource refers to. Paths end in the name, since sorted lists make indexes meaningless."""
    for kind, path, mentioned in references(resource):
        if not names[kind].issuperset(mentioned):
            yield from ((kind, (*path, name), name) for name in mentioned if name not in names[kind])


def _display_names(kind: Kind, declarations: Sequence[Declaration], surroundings: Surroundings) -> Iterator[_Found]:
    """Check that what people see names only one: no display name may be another's display name or name, of one kind."""
    seen: dict[str, str] = {shown: name for (of, shown), name in surroundings.display_names.items() if of == kind}
    shown_as = [(each, each.resource) for each in declarations if isinstance(each.resource, Issuer | Team)]
    for _, resource in shown_as:
        seen.setdefault(resource.name, resource.name)
    for declaration, resource in shown_as:
        for shown in (resource.display_name, resource.name):
            other = resource.name if shown is None else seen.setdefault(shown.casefold(), resource.name)
            if other != resource.name:
                path = ("spec", "displayName") if shown == resource.display_name else ("metadata", "name")
                yield _Found(
                    declaration,
                    path,
                    "duplicate-display-name",
                    f"{_WORDS[kind]} `{other}` is also shown as `{shown}`; people could not tell them apart",
                )


def _certdog_ids(declarations: Sequence[Declaration], surroundings: Surroundings) -> Iterator[_Found]:
    """Check that existing clients find one resource by each identifier."""
    seen: dict[tuple[Kind, str], str] = dict(surroundings.certdog_ids)
    for declaration in declarations:
        kind, resource, _ = declaration
        if not isinstance(resource, User | Team | Issuer) or resource.certdog_id is None:
            continue
        holder = seen.setdefault((kind, resource.certdog_id), resource.name)
        if holder != resource.name:
            message = f"{_WORDS[kind]} `{holder}` has the same identifier; existing clients could not tell them apart"
            yield _Found(declaration, ("metadata", "certdogId"), "duplicate-certdog-id", message)


def _logins(users: Sequence[Declaration], names: Collection[str], surroundings: Surroundings) -> Iterator[_Found]:
    """Check that whatever somebody logs in with is one user's: a name, an alias, or the earlier name of a renamed one."""
    aliases, earlier = dict(surroundings.logins), _earlier_names(users, surroundings)
    for declaration in users:
        user = declaration.resource
        assert isinstance(user, User)
        own = [folded(alias) for alias in user.logins]
        for place, (alias, login) in enumerate(zip(user.logins, own, strict=True)):
            other, former = aliases.setdefault(login, user.name), earlier.get(login, user.name)
            message = None
            if login == user.name:
                message = f"`{alias}` is its name, in which case does not matter; remove it"
            elif login in names:
                message = f"`{alias}` is the name of user `{login}`, and can be the login of that one only"
            elif login in own[:place]:
                message = f"`{alias}` is listed twice, in other letters; remove one"
            elif other != user.name:
                message = f"user `{other}` also has the login `{alias}`, which can be that of one only"
            elif former != user.name:
                message = f"`{alias}` is an earlier name of user `{former}`, who alone may have it as a login"
            if message is not None:
                yield _Found(declaration, ("spec", "logins", alias), "duplicate-login", message)
        for name in (user.name, *user.previously):  # users in other files may have them as aliases
            holder = surroundings.logins.get(name, user.name)
            if holder != user.name:
                at: Path = ("metadata", "name") if name == user.name else ("metadata", "previously", name)
                yield _Found(declaration, at, "duplicate-login", f"`{name}` is a login of user `{holder}`")


def _earlier_names(users: Sequence[Declaration], surroundings: Surroundings) -> dict[str, str]:
    """Map each earlier name to the user who claims it."""
    known = {old: name for (kind, old), name in surroundings.previous_names.items() if kind == "User"}
    return known | {old: user.resource.name for user in users for old in user.resource.previously}


def _unused_issuers(issuers: Sequence[Declaration], teams: Sequence[Declaration], surroundings: Surroundings) -> Iterator[_Found]:
    if any(kind == "Team" for kind, _ in surroundings.broken):
        return
    granted = set(surroundings.granted_issuers)
    for team in teams:
        assert isinstance(team.resource, Team)
        granted.update(permission.issuer for permission in team.resource.permissions)
    for declaration in issuers:
        if declaration.resource.name not in granted:
            message = f"nobody may use issuer `{declaration.resource.name}`: no team lists it"
            yield _Found(declaration, ("metadata", "name"), "unused-issuer", message, severity="warning")


def _passwords(users: Sequence[Declaration]) -> Iterator[_Found]:
    for declaration in users:
        user = declaration.resource
        if isinstance(user, User) and user.type == "application" and user.initial_password == "generated":  # noqa: S105
            message = "an application has no use for a mailed password; remove `initialPassword`, which is `none` by default"
            yield _Found(declaration, ("spec", "initialPassword"), "application-password", message, severity="warning")


def _short_passwords(settings: Sequence[Declaration]) -> Iterator[_Found]:
    for declaration in settings:
        assert isinstance(declaration.resource, Settings)
        least = json.loads(dict(declaration.resource.policies).get("passwords", "{}")).get("minLength", _LEAST_ALONE)
        if least < _LEAST_ALONE:
            message = (
                f"passwords of {least} characters are too short by themselves: NIST SP 800-63B-4 asks for {_LEAST_ALONE} or more "
                "where a password is the only factor; fewer, and at least 8, are for logins with a second one"
            )
            yield _Found(declaration, ("spec", "passwords", "minLength"), "short-passwords", message, severity="warning")


_LEAST_ALONE = 15
"""Characters of a password that nothing else is asked for beside (NIST SP 800-63B-4, 3.1.1.2)."""


def _delegated(
    declarations: Sequence[Declaration], settings: Sequence[Declaration], surroundings: Surroundings
) -> Iterator[_Found]:
    """Find what files declare beyond what the settings delegate to their folders, and delegated folders that look misspelt."""
    own = [each for found in settings[:1] if isinstance(found.resource, Settings) for each in found.resource.delegation]
    zones = Zones(own or surroundings.delegation, surroundings.root)
    if not zones:
        return
    for declaration in declarations:
        zone = zones.of(declaration.origin.file)
        if zone is not None:
            for path, message in oversteps(zone, declaration.kind, declaration.resource):
                yield _Found(declaration, path, "not-delegated", message)
    files = {declaration.origin.file for declaration in declarations}
    if own and len(files) > 1:
        for folder, others in zones.unreached(files):
            meant = nearest(folder, others)
            if meant is None:
                continue
            message = f"no file is in `{folder}`; did you mean `{meant}`? Until it is right, `{meant}` is not delegated"
            yield _Found(settings[0], ("spec", "delegation", folder), "nothing-delegated", message, meant, "warning")


def _within(declaration: Declaration, now: datetime, surroundings: Surroundings) -> Iterator[_Found]:
    team = declaration.resource
    assert isinstance(team, Team)
    yield from _lists(declaration, team)
    yield from _ends(declaration, team, now)
    if not team.permissions and not team.administrator and ("Team", team.name) not in surroundings.broken:
        message = f"team `{team.name}` grants nothing: it has no issuers and is not an administrator team"
        yield _Found(declaration, ("metadata", "name"), "grants-nothing", message, severity="warning")
    if team.permitted_ips:
        yield from _addresses(declaration, team)


def _lists(declaration: Declaration, team: Team) -> Iterator[_Found]:
    """Allow each name only once: if one were listed with two ends, it would be unclear which one holds."""
    lists = (
        ("members", [member.user for member in team.members], "member"),
        ("issuers", [permission.issuer for permission in team.permissions], "issuer"),
        ("adGroups", [group.casefold() for group in team.ad_groups], "AD group"),
        ("permittedIPs", team.permitted_ips, "permitted IP"),
    )
    for field, items, word in lists:
        if len(set(items)) == len(items):
            continue
        for name in sorted(name for name, count in Counter(items).items() if count > 1):
            yield _Found(declaration, ("spec", field, name), "listed-twice", f"{word} `{name}` is listed twice")


def _ends(declaration: Declaration, team: Team, now: datetime) -> Iterator[_Found]:
    for member in team.members:
        if member.until is not None and ended(member.until, now):
            message = f"`until` of member `{member.user}` is in the past; the membership has ended"
            yield _Found(declaration, ("spec", "members", member.user), "until-past", message, severity="warning")
    for permission in team.permissions:
        if ended(permission.until, now):
            message = f"`until` of issuer `{permission.issuer}` is in the past; the permission has ended"
            yield _Found(declaration, ("spec", "issuers", permission.issuer), "until-past", message, severity="warning")


def _addresses(declaration: Declaration, team: Team) -> Iterator[_Found]:
    rules = [parse_rule(text) for text in team.permitted_ips]
    if covers_everything(rules):
        yield _Found(
            declaration,
            ("spec", "permittedIPs"),
            "permits-everything",
            "the permitted IPs cover every address, so they restrict nothing",
            severity="warning",
        )
    for first, second in overlapping(rules):
        if team.permitted_ips[first] != team.permitted_ips[second]:
            message = f"permitted IPs `{team.permitted_ips[first]}` and `{team.permitted_ips[second]}` overlap"
            yield _Found(
                declaration, ("spec", "permittedIPs", team.permitted_ips[second]), "overlapping-ips", message, severity="warning"
            )


def _expired_certificates(declaration: Declaration, now: datetime) -> Iterator[_Found]:
    issuer = declaration.resource
    assert isinstance(issuer, Issuer)
    for text in issuer.ca_certificates:
        if has_expired(text, now):
            message = f"this CA certificate has expired: {shown_ca_certificate(text)}"
            yield _Found(declaration, ("spec", "caCertificates", text), "expired-ca-certificate", message, severity="warning")


def _template(declaration: Declaration) -> Iterator[_Found]:
    """Check a mail's template now rather than when the mail is due."""
    from reconciler.mail.checking import check as check_template  # imports Jinja, which is only needed for templates

    assert isinstance(declaration.resource, EmailTemplate)
    for fault in check_template(declaration.resource):
        path = ("spec", fault.field, fault.line, fault.column)
        yield _Found(declaration, path, fault.rule, fault.message, fault.suggestion, fault.severity)
