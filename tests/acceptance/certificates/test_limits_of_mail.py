"""Whom an account can have mailed, how often, and where the links of its mails may lead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from register_world import DAY, RegisterWorld
from scenario import resource, team, user

from api.certificates import quotas
from api.certificates.notices import Notices
from reconciler.mail.builtin import BUILT_IN
from reconciler.mail.rendering import render
from reconciler.store import tables

HOUR = timedelta(hours=1)


def refused(world: RegisterWorld, status: int, **more: object) -> dict[str, object]:
    """What a registration by alice that is refused is told."""
    found: dict[str, object] = world.caller("alice")("POST", "/certificates", status, json=world.body(**more))
    assert world.mails() == []
    return found


def test_additional_addresses_are_only_those_of_declared_users_domains(world: RegisterWorld) -> None:
    problem = refused(world, 403, extraAddresses=["ops@example.org", "victim@another-company.example"])
    assert problem["reason"] == "recipient-not-permitted" and "`victim@another-company.example`" in str(problem["detail"])
    refused(world, 403, extraAddresses=["x@evil.example.org"])
    refused(world, 403, extraAddresses=["x@org"])
    world.execute("INSERT INTO users (name, source, email) VALUES ('zoe', 'directory', 'zoe@corp.example')")
    refused(world, 403, extraAddresses=["x@corp.example"])  # whatever a directory says
    world.apply({"users/yan.yaml": user("yan", email="Yan@Partner.example")})
    number = world.register(extraAddresses=["OPS@Example.ORG", "x@partner.example"])
    change = {"extraAddresses": ["OPS@Example.ORG", "victim@another-company.example"]}
    world.caller("alice")("PATCH", f"/certificates/{number}", 403, json=change)


def test_the_settings_name_the_domains_instead(world: RegisterWorld) -> None:
    world.settings(permittedRecipientDomains=["partner.example"])
    refused(world, 403, extraAddresses=["ops@example.org"])
    world.register(extraAddresses=["x@Partner.example"])
    world.settings(permittedRecipientDomains=[])
    world.forget_mails()
    refused(world, 403, extraAddresses=["x@partner.example"])


def test_addresses_that_a_certificate_has_stay(world: RegisterWorld) -> None:
    number = world.register(extraAddresses=["ops@example.org"])
    world.settings(permittedRecipientDomains=[])
    world.caller("alice")("PATCH", f"/certificates/{number}", 200, json={"note": "x", "extraAddresses": ["OPS@example.org"]})


@pytest.mark.parametrize("holder", ["account", "team"])
def test_an_account_and_a_team_can_cause_only_so_many_mails(world: RegisterWorld, holder: str) -> None:
    world.settings(**{f"{holder}MailsPerHour": 3})
    addresses = [f"ops{number}@example.org" for number in range(3)]
    number = world.register(extraAddresses=addresses[:2])
    for _ in range(3):
        world.register()  # a mail to oneself counts for nothing
    before = world.mails()
    problem = world.caller("alice")("POST", "/certificates", 429, json=world.body(extraAddresses=addresses[:2]))
    assert problem["title"] == "Too many mails" and 3_500 < problem["retryAfter"] <= 3_600
    world.caller("alice")("PATCH", f"/certificates/{number}", 200, json={"extraAddresses": addresses})
    world.caller("alice")("PATCH", f"/certificates/{number}", 200, json={"extraAddresses": []})
    world.caller("alice")("PATCH", f"/certificates/{number}", 429, json={"extraAddresses": addresses[:1]})
    assert world.mails() == before, "a refused request changes nothing"
    world.apply({"teams/more.yaml": team("more", members=["alice", "bob"], issuers=["tls"])})
    found = 201 if holder == "team" else 429
    world.caller("alice")("POST", "/certificates", found, json=world.body(team="more", extraAddresses=addresses[:1]))
    assert world.caller("bob")("POST", "/certificates", 201, json=world.body(team="more", extraAddresses=addresses[:1]))


def test_whatever_a_registration_causes_counts_but_the_callers_own_mail(world: RegisterWorld) -> None:
    world.settings(accountMailsPerHour=4, alwaysSendTo=["pki@example.org", "ca@example.org", "ALICE@example.org"])
    assert [len(world.mails(world.register())) for _ in range(2)] == [3, 3]
    before = world.mails()
    world.caller("alice")("POST", "/certificates", 429, json=world.body())
    assert world.mails() == before


def test_mails_to_administrators_in_place_of_an_owner_count(world: RegisterWorld) -> None:
    world.apply({"teams/admins.yaml": team("admins", administrator=True, members=["root", "bob"])})
    world.settings(accountMailsPerHour=1)
    world.execute("UPDATE users SET email = '' WHERE name = 'alice'")
    assert world.mails(world.register()) == [("certificate-issued", "bob")]
    world.caller("alice")("POST", "/certificates", 429, json=world.body())


def test_new_addresses_count_even_if_no_mail_goes_out_at_once(world: RegisterWorld) -> None:
    world.settings(accountMailsPerHour=3, onIssue=False, alwaysSendTo=["pki@example.org"])
    world.register(extraAddresses=["a@example.org", "b@example.org"])
    world.register()
    world.caller("alice")("POST", "/certificates", 429, json=world.body(extraAddresses=["a@example.org", "b@example.org"]))
    assert world.mails() == []


def test_a_quota_is_whole_again_after_its_time_and_forgotten_later(world: RegisterWorld) -> None:
    now = datetime(2099, 1, 1, tzinfo=UTC)
    policy = world.service.keeper.now().policies.mail._replace(account_per_hour=2, account_per_day=3)
    with world.service.database.recording() as connection:
        for moment, mails, is_permitted in (
            (now, 2, True),
            (now + HOUR / 2, 1, False),
            (now + HOUR, 1, True),
            (now + 2 * HOUR, 1, False),  # of the day
            (now + DAY, 2, True),
            (now - DAY, 2, True),  # the clock was wrong
        ):
            try:
                quotas.spend(connection, 7, None, mails, policy, moment)
                assert is_permitted
            except quotas.QuotaExceeded:
                assert not is_permitted
                connection.execute(tables.mail_quotas.select())
        quotas.forget(connection, now + 3 * DAY)
        assert connection.execute(tables.mail_quotas.select()).all() == []


def test_links_lead_only_to_hosts_that_the_issuer_declares(world: RegisterWorld) -> None:
    issuer = {"displayName": "Public TLS", "linkHosts": ["ca.example.org"]}
    world.apply({"issuers/tls.yaml": resource("Issuer", "tls", issuer)})
    for link in ("https://evil.example/", "https://ca.example.org.evil.example/x"):
        problem = refused(world, 403, url=link)
        assert problem["reason"] == "link-not-permitted" and "ca.example.org" in str(problem["detail"])
        refused(world, 403, renewalUrl=link)
    number = world.register(url="https://ca.example.org/1", note="see https://evil.example/")
    world.caller("alice")("PATCH", f"/certificates/{number}", 403, json={"renewalUrl": "https://evil.example/"})
    text = issued_mail(world)
    assert "Download it at https://ca.example.org/1" in text
    assert "What follows was written by alice; nobody has checked it:\n\n    see https[:]//evil.example/" in text


def test_links_of_an_issuer_that_declares_no_hosts_cannot_be_clicked(world: RegisterWorld) -> None:
    world.register(url="https://evil.example/keep")
    text = issued_mail(world)
    assert "What follows was written by alice; nobody has checked it:\n\n    https[:]//evil.example/keep" in text
    assert "https://" not in text


def issued_mail(world: RegisterWorld) -> str:
    """The text of the only mail about a certificate."""
    from register_world import claimed

    with world.service.database.reading() as connection:
        (row,) = connection.execute(tables.outbox.select().where(tables.outbox.c.certificate_id.is_not(None))).all()
        material = Notices().gather(connection, claimed(row), datetime.now(UTC))
    return render(BUILT_IN[row.template], {**material.variables, "url": None}, material.link_hosts).text
