"""Forms for changes of what Git declares: each is previewed as the commit that it would be, and then proposed as that commit."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import falcon

from api.console import proposal_acts
from api.console.forms import Fields
from api.console.pages import Answer, Download, Page, SeeOther, Visit, WithStatus, act, page
from api.console.proposal_acts import FORMS, LABELS, Act
from api.console.proposal_failures import said_to, words_of
from api.console.proposal_shown import Viewer, may_have_patch, shown
from api.console.proposing import Document, Expected, Intent, ProposalFailed
from api.errors import Invalid, NotFound
from api.state import proposable, users
from api.state.declared import declared_among
from reconciler.access.instants import format_instant
from reconciler.store.audit import Event
from reconciler.wording.text import author_text

_log = logging.getLogger("accord.api")
MOST_TICKS = 40
"""Up to so many teams are shown as boxes to tick; of more, one writes the names."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MOST_OPEN = 20
"""How many open proposals somebody may have who is no administrator: a list shows 100, and reviewers are few."""
_ENDS = " .,:;'\"\\"
_LONGEST_EMAIL = 254
_STEPS = frozenset(("step", "base", "expect", "csrf"))
"""Fields that are not part of what was typed."""
_ENDING_ACTS = ("remove-user", "disable")


class Asked(NamedTuple):
    """What a form asks for."""

    acts: tuple[Act, ...]
    reason: str
    note: str = ""
    """What else a preview must say."""


def author_of(visit: Visit) -> tuple[str, str]:
    """The visitor as the author of a commit: the full name and e-mail address that Git declares, or the directory has.

    Cleaned of what a commit cannot hold, as the program that makes it would do.
    """
    name = visit.caller.name
    found = users.find_user(visit.service.reader, name) or {}
    plain = _cleaned(name)
    given = found.get("email") or ""
    full_name, email = _cleaned(found.get("fullName") or "")[:150].strip(_ENDS) or plain, _cleaned(given)
    if email != given or len(email) > _LONGEST_EMAIL:  # cleaned, it could be somebody else's
        email = ""
    if email and proposable.shares_address(visit.service.reader, name, email):
        full_name = f"{full_name} ({plain})"  # their own proposals are known by this
    return full_name, email or (plain if "@" in plain else f"{plain}@localhost")


def signature_of(visit: Visit) -> str:
    """How a commit names the visitor, by which their own proposals are known."""
    name, email = author_of(visit)
    return f"{name} <{email}>"


def _cleaned(text: str) -> str:
    return author_text(text).strip(_ENDS)


def viewer_of(visit: Visit) -> Viewer | None:
    """Whose eyes the visitor's are: None for an administrator's."""
    if visit.caller.is_administrator:
        return None
    teams = frozenset(team.name for team in visit.caller.teams)
    return Viewer(teams, proposable.files_of_teams_alone(visit.service.reader, teams))


