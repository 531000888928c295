"""accord propose."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.cli.options import database_option, format_option, repository_options, utc_now

if TYPE_CHECKING:
    from reconciler.run.workshop import Shown
    from reconciler.source.intent import Intent

F = TypeVar("F", bound=Callable[..., Any])
_CODES = """
Exit codes: 0 previewed, proposed, or declared already; 1 refused or not possible; 3 the result would be invalid; 5 something
changed since the preview; 6 repository or database unreachable or busy; 7 the config repository has errors.
"""


@click.group(
    "propose",
    epilog="""\b
Examples:
  accord propose add-user bob --email bob@example.org --team web-platform --preview
  accord propose add-member web-platform carol --until 2099-12-31 --reason "cover for bob"
  accord propose grant web-platform tls-public
  accord propose set User bob email=bob@corp.example
  accord propose from-json - --format json < intent.json
"""
    + _CODES,
)
def command() -> None:
    """Turn a change into a commit on a branch of its own, with its diff, its plan and whose approval it needs.

    The files keep every byte outside the lines that change. The commit is made and checked before anything is pushed, and the
    branch is new: nothing that exists is replaced. Merging it is up to people.
    """


def _options(function: F) -> F:
    """Add the options that all acts share."""

    @wraps(function)
    def with_preview(**given: Any) -> Any:
        return function(**given)

    found: Any = with_preview
    for option in reversed(
        (
            click.option("--preview", is_flag=True, help="Make and show everything, and push nothing."),
            click.option("--reason", metavar="TEXT", help="Why; it stands in the commit's message."),
            click.option("--author", metavar="NAME <ADDRESS>", help="Who proposes it [default: your Git identity]."),
            click.option("--base", metavar="COMMIT", help="The base that a preview showed."),
            click.option("--expect", metavar="COMMIT", help="Push only this commit, which a preview showed."),
            click.option("--drop-comments", is_flag=True, help="Remove the comment above something that is removed."),
            click.option(
                "--most-open",
                type=click.IntRange(1, 100),
                metavar="N",
                help="Refuse if the author has as many open proposals already: for a service that lets others propose.",
            ),
            repository_options,
            database_option,
            format_option("text", "json"),
        )
    ):
        found = option(found)
    return found  # type: ignore[no-any-return]


_TEAM = click.option("--team", "teams", multiple=True, metavar="TEAM", help="A team to be in. May be repeated.")
_UNTIL = click.option("--until", metavar="INSTANT", help="When it ends: an instant, or the end of this day in UTC.")


@command.command(
    "add-user",
    epilog="""\b
Examples:
  accord propose add-user bob --email bob@example.org --full-name "Bob Smith" --team web-platform
  accord propose add-user deploy-bot --email web@example.org --type application --preview
