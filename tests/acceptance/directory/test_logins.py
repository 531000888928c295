"""Logging in with accounts of a real domain."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import pytest
import samba_domain
from client import OFFICE, PASSWORD
from directory_world import DirectoryWorld
from samba_domain import BASE
from scenario import user

from api.errors import Unauthenticated
from api.service import REFUSAL


def test_a_first_login_provisions_the_account_with_the_teams_of_its_groups(world: DirectoryWorld) -> None:
    name, dn = world.person()
    inner = world.domain.add_group(f"inner-{name}", dn)
    middle = world.domain.add_group(f"middle-{name}", inner)
    world.domain.add_group(f"outer-{name}", middle)
    world.map_group(f"outer-{name}")
    person = world.login(name)
    assert person("GET", "/me", 200)["teams"] == ["pki"]
    decision = person("POST", "/decisions", 200, json={"issuer": "vpn"})
    assert decision["allow"] is True
    assert decision["path"]["adGroup"] == f"outer-{name}"
    shown = world.caller("root")("GET", f"/users/{name}", 200)
    assert (shown["source"], shown["fullName"], shown["email"]) == ("directory", f"{name} Test", f"{name}@{samba_domain.REALM}")
    assert shown["lastLoginAddress"] == OFFICE
    assert [entry["name"] for entry in world.audit("account.appear")] == [name]


@pytest.mark.parametrize("form", ["{}", "CORP\\{}", "corp\\{}", "{}@corp.example.org", "{}@CORP.Example.ORG"])
def test_an_account_has_three_names_to_log_in_with(world: DirectoryWorld, form: str) -> None:
    name, _ = world.person()
    assert world.login(form.format(name))("GET", "/me", 200)["name"] == name


def test_an_account_in_no_mapped_group_can_log_in_and_use_nothing(world: DirectoryWorld) -> None:
    name, _ = world.person()
    person = world.login(name)
    assert person("GET", "/me/access", 200) == []
    assert person("POST", "/decisions", 200, json={"issuer": "vpn"})["reason"] == "no-team"


def test_the_primary_group_counts(world: DirectoryWorld) -> None:
    name, _ = world.person()
    world.map_group("Domain Users")
    assert world.login(name)("GET", "/me", 200)["teams"] == ["pki"]


def test_circular_groups_are_read_once(world: DirectoryWorld) -> None:
    name, dn = world.person()
    one = world.domain.add_group(f"one-{name}", dn)
    two = world.domain.add_group(f"two-{name}", one)
    world.domain.join(one, two)
    world.map_group(f"two-{name}")
    assert world.login(name)("GET", "/me", 200)["teams"] == ["pki"]


def test_groups_are_searched_for_if_an_account_does_not_show_them(world: DirectoryWorld) -> None:
    name, dn = world.person()
    inner = world.domain.add_group(f"inner-{name}", dn)
    world.domain.add_group(f"outer-{name}", inner)
    world.map_group(f"outer-{name}")
    world.domain.change_rights(dn, "(OD;;RP;b7c69e6d-2cc7-11d2-854e-00a0c983f608;;{})", "svc")  # tokenGroups
    person = world.login(name)
    assert person("GET", "/me", 200)["teams"] == ["pki"]
    world.cycle()
    assert person("GET", "/me", 200)["teams"] == ["pki"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"userAccountControl": "514"}, "disabled-in-directory"),
        ({"accountExpires": "116444736000000001"}, "expired-in-directory"),
        ({"pwdLastSet": "0"}, "must-change-password-in-directory"),
        ({"logonHours": b"\0" * 21}, "outside-hours-in-directory"),
        ({"userWorkstations": "elsewhere"}, "workstation-not-permitted-in-directory"),
    ],
)
def test_the_directory_s_own_reason_is_recorded_and_the_right_password_does_not_count(
    world: DirectoryWorld, attributes: dict[str, str], reason: str
) -> None:
    name, dn = world.person()
    world.domain.set(dn, **attributes)
    for _ in range(6):
        assert world.refused(name) == reason
    assert [(entry["name"], entry["actor"]) for entry in world.audit("login.fail")[-6:]] == [(name, name)] * 6
    assert world.service.reader.rows("SELECT failures FROM account_networks") == []
    assert world.service.reader.rows("SELECT wrong FROM directory_attempts WHERE wrong > 0") == []


def test_a_password_that_is_too_old_is_refused(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.domain.make_password_too_old(dn)
    assert world.refused(name) == "password-expired-in-directory"


def test_a_password_changed_as_the_directory_demands_works_at_once(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.domain.set(dn, pwdLastSet="0")
    for _ in range(5):
        assert world.refused(name) == "must-change-password-in-directory"
    world.domain.set(dn, unicodePwd='"My-Own-Word-2026"'.encode("utf-16-le"))
    world.domain.set(dn, pwdLastSet="-1")
    world.login(name, "My-Own-Word-2026")


PASSWORDS = [
    "Sommer\u00b22026",
    "hunting 5 \u00b5m",
    "half \u00bd full",
    "M\u00fcllerstra\u00dfe 9",
    "Mu\u0308ller 9",
    "key \U0001f511 of mine",
    "GRO\u1e9eE Worte 7",
    "\u05e9\u05dc\u05d5\u05dd hunting 7",
    "space\u00a0between",
    "soft\u00adhyphen",
    "no\u2028line",
    "private\ue000use",
    " " * 8,
    "\ttab at both ends\t",
    "bell\u0007 rings",
    "x" * 120,
]


@pytest.mark.parametrize("password", PASSWORDS, ids=[ascii(each)[1:21] for each in PASSWORDS])
def test_every_password_that_the_directory_accepts_logs_in(world: DirectoryWorld, password: str) -> None:
    name, dn = world.person()
    world.domain.set(dn, unicodePwd=f'"{password}"'.encode("utf-16-le"))
    assert world.domain.bind(dn, password.encode())
    world.login(name, password)


def test_a_password_that_only_looks_alike_is_wrong(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.domain.set(dn, unicodePwd='"Sommer\u00b22026"'.encode("utf-16-le"))
    assert world.refused(name, "Sommer22026") == "wrong-password"


@pytest.mark.parametrize("secret", ["svc\u00b2 \u00bd 1", "\u05e9\u05dc\u05d5\u05dd svc 7"])
def test_the_service_account_s_password_may_be_any(world: DirectoryWorld, secret: str) -> None:
    name, _ = world.person()
    dn = world.domain.add_user(f"svc-{name}", unicodePwd=f'"{secret}"'.encode("utf-16-le"))
    world.with_more(service_account=dn)
    controllers = world.service.domains.all[0].controllers
    controllers.settings = controllers.settings._replace(secret=secret)
    world.login(name)


NAMES = [
    "o'brien",
    "_svc-deploy",
    "m\u00fcller",
    "M\u00dcLLER2",
    "jane doe",
    "-bot",
    "a&b",
    "\u0438\u0432\u0430\u043d",
    "100%",
    "#1",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_the_directory_permits_log_in(world: DirectoryWorld, name: str) -> None:
    here, number = name.lower(), name.encode().hex()
    dn = f"CN=p-{number},CN=Users,{BASE}"
    if not world.domain.exists(dn):
        world.domain.add_user(name, dn=dn, mail="somebody@corp.example.org")
    person = world.login(name)
    assert person("GET", "/me", 200)["name"] == here
    token = person("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1d"})
    root, path = world.caller("root"), quote(here, safe="")
    assert root("GET", f"/users/{path}", 200)["name"] == here
    root("GET", "/audit", 200, params={"name": here})
    root("DELETE", f"/users/{path}/tokens/{token['id']}", 204)
    assert unquote(person.send("GET", "/auth").headers["x-accord-user"]) == here
    world.refused(name, "wrong")
    assert world.audit("login.fail")[-1]["name"] == here
    root("POST", f"/users/{path}/unlock", 204)
    root("PUT", f"/users/{path}/disabled", 204)
    person("GET", "/me", 401)


def test_a_name_that_cannot_be_used_here_is_told_to_the_operator(world: DirectoryWorld, caplog: pytest.LogCaptureFixture) -> None:
    number = world.person()[0]
    world.domain.add_user(f"a@{number}", dn=f"CN=at-{number},CN=Users,{BASE}")
    caplog.set_level("WARNING", "accord.api")
    assert world.refused(f"CORP\\a@{number}") == "name-not-usable"
    assert world.audit("login.fail")[-1]["detail"]["nameInDirectory"] == f"a@{number}@{samba_domain.REALM}"
    assert f"a@{number}@{samba_domain.REALM} has the right password and cannot log in: name-not-usable" in caplog.text


def test_a_user_principal_name_with_another_suffix_logs_in(world: DirectoryWorld, database_kind: str) -> None:
    name, _ = world.person(userPrincipalName=f"john.doe@{database_kind}.example.com")
    assert world.login(f"john.doe@{database_kind}.example.com")("GET", "/me", 200)["name"] == name
    assert world.login(f"John.Doe@{database_kind}.Example.com")("GET", "/me", 200)["name"] == name
    assert world.refused("somebody.else@example.com") == "unknown-account"


def test_a_user_principal_name_of_a_declared_user_is_not_that_user(world: DirectoryWorld, database_kind: str) -> None:
    name, _ = world.person(userPrincipalName=f"alice@{database_kind}.example.com")
    assert world.login(f"alice@{database_kind}.example.com")("GET", "/me", 200)["name"] == name


def test_failures_carry_the_name_of_the_account_they_are_about(world: DirectoryWorld) -> None:
    name, _ = world.person()
    assert world.refused(f"{name}@CORP.example.org", "wrong") == "wrong-password"
    assert world.audit("login.fail")[-1]["name"] == name
    if not _exists(world, "alice"):
        world.domain.add_user("alice")
    world.refused("CORP\\alice", "wrong")
    entry = world.audit("login.fail")[-1]  # not the declared alice
    assert (entry["name"], entry["detail"]["nameInDirectory"]) == ("", f"alice@{samba_domain.REALM}")


def test_failures_here_never_lock_the_account_in_its_directory(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.login(name)
    for _ in range(8):
        world.login(name, "wrong", 401)
    assert {entry["detail"]["reason"] for entry in world.audit("login.fail")} == {"wrong-password"}
    counted = world.refusals()  # strangers who used up their tries do not fill the audit log
    assert {(each["actor"], *each["reasons"]) for each in counted} == {(name, "near-lock-out-in-directory")}
    assert int(world.domain.read(dn, "badPwdCount")["badPwdCount"][0]) < 4
    assert world.refused(name) == "near-lock-out-in-directory"


@pytest.mark.parametrize("password", ["", "\0", "\0Passw0rd-User1", "Passw0rd-User1\0"])
def test_a_password_that_could_be_taken_for_none_is_never_sent(world: DirectoryWorld, password: str) -> None:
    name, dn = world.person()
    world.login(name, password, 422)
    with pytest.raises(Unauthenticated):  # whatever the schema lets through
        world.service.log_in(name, password, None, datetime.now(UTC))
    assert world.domain.read(dn, "badPwdCount")["badPwdCount"] in ([], [0], ["0"])


@pytest.mark.parametrize(
    "name",
    ["*", "person*", "x)(objectClass=*", "CORP\\*", "*@corp.example.org", "OTHER\\person", "a@other.example.org", "a\\b\\c"],
)
def test_a_login_name_cannot_inject_a_filter(world: DirectoryWorld, name: str) -> None:
    assert world.refused(name) == "unknown-account"


def test_a_declared_account_is_never_tried_against_the_directory(world: DirectoryWorld) -> None:
    world.domain.add_user("alice") if not _exists(world, "alice") else None
    assert world.refused("alice") in ("no-password", "wrong-password")
    assert world.refused("CORP\\alice") == "name-taken"


def test_an_alias_is_tried_against_the_directory_only_with_a_domain(world: DirectoryWorld) -> None:
    name, _ = world.person()
    aliases = [name.upper(), f"CORP\\{name}", f"{name}@corp.example.org", f"{name}@elsewhere.example"]
    world.apply({"users/alice.yaml": user("alice", logins=aliases)})
    for login in (name, f"{name}@elsewhere.example"):  # no domain is called that
        assert world.refused(login) in ("no-password", "wrong-password")
    # with the domain it is its own, and is told that the name is taken, as a declared name would be
    for login in (f"corp\\{name}", f"{name}@corp.example.org"):
        assert world.refused(login) == "name-taken"
    world.apply({"users/alice.yaml": user("alice", logins=[f"CORP\\{name}"])})
    assert world.login(f"CORP\\{name}")("GET", "/me", 200)["name"] == name
    world.repository.commit({"users/alice.yaml": user("alice", logins=[name.upper()])})
    refused = world.accord("plan", code=3)
    assert "[directory-account]" in refused.stderr + refused.stdout


def _exists(world: DirectoryWorld, name: str) -> bool:
    return bool(world.domain.exists(f"CN={name},CN=Users,{BASE}"))


def test_a_renamed_and_moved_account_is_the_same(world: DirectoryWorld) -> None:
    name, dn = world.person()
    person = world.login(name)
    token = person("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1d"})["token"]
    unit = world.domain.add_unit(f"unit-{name}")
    moved = world.domain.rename(dn, f"cn, \\22{name}\\22".replace(", ", "\\, "), superior=unit)
    world.domain.set(moved, sAMAccountName=f"{name}-new")
    again = world.login(f"{name}-new")
    assert again("GET", "/me", 200)["name"] == f"{name}-new"
    assert world.with_secret(token)("GET", "/me", 200)["name"] == f"{name}-new"


def test_a_recreated_account_inherits_nothing(world: DirectoryWorld) -> None:
    name, dn = world.person()
    person = world.login(name)
    token = person("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1d"})["token"]
    minted = world.mint("portal", minter=person("GET", "/me", 200)["credential"]["id"])
    world.domain.delete(dn)
    world.domain.add_user(name)
    again = world.login(name)
    assert again("GET", "/me/tokens", 200) == []
    world.with_secret(token)("GET", "/me", 401)
    (entry,) = [entry for entry in world.audit("account.delete") if entry["name"] == name]
    assert entry["detail"]["mintedForOthers"] == [{"user": "portal", "token": minted.accessor}]


def test_a_name_that_passes_to_another_account_takes_nothing_along(world: DirectoryWorld) -> None:
    name, dn = world.person()
    token = world.login(name)("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1d"})["token"]
    world.domain.set(world.domain.rename(dn, f"{name}-old"), sAMAccountName=f"{name}-old")
    world.domain.add_user(name)
    assert world.login(name)("GET", "/me/tokens", 200) == []
    assert world.with_secret(token)("GET", "/me", 200)["name"] == f"{name}-old"


def test_a_reconciler_refuses_to_declare_the_name_of_a_directory_account(world: DirectoryWorld) -> None:
    from scenario import user

    name, _ = world.person()
    world.login(name)
    world.repository.commit({f"users/{name}.yaml": user(name)})
    world.service.stop()  # in this process, what its threads commit would count as the plan's
    assert name in world.accord("plan", code=3).stderr


def test_a_directory_account_cannot_be_edited_here(world: DirectoryWorld) -> None:
    name, _ = world.person()
    world.login(name)
    root = world.caller("root")
    root("PUT", f"/users/{name}/password", 409, json={"password": "a rather long passphrase"})
    root("POST", f"/users/{name}/require-password-change", 409)
    root("PATCH", f"/users/{name}", 409)
    root("PUT", f"/users/{name}/disabled", 204)
    world.refused(name)


def test_a_missing_answer_is_never_a_wrong_password(world: DirectoryWorld) -> None:
    name, _ = world.person()
    world.service.stop()
    world.options = {"controllers": ["ldaps://127.0.0.59"], "try_time": 0.5, "total_time": 1}
    world.start()
    problem = world.caller()("POST", "/sessions", 503, json={"username": name, "password": "whatever"})
    assert problem["type"] == "urn:accord:problem:directory-unavailable"
    assert world.audit("login.fail") == []
    assert world.caller()("GET", "/healthz", 200) == {"status": "ok"}


def test_without_an_answer_nobody_hears_which_names_are_declared(world: DirectoryWorld) -> None:
    world.set_password("alice")
    world.service.stop()
    world.options = {"controllers": ["ldaps://127.0.0.59"], "try_time": 0.5, "total_time": 1}
    world.start()
    answers, took = [], []
    for name in ("alice", "person-unknown"):
        world.forget_failures()
        began = time.monotonic()
        answer = world.caller()("POST", "/sessions", 503, json={"username": name, "password": "wrong password entirely"})
        took.append(time.monotonic() - began)
        answers.append({key: value for key, value in answer.items() if key != "requestId"})
    assert answers[0] == answers[1]
    assert min(took) >= REFUSAL
    assert [entry["detail"]["reason"] for entry in world.audit("login.fail")] == ["wrong-password"]
    world.login("alice", PASSWORD)("GET", "/me", 200)
