"""make_plan(): changes, renames, unmanaged rows, access and effects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.access.instants import format_instant
from reconciler.access.resources import (
    DeclaredState,
    Guards,
    Issuer,
    Membership,
    Origin,
    Permission,
    Resource,
    Revision,
    Settings,
    Team,
    User,
)
from reconciler.access.state import Access
from reconciler.plan.actual import Actual, Runtime, Totals
from reconciler.plan.changes import Desired, conflicts
from reconciler.plan.make import make_plan
from reconciler.plan.plan import AccessChange, Plan

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
REVISION = Revision("c" * 40, "Alice Jones", NOW, "Change access")

KIND_OF = {User: "User", Team: "Team", Issuer: "Issuer", Settings: "Settings"}


def state(*resources: Resource) -> DeclaredState:
    def named(kind: type) -> dict:
        return {resource.name: resource for resource in resources if isinstance(resource, kind)}

    settings = next((resource for resource in resources if isinstance(resource, Settings)), None)
    return DeclaredState(named(User), named(Team), named(Issuer), {}, settings)


def desired(*resources: Resource) -> Desired:
    origins = {(KIND_OF[type(resource)], resource.name): Origin(f"{resource.name}.yaml", 1) for resource in resources}
    return Desired(state(*resources), origins)


def actual(*resources: Resource, runtime: Runtime | None = None, unmanaged: frozenset = frozenset()) -> Actual:
    declared = state(*resources)
    keys = [(KIND_OF[type(resource)], resource.name) for resource in resources]
    return Actual(
        declared,
        runtime or Runtime(can_set_password=frozenset(declared.users)),
        unmanaged=unmanaged,
        files={key: f"{key[1]}.yaml" for key in keys if key not in unmanaged},
        totals=Totals(len(declared.users), len(declared.teams), len(declared.issuers)),
        generation=7,
        applied=REVISION._replace(commit="b" * 40),
    )


def plan(before: Actual, after: Desired, **options) -> Plan:
    return make_plan(before, after, revision=REVISION, now=NOW, **options)


def verdicts(made: Plan) -> dict[str, str]:
    return {guard.id: guard.verdict for guard in made.guards}


ALICE, BOB = User("alice", "alice@example.org"), User("bob", "bob@example.org")
ADMINS = Team("admins", administrator=True, members=(Membership("alice"),))
PUBLIC, INTERNAL = Issuer("public"), Issuer("internal")


def test_equal_states_give_an_empty_plan_that_every_guard_passes() -> None:
    made = plan(actual(ALICE, ADMINS, PUBLIC), desired(ALICE, ADMINS, PUBLIC))
    assert made.is_empty
    assert not made.moves
    assert set(verdicts(made).values()) == {"pass"}


def test_changes_are_sorted_by_kind_and_name_and_say_where_they_come_from() -> None:
    web = Team("web", members=(Membership("bob"),), permissions=(Permission("public"),))
    made = plan(actual(ALICE, ADMINS), desired(web, PUBLIC, BOB, ALICE, ADMINS))
    assert [(change.action, change.kind, change.name) for change in made.changes] == [
        ("create", "User", "bob"),
        ("create", "Team", "web"),
        ("create", "Issuer", "public"),
    ]
    assert str(made.changes[1].source) == "web.yaml:1"
    assert made.access.gained == (Access("bob", "public", ("web",), None),)
    assert made.effects.mails == 1


def test_a_team_change_tells_members_and_issuers_apart_and_shows_a_changed_end() -> None:
    before = Team("web", members=(Membership("alice"), Membership("bob")), permissions=(Permission("internal"),))
    after = before._replace(members=(Membership("alice", LATER, "cover"),), permissions=(Permission("public", LATER),))
    made = plan(actual(ALICE, BOB, ADMINS, PUBLIC, INTERNAL, before), desired(ALICE, BOB, ADMINS, PUBLIC, INTERNAL, after))
    assert made.changes[0].fields == {
        "members": {
            "added": [],
            "removed": ["bob"],
            "changed": [{"from": "alice", "to": {"user": "alice", "until": format_instant(LATER), "reason": "cover"}}],
        },
        "issuers": {"added": [{"issuer": "public", "until": format_instant(LATER)}], "removed": ["internal"]},
    }
    assert made.access.gained == (Access("alice", "public", ("web",), LATER),)
    assert {access.user for access in made.access.lost} == {"alice", "bob"}


def test_access_that_only_ends_sooner_or_runs_elsewhere_is_a_change_not_a_loss() -> None:
    before = Team("web", members=(Membership("alice"),), permissions=(Permission("public"),))
    after = before._replace(permissions=(Permission("public", LATER),))
    made = plan(actual(ALICE, ADMINS, PUBLIC, before), desired(ALICE, ADMINS, PUBLIC, after))
    assert made.access.changed == (
        AccessChange(Access("alice", "public", ("web",), None), Access("alice", "public", ("web",), LATER)),
    )
    assert (made.access.gained, made.access.lost) == ((), ())


def test_a_rename_keeps_identity_so_nobody_gains_or_loses() -> None:
    web = Team("web", members=(Membership("bob"),), permissions=(Permission("public"),))
    robert = User("robert", "bob@example.org", previously=("bobby", "bob"))
    renamed_web = Team("web2", members=(Membership("robert"),), permissions=(Permission("public"),), previously=("web",))
    made = plan(actual(ALICE, BOB, ADMINS, PUBLIC, web), desired(ALICE, robert, ADMINS, PUBLIC, renamed_web))
    assert [(change.action, change.name, change.previous_name) for change in made.changes] == [
        ("rename", "robert", "bob"),
        ("rename", "web2", "web"),
    ]
    assert made.access == type(made.access)()
    assert made.effects.tokens_ended == 0


def test_a_rename_ends_no_token_but_a_deletion_and_a_switch_off_do() -> None:
    runtime = Runtime(can_set_password=frozenset({"alice"}), sessions={"bob": 2}, tokens={"bob": 3})
    before = actual(ALICE, BOB, ADMINS, runtime=runtime)
    assert plan(before, desired(ALICE, ADMINS)).effects[1:3] == (2, 3)
    assert plan(before, desired(ALICE, ADMINS, BOB._replace(enabled=False))).effects[1:3] == (2, 3)
    assert plan(before, desired(ALICE, ADMINS, User("rob", "bob@example.org", previously=("bob",)))).effects[1:3] == (0, 0)
    disabled_rob = User("rob", "bob@example.org", enabled=False, previously=("bob",))
    assert plan(before, desired(ALICE, ADMINS, disabled_rob)).effects[1:3] == (2, 3)


def test_an_earlier_name_that_exists_nowhere_changes_nothing() -> None:
    alice = ALICE._replace(previously=("al",))
    made = plan(actual(ALICE, ADMINS), desired(alice, ADMINS))
    assert [(change.action, change.name) for change in made.changes] == [("update", "alice")]


def test_a_directory_account_cannot_be_declared() -> None:
    runtime = Runtime(directory_accounts=frozenset({"ada"}))
    found = conflicts(actual(ALICE, ADMINS, runtime=runtime), desired(ALICE, ADMINS, User("ada", "ada@example.org")))
    assert [(problem.rule, problem.file) for problem in found] == [("directory-account", "ada.yaml")]
    assert "`ada`" in found[0].message


def test_the_name_of_another_account_cannot_become_an_alias() -> None:
    runtime = Runtime(directory_accounts=frozenset({"ada b"}))
    ada = User("ada", "ada@example.org", logins=("Ada B", "Ada C"))
    found = conflicts(actual(ALICE, ADMINS, runtime=runtime), desired(ALICE, ADMINS, ada))
    assert [(problem.rule, problem.file) for problem in found] == [("directory-account", "ada.yaml")]
    assert "`Ada B`" in found[0].message
    held = actual(ALICE, ADMINS)._replace(unmanaged=frozenset({("User", "ada c"), ("Team", "ada b")}))
    assert [problem.rule for problem in conflicts(held, desired(ALICE, ADMINS, ada))] == ["foreign"]


def test_an_alias_that_moves_hands_over_no_account() -> None:
    before = actual(ALICE._replace(logins=("A",)), BOB, ADMINS)
    made = plan(before, desired(ALICE, BOB._replace(logins=("A",)), ADMINS))
    assert [(change.action, change.name, change.fields) for change in made.changes] == [
        ("update", "alice", {"logins": {"added": [], "removed": ["A"]}}),
        ("update", "bob", {"logins": {"added": ["A"], "removed": []}}),
    ]
    assert not any(guard.refused for guard in made.guards)


def test_unmanaged_rows_are_left_alone_until_they_are_adopted() -> None:
    unmanaged = frozenset({("User", "bob"), ("Issuer", "public")})
    before = actual(ALICE, BOB, ADMINS, PUBLIC, unmanaged=unmanaged)
    made = plan(before, desired(ALICE, ADMINS))
    assert made.is_empty
    assert made.unmanaged == (("Issuer", "public"), ("User", "bob"))

    taking = plan(before, desired(ALICE, ADMINS, BOB), adopt=True)
    assert [(change.action, change.name) for change in taking.changes] == [("adopt", "bob"), ("delete", "public")]
    assert taking.unmanaged == ()


def test_an_unmanaged_row_that_git_declares_differently_is_a_conflict_that_names_adopt() -> None:
    unmanaged = frozenset({("User", "bob")})
    before = actual(ALICE, BOB, ADMINS, unmanaged=unmanaged)
    other_bob = BOB._replace(email="robert@example.org")
    found = conflicts(before, desired(ALICE, ADMINS, other_bob))
    assert [problem.rule for problem in found] == ["foreign"]
    assert "--adopt" in found[0].message
    assert conflicts(before, desired(ALICE, ADMINS, BOB)) == []
    assert conflicts(before, desired(ALICE, ADMINS, other_bob), adopt=True) == []


def test_an_unmanaged_team_still_gives_access_and_its_loss_shows() -> None:
    rogue = Team("rogue", members=(Membership("bob"),), permissions=(Permission("public"),))
    before = actual(ALICE, BOB, ADMINS, PUBLIC, rogue, unmanaged=frozenset({("Team", "rogue")}))
    assert plan(before, desired(ALICE, BOB, ADMINS, PUBLIC)).access.lost == ()
    assert plan(before, desired(ALICE, BOB, ADMINS, PUBLIC), adopt=True).access.lost == (
        Access("bob", "public", ("rogue",), None),
    )


def test_directory_members_gain_and_lose_with_their_team() -> None:
    web = Team("web", permissions=(Permission("public"),))
    runtime = Runtime(frozenset(), frozenset({"ada"}), {"web": ("ada",)}, frozenset({"alice"}))
    before = actual(ALICE, ADMINS, PUBLIC, web, runtime=runtime)
    made = plan(before, desired(ALICE, ADMINS, PUBLIC, web._replace(permissions=())))
    assert made.access.lost == (Access("ada", "public", ("web",), None),)
    assert plan(before, desired(ALICE, ADMINS, PUBLIC)).access.lost == made.access.lost


def test_an_account_switched_off_elsewhere_neither_gains_nor_loses() -> None:
    web = Team("web", members=(Membership("bob"),), permissions=(Permission("public"),))
    runtime = Runtime(disabled=frozenset({"bob"}), can_set_password=frozenset({"alice"}))
    made = plan(actual(ALICE, BOB, ADMINS, PUBLIC, runtime=runtime), desired(ALICE, BOB, ADMINS, PUBLIC, web))
    assert made.access.gained == ()


def test_a_resource_in_another_file_is_moved_without_a_change() -> None:
    wanted = desired(ALICE, ADMINS)
    elsewhere = wanted._replace(origins={**wanted.origins, ("User", "alice"): Origin("people/alice.yaml", 3)})
    made = plan(actual(ALICE, ADMINS), elsewhere)
    assert made.is_empty
    assert [(key, str(origin)) for key, origin in made.moves] == [(("User", "alice"), "people/alice.yaml:3")]


def test_a_resource_that_goes_away_says_what_it_held() -> None:
    web = Team("web", "Runs it", members=(Membership("alice", LATER), Membership("bob")), permissions=(Permission("public"),))
    settings = Settings(policies=(("sessions", '{"idle":"1h"}'),), guards=Guards(max_administrators=3))
    made = plan(actual(ALICE, BOB, ADMINS, PUBLIC, web, settings), desired(ALICE, BOB, ADMINS, PUBLIC))
    assert made.changes[0].fields == {
        "description": {"from": "Runs it", "to": None},
        "members": {"added": [], "removed": [{"user": "alice", "until": format_instant(LATER)}, "bob"]},
        "issuers": {"added": [], "removed": ["public"]},
    }
    assert made.changes[1].fields == {
        "guards.maxAdministrators": {"from": 3, "to": None},
        "sessions.idle": {"from": "1h", "to": None},
    }


def test_who_becomes_and_who_stops_being_an_administrator_is_part_of_the_plan() -> None:
    rights = Team("rights", administrator=True, members=(Membership("bob"),))
    assert plan(actual(ALICE, BOB, ADMINS), desired(ALICE, BOB, ADMINS, rights)).administrators == (("bob",), ())
    assert plan(actual(ALICE, BOB, ADMINS, rights), desired(ALICE, BOB, ADMINS)).administrators == ((), ("bob",))
    switched_off = desired(ALICE, BOB._replace(enabled=False), ADMINS, rights)
    assert plan(actual(ALICE, BOB, ADMINS, rights), switched_off).administrators == ((), ("bob",))


def test_an_ended_membership_and_a_disabled_account_make_no_administrator() -> None:
    rights = Team("rights", administrator=True, members=(Membership("bob", NOW),))
    assert plan(actual(ALICE, BOB, ADMINS), desired(ALICE, BOB, ADMINS, rights)).administrators == ((), ())
    off = Runtime(can_set_password=frozenset({"alice"}), disabled=frozenset({"bob"}))
    rights = rights._replace(members=(Membership("bob"),))
    assert plan(actual(ALICE, BOB, ADMINS, runtime=off), desired(ALICE, BOB, ADMINS, rights)).administrators == ((), ())


def test_a_renamed_administrator_stays_one() -> None:
    bob, admins = User("bob", "alice@example.org", previously=("alice",)), ADMINS._replace(members=(Membership("bob"),))
    made = plan(actual(ALICE, ADMINS), desired(bob, admins))
    assert (made.changes[0].action, made.administrators) == ("rename", ((), ()))


def test_what_somebody_gains_who_is_disabled_only_here_is_told() -> None:
    web = Team("web", members=(Membership("bob"),), permissions=(Permission("public"),))
    admins = ADMINS._replace(members=(Membership("alice"), Membership("bob")))
    before = actual(
        ALICE, BOB, ADMINS, PUBLIC, runtime=Runtime(disabled=frozenset({"bob"}), can_set_password=frozenset({"alice"}))
    )
    made = plan(before, desired(ALICE, BOB, admins, web, PUBLIC))
    assert made.access.gained == ()
    assert [(warning.file, warning.message) for warning in made.warnings] == [
        ("bob.yaml", "`bob` is disabled here, not in Git, and once enabled again gains `public` and administrators' rights")
    ]
    assert plan(before, desired(ALICE, BOB._replace(enabled=False), admins, web, PUBLIC)).warnings == ()
    both = web._replace(members=(Membership("alice"), Membership("bob")))
    here = actual(ALICE, BOB, ADMINS, PUBLIC, runtime=Runtime(disabled=frozenset({"alice", "bob"})))
    (warning,) = plan(here, desired(ALICE, BOB, ADMINS, both, PUBLIC)).warnings
    assert warning.message == "each of `alice`, `bob` is disabled here, not in Git, and once enabled again gains `public`"
    had = actual(ALICE, BOB, ADMINS, web, PUBLIC, runtime=before.runtime)
    assert plan(had, desired(ALICE, BOB, ADMINS, web, PUBLIC, INTERNAL)).warnings == ()


@pytest.mark.parametrize(("groups", "stay"), [(("PKI-Web",), ["ada"]), (("pki-web", "pki-ops"), ["ada", "olga"]), (("New",), [])])
def test_who_came_through_an_ad_group_that_remains_stays(groups: tuple[str, ...], stay: list[str]) -> None:
    web = Team("web", ad_groups=("PKI-Web", "PKI-Ops"), permissions=(Permission("public"),))
    runtime = Runtime(
        can_set_password=frozenset({"alice"}),
        directory_accounts=frozenset({"ada", "olga", "paul"}),
        directory_members={"web": {"ada": "pki-web", "olga": "pki-ops"}},
    )
    made = plan(
        actual(ALICE, ADMINS, web, PUBLIC, runtime=runtime), desired(ALICE, ADMINS, web._replace(ad_groups=groups), PUBLIC)
    )
    assert sorted({"ada", "olga"} - {access.user for access in made.access.lost}) == stay


def test_a_rename_that_nobody_declared_is_warned_of() -> None:
    members = (Membership("alice"), Membership("bob"))
    web = Team("web", members=members, permissions=(Permission("internal"), Permission("public")))
    before = actual(ALICE, BOB, ADMINS, INTERNAL, PUBLIC, web)

    def warned(*after: Resource, repair: bool = False) -> list[str]:
        return [str(each) for each in plan(before, desired(ALICE, BOB, ADMINS, *after), repair=repair).warnings]

    platform = web._replace(name="platform")
    (warning,) = warned(INTERNAL, PUBLIC, platform)
    assert warning == (
        "platform.yaml:1:1: warning: team `web` is deleted and created again as `platform`, with the same content: what belongs "
        "to the old name, such as certificates, does not pass to the new one. For a rename, write `previously: [web]` in the "
        "metadata of `platform`, as `accord rename team web platform` does [recreated]"
    )
    renamed_as_well = platform._replace(permissions=(Permission("inside"), Permission("public")))
    (warning,) = warned(INTERNAL._replace(name="inside"), PUBLIC, renamed_as_well)
    assert "2 deleted resources are created again under other names, such as issuer `internal` as `inside`, with" in warning
    assert warned(INTERNAL, PUBLIC, platform._replace(previously=("web",))) == []
    assert warned(INTERNAL, PUBLIC, platform._replace(members=members[:1])) == []
    assert warned(INTERNAL, PUBLIC, web, platform) == []
    assert warned(INTERNAL, PUBLIC, platform, repair=True) == []
    assert warned(INTERNAL, PUBLIC, platform, web._replace(name="another")) == []  # which of them would it be?