class ChangeForm(Page):
    """A form, the preview of what it asks for, and the proposal of exactly that."""

    template = ""

    def read(self, visit: Visit, **path: str) -> Asked:
        """What the form asks for. Raises Problem if that is nothing, or not the visitor's to ask."""
        raise NotImplementedError

    def form(self, visit: Visit, **path: str) -> Mapping[str, Any]:
        """What the template of the form is given. Raises NotFound for what the visitor may not change."""
        raise NotImplementedError

    def show(self, visit: Visit, **path: str) -> str:
        """The form, with what was typed."""
        return visit.render(self.template, action=visit.here, **self.form(visit, **path))

    def advance(self, visit: Visit, **path: str) -> Answer:
        """The next step of a form that was sent."""
        step = visit.form.text("step")
        if step == "edit":
            return self.show(visit, **path)
        asked = self.read(visit, **path)
        if not visit.can_propose:
            return _page(visit, "proposal_command.html", asked)
        most = None if visit.caller.is_administrator else MOST_OPEN
        intent = Intent(asked.acts, author_of(visit), asked.reason, visit.form.has("dropComments"), most)
        try:
            with visit.site.proposing.turn_of(visit.caller.name):
                if step == "propose":
                    return _proposed(visit, asked, intent)
                document = visit.site.proposing.preview(intent)
        except ProposalFailed as failed:
            return self._failed(visit, asked, failed, **path)
        return _patch(visit, document) if step == "patch" else _previewed(visit, asked, document)

    def _failed(self, visit: Visit, asked: Asked, failed: ProposalFailed, **path: str) -> Answer:
        """The form again, if it can be corrected there; else a page with what can be done."""
        administrator = visit.caller.is_administrator
        words = words_of(failed, administrator=administrator)
        if words.step == "form" and words.status == 422:
            visit.problem = Invalid(f"{words.title}. {words.what}")
            told = [each for each in failed.problems if each.get("severity") == "error"][:20] if administrator else []
            values = {**self.form(visit, **path), "flaws": told}
            return WithStatus(visit.render(self.template, action=visit.here, **values), words.status)
        patch = may_have_patch(failed.patch, viewer_of(visit)) if failed.patch else False
        said = said_to(failed, administrator=administrator)
        text = _page(visit, "proposal_failed.html", asked, words=words, failed=failed, patch=patch, said=said)
        return WithStatus(text, words.status)


def _proposed(visit: Visit, asked: Asked, intent: Intent) -> Answer:
    """Propose what was previewed. Raises ProposalFailed."""
    base, commit = visit.form.text("base"), visit.form.text("expect")
    if not _COMMIT.fullmatch(base) or not _COMMIT.fullmatch(commit):
        raise Invalid("the form is damaged; preview the change again")
    proposing = visit.site.proposing
    try:
        document = proposing.submit(intent, Expected(base, commit))
    except ProposalFailed as failed:
        if failed.reason != "moved":
            raise
        return _previewed(visit, asked, proposing.preview(intent), moved=failed)
    status = document["status"]
    if status == "already-declared":
        return _previewed(visit, asked, document)
    if status == "proposed":
        record(visit, "create", document)
    code = "proposed-already" if status == "already-proposed" else "proposed-beside" if document.get("moved") else "proposed"
    return SeeOther(f"/proposals/{falcon.uri.encode(document['branch'])}?done={code}")


def record(visit: Visit, what: Literal["create", "withdraw"], document: Document) -> None:
    """Add to the audit log that the visitor made or deleted a proposal's branch, which the repository knows of Accord alone."""
    detail = {name: document[name] for name in ("branch", "commit", "author")}
    _log.info("proposal.%s by %s: %s at %s", what, visit.caller.name, detail["branch"], detail["commit"])
    with visit.authority.acting() as acting:
        acting.record(Event(f"proposal.{what}", "", "", detail))


def _previewed(visit: Visit, asked: Asked, document: Document, moved: ProposalFailed | None = None) -> Answer:
    """The page with the button that proposes the commit that it shows."""
    if document["status"] == "already-declared":
        return _page(visit, "proposal_declared.html", asked, document=document)
    reader = visit.service.reader
    ending = {
        str(each["name"]): proposable.what_ends(reader, str(each["name"]), visit.now)
        for each in asked.acts
        if each["act"] in _ENDING_ACTS
    }
    text = _page(
        visit,
        "proposal_preview.html",
        asked,
        change=shown(document, viewer_of(visit)),
        document=document,
        ending=ending,
        moved=moved,
        own=signature_of(visit),
    )
    return WithStatus(text, 409) if moved else text


def _patch(visit: Visit, document: Document) -> Answer:
    """The commit for `git am`."""
    if document["status"] == "already-declared":
        raise Invalid("all of this is declared already, so there is no patch")
    return patch_of(visit, document, f"{str(document['branch']).rpartition('/')[2]}.patch")


def patch_of(visit: Visit, document: Document, name: str) -> Download:
    """A proposal as a file. Raises NotFound unless the visitor may see all of it, and if it is too large."""
    if not document.get("patch") or not shown(document, viewer_of(visit)).is_whole:
        raise NotFound("there is no patch of this, or you may not see all that it touches")
    return Download(str(document["patch"]).encode(), "text/x-patch; charset=utf-8", name)


