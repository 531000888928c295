"""Guards: each limit, from both sides, and with which settings it is judged."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from test_make_plan import ADMINS, ALICE, BOB, INTERNAL, LATER, NOW, PUBLIC, actual, desired, plan, verdicts

from reconciler.access.instants import format_instant
from reconciler.access.resources import Guards, Issuer, Membership, Permission, Settings, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.guards import GUARDS, LASTING, overridden, stricter
from reconciler.plan.objections import FOREVER, Remembered, weight_of
from reconciler.plan.plan import Plan
from reconciler.plan.render.text import plan_lines


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
    unusual = Guards(50.0, 3, True, (("a", "b"),), 7, True)
    assert all(value != default for value, default in zip(unusual, Guards(), strict=True)), "say here what a new limit means"
    assert stricter(unusual, unusual) == unusual
    assert stricter(unusual, Guards()) == stricter(Guards(), unusual) == unusual._replace(max_deletions_percent=10.0)
    many = Guards(max_administrators=None, separation_of_duties=(("b", "c"),), max_people_gaining=9)
    assert stricter(unusual, many) == Guards(10.0, 3, True, (("a", "b"), ("b", "c")), 7, True)


def test_a_plan_cannot_weaken_a_guard_and_use_it_at_once() -> None:
    everyone = users(9)
    before = actual(ALICE, ADMINS, Settings(guards=Guards(max_deletions_percent=10)), *everyone)
    weaker = Settings(guards=Guards(max_deletions_percent=100))
    made = plan(before, desired(ALICE, ADMINS, weaker, *everyone[6:]))
    assert verdicts(made)["deletions"] == "refuse"
    stricter = Settings(guards=Guards(max_deletions_percent=5))
    (refusal,) = plan(before, desired(ALICE, ADMINS, stricter, *everyone[6:])).refusals
    assert refusal.message == "users: 6 of 10 would be removed; the limit for one plan is 5: 5%, at least 5 (guards.maxDeletions)"
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
    bound = ADMINS._replace(permitted_ips=("10.0.0.0/8",))
    made = plan(actual(ALICE, bound, settings), desired(ALICE, ADMINS, settings))
    assert [(guard.id, "alice" in guard.message) for guard in made.refusals] == [("administrators-permitted-ips", True)]
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
    ("admin", "membership"),
    [
        (ALICE._replace(enabled=False), Membership("alice")),
        (ALICE, Membership("alice", LATER)),
        (ALICE._replace(type="application"), Membership("alice")),
        (ALICE, Membership("bob")),
    ],
    ids=["disabled", "expiring", "application", "only a directory account"],
)
def test_an_administrator_who_can_log_in_must_be_left(admin: User, membership: Membership) -> None:
    runtime = Runtime(
        can_set_password=frozenset({"alice"}),
        directory_accounts=frozenset({"ada"}),
        directory_members={"admins": {"ada": "pki-admins"}},
    )
    before = actual(ALICE, BOB._replace(enabled=False), ADMINS, runtime=runtime)
    admins = ADMINS._replace(members=(membership,))
    made = plan(before, desired(admin, BOB._replace(enabled=False), admins, PUBLIC))
    assert [guard.id for guard in made.refusals] == ["last-administrator"]


@pytest.mark.parametrize(
    "runtime",
    [Runtime(), Runtime(disabled=frozenset({"alice"}), can_set_password=frozenset({"alice"}))],
    ids=["no password", "disabled by an administrator"],
)
def test_if_nobody_can_log_in_already_it_is_worse_only_to_lose_somebody_who_could_again(runtime: Runtime) -> None:
    before = actual(ALICE, BOB, ADMINS, runtime=runtime)
    made = plan(before, desired(ALICE, BOB, ADMINS, PUBLIC))
    assert made.refusals == ()
    assert [fact for fact in facts(made) if "there is no administrator who can log in" in fact]
    gone = plan(before, desired(ALICE, BOB, ADMINS._replace(members=()), PUBLIC))
    assert [guard.id for guard in gone.refusals] == ["last-administrator"]
    first = plan(before._replace(applied=None), desired(ALICE, BOB, ADMINS, PUBLIC))
    assert [guard.id for guard in first.refusals] == ["last-administrator"]


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


def test_what_is_only_disabled_is_not_called_removed() -> None:
    made = plan(actual(ALICE, ADMINS, PUBLIC), desired(ALICE._replace(enabled=False), ADMINS, PUBLIC._replace(enabled=False)))
    said = next(guard.message for guard in made.refusals if guard.id == "emptying")
    assert said == "all users would be removed or disabled (1); all issuers would be removed or disabled (1)"
    everyone = users(9)
    fewer = [user._replace(enabled=False) for user in everyone[:5]] + everyone[6:]
    made = plan(actual(ALICE, ADMINS, *everyone), desired(ALICE, ADMINS, *fewer))
    (said,) = (guard.message for guard in made.refusals if guard.id == "deletions")
    assert said.startswith("users: 6 of 10 would be removed or disabled; ")


def test_overriding_a_guard_by_name_overrides_no_other() -> None:
    made = plan(actual(ALICE, ADMINS, PUBLIC), desired())
    results = {guard.id: guard.verdict for guard in overridden(made.guards, ["emptying", "deletions"])}
    assert results["emptying"] == "overridden"
    assert results["last-administrator"] == "refuse"
    assert results["deletions"] == "pass"
    assert list(results) == list(GUARDS)


def facts(made: Plan) -> list[str]:
    return [each.objection.fact for guard in made.guards for each in guard.standing]


APART = Settings(guards=Guards(separation_of_duties=(("admins", "auditors"),)))
BOTH = Team("auditors", members=(Membership("alice"),))


def test_what_stands_is_listed_and_refuses_nothing() -> None:
    made = plan(actual(ALICE, BOB, ADMINS, BOTH, APART), desired(ALICE, BOB, ADMINS, BOTH, APART, PUBLIC))
    assert made.refusals == ()
    assert facts(made) == ["alice is in admins and in auditors, which may not share members"]
    joined = BOTH._replace(members=(Membership("alice"), Membership("bob")))
    more = ADMINS._replace(members=(Membership("alice"), Membership("bob")))
    (refusal,) = plan(actual(ALICE, BOB, ADMINS, BOTH, APART), desired(ALICE, BOB, more, joined, APART)).refusals
    assert refusal.message == "bob would be in admins and in auditors, which may not share members"


def test_what_stands_until_an_instant_may_not_stand_for_longer() -> None:
    ending = BOTH._replace(members=(Membership("alice", LATER),))
    before = actual(ALICE, ADMINS, ending, APART)
    longer = BOTH._replace(members=(Membership("alice", LATER + timedelta(days=1)),))
    assert verdicts(plan(before, desired(ALICE, ADMINS, longer, APART)))["separation-of-duties"] == "refuse"
    shorter = BOTH._replace(members=(Membership("alice", LATER - timedelta(days=1)),))
    assert verdicts(plan(before, desired(ALICE, ADMINS, shorter, APART)))["separation-of-duties"] == "pass"


def test_a_rename_does_not_make_new_what_stands() -> None:
    alicia = User("alicia", "alice@example.org", previously=("alice",))
    both = Team("audit", members=(Membership("alicia"),), previously=("auditors",))
    admins, apart = (
        ADMINS._replace(members=(Membership("alicia"),)),
        Settings(guards=Guards(separation_of_duties=(("admins", "audit"),), refuse_new_administrators=True)),
    )
    made = plan(actual(ALICE, ADMINS, BOTH, APART), desired(alicia, admins, both, apart))
    assert made.refusals == ()
    assert facts(made) == ["alicia is in admins and in audit, which may not share members"]


def test_administrators_beyond_a_limit_may_stay_but_not_become_more() -> None:
    limit = Settings(guards=Guards(max_administrators=1))
    two = ADMINS._replace(members=(Membership("alice"), Membership("bob")))
    eve = User("eve", "eve@example.org")
    before = actual(ALICE, BOB, eve, two, limit)
    assert verdicts(plan(before, desired(ALICE, BOB, eve, two, limit, PUBLIC)))["administrators"] == "pass"
    three = two._replace(members=(*two.members, Membership("eve")))
    assert verdicts(plan(before, desired(ALICE, BOB, eve, three, limit)))["administrators"] == "refuse"


def test_an_administrator_without_permitted_ips_who_stands_blocks_nothing_but_another_one() -> None:
    needed = Settings(guards=Guards(administrators_need_permitted_ips=True))
    before = actual(ALICE, BOB, ADMINS, needed)
    assert plan(before, desired(ALICE, BOB, ADMINS, needed, PUBLIC)).refusals == ()
    two = ADMINS._replace(members=(Membership("alice"), Membership("bob")))
    (refusal,) = plan(before, desired(ALICE, BOB, two, needed)).refusals
    assert refusal.message == "administrator without permitted IPs: bob"


@pytest.mark.parametrize("capability", ["administrator: true", "issuer: public"])
def test_a_power_is_kept_apart_through_whichever_team_somebody_has_it(capability: str) -> None:
    apart = Settings(guards=Guards(separation_of_duties=((capability, "auditors"),)))
    auditors = Team("auditors", members=(Membership("bob"),))
    other = Team("other", administrator=True, members=(Membership("bob"),), permissions=(Permission("public"),))
    (refusal,) = plan(
        actual(ALICE, BOB, ADMINS, PUBLIC, auditors, apart), desired(ALICE, BOB, ADMINS, PUBLIC, auditors, other, apart)
    ).refusals
    assert refusal.id == "separation-of-duties"
    assert "bob would be " in refusal.message
    assert "which are kept apart" in refusal.message


def test_one_team_can_give_two_duties_that_are_kept_apart() -> None:
    apart = Settings(guards=Guards(separation_of_duties=(("administrator: true", "issuer: public"),)))
    signing = ADMINS._replace(permissions=(Permission("public"),))
    made = plan(actual(ALICE, ADMINS, PUBLIC, apart), desired(ALICE, signing, PUBLIC, apart))
    assert [guard.message for guard in made.refusals] == [
        "alice would be an administrator and able to use public, which are kept apart"
    ]
    ended = ADMINS._replace(permissions=(Permission("public", NOW),))
    assert plan(actual(ALICE, ADMINS, PUBLIC, apart), desired(ALICE, ended, PUBLIC, apart)).refusals == ()


def test_an_issuer_under_a_new_name_is_still_kept_apart() -> None:
    apart = Settings(guards=Guards(separation_of_duties=(("administrator: true", "issuer: public"),)))
    renamed = Issuer("signing", previously=("public",))
    signing = ADMINS._replace(permissions=(Permission("signing"),))
    (refusal,) = plan(actual(ALICE, ADMINS, PUBLIC, apart), desired(ALICE, signing, renamed, Settings())).refusals
    assert refusal.message == (
        "alice would be an administrator and able to use signing, which are kept apart "
        "(guards.separationOfDuties in force; this plan's list of 0 entries counts from the next plan: apply it first)"
    )


NO_NEW = Settings(guards=Guards(refuse_new_administrators=True))


@pytest.mark.parametrize(
    ("people", "team"),
    [
        ([ALICE, BOB], ADMINS._replace(members=(Membership("alice"), Membership("bob")))),
        ([ALICE, BOB], Team("web", administrator=True, members=(Membership("bob"),))),
    ],
    ids=["joins", "the team becomes an administrator team"],
)
def test_whoever_becomes_an_administrator_is_refused_if_settings_say_so(people: list[User], team: Team) -> None:
    web = Team("web", members=(Membership("bob"),))
    teams = {each.name: each for each in (ADMINS, web, team)}
    before = actual(ALICE, BOB, ADMINS, web, NO_NEW)
    made = plan(before, desired(*people, *teams.values(), NO_NEW))
    assert [(guard.id, guard.message) for guard in made.refusals] == [("new-administrator", "bob would become an administrator")]
    unasked = plan(actual(ALICE, BOB, ADMINS, web), desired(*people, *teams.values()))
    assert unasked.refusals == ()


def test_an_administrator_who_is_switched_on_again_is_new_and_so_is_one_who_is_only_switched_off_at_runtime() -> None:
    off = BOB._replace(enabled=False)
    two = ADMINS._replace(members=(Membership("alice"), Membership("bob")))
    assert verdicts(plan(actual(ALICE, off, two, NO_NEW), desired(ALICE, BOB, two, NO_NEW)))["new-administrator"] == "refuse"
    runtime = Runtime(disabled=frozenset({"bob"}), can_set_password=frozenset({"alice"}))
    made = plan(actual(ALICE, BOB, ADMINS, NO_NEW, runtime=runtime), desired(ALICE, BOB, two, NO_NEW))
    assert verdicts(made)["new-administrator"] == "refuse"


def until(*ends: datetime | None) -> list[Team]:
    """Administrator teams that Bob is in, each until an instant."""
    return [
        ADMINS,
        *(Team(f"t{number}", administrator=True, members=(Membership("bob", end),)) for number, end in enumerate(ends)),
    ]


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ([LATER], [None], True),
        ([LATER], [LATER + timedelta(days=1)], True),
        ([LATER], [LATER, None], True),
        ([LATER], [LATER - timedelta(days=1)], False),
        ([None], [LATER], False),
        ([None, LATER], [None, None], False),
    ],
)
def test_an_administrator_until_an_instant_may_not_be_one_for_longer(
    before: list[datetime | None], after: list[datetime | None], refused: bool
) -> None:
    strict = Settings(guards=Guards(refuse_new_administrators=True, administrators_need_permitted_ips=True))
    made = plan(actual(ALICE, BOB, *until(*before), strict), desired(ALICE, BOB, *until(*after), strict))
    assert [(guard.id, guard.message) for guard in made.refusals] == [
        ("administrators-permitted-ips", "administrator without permitted IPs: bob"),
        ("new-administrator", "bob would be an administrator for longer"),
    ] * refused


@pytest.mark.parametrize("guard", ["new-administrator", "administrators-permitted-ips"])
def test_an_override_for_an_administrator_until_an_instant_does_not_cover_one_for_good(guard: str) -> None:
    strict = Settings(guards=Guards(refuse_new_administrators=True, administrators_need_permitted_ips=True))
    before, for_a_month = actual(ALICE, BOB, ADMINS, strict), desired(ALICE, BOB, *until(LATER), strict)
    (objection,) = next(result.refused for result in plan(before, for_a_month).refusals if result.id == guard)
    override = Remembered(guard, objection.subjects, objection.weight, LATER, "carol", "for a month")
    before = before._replace(overrides=(override,))
    assert verdicts(plan(before, for_a_month))[guard] == "overridden"
    assert verdicts(plan(before, desired(ALICE, BOB, *until(None), strict)))[guard] == "refuse"


def test_an_ad_group_that_makes_administrators_is_refused_like_an_account() -> None:
    grouped = ADMINS._replace(ad_groups=("PKI-Admins",))
    (refusal,) = plan(actual(ALICE, ADMINS, NO_NEW), desired(ALICE, grouped, NO_NEW)).refusals
    assert "whoever is in the AD group pki-admins would become an administrator" in refusal.message
    assert plan(actual(ALICE, grouped, NO_NEW), desired(ALICE, ADMINS, NO_NEW)).refusals == ()


IN_GROUP = Runtime(
    can_set_password=frozenset({"alice"}),
    directory_accounts=frozenset({"ada"}),
    directory_members={"web": {"ada": "pki-web"}},
    directory_groups={"pki-web": ("ada",)},
)
WEB = Team("web", ad_groups=("PKI-Web",))


@pytest.mark.parametrize(
    ("guard", "limits", "message"),
    [
        ("administrators", Guards(max_administrators=1), "there would be 2 administrators; the limit is 1"),
        ("administrators-permitted-ips", Guards(administrators_need_permitted_ips=True), "without permitted IPs: ada"),
        ("separation-of-duties", Guards(separation_of_duties=(("admins", "web"),)), "ada would be in admins and in web"),
    ],
)
def test_members_who_are_known_to_come_through_a_new_ad_group_count(guard: str, limits: Guards, message: str) -> None:
    grouped, settings = ADMINS._replace(ad_groups=("pki-web",)), Settings(guards=limits)
    before = actual(ALICE, ADMINS, WEB, settings, runtime=IN_GROUP)
    made = plan(before, desired(ALICE, grouped, WEB, settings))
    assert [guard.id for guard in made.refusals] == [guard]
    assert message in made.refusals[0].message
    late = actual(ALICE, grouped, WEB, settings, runtime=IN_GROUP)  # the directory was not read since
    assert plan(late, desired(ALICE, grouped, WEB, settings, PUBLIC)).refusals == ()
    assert plan(late, desired(ALICE, ADMINS, WEB, settings)).refusals == ()


def test_an_ad_group_that_is_exchanged_does_not_free_from_a_guard_who_comes_through_another() -> None:
    both = WEB._replace(ad_groups=("Other", "PKI-Web"))
    limit = Settings(guards=Guards(max_administrators=1))
    before = actual(ALICE, ADMINS, both, limit, runtime=IN_GROUP)
    made = plan(before, desired(ALICE, ADMINS, WEB._replace(administrator=True), limit))
    assert [guard.id for guard in made.refusals] == ["administrators"]


def test_an_ad_group_counts_for_duties_that_are_kept_apart_even_if_nobody_is_known_to_be_in_it() -> None:
    apart = Settings(guards=Guards(separation_of_duties=(("administrator: true", "issuer: public"),)))
    signing = Team("signing", ad_groups=("pki-web",), permissions=(Permission("public", LATER),))
    admins = ADMINS._replace(ad_groups=("PKI-Web",))
    (refusal,) = plan(actual(ALICE, ADMINS, signing, PUBLIC, apart), desired(ALICE, admins, signing, PUBLIC, apart)).refusals
    said = "an administrator and able to use public, which are kept apart"
    assert (refusal.id, refusal.message) == ("separation-of-duties", f"whoever is in the AD group pki-web would be {said}")
    assert refusal.refused[0].subjects == (("", "administrator: true"), ("AD group", "pki-web"), ("Issuer", "public"))
    before = actual(ALICE, admins, signing, PUBLIC, apart)
    assert facts(plan(before, desired(ALICE, admins, signing, PUBLIC, INTERNAL, apart))) == [
        f"whoever is in the AD group pki-web is {said}"
    ]
    longer = signing._replace(permissions=(Permission("public"),))
    assert verdicts(plan(before, desired(ALICE, admins, longer, PUBLIC, apart)))["separation-of-duties"] == "refuse"
    other = admins._replace(ad_groups=("PKI-Admins",))
    assert plan(before, desired(ALICE, other, signing, PUBLIC, apart)).refusals == ()


def test_the_first_apply_may_make_administrators() -> None:
    assert plan(actual()._replace(applied=None), desired(ALICE, ADMINS, NO_NEW)).refusals == ()


def test_a_repair_that_takes_away_is_never_refused() -> None:
    many = users(60)
    mallory = User("mallory", "mallory@example.org")
    gang = Team("gang", administrator=True, members=tuple(Membership(user.name) for user in (mallory, *many)))
    runtime = Runtime(can_set_password=frozenset({"mallory"}))
    before = actual(ALICE, ADMINS, mallory, *many, gang, runtime=runtime)
    made = plan(before, desired(ALICE, ADMINS), repair=True)
    assert made.refusals == ()
    assert any("would be removed" in fact for fact in facts(made))
    assert {guard.id for guard in plan(before, desired(ALICE, ADMINS)).refusals} == {"deletions", "last-administrator"}


def test_a_repair_that_makes_an_administrator_is_judged() -> None:
    made = plan(
        actual(ALICE, BOB, ADMINS, NO_NEW),
        desired(ALICE, BOB, ADMINS._replace(members=(Membership("alice"), Membership("bob"))), NO_NEW),
        repair=True,
    )
    assert [guard.id for guard in made.refusals] == ["new-administrator"]


@pytest.mark.parametrize(
    ("guard", "limits"),
    [
        ("access-gained", Guards(max_people_gaining=0)),
        ("administrators", Guards(max_administrators=1)),
        ("separation-of-duties", Guards(separation_of_duties=(("admins", "issuer: public"),))),
    ],
)
def test_a_repair_that_gives_through_an_ad_group_is_judged_as_any_plan(guard: str, limits: Guards) -> None:
    settings = Settings(guards=limits)
    declared = WEB._replace(administrator=guard == "administrators", permissions=(Permission("public"),))
    admins = ADMINS._replace(ad_groups=("PKI-Web",) if guard == "separation-of-duties" else ())
    runtime = IN_GROUP._replace(directory_members={})
    before = actual(ALICE, admins, declared._replace(ad_groups=()), PUBLIC, settings, runtime=runtime)
    after = desired(ALICE, admins, declared, PUBLIC, settings)
    for repair in (False, True):
        assert [each.id for each in plan(before, after, repair=repair).refusals] == [guard]


def test_a_repair_that_gives_a_duty_without_any_access_is_judged_as_any_plan() -> None:
    before = actual(ALICE, ADMINS, BOTH._replace(members=()), APART)
    for repair in (False, True):
        made = plan(before, desired(ALICE, ADMINS, BOTH, APART), repair=repair)
        assert [guard.id for guard in made.refusals] == ["separation-of-duties"]


def test_a_repair_that_takes_much_and_gives_little_is_refused_only_for_what_it_gives() -> None:
    many = users(60)
    limit = Settings(guards=Guards(max_people_gaining=0))
    web = Team("web", permissions=(Permission("public"),), members=tuple(Membership(user.name) for user in many))
    before = actual(ALICE, BOB, ADMINS, *many, web, PUBLIC, limit)
    after = desired(ALICE, BOB, ADMINS, *many, web._replace(members=(Membership("bob"),)), PUBLIC, limit)
    assert [guard.id for guard in plan(before, after, repair=True).refusals] == ["access-gained"]


def remembered(until: datetime, weight: int = FOREVER) -> Remembered:
    about = (("Team", "admins"), ("Team", "auditors"), ("User", "alice"))
    return Remembered("separation-of-duties", about, weight, until, "carol", "while Bob is away")


@pytest.mark.parametrize(
    ("override", "verdict"),
    [
        (remembered(LATER), "overridden"),
        (remembered(NOW), "refuse"),
        (remembered(LATER, weight_of(LATER)), "refuse"),
        (remembered(LATER)._replace(guard="administrators"), "refuse"),
        (remembered(LATER)._replace(subjects=(("Team", "admins"), ("Team", "auditors"), ("User", "bob"))), "refuse"),
    ],
    ids=["holds", "ended", "did not go as far", "another guard", "another person"],
)
def test_a_remembered_override_covers_just_what_was_overridden(override: Remembered, verdict: str) -> None:
    before = actual(ALICE, BOB, ADMINS, BOTH._replace(members=()), APART)._replace(overrides=(override,))
    made = plan(before, desired(ALICE, BOB, ADMINS, BOTH, APART))
    assert verdicts(made)["separation-of-duties"] == verdict
    shown = "\n".join(line for _, line in plan_lines(made))
    assert ("overridden until 2026-06-30 by carol: while Bob is away" in shown) == (verdict == "overridden")


def test_an_override_that_names_nobody_covers_no_other_person_later() -> None:
    limit = Settings(guards=Guards(max_administrators=1))
    of_bob = Remembered("administrators", (), FOREVER, LATER, "carol", "while Alice is away")
    before = actual(ALICE, BOB, ADMINS, limit)._replace(overrides=(of_bob,))
    two = ADMINS._replace(members=(Membership("alice"), Membership("bob")))
    assert verdicts(plan(before, desired(ALICE, BOB, two, limit)))["administrators"] == "refuse"


def test_each_guard_whose_override_can_be_remembered_names_an_account_or_a_team() -> None:
    strict = Settings(guards=Guards(0.0, 1, True, (("admins", "auditors"),), 0, True))
    both = ADMINS._replace(members=(Membership("alice"), Membership("bob")), permissions=(Permission("public"),))
    before = actual(ALICE, BOB, ADMINS, BOTH._replace(members=(Membership("bob"),)), PUBLIC, strict)
    made = plan(before, desired(ALICE, BOB, both, BOTH._replace(members=(Membership("bob"),)), PUBLIC, strict))
    naming = {guard.id for guard in made.refusals if any(objection.subjects for objection in guard.refused)}
    assert naming == set(LASTING)
    assert all(objection.subjects for guard in made.refusals if guard.id in LASTING for objection in guard.refused)
    assert {guard.id for guard in made.refusals} - naming == {"administrators", "access-gained"}


def test_a_remembered_override_follows_renames() -> None:
    alicia = User("alicia", "alice@example.org", previously=("alice",))
    before = actual(ALICE, ADMINS, BOTH._replace(members=()), APART)._replace(overrides=(remembered(LATER),))
    after = desired(
        alicia, ADMINS._replace(members=(Membership("alicia"),)), BOTH._replace(members=(Membership("alicia"),)), APART
    )
    assert verdicts(plan(before, after))["separation-of-duties"] == "overridden"


BOUND = Settings(guards=Guards(administrators_need_permitted_ips=True))
ROOM = Team("room", permitted_ips=("10.0.0.0/8",))
SOON = NOW + timedelta(minutes=5)


def test_permitted_ips_that_end_before_the_rights_do_not_bind_an_administrator() -> None:
    bound = ADMINS._replace(permitted_ips=("10.0.0.0/8",))
    for_now, for_good = (ROOM._replace(members=(Membership("alice", until),)) for until in (SOON, None))
    before = actual(ALICE, bound, ROOM, BOUND)
    (refusal,) = plan(before, desired(ALICE, ADMINS, for_now, BOUND)).refusals
    assert refusal.message == f"administrator without permitted IPs: alice, from {format_instant(SOON)} on"
    assert plan(before, desired(ALICE, ADMINS, for_good, BOUND)).refusals == ()
    opens_now = plan(actual(ALICE, ADMINS, for_now, BOUND), desired(ALICE, ADMINS, ROOM, BOUND))
    assert [refusal.message for refusal in opens_now.refusals] == ["administrator without permitted IPs: alice"]
    as_long = ADMINS._replace(members=(Membership("alice", SOON),))
    assert verdicts(plan(before, desired(ALICE, as_long, for_now, BOUND)))["administrators-permitted-ips"] == "pass"


def test_permitted_ips_that_end_later_than_before_are_no_objection() -> None:
    open_now, until_soon, until_later = (
        (ADMINS, ROOM._replace(members=members)) for members in ((), (Membership("alice", SOON),), (Membership("alice", LATER),))
    )
    for before, after in ((open_now, until_soon), (until_soon, until_later)):
        assert plan(actual(ALICE, *before, BOUND), desired(ALICE, *after, BOUND)).refusals == ()
        assert plan(actual(ALICE, *after, BOUND), desired(ALICE, *before, BOUND)).refusals != ()


@pytest.mark.parametrize("ips", [(), ("0.0.0.0/0", "::/0")])
def test_an_ad_group_of_administrators_needs_permitted_ips_too(ips: tuple[str, ...]) -> None:
    bound = ADMINS._replace(permitted_ips=("10.0.0.0/8",))
    helpers = Team("helpers", administrator=True, ad_groups=("PKI-Helpers",), permitted_ips=ips)
    (refusal,) = plan(actual(ALICE, bound, BOUND), desired(ALICE, bound, helpers, BOUND)).refusals
    assert refusal.message == "administrator without permitted IPs: whoever is in the AD group pki-helpers"
    listed = helpers._replace(permitted_ips=("10.1.0.0/16",))
    assert plan(actual(ALICE, bound, BOUND), desired(ALICE, bound, listed, BOUND)).refusals == ()


@pytest.mark.parametrize("limits", [Guards(administrators_need_permitted_ips=True), Guards(max_administrators=1)])
def test_an_administrator_who_is_disabled_only_here_counts(limits: Guards) -> None:
    settings, bound = Settings(guards=limits), ADMINS._replace(permitted_ips=("10.0.0.0/8",))
    other = Team("other", administrator=True, members=(Membership("bob"),))
    here = Runtime(disabled=frozenset({"bob"}), can_set_password=frozenset({"alice"}))
    before = actual(ALICE, BOB, bound, settings, runtime=here)
    assert len(plan(before, desired(ALICE, BOB, bound, other, settings)).refusals) == 1
    assert plan(before, desired(ALICE, BOB._replace(enabled=False), bound, other, settings)).refusals == ()


def test_access_for_longer_counts_as_gained() -> None:
    limit, names = Settings(guards=Guards(max_people_gaining=1)), [user.name for user in users(3)]

    def web(until: datetime | None) -> Team:
        return Team("web", members=tuple(Membership(name, until) for name in names), permissions=(Permission("public"),))

    def refusals(was: datetime | None, becomes: datetime | None) -> list[str]:
        before = actual(ALICE, ADMINS, PUBLIC, limit, *users(3), web(was))
        return [each.message for each in plan(before, desired(ALICE, ADMINS, PUBLIC, limit, *users(3), web(becomes))).refusals]

    said = ["3 accounts would gain access or keep it for longer; the limit for one plan is 1 (guards.maxPeopleGaining)"]
    assert refusals(SOON, None) == refusals(SOON, LATER) == said
    assert refusals(LATER, SOON) == refusals(None, LATER) == []


@pytest.mark.parametrize(("partial", "verdict"), [(False, "pass"), (True, "refuse")])
def test_a_repair_of_only_a_part_may_not_take_the_last_administrator(partial: bool, verdict: str) -> None:
    bobs = ADMINS._replace(members=(Membership("bob"),))
    before = actual(ALICE._replace(enabled=False), BOB, bobs)
    made = plan(before, desired(ALICE._replace(enabled=False), BOB, ADMINS), repair=True, partial=partial)
    assert verdicts(made)["last-administrator"] == verdict


def test_a_guard_that_is_off_says_so_instead_of_the_opposite_of_the_plan() -> None:
    made = plan(
        actual(ALICE, BOB, ADMINS), desired(ALICE, BOB, ADMINS._replace(members=tuple(map(Membership, ("alice", "bob")))))
    )
    assert made.administrators.gained == ("bob",)
    messages = {guard.id: (guard.verdict, guard.message) for guard in made.guards if guard.message.startswith("off")}
    assert messages == {
        "administrators-permitted-ips": ("pass", "off (guards.requireAdministratorIPs)"),
        "new-administrator": ("pass", "off (guards.refuseNewAdministrators)"),
        "separation-of-duties": ("pass", "off (guards.separationOfDuties)"),
        "access-gained": ("pass", "off (guards.maxPeopleGaining)"),
    }
    shown = [line for _, line in plan_lines(made)]
    assert not any("new-administrator: " in line for line in shown)
    assert (
        "  - off: administrators-permitted-ips (guards.requireAdministratorIPs), "
        "new-administrator (guards.refuseNewAdministrators), "
        "separation-of-duties (guards.separationOfDuties), access-gained (guards.maxPeopleGaining)"
    ) in shown


def test_a_limit_of_nothing_at_all_is_not_off() -> None:
    strict = Settings(guards=Guards(0.0, None, True, (("a", "b"),), 0, True))
    made = plan(actual(ALICE, ADMINS, strict), desired(ALICE, BOB, ADMINS, strict))
    assert {guard.id: guard.off for guard in made.guards if guard.off} == {"administrators": "guards.maxAdministrators"}
    assert all(guard.id in GUARDS for guard in made.guards)


@pytest.mark.parametrize(
    ("in_force", "brought", "said"),
    [
        (Guards(max_administrators=2), Guards(max_administrators=2), "the limit is 2 (guards.maxAdministrators)"),
        (Guards(max_administrators=9), Guards(max_administrators=2), "the limit is 2 (guards.maxAdministrators)"),
        (Guards(max_administrators=1), Guards(max_administrators=2), "the limit is 1 (guards.maxAdministrators)"),
        (
            Guards(max_administrators=2),
            Guards(max_administrators=30),
            "the limit is 2 (guards.maxAdministrators in force; this plan's 30 counts from the next plan: apply it first)",
        ),
        (
            Guards(max_administrators=2),
            Guards(max_administrators=None),
            "the limit is 2 (guards.maxAdministrators in force; this plan's null counts from the next plan: apply it first)",
        ),
        (
            Guards(refuse_new_administrators=True),
            Guards(),
            "u002 would become an administrator "
            "(guards.refuseNewAdministrators in force; this plan's false counts from the next plan: apply it first)",
        ),
    ],
)
def test_a_refusal_names_the_limit_and_a_setting_that_does_not_count_yet(in_force: Guards, brought: Guards, said: str) -> None:
    two, three = (ADMINS._replace(members=tuple(Membership(user.name) for user in users(number))) for number in (2, 3))
    runtime = Runtime(can_set_password=frozenset({"u000"}))
    before = actual(two, *users(3), Settings(guards=in_force), runtime=runtime)
    (refusal,) = plan(before, desired(three, *users(3), Settings(guards=brought))).refusals
    assert refusal.message.endswith(said)


def test_a_share_of_deletions_that_does_not_count_yet_is_named() -> None:
    before = actual(ALICE, ADMINS, *users(9))
    lax = Settings(guards=Guards(max_deletions_percent=62.5))
    (refusal,) = plan(before, desired(ALICE, ADMINS, *users(9)[6:], lax)).refusals
    assert refusal.message == (
        "users: 6 of 10 would be removed; the limit for one plan is 5: 10%, at least 5 "
        "(guards.maxDeletions in force; this plan's 62.5% counts from the next plan: apply it first)"
    )


def test_a_deleted_team_is_told_as_one() -> None:
    everyone = users(8)
    web = Team("web", members=tuple(Membership(user.name) for user in everyone), permissions=(Permission("internal"),))
    (refusal,) = plan(actual(ALICE, ADMINS, INTERNAL, web, *everyone), desired(ALICE, ADMINS, INTERNAL, *everyone)).refusals
    assert refusal.message == (
        "team web would be deleted, with its 8 members; the limit for one plan is 5: 10%, at least 5 (guards.maxDeletions)"
    )
