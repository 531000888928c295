"""Issuers, as existing clients read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.authentication.principal import Principal
from api.errors import NotFound
from api.http.operations import Call
from api.http.shapes import NO_CONTROL, Schema
from api.resources.base import Resource
from api.resources.certdog.base import certdog_operation
from api.resources.certdog.chains import from_leaf_to_root, subject
from api.resources.certdog.ids import Ids
from api.resources.certdog.names import spaced
from reconciler.access.resources import Issuer
from reconciler.access.state import access_of

_PATH: dict[str, Schema] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_CONTROL, "examples": ["Internal TLS"]}
}


class MyIssuers(Resource):
    """`GET /certdog/api/currentuser/myissuers`."""

    @certdog_operation("My issuers", access="account", response="ExistingIssuers", narrowed=True)
    def on_get(self, call: Call) -> Any:
        """The display names of the issuers that the caller may use now."""
        return sorted(shown(each) for each in usable(call.caller))


class Issuers(Resource):
    """`GET /certdog/api/admin/ca`."""

    @certdog_operation("List issuers", access="account", response="ExistingIssuerList")
    def on_get(self, call: Call) -> Any:
        """Those that the caller may use now; for administrators, all that are declared."""
        ids = Ids(self.service.reader)
        return [_detail(each, ids) for each in sorted(visible(call.caller), key=shown)]


class Chain(Resource):
    """`GET /certdog/api/admin/ca/chainbyname/NAME`."""

    @certdog_operation("Show an issuer's CA certificates", access="account", response="ExistingChain", errors=(404,), path=_PATH)
    def on_get(self, call: Call, name: str) -> Any:
        """Those that it declares, by its display name or its name."""
        found = _called(visible(call.caller), name)
        if not found:
            raise NotFound(f"there is no issuer `{name}` that you may use")
        if not found[0].ca_certificates:
            raise NotFound(f"the issuer `{name}` declares no CA certificates")
        return from_leaf_to_root(found[0].ca_certificates)


class Generators(Resource):
    """`GET /certdog/api/admin/generators`."""

    @certdog_operation("List generators of certificate requests", access="account", response="ExistingGenerators")
    def on_get(self, call: Call) -> Any:
        """There are none: Accord makes no keys."""
        return []


def shown(issuer: Issuer) -> str:
    """What these clients call an issuer."""
    return issuer.display_name or issuer.name


def usable(caller: Principal) -> list[Issuer]:
    """The issuers that the caller may use now."""
    issuers, narrowing = caller.access.state.issuers, caller.credential.narrowing
    return [issuers[name] for name in access_of(caller.access.state, caller.name, caller.now) if narrowing.permits_issuer(name)]


def visible(caller: Principal) -> list[Issuer]:
    """The issuers that the caller may know."""
    return list(caller.access.state.issuers.values()) if caller.is_administrator else usable(caller)


def of_name(caller: Principal, ids: Ids, text: str) -> list[str]:
    """The names of the issuers that these clients mean by a display name, a name or an id: they write ids in place of names.

    A deleted issuer is known by the name that it had. Raises StoreError.
    """
    found = _called(caller.access.state.issuers.values(), text)
    name = None if found else ids.name("Issuer", text)
    return [each.name for each in found] or [text if name is None else name]


def _called(issuers: Iterable[Issuer], name: str) -> list[Issuer]:
    """Those with a display name, or else the one with a name."""
    known = list(issuers)
    return [each for each in known if shown(each) == name] or [each for each in known if each.name == name]


def _detail(issuer: Issuer, ids: Ids) -> dict[str, Any]:
    chain = from_leaf_to_root(issuer.ca_certificates)
    first = subject(chain[0]) if chain else None
    return {
        "id": ids.of("Issuer", issuer.name),
        "caName": shown(issuer),
        "caType": None,
        "caTypeName": None,
        "caCerts": chain,
        "caSubjectDn": None if first is None else spaced(first),
        "dnRestrictionId": None,
    }