def _page(visit: Visit, template: str, asked: Asked, **values: Any) -> str:
    kept = [(name, value) for name, value in visit.form.typed() if name not in _STEPS]
    command = proposal_acts.command_of(asked.acts, asked.reason)
    return visit.render(template, asked=asked, kept=kept, command=command, action=visit.here, **values)


def given(visit: Visit) -> Fields:
    """What was typed, or at first what the address says."""
    return visit.form if visit.form.values else visit.query


def reason_of(form: Fields) -> str:
    """Why; it becomes part of the commit's message. Raises Invalid."""
    text = form.text("why") or form.text("reason")
    if len(text) > 2_000:
        raise Invalid("the reason is longer than 2,000 characters")
    return text


class _AdministratorsForm(ChangeForm):
    """A form for administrators."""

    @page("administrator")
    def on_get(self, visit: Visit, **path: str) -> Answer:
        """The form."""
        return self.show(visit, **path)

    @act("administrator")
    def on_post(self, visit: Visit, **path: str) -> Answer:
        """The form again, its preview, or the proposal."""
        return self.advance(visit, **path)


class NewUser(_AdministratorsForm):
    """`/users/new`."""

    template = "user_new.html"

    def read(self, visit: Visit, **path: str) -> Asked:
        """A new user."""
        acts = proposal_acts.read_new_user(visit.form)
        return Asked(acts, reason_of(visit.form), proposal_acts.says_of_password(acts))

    def form(self, visit: Visit, **path: str) -> Mapping[str, Any]:
        """What was typed, and the teams, if they are few."""
        typed = given(visit)
        teams = proposable.team_names(visit.service.reader, MOST_TICKS)
        return {"given": typed, "teams": teams, "chosen": proposal_acts.names_in(typed.texts("team")), "flaws": []}


class EditedUser(_AdministratorsForm):
    """`/users/{name}/edit`."""

    template = "user_edit.html"

    def read(self, visit: Visit, **path: str) -> Asked:
        """What differs from what the form showed at first."""
        name = _declared(visit, path["name"]).name
        acts = proposal_acts.read_edited_user(name, visit.form)
        return Asked(acts, reason_of(visit.form), proposal_acts.says_of_password(acts))

    def form(self, visit: Visit, **path: str) -> Mapping[str, Any]:
        """The user as the database knows it, or what was typed."""
        user = _declared(visit, path["name"])
        typed = visit.form if visit.form.values else _fields_of(user)
        teams = proposable.team_names(visit.service.reader, MOST_TICKS)
        chosen = proposal_acts.names_in(typed.texts("team"))
        return {
            "user": user,
            "given": typed,
            "teams": teams,
            "chosen": chosen,
            "flaws": [],
            "moment": format_instant(visit.now.replace(microsecond=0)),
        }


def _declared(visit: Visit, name: str) -> proposable.DeclaredUser:
    """A user whom Git declares. Raises NotFound, also for a directory's account."""
    found = proposable.declared_user(visit.service.reader, name)
    if found is None:
        raise NotFound("Git declares no user of this name; an account of a directory is changed there")
    return found


def _fields_of(user: proposable.DeclaredUser) -> Fields:
    """The fields of the form for a user, with what they were in hidden ones."""
    enabled = "yes" if user.enabled else "no"
    values = {
        "email": (user.email,),
        "fullName": (user.full_name,),
        "enabled": (enabled,),
        "team": user.teams,
        "was_email": (user.email,),
        "was_fullName": (user.full_name,),
        "was_enabled": (enabled,),
        "was_team": user.teams,
    }
    return Fields({name: each for name, each in values.items() if each})


