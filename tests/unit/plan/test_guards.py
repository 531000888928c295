"""Guards: each limit, from both sides, and with which settings it is judged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from test_make_plan import ADMINS, ALICE, BOB, INTERNAL, LATER, NOW, PUBLIC, actual, desired, plan, verdicts

from reconciler.access.resources import Guards, Issuer, Membership, Permission, Settings, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.guards import GUARDS, overridden, stricter


def users(count: int) -> list[User]:
    return [User(f"u{number:03}", f"u{number}@example.org") for number in range(count)]


@pytest.mark.parametrize(("of", "gone", "verdict"), [(9, 5, "pass"), (9, 6, "refuse"), (99, 10, "pass"), (99, 11, "refuse")])
def test_deletions_are_limited_to_a_share_and_never_fewer_than_five(of: int, gone: int, verdict: str) -> None:
    everyone = users(of)
    made = plan(actual(ALICE, ADMINS, *everyone), desired(ALICE, ADMINS, *everyone[gone:]))
    assert verdicts(made)["deletions"] == verdict


@pytest.mark.parametrize(("gone", "verdict"), [(5, "pass"), (6, "refuse")])
def test_each_teams_members_are_a_scope_of_their_own(gone: int, verdict: str) -> None:
    everyone = users(200)
    web = Team("web", members=tuple(Membership(user.name) for user in everyone[:20]))
    smaller = web._replace(members=web.members[gone:])
    made = plan(actual(ALICE, ADMINS, web, *everyone), desired(ALICE, ADMINS, smaller, *everyone))
    assert verdicts(made)["deletions"] == verdict
    if verdict == "refuse":
        assert "members of team web: 6 of 20 would be removed" in made.refusals[0].message


@pytest.mark.parametrize(("gone", "verdict"), [(5, "pass"), (6, "refuse")])
def test_each_teams_issuers_are_a_scope_of_their_own(gone: int, verdict: str) -> None:
    issuers = [Issuer(f"i{number}") for number in range(20)]
    web = Team("web", permissions=tuple(Permission(issuer.name) for issuer in issuers))
    smaller = web._replace(permissions=web.permissions[gone:])
    made = plan(actual(ALICE, ADMINS, web, *issuers), desired(ALICE, ADMINS, smaller, *issuers))
    assert verdicts(made)["deletions"] == verdict


def test_removing_ended_memberships_is_not_a_loss() -> None:
    everyone = users(20)
    web = Team("web", members=tuple(Membership(user.name, NOW - timedelta(days=1)) for user in everyone))
    made = plan(actual(ALICE, ADMINS, web, *everyone), desired(ALICE, ADMINS, web._replace(members=()), *everyone))
    assert verdicts(made)["deletions"] == "pass"


def test_of_two_settings_each_limit_is_the_stricter_one() -> None:
    unusual = Guards(50.0, 3, True, (("a", "b"),), 7)
    assert all(value != default for value, default in zip(unusual, Guards(), strict=True)), "say here what a new limit means"
    assert stricter(unusual, unusual) == unusual
    assert stricter(unusual, Guards()) == stricter(Guards(), unusual) == unusual._replace(max_deletions_percent=10.0)
    many = Guards(max_administrators=None, separation_of_duties=(("b", "c"),), max_people_gaining=9)
    assert stricter(unusual, many) == Guards(10.0, 3, True, (("a", "b"), ("b", "c")), 7)


def test_a_plan_cannot_weaken_a_guard_and_use_it_at_once() -> None:
    everyone = users(9)
    before = actual(ALICE, ADMINS, Settings(guards=Guards(max_deletions_percent=10)), *everyone)
    weaker = Settings(guards=Guards(max_deletions_percent=100))
    made = plan(before, desired(ALICE, ADMINS, weaker, *everyone[6:]))
    assert verdicts(made)["deletions"] == "refuse"
    stricter = Settings(guards=Guards(max_deletions_percent=5))
    (refusal,) = plan(before, desired(ALICE, ADMINS, stricter, *everyone[6:])).refusals
    assert refusal.message == "users: 6 of 10 would be removed; the limit for one plan is 5 (5 %, at least 5)"
    unsaid = plan(
        actual(ALICE, ADMINS, Settings(guards=Guards(max_people_gaining=0)), PUBLIC),
        desired(ALICE, team_for(ALICE), ADMINS, PUBLIC),
    )
    assert verdicts(unsaid)["access-gained"] == "refuse"


def test_a_plan_is_bound_by_the_stricter_guard_it_brings() -> None:
    stricter = Settings(guards=Guards(max_people_gaining=0))
    made = plan(actual(ALICE, ADMINS, PUBLIC), desired(ALICE, team_for(ALICE), ADMINS, PUBLIC, stricter))
    assert verdicts(made)["access-gained"] == "refuse"


def test_at_the_first_apply_there_are_only_the_settings_it_brings() -> None:
    everyone = users(12)
    admins = ADMINS._replace(members=tuple(Membership(user.name) for user in everyone))
    first = actual()._replace(applied=None)
    assert verdicts(plan(first, desired(admins, *everyone)))["administrators"] == "refuse"
    allowed = Settings(guards=Guards(max_administrators=12))
    assert verdicts(plan(first, desired(admins, allowed, *everyone)))["administrators"] == "pass"


def team_for(user: User) -> Team:
    return Team("web", members=(Membership(user.name),), permissions=(Permission("public"),))


@pytest.mark.parametrize(("limit", "verdict"), [(None, "pass"), (2, "pass"), (1, "refuse")])
def test_people_who_gain_access_in_one_plan_can_be_limited(limit: int | None, verdict: str) -> None:
    settings = Settings(guards=Guards(max_people_gaining=limit))
    web = Team(
        "web", members=(Membership("alice"), Membership("bob")), permissions=(Permission("internal"), Permission("public"))
    )
    made = plan(
        actual(ALICE, BOB, ADMINS, PUBLIC, INTERNAL, settings), desired(ALICE, BOB, ADMINS, PUBLIC, INTERNAL, settings, web)
    )
    assert verdicts(made)["access-gained"] == verdict


def test_administrators_can_be_bound_to_permitted_ips() -> None:
    settings = Settings(guards=Guards(administrators_need_permitted_ips=True))
    made = plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS, settings))
    assert [(guard.id, "alice" in guard.message) for guard in made.refusals] == [("administrators-permitted-ips", True)]
    bound = ADMINS._replace(permitted_ips=("10.0.0.0/8",))
    assert plan(actual(ALICE, ADMINS), desired(ALICE, bound, settings)).refusals == ()


def test_nobody_may_be_in_two_teams_whose_duties_are_kept_apart() -> None:
    settings = Settings(guards=Guards(separation_of_duties=(("admins", "auditors"),)))
    auditors = Team("auditors", members=(Membership("bob"),))
    before = actual(ALICE, BOB, ADMINS, auditors, settings)
    both = auditors._replace(members=(Membership("alice"), Membership("bob")))
    made = plan(before, desired(ALICE, BOB, ADMINS, both, settings))
    assert [(guard.id, "alice would be in admins and in auditors" in guard.message) for guard in made.refusals] == [
        ("separation-of-duties", True)
    ]
    ended = auditors._replace(members=(Membership("alice", NOW), Membership("bob")))
    assert plan(before, desired(ALICE, BOB, ADMINS, ended, settings)).refusals == ()


@pytest.mark.parametrize(
    ("admin", "membership", "runtime"),
    [
        (ALICE._replace(enabled=False), Membership("alice"), Runtime(can_set_password=frozenset({"alice"}))),
        (ALICE, Membership("alice", LATER), Runtime(can_set_password=frozenset({"alice"}))),
        (ALICE._replace(type="application"), Membership("alice"), Runtime(can_set_password=frozenset({"alice"}))),
        (ALICE, Membership("alice"), Runtime()),
        (ALICE, Membership("alice"), Runtime(disabled=frozenset({"alice"}), can_set_password=frozenset({"alice"}))),
        (
            ALICE,
            Membership("bob"),
            Runtime(
                can_set_password=frozenset({"alice"}),
                directory_accounts=frozenset({"ada"}),
                directory_members={"admins": ("ada",)},
            ),
        ),
    ],
    ids=["disabled", "expiring", "application", "no password", "disabled by an administrator", "only a directory account"],
)
def test_an_administrator_who_can_log_in_must_be_left(admin: User, membership: Membership, runtime: Runtime) -> None:
    before = actual(ALICE, BOB._replace(enabled=False), ADMINS, runtime=runtime)
    admins = ADMINS._replace(members=(membership,))
    made = plan(before, desired(admin, BOB._replace(enabled=False), admins, PUBLIC))
    assert [guard.id for guard in made.refusals] == ["last-administrator"]


def test_an_administrator_may_come_by_the_welcome_mail_of_this_very_plan() -> None:
    first = actual(runtime=Runtime())._replace(applied=None)
    assert plan(first, desired(ALICE, ADMINS)).refusals == ()
    silent = ALICE._replace(initial_password="none")
    assert [guard.id for guard in plan(first, desired(silent, ADMINS)).refusals] == ["last-administrator"]


def test_a_renamed_administrator_still_counts() -> None:
    alicia = User("alicia", "alice@example.org", previously=("alice",))
    made = plan(actual(ALICE, ADMINS), desired(alicia, ADMINS._replace(members=(Membership("alicia"),))))
    assert made.refusals == ()


def test_emptying_is_always_refused() -> None:
    made = plan(actual(ALICE, ADMINS, PUBLIC), desired())
    assert {guard.id for guard in made.refusals} == {"emptying", "last-administrator"}
    assert "all users would be removed (1)" in next(guard.message for guard in made.refusals if guard.id == "emptying")


def test_overriding_a_guard_by_name_overrides_no_other() -> None:
    made = plan(actual(ALICE, ADMINS, PUBLIC), desired())
    results = {guard.id: guard.verdict for guard in overridden(made.guards, ["emptying", "deletions"])}
    assert results["emptying"] == "overridden"
    assert results["last-administrator"] == "refuse"
    assert results["deletions"] == "pass"
    assert list(results) == list(GUARDS)