"""
    + _CODES,
)
@click.argument("name")
@click.option("--email", required=True, metavar="ADDRESS", help="The e-mail address.")
@click.option("--full-name", metavar="TEXT", help="The name that people know the account by.")
@click.option("--type", "type_", type=click.Choice(["person", "application"]), help="[default: person]")
@_TEAM
@click.option(
    "--password",
    type=click.Choice(["mail", "none"]),
    help="Mail a password, or give none until somebody sets one [default: mail for a person, none for an application].",
)
@_options
def add_user(
    name: str, email: str, full_name: str | None, type_: str | None, teams: tuple[str, ...], password: str | None, **options: Any
) -> int:
    """Add a user, also to teams."""
    given = {"name": name, "email": email, "fullName": full_name, "type": type_, "password": password}
    return _propose(lambda: [{"act": "add-user", **given, "teams": list(teams) or None}], **options)


def _act(name: str, examples: str, help_: str, *parameters: Any) -> Callable[[Callable[..., dict[str, Any]]], click.Command]:
    """Make a command of an act; the function returns what the act takes."""

    def made(function: Callable[..., dict[str, Any]]) -> click.Command:
        def run(**given: Any) -> int:
            names = [parameter.name for parameter in command_.params[: len(parameters)]]
            options = {key: value for key, value in given.items() if key not in names}
            arguments = {key: value for key, value in given.items() if key in names}
            return _propose(lambda: [{"act": name, **function(**arguments, reason=options["reason"])}], **options)

        run.__doc__ = help_
        found: Any = _options(run)
        for parameter in reversed(parameters):
            found = parameter(found)
        command_: click.Command = command.command(name, epilog=f"\b\nExamples:\n{examples}{_CODES}")(found)
        return command_

    return made


def _names(kind: str) -> Callable[..., list[str]]:
    """Complete the names of a kind, as the folder that is the repository declares them."""

    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        from reconciler.run.completing import declared_names

        return declared_names(kind, begun)

    return complete


_NAME = click.argument("name", shell_complete=_names("User"))
_IN_TEAM = (click.argument("team", shell_complete=_names("Team")), click.argument("user", shell_complete=_names("User")))
_FOR_TEAM = (click.argument("team", shell_complete=_names("Team")), click.argument("issuer", shell_complete=_names("Issuer")))


@_act(
    "add-member",
    """  accord propose add-member web-platform carol
  accord propose add-member web-platform carol --until 2099-12-31 --reason "cover for bob" --preview
""",
    """Add a user to a team, or give a membership another end.

    The reason stands beside the membership too.""",
    *_IN_TEAM,
    _UNTIL,
)
def add_member(team: str, user: str, until: str | None, reason: str | None) -> dict[str, Any]:
    """Return what the act takes."""
    return {"team": team, "user": user, "until": until, "reason": reason}


@_act(
    "remove-member",
    "  accord propose remove-member web-platform carol --preview\n",
    "Remove a user from a team.",
    *_IN_TEAM,
)
def remove_member(team: str, user: str, **_: Any) -> dict[str, Any]:
    """Return what the act takes."""
    return {"team": team, "user": user}


@_act(
    "grant",
    "  accord propose grant web-platform tls-public\n  accord propose grant web-platform tls-public --until 2099-12-31\n",
    "Let a team use an issuer, or give the permission another end.",
    *_FOR_TEAM,
    _UNTIL,
)
def grant(team: str, issuer: str, until: str | None, **_: Any) -> dict[str, Any]:
    """Return what the act takes."""
    return {"team": team, "issuer": issuer, "until": until}


@_act(
    "revoke",
    "  accord propose revoke web-platform tls-public --preview\n",
    "Let a team use an issuer no more.",
    *_FOR_TEAM,
)
def revoke(team: str, issuer: str, **_: Any) -> dict[str, Any]:
    """Return what the act takes."""
    return {"team": team, "issuer": issuer}


@_act("disable", "  accord propose disable bob --preview\n", "Refuse all logins, sessions and tokens of a user.", _NAME)
def disable(name: str, **_: Any) -> dict[str, Any]:
    """Return what the act takes."""
    return {"name": name}


@_act("enable", "  accord propose enable bob --preview\n", "Let a user that Git disabled in again.", _NAME)
def enable(name: str, **_: Any) -> dict[str, Any]:
    """Return what the act takes."""
    return {"name": name}


@_act("remove-user", "  accord propose remove-user bob --preview\n", "Remove a user, also from every team.", _NAME)
def remove_user(name: str, **_: Any) -> dict[str, Any]:
    """Return what the act takes."""
    return {"name": name}


@_act(
    "set",
    """  accord propose set User bob email=bob@corp.example "fullName=Bob Smith"
  accord propose set User bob passwordChangeRequiredAfter=now
  accord propose set User bob --team web-platform --team network
  accord propose set Team web-platform permittedIPs=10.0.0.0/8,192.0.2.7
  accord propose set Issuer tls-public displayName=   # nothing removes a field
