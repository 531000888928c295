"""Logging in with accounts of a real domain."""

from __future__ import annotations

import pytest
import samba_domain
from client import OFFICE
from directory_world import DirectoryWorld
from samba_domain import BASE


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
        ({"userAccountControl": "514"}, "wrong-password"),  # the directory itself refuses the bind
        ({"accountExpires": "116444736000000001"}, "wrong-password"),
        ({"pwdLastSet": "0"}, "wrong-password"),
    ],
)
def test_an_account_that_is_disabled_expired_or_must_change_is_refused(
    world: DirectoryWorld, attributes: dict[str, str], reason: str
) -> None:
    name, dn = world.person()
    world.domain.set(dn, **attributes)
    assert world.refused(name) == reason


def test_a_password_that_is_too_old_is_refused(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.domain.make_password_too_old(dn)
    world.refused(name)


def test_failures_here_never_lock_the_account_in_its_directory(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.login(name)
    for _ in range(8):
        world.login(name, "wrong", 401)
    assert world.audit("login.fail")[-1]["detail"]["reason"] == "near-lock-out-in-directory"
    assert int(world.domain.read(dn, "badPwdCount")["badPwdCount"][0]) < 4
    assert world.refused(name) == "near-lock-out-in-directory"


@pytest.mark.parametrize(
    "password", ["", " ", "\t", "a\u0007b", "x" * 300, "no\u2028"], ids=["empty", "blank", "tab", "bell", "long", "separator"]
)
def test_a_password_that_no_directory_may_see_is_never_sent(world: DirectoryWorld, password: str) -> None:
    name, dn = world.person()
    result = world.caller().send("POST", "/sessions", json={"username": name, "password": password})
    assert result.status_code in (401, 422)
    if password != "no\u2028":
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


def _exists(world: DirectoryWorld, name: str) -> bool:
    try:
        world.domain.read(f"CN={name},CN=Users,{BASE}", "cn")
    except Exception:  # noqa: BLE001 - ldap3 raises many kinds
        return False
    return True


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
    world.domain.delete(dn)
    world.domain.add_user(name)
    again = world.login(name)
    assert again("GET", "/me/tokens", 200) == []
    world.with_secret(token)("GET", "/me", 401)


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
