"""Acts of administrators on an account, each with its page: what it does, what ends with it, and why it may not be possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from api import administration
from api.authentication import api_tokens
from api.console import possible_acts
from api.console.account import read_token_request, token_form
from api.console.pages import Answer, Page, SeeOther, Visit, act, found, page
from api.console.users import address_of, find
from api.errors import Invalid
from api.reads.standing import came_of, minted_elsewhere
from api.reads.users import UserView
from reconciler.access.state import access_of
from reconciler.wording.text import count


class Choice(NamedTuple):
    """Something that may be left out of an act: a box to tick."""

    name: str
    label: str
    ticked: bool


class _ActOn(Page):
    """An act on an account that has a page: at first it asks for the password, if that was given long ago."""

    act_path = ""
    template = "user_act.html"

    @page("administrator")
    def on_get(self, visit: Visit, name: str) -> Answer:
        """What the act does and what ends with it."""
        return self.show(visit, name=name) if visit.is_fresh else SeeOther(visit.site.confirming(visit.here))

    @act("administrator", fresh=True)
    def on_post(self, visit: Visit, name: str) -> Answer:
        """Do it."""
        user = find(visit, name)
        return SeeOther(f"{address_of(user)}?done={self.do(visit, user)}")

    def do(self, visit: Visit, user: UserView) -> str:
        """Do it; the code of what is said then. Raises Problem."""
        raise NotImplementedError

    def show(self, visit: Visit, **path: str) -> Answer:
        """The page; also why it is not possible."""
        user = find(visit, path["name"])
        deed = possible_acts.acts_here(user, visit.caller).get(self.act_path)
        if deed is None:  # such as enabling somebody who is enabled
            return SeeOther(address_of(user))
        return visit.render(
            self.template,
            user=user,
            back=address_of(user),
            action=f"{address_of(user)}/{self.act_path}",
            deed=deed,
            effects=self.effects(visit, user),
            choices=self.choices(user),
            policy=visit.caller.access.policies.passwords,
        )

    def effects(self, visit: Visit, user: UserView) -> Sequence[str]:
        """What happens, in sentences."""
        return ()

    def choices(self, user: UserView) -> Sequence[Choice]:
        """What may be left out."""
        return ()


def _ending(user: UserView) -> str:
    if not user.sessions and not user.tokens:
        return "It has no session and no token that would end."
    both = f"{count(len(user.sessions), 'session')} and {count(len(user.tokens), 'token')}"
    return f"{both} end at once, for good: enabling the account does not bring them back."


def _revoke_tokens(user: UserView, *, ticked: bool = True) -> Choice:
    return Choice("tokens", f"Revoke its tokens as well: {count(len(user.tokens), 'token')}", ticked)


class ResetPassword(_ActOn):
    """`/users/{name}/reset-password`."""

    act_path = "reset-password"

    def do(self, visit: Visit, user: UserView) -> str:
        """Ask for the mail."""
        administration.reset_password(visit.authority, user.summary["name"], revoke_tokens=visit.form.has("tokens"))
        return "password-mailed"

    def effects(self, visit: Visit, user: UserView) -> Sequence[str]:
        """What the mail brings about."""
        held = () if user.summary["enabled"] else ("The account is disabled: the mail waits until it is enabled.",)
        return (
            f"A generated password goes to {user.summary['email'] or 'its e-mail address, once it has one'}.",
            "The present one stays valid until that mail is delivered.",
            f"Then its sessions end ({len(user.sessions)} now), and the next login must choose another password.",
            *held,
        )

    def choices(self, user: UserView) -> Sequence[Choice]:
        """Tokens may go on."""
        return (_revoke_tokens(user),)


class RequireChange(_ActOn):
    """`/users/{name}/require-change`."""

    act_path = "require-change"

    def do(self, visit: Visit, user: UserView) -> str:
        """Require it."""
        sessions, tokens = visit.form.has("sessions"), visit.form.has("tokens")
        administration.require_password_change(visit.authority, user.summary["name"], end_sessions=sessions, revoke_tokens=tokens)
        return "change-required"

    def effects(self, visit: Visit, user: UserView) -> Sequence[str]:
        """What the next login is."""
        return ("The present password is good for one more login, which must choose another one.",)

    def choices(self, user: UserView) -> Sequence[Choice]:
        """Sessions and tokens may go on."""
        sessions = Choice("sessions", f"End its sessions: {count(len(user.sessions), 'session')}", True)
        return (sessions, _revoke_tokens(user, ticked=False))


class Disable(_ActOn):
    """`/users/{name}/disable`."""

    act_path = "disable"

    def do(self, visit: Visit, user: UserView) -> str:
        """Turn the administrators' switch off."""
        administration.set_disabled(visit.authority, user.summary["name"], True)
        return "disabled"

    def effects(self, visit: Visit, user: UserView) -> Sequence[str]:
        """What ends."""
        others = minted_elsewhere(visit.service.reader, user, visit.now)
        named = ", ".join(sorted({each["user"] for each in others})[:10])
        more = (
            f"It generated {count(len(others), 'token')} for other accounts ({named}), whose secrets it may know. "
            "Those that its sessions generated go on: look at them there.",
        )
        return (
            _ending(user),
            "It can log in again only after administrators enable it here. Git does not know of it, and no apply undoes it.",
            *(more if others else ()),
        )