""",
    """Set fields of a resource, as its file has them: a list's items are separated by commas, and nothing removes a field.

    `now` is the moment of the preview. With --team, a user is in exactly these teams.""",
    click.argument("kind", shell_complete=lambda _context, _parameter, begun: _kinds(begun)),
    click.argument("name"),
    click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]..."),
    _TEAM,
    click.option("--no-teams", is_flag=True, help="Be in no team."),
)
def set_fields(kind: str, name: str, fields: tuple[str, ...], teams: tuple[str, ...], no_teams: bool, **_: Any) -> dict[str, Any]:
    """Return what the act takes."""
    from reconciler.source.intent import field_value, kind_of

    if no_teams and teams:
        raise click.UsageError("--no-teams and --team contradict each other")
    which, values = kind_of(kind, "KIND"), {}
    for field in fields:
        key, sign, text = field.partition("=")
        if not sign:
            raise click.UsageError(f"`{field}` sets nothing; write FIELD=VALUE")
        values[key] = field_value(which, key, text)
    found = {"kind": which, "name": name, "fields": values}
    return {**found, "teams": list(teams)} if teams or no_teams else found


def _kinds(begun: str) -> list[str]:
    from reconciler.access.resources import KINDS

    return [kind for kind in KINDS if kind.casefold().startswith(begun.casefold())]


@command.command(
    "from-json",
    epilog="""\b
Examples:
  accord propose from-json - --preview --format json < intent.json
  echo '{"version": 1, "acts": [{"act": "disable", "name": "bob"}]}' | accord propose from-json - --format json
"""
    + _CODES,
)
@click.argument("file", type=click.File("rb"))
@_options
def from_json(file: Any, **options: Any) -> int:
    """Propose what a JSON document says; `-` is standard input. Several acts become one commit.

    It holds `version` (1), `acts`, and maybe `author` (`name`, `email`), `reason`, `base` and `expect` as a preview showed them,
    and `dropComments`.
    """
    from reconciler.source.intent import LARGEST

    return _propose(None, content=file.read(LARGEST + 1), **options)


def _propose(
    acts: Callable[[], list[dict[str, Any]]] | None,
    *,
    content: bytes = b"",
    preview: bool,
    reason: str | None,
    author: str | None,
    base: str | None,
    expect: str | None,
    drop_comments: bool,
    most_open: int | None,
    repository: str | None,
    branch: str | None,
    path: str | None,
    database: str | None,
    format_: str,
) -> int:
    from reconciler.cli.proposing import answering, write_shown
    from reconciler.run.deployment import current_user, read_deployment

    def run() -> Shown:
        from reconciler.run.proposing import propose
        from reconciler.source.identity import usual_author
        from reconciler.source.intent import author_of, parse_author

        intent = _intent(acts, content, reason=reason, base=base, expect=expect, drop_comments=drop_comments)
        where = {"repository": repository, "branch": branch, "path": path}
        deployment = read_deployment({**where, **({} if database is None else {"database_url": database})})
        who = parse_author(author) if author is not None else intent.author or author_of(*usual_author(current_user()))
        return propose(deployment, intent, who, preview=preview, now=utc_now(), most_open=most_open)

    return answering(run, lambda shown: write_shown(shown, format_), format_)


def _intent(
    acts: Callable[[], list[dict[str, Any]]] | None,
    content: bytes,
    *,
    reason: str | None,
    base: str | None,
    expect: str | None,
    drop_comments: bool,
) -> Intent:
    """Return the intent of a command's acts, or of a document, in which options come first."""
    from reconciler.source.intent import Intent, check_reason, read_act, read_commit, read_intent

    found = read_intent(content) if acts is None else Intent(tuple(read_act(act, act["act"]) for act in acts()))
    return found._replace(
        reason=found.reason if reason is None else check_reason(reason),
        base=read_commit(base, "--base") or found.base,
        expect=read_commit(expect, "--expect") or found.expect,
        drop_comments=drop_comments or found.drop_comments,
    )
