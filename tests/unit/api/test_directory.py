"""What a directory says, as values, and the decisions based on it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import MATCH_EQUAL, parse_filter

from api.directory.accounts import Known, read_mapping, teams_of
from api.directory.domains import Domains, can_be_sent
from api.directory.entries import Account, Entry, is_account_name, read_entry, read_sids, refusal_of
from api.directory.lockout import NEAR_LOCK_OUT, STRICTEST, Attempt, DirectoryCount, LocalCount, Policy, Reserve, could_lock
from api.directory.resync import Reading, is_too_many
from api.directory.settings import BadDirectory, Controller, DirectorySettings, can_be_password, read_directories
from api.state.policies import read_policies
from reconciler.store import tables
from reconciler.store.engine import Database

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
GUID = uuid.UUID("48058897-9e08-4bf7-9fcb-8bbfd1fc9680")
SID = bytes.fromhex("010500000000000515000000a065cf7ed0b00a84e8eed6c54e040000")
ATTRIBUTES: dict[str, list[bytes]] = {
    "objectguid": [GUID.bytes_le],
    "samaccountname": [b"Alice"],
    "displayname": [b"Alice Test"],
    "mail": [b"alice@example.org"],
    "useraccountcontrol": [b"512"],
    "accountexpires": [b"9223372036854775807"],
    "pwdlastset": [b"134000000000000000"],
    "msds-user-account-control-computed": [b"0"],
}


def entry(**changes: Any) -> Entry:
    found = read_entry("CN=Alice", ATTRIBUTES)
    assert found is not None
    return found._replace(**changes)


def domain(name: str, dns_name: str, *suffixes: str) -> DirectorySettings:
    controllers = (Controller("127.0.0.1", 636, True),)
    minutes = timedelta(minutes=5)
    return DirectorySettings(
        name,
        name.upper(),
        dns_name,
        controllers,
        certifi.where(),
        "base",
        "base",
        "svc",
        "secret",
        1,
        2,
        100,
        2,
        minutes,
        minutes,
        suffixes,
        10,
    )


def test_an_entry_is_read_from_its_attributes() -> None:
    found = entry()
    assert (found.guid, found.name, found.full_name, found.mail) == (str(GUID), "alice", "Alice Test", "alice@example.org")
    assert found.refusal(NOW) is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("useraccountcontrol", b"514", "disabled-in-directory"),
        ("accountexpires", b"116444736000000001", "expired-in-directory"),
        ("pwdlastset", b"0", "must-change-password-in-directory"),
        ("msds-user-account-control-computed", b"8388608", "must-change-password-in-directory"),
        ("msds-user-account-control-computed", b"16", "locked-in-directory"),
    ],
)
def test_each_reason_against_a_login_is_found(name: str, value: bytes, reason: str) -> None:
    found = read_entry("CN=Alice", ATTRIBUTES | {name: [value]})
    assert found is not None
    assert found.refusal(NOW) == reason
    assert (found.ended(NOW) is not None) is (reason in ("disabled-in-directory", "expired-in-directory"))


@given(st.dictionaries(st.sampled_from([*ATTRIBUTES]), st.lists(st.binary(max_size=30), max_size=2)))
def test_no_attribute_value_raises(changes: dict[str, list[bytes]]) -> None:
    try:
        found = read_entry("CN=Alice", ATTRIBUTES | changes)
    except Exception as error:  # noqa: BLE001
        pytest.fail(f"{changes}: {error!r}")
    if found is not None:
        found.refusal(NOW)


@pytest.mark.parametrize(
    "name",
    ["objectguid", "samaccountname", "useraccountcontrol", "msds-user-account-control-computed", "accountexpires", "pwdlastset"],
)
def test_an_incomplete_entry_is_no_entry(name: str) -> None:
    assert read_entry("CN=Alice", {key: value for key, value in ATTRIBUTES.items() if key != name}) is None


def test_an_entry_without_a_dn_is_no_entry() -> None:
    assert read_entry("", ATTRIBUTES) is None  # a bind as nobody succeeds with any password


def test_letters_that_only_look_alike_stay_different() -> None:
    found = read_entry("CN=Kim", ATTRIBUTES | {"samaccountname": ["\u212aim".encode()]})  # Kelvin; its small letter is k
    assert found is not None
    assert found.name == "\u212aim"


@pytest.mark.parametrize(("value", "ended"), [(b"9223372036854775806", False), (b"-9223372036854775808", True), (b"1", True)])
def test_an_expiry_beyond_the_calendar_is_handled(value: bytes, ended: bool) -> None:
    found = read_entry("CN=Alice", ATTRIBUTES | {"accountexpires": [value]})
    assert found is not None
    assert (found.ended(NOW) is not None) is ended


def test_sids_are_read() -> None:
    assert read_sids({"tokengroups": [SID]}, "tokenGroups") == {"S-1-5-21-2127521184-2215293136-3319197416-1102"}
    assert read_sids({}, "tokenGroups") == frozenset()


@pytest.mark.parametrize(
    ("name", "of", "condition"),
    [
        ("alice", "corp", "(sAMAccountName=alice)"),
        ("BRANCH\\alice", "branch", "(sAMAccountName=alice)"),
        ("alice@branch.example.org", "branch", "(|(userPrincipalName=alice@branch.example.org)(sAMAccountName=alice))"),
        ("a*)(b", "corp", "(sAMAccountName=a\\2a\\29\\28b)"),
        ("OTHER\\alice", None, ""),
        ("alice@other.example.org", "corp", "(userPrincipalName=alice@other.example.org)"),
        ("alice@Example.com", "branch", "(userPrincipalName=alice@Example.com)"),
        ("OTHER\\alice@example.com", None, ""),
        ("", None, ""),
        ("a\0b", None, ""),
        ("x" * 300, None, ""),
    ],
)
def test_a_login_name_means_one_account(name: str, of: str | None, condition: str) -> None:
    domains = Domains([domain("corp", "corp.example.org"), domain("branch", "branch.example.org", "example.com")])
    target = domains.target(name)
    assert (target and (target.domain.settings.name, target.condition)) == (of and (of, condition))


def test_accounts_of_all_domains_but_the_first_carry_their_domain() -> None:
    domains = Domains([domain("corp", "corp.example.org"), domain("branch", "branch.example.org")])
    assert [domains.account_name(each, entry()) for each in domains.all] == ["alice", "alice@branch.example.org"]


def test_an_account_whose_name_could_belong_to_another_domain_gets_no_name() -> None:
    domains = Domains([domain("corp", "corp.example.org"), domain("branch", "branch.example.org")])
    assert domains.account_name(domains.all[0], entry(name="alice@branch.example.org")) == ""


@given(st.text(max_size=40))
def test_no_login_name_changes_the_filter(name: str) -> None:
    domains = Domains([domain("corp", "corp.example.org")])
    for form in (name, f"CORP\\{name}", f"{name}@corp.example.org"):
        target = domains.target(form)
        if target is not None:
            parsed = parse_filter(target.condition, None, True, None, None, False).elements[0]
            parts = parsed.elements if "@" in form.partition("\\")[0] else [parsed]
            assert [each.tag for each in parts] == [MATCH_EQUAL] * len(parts)


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("PKI", "corp"),
        ("BRANCH\\PKI", "branch"),
        ("CN=PKI,DC=branch,DC=example,DC=org", "branch"),
        ("CN=PKI, DC=corp, DC=example, DC=org", "corp"),
        ("S-1-5-21-1-2-3-4", "corp"),
        ("OTHER\\PKI", None),
        ("CN=PKI,DC=other,DC=org", None),
    ],
)
def test_a_group_gives_its_teams_only_to_accounts_of_its_own_domain(text: str, of: str | None, database: Database) -> None:
    domains = Domains([domain("corp", "corp.example.org"), domain("branch", "branch.example.org")])
    found = domains.domain_of_group(text)
    assert (found and found.settings.name) == of
    with database.writing() as connection:
        connection.execute(tables.teams.insert().values(id=1, name="pki", ad_groups=json.dumps([text])))
        connection.execute(tables.directory_groups.insert().values(name=text, sid="S-1-5-21-1-2-3-4", resolved_at=NOW))
        sids = frozenset(["S-1-5-21-1-2-3-4"])
        given = [bool(teams_of(sids, read_mapping(connection, domains, each))) for each in domains.all]
    assert given == [of == "corp", of == "branch"]


@pytest.mark.parametrize(("ahead", "refusal"), [(timedelta(0), NEAR_LOCK_OUT), (timedelta(days=400), None)])
def test_attempts_counted_by_a_clock_that_was_ahead_do_not_outlast_its_correction(
    ahead: timedelta, refusal: str | None, database: Database
) -> None:
    directory = DirectoryCount(Policy(3, timedelta(minutes=30)), 0, None)
    until = NOW + ahead + timedelta(minutes=1)
    with database.writing() as connection:
        for guid, values in (("wrong", {"wrong": 2}), ("under way", {"under_way": 2})):
            times = {"last_wrong_at": NOW + ahead, "wrong_until": until, "under_way_until": until}
            connection.execute(tables.directory_attempts.insert().values(guid=guid, **times, **values))
            assert Attempt(connection, guid, directory, None, read_policies(None), NOW).refusal == refusal


@pytest.mark.parametrize("text", ["", " ", "\t", "a\nb", "a\x7fb", "a\ud800", "x" * 257])
def test_unsafe_names_are_never_sent(text: str) -> None:
    assert not can_be_sent(text)


@pytest.mark.parametrize(
    ("text", "can"), [("", False), ("\0", False), ("a\0", False), ("\ud800", False), (" ", True), ("\u00b2", True)]
)
def test_only_what_could_be_taken_for_no_password_is_never_sent(text: str, can: bool) -> None:
    assert can_be_password(text) is can


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("o'brien", True),
        ("_svc-deploy", True),
        ("m\u00fcller", True),
        ("jane doe", True),
        ("svc+build", True),
        ("-bot", True),
        ("a&b", True),
        ("\u0438\u0432\u0430\u043d", True),
        ("", False),
        ("..", False),
        (" jane", False),
        ("jane ", False),
        ("Jane", False),
        ("M\u00dcLLER", False),
        ("\u212aim", False),
        ("a@b", False),
        ("a/b", False),
        ("a\\b", False),
        ("operator:root", False),
        ("a\u202eb", False),
        ("a\u00a0b", False),
        ("a\u0000b", False),
        ("a\u0085b", False),
        ("a\U000e0001b", False),
        ("a\u0378b", False),
    ],
)
def test_which_names_of_a_directory_can_be_names_here(name: str, can: bool) -> None:
    assert is_account_name(name) is can


@given(st.text(max_size=70))
def test_a_name_that_is_accepted_is_safe_in_a_path_and_lower_case(name: str) -> None:
    if is_account_name(name):
        assert name == name.lower() == name.strip()
        assert not any(character in name for character in "/\\@:,\0\n\u2028")


def test_the_name_of_an_account_is_read_as_it_is() -> None:
    for raw, expected in (("M\u00dcLLER", "m\u00fcller"), (" jane", " jane"), ("O'Brien", "o'brien")):
        found = read_entry("CN=x", ATTRIBUTES | {"samaccountname": [raw.encode()]})
        assert found is not None
        assert found.name == expected


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("525", "unknown-account"),
        ("52e", "wrong-password"),
        ("52E", "wrong-password"),
        ("530", "outside-hours-in-directory"),
        ("531", "workstation-not-permitted-in-directory"),
        ("532", "password-expired-in-directory"),
        ("533", "disabled-in-directory"),
        ("701", "expired-in-directory"),
        ("773", "must-change-password-in-directory"),
        ("775", "locked-in-directory"),
        ("52f", "refused-by-directory"),
    ],
)
def test_what_the_sub_codes_mean(code: str, reason: str) -> None:
    message = f"80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data {code}, v4563\0"
    assert refusal_of(message) == reason


def test_refused_credentials_without_a_sub_code_were_wrong() -> None:
    assert refusal_of("") == refusal_of("Invalid credentials") == "wrong-password"


@pytest.mark.parametrize("suffixes", ["example.com", [1], ["a@b"], ["branch.example.org"], ["example.com", "example.com"]])
def test_suffixes_that_could_mean_two_domains_are_refused(suffixes: object) -> None:
    table = {"controllers": ["ldaps://127.0.0.1"], "ca_file": certifi.where(), "service_account": "svc"}
    tables = {name: table | {"netbios_name": name, "dns_name": f"{name}.example.org"} for name in ("corp", "branch")}
    secrets = {"ACCORD_DIRECTORY_CORP_SECRET": "x", "ACCORD_DIRECTORY_BRANCH_SECRET": "x"}
    assert read_directories(tables, secrets)[0].upn_suffixes == ()
    tables["corp"]["upn_suffixes"] = suffixes  # type: ignore[assignment]
    with pytest.raises(BadDirectory, match="upn_suffixes"):
        read_directories(tables, secrets)


@pytest.mark.parametrize(
    ("threshold", "wrong", "strangers", "own", "nobodys"),
    [
        (1, 0, True, True, True),
        (2, 0, False, False, False),  # there is nothing to keep
        (2, 1, True, True, True),
        (3, 0, False, False, False),
        (3, 1, True, False, False),
        (3, 2, True, True, True),
        (5, 2, False, False, False),
        (5, 3, True, False, False),
        (5, 4, True, True, True),
        (0, 99, False, False, False),
    ],
)
def test_the_last_try_is_kept_for_networks_that_logged_in(
    threshold: int, wrong: int, strangers: bool, own: bool, nobodys: bool
) -> None:
    directory, local = DirectoryCount(Policy(threshold, timedelta(minutes=30)), 0, None), LocalCount(wrong, 0, NOW)
    found = [could_lock(directory, local, NOW, reserve) for reserve in (Reserve.OTHERS, Reserve.OWN, Reserve.NOBODY)]
    assert found == [strangers, own, nobodys]


def test_under_an_unreadable_policy_one_try_more_is_kept() -> None:
    directory = DirectoryCount(STRICTEST, 0, None)
    found = {each: could_lock(directory, LocalCount(1, 0, NOW), NOW, each) for each in Reserve}
    assert found == {Reserve.OTHERS: True, Reserve.OWN: False, Reserve.NOBODY: True}


def test_a_newer_password_starts_the_count_anew() -> None:
    before, later = NOW - timedelta(days=1), NOW - timedelta(hours=1)
    policy = Policy(4, timedelta(minutes=30))
    wrong = LocalCount(3, 0, NOW, before)
    assert could_lock(DirectoryCount(policy, 0, None, before), wrong, NOW)
    assert could_lock(DirectoryCount(policy, 0, None, None), wrong, NOW)
    assert not could_lock(DirectoryCount(policy, 0, None, later), wrong, NOW)
    assert could_lock(DirectoryCount(policy, 0, None, before), wrong._replace(password_set_at=later), NOW), "it is behind"


@pytest.mark.parametrize(
    ("ours", "under_way", "theirs", "minutes", "near"),
    [
        (0, 0, 0, 0, False),
        (3, 0, 0, 0, False),
        (4, 0, 0, 0, True),
        (0, 4, 0, 0, True),
        (2, 2, 0, 0, True),
        (0, 0, 4, 1, True),
        (0, 0, 4, 34, True),  # the directory's clock may be behind
        (0, 0, 4, 36, False),
        (0, 0, 3, 1, False),
        (0, 1, 3, 1, True),
        (3, 0, 3, 1, False),  # the same ones
    ],
)
def test_a_password_that_could_lock_the_account_is_not_sent(
    ours: int, under_way: int, theirs: int, minutes: int, near: bool
) -> None:
    directory = DirectoryCount(Policy(5, timedelta(minutes=30)), theirs, NOW - timedelta(minutes=minutes) if theirs else None)
    assert could_lock(directory, LocalCount(ours, under_way), NOW) is near
    assert not could_lock(directory._replace(policy=Policy(0, timedelta(0))), LocalCount(99, 99), NOW)
    assert could_lock(directory._replace(policy=Policy(1, timedelta(0))), LocalCount(0, 0), NOW)


def reading(found: Entry | None, *, missing: bool = False, off: bool = False) -> Reading:
    known = Known(1, "alice", str(GUID), "corp.example.org", NOW if missing else None, ("", None, ""), off, NOW)
    return Reading(known, found and Account(found, frozenset()), NOW)


@pytest.mark.parametrize(
    ("off", "of", "stopped"), [(5, 10, False), (6, 10, True), (10, 100, False), (11, 100, True), (0, 0, False)]
)
def test_a_share_of_accounts_may_be_disabled_at_once(off: int, of: int, stopped: bool) -> None:
    readings = [reading(entry(disabled=True))] * off + [reading(entry())] * (of - off)
    assert is_too_many(readings, 10, NOW) is stopped


def test_a_reading_disables_only_accounts_that_ended() -> None:
    assert reading(entry()).switches_off(NOW) is None
    assert reading(entry(disabled=True)).switches_off(NOW) == "disabled-in-directory"
    assert reading(entry(disabled=True), off=True).switches_off(NOW) is None
    assert reading(None).switches_off(NOW) is None
    assert reading(None, missing=True).switches_off(NOW) == "gone-from-directory"