class Enable(_ActOn):
    """`/users/{name}/enable`."""

    act_path = "enable"

    def do(self, visit: Visit, user: UserView) -> str:
        """Turn the administrators' switch on again."""
        administration.set_disabled(visit.authority, user.summary["name"], False)
        return "enabled"


class Unlock(_ActOn):
    """`/users/{name}/unlock`."""

    act_path = "unlock"

    def do(self, visit: Visit, user: UserView) -> str:
        """Forget failed logins."""
        administration.unlock(visit.authority, user.summary["name"], visit.service.domains.guid_of)
        return "unlocked"

    def effects(self, visit: Visit, user: UserView) -> Sequence[str]:
        """How many there are."""
        return (f"{count(user.failed_logins, 'failed login')} forgotten.",) if user.failed_logins else ()


class Password(_ActOn):
    """`/users/{name}/password`."""

    act_path = "password"
    template = "user_password.html"

    def do(self, visit: Visit, user: UserView) -> str:
        """Set it."""
        form = visit.form
        if not form.raw("new"):
            raise Invalid("write the new password")
        if form.raw("new") != form.raw("again"):
            raise Invalid("the new password and its repetition differ")
        administration.set_password(
            visit.authority,
            visit.service.passwords,
            visit.caller.access.policies.passwords,
            user.summary["name"],
            form.raw("new"),
            change_required=form.has("change"),
            revoke_tokens=form.has("tokens"),
        )
        return "password-set" if form.has("tokens") else "password-set-tokens-kept"

    def choices(self, user: UserView) -> Sequence[Choice]:
        """It may be for good, and tokens may go on."""
        return (Choice("change", "It must be changed at the next login", user.summary["type"] == "person"), _revoke_tokens(user))


class NewToken(_ActOn):
    """`/users/{name}/tokens/new`."""

    act_path = "tokens/new"

    @act("administrator", fresh=True)
    def on_post(self, visit: Visit, name: str) -> Answer:
        """The token, whose secret this answer alone shows. The form's nonce makes a second token of the same form impossible."""
        user = find(visit, name)
        request = read_token_request(visit)
        minted = api_tokens.mint_for(visit.service.reader, visit.authority, user.summary["name"], request)
        return visit.render(
            "token_shown.html",
            token=minted,
            owner=user.summary["name"],
            list_address=f"{address_of(user)}/tokens",
            told=user.summary["email"] if user.summary["type"] == "person" else None,
        )

    def show(self, visit: Visit, **path: str) -> Answer:
        """The form."""
        user = find(visit, path["name"])
        name = user.summary["name"]
        objection = possible_acts.acts_here(user, visit.caller)[self.act_path].objection
        if objection is not None:
            return super().show(visit, **path)
        issuers = sorted(access_of(visit.service.keeper.now(name).state, name, visit.now))
        return visit.render(
            "token_new.html",
            **token_form(visit, issuers),
            owner=name,
            action=visit.here,
            back=address_of(user),
            told=user.summary["email"] if user.summary["type"] == "person" else None,
        )


class _EndOne(Page):
    """An act that ends one of an account's credentials."""

    kind = ""

    @page("administrator")
    def on_get(self, visit: Visit, name: str, accessor: str) -> Answer:
        """What ends with it."""
        if not visit.is_fresh:
            return SeeOther(visit.site.confirming(visit.here))
        user = find(visit, name)
        one = found(next((each for each in self.listed(user) if each["id"] == accessor), None), f"live {self.kind} of {name}")
        others = came_of(visit.service.reader, accessor, visit.now)
        return visit.render(
            "user_credential.html",
            user=user,
            back=address_of(user),
            credential=one,
            kind=self.kind,
            ending_too=len(others),
            of_accounts=sorted({each.name for each in others}),
        )

    @act("administrator", fresh=True)
    def on_post(self, visit: Visit, name: str, accessor: str) -> Answer:
        """It is invalid from the next call on."""
        user = find(visit, name)
        return SeeOther(f"{address_of(user)}?done={self.end(visit, user.summary['name'], accessor)}")

    def listed(self, user: UserView) -> list[dict[str, Any]]:
        """The account's live credentials of this kind."""
        raise NotImplementedError

    def end(self, visit: Visit, name: str, accessor: str) -> str:
        """End it; the code of what is said then. Raises NotFound or StoreError."""
        raise NotImplementedError


class RevokedToken(_EndOne):
    """`/users/{name}/tokens/{accessor}/revoke`."""

    kind = "token"

    def listed(self, user: UserView) -> list[dict[str, Any]]:
        """Tokens."""
        return user.tokens

    def end(self, visit: Visit, name: str, accessor: str) -> str:
        """Revoke it, with what came of it."""
        api_tokens.revoke(visit.authority, name, accessor)
        return "token-revoked"


class EndedSession(_EndOne):
    """`/users/{name}/sessions/{accessor}/end`."""

    kind = "session"

    def listed(self, user: UserView) -> list[dict[str, Any]]:
        """Sessions."""
        return user.sessions

    def end(self, visit: Visit, name: str, accessor: str) -> str:
        """End it, with what came of it."""
        administration.end_session(visit.authority, name, accessor)
        return "session-ended-there"