class RemovedUser(_AdministratorsForm):
    """`/users/{name}/remove`."""

    template = "user_remove.html"

    def read(self, visit: Visit, **path: str) -> Asked:
        """The removal of a user."""
        return Asked(({"act": "remove-user", "name": _declared(visit, path["name"]).name},), reason_of(visit.form))

    def form(self, visit: Visit, **path: str) -> Mapping[str, Any]:
        """The user, and what ends with the account."""
        user = _declared(visit, path["name"])
        ending = proposable.what_ends(visit.service.reader, user.name, visit.now)
        return {"user": user, "ending": ending, "given": given(visit), "flaws": []}


class NewProposal(ChangeForm):
    """`/proposals/new?act=…`."""

    template = "proposal_new.html"

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """The form of an act, or the acts to choose from."""
        wanted, name = visit.query.text("act"), falcon.uri.encode_value(visit.query.text("name"))
        elsewhere = {"add-user": "/users/new", "remove-user": f"/users/{name}/remove", "set": f"/users/{name}/edit"}
        if wanted in elsewhere:
            return SeeOther(visit.query.address("/users/new", act=None) if wanted == "add-user" else elsewhere[wanted])
        return self.show(visit)

    @act()
    def on_post(self, visit: Visit) -> Answer:
        """The form again, its preview, or the proposal."""
        return self.advance(visit)

    def read(self, visit: Visit, **path: str) -> Asked:
        """What the form asks for. Raises NotFound unless the visitor may propose it."""
        wanted = _act_of(visit)
        if not wanted:
            raise NotFound("choose what to change first")
        acts = proposal_acts.read_acts(wanted, visit.form)
        if not visit.caller.is_administrator and not proposal_acts.is_of_teams(acts, [team.name for team in visit.caller.teams]):
            raise NotFound(_NOT_YOURS)
        return Asked(acts, reason_of(visit.form))

    def form(self, visit: Visit, **path: str) -> Mapping[str, Any]:
        """The fields of the act, filled from the address; of an end also from what is declared."""
        typed, act_ = given(visit), _act_of(visit)
        offered = {name: each for name, each in FORMS.items() if each.of_team or visit.caller.is_administrator}
        if not act_:
            return {"act": "", "chosen": None, "offered": offered, "given": typed, "flaws": [], "labels": LABELS, "teams": []}
        mine = [] if visit.caller.is_administrator else sorted(_own_teams(visit))
        if not visit.caller.is_administrator and typed.text("team") and typed.text("team") not in mine:
            raise NotFound(_NOT_YOURS)
        return {
            "act": act_,
            "chosen": FORMS[act_],
            "offered": offered,
            "given": typed if visit.form.values else _with_end(visit, act_, typed),
            "flaws": [],
            "labels": LABELS,
            "teams": mine,
        }


_NOT_YOURS = "there is no such team, or you may not propose changes of it: ask one of its members, or an administrator"


def _own_teams(visit: Visit) -> frozenset[str]:
    """The visitor's teams that a proposal can change."""
    return declared_among(visit.service.reader, "Team", [team.name for team in visit.caller.teams])


def _act_of(visit: Visit) -> str:
    """The act that the address names; nothing if it names none. Raises NotFound if there is none, or not for this visitor."""
    wanted = visit.query.text("act")
    if wanted and (wanted not in FORMS or not (FORMS[wanted].of_team or visit.caller.is_administrator)):
        raise NotFound("there is no such form, or it is for administrators")
    return wanted


def _with_end(visit: Visit, act_: str, typed: Fields) -> Fields:
    """The fields of the form for an end, with the end and the reason that are declared now."""
    team, user, issuer = (typed.text(name) for name in ("team", "user", "issuer"))
    if act_ != "set-end" or not team or not (user or issuer):
        return typed
    reader = visit.service.reader
    link = proposable.membership(reader, team, user) if user else proposable.permission(reader, team, issuer)
    if link is None:
        return typed
    known = {"until": proposal_acts.end_in_words(link.until) if link.until else "", "reason": link.reason or ""}
    return Fields({**{name: (value,) for name, value in known.items() if value}, **typed.values})
