"""What was rendered is judged before it is sent: the password is plain text for its reader, and links lead where they may."""

from __future__ import annotations

from functools import partial

import pytest
from growth import assert_linear

from reconciler.mail.fitness import objections, stands_alone
from reconciler.mail.links import host_of, inert, links_elsewhere
from reconciler.mail.markup import html_of
from reconciler.mail.rendering import Rendered

PASSWORD = "k7qmw-4wtzx-r9xev-vb2ns-abcde-fghij"
HOSTS = frozenset(("accord.example.org",))


def of_text(text: str) -> list[str]:
    """What is wrong with a text."""
    return [each.about for each in objections(Rendered("s", text, html_of(PASSWORD)), HOSTS, PASSWORD)]


def of_page(html: str, subject: str = "s") -> list[str]:
    """What is wrong with a page."""
    return [each.about for each in objections(Rendered(subject, PASSWORD, html), HOSTS, PASSWORD)]


@pytest.mark.parametrize(
    "text",
    [
        "Your password: {}\nLog in at https://accord.example.org/.",
        "    alice\n    {}\n",
        "Password:{}",
        'It is "{}".',
        "({}), see http://ACCORD.example.org:8080/login?x=y (soon)",
        "«{}» 1 < 2",
        "{}\nwrite to pki@example.org or mailto:pki@example.org",
    ],
)
def test_ordinary_mails_are_fit(text: str) -> None:
    assert of_text(text.format(PASSWORD)) == []
    assert of_page(html_of(text.format(PASSWORD))) == []


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "{} https://evil.example/{}",
        "{} www.evil.example/?{}",
        "{} evil.example/?p={}",
        "{} mailto:x@evil.example?body={}",
        "{}@evil.example",
        "{}.evil.example",
        "x{}",
        "https://evil.example/\u200b{}",
        "<https://evil.example/\n{}>",
        "https://accord.example.org/{}",
    ],
)
def test_the_password_is_never_part_of_an_address(text: str) -> None:
    assert "password" in of_text(text.replace("{}", PASSWORD))


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/",
        "HTTPS://evil.example",
        "https:\\\\evil.example",
        "https://accord.example.org@evil.example/",
        "https://accord.example.org:443@evil.example/",
        "https://accord.example.org\\@evil.example/",
        "https://accord.example.org.evil.example/",
        "https://accord.example.orgé.evil.example/",
        "https://accord.example.org%2eevil.example/",
        "https://evil.example\\accord.example.org/",
        "ftp://accord.example.org/",
        "www.evil.example",
        "evil.example/login",
    ],
)
def test_links_of_a_mail_with_a_password_lead_only_to_permitted_hosts(text: str) -> None:
    assert set(of_text(f"{PASSWORD} {text}")) == {"link"}
    assert "link" in of_page(f"<p>{PASSWORD}</p><p>{text}</p>")


@pytest.mark.parametrize(
    "html",
    [
        "<img src='https://evil.example/{}'>",
        "<img src='//evil.example/{}'>",
        "<p style='background: url(https://evil.example/{})'>",
        "<style>p { background: url(//evil.example/{}) }</style>",
        "<!--[if mso]><img src='https://evil.example/{}'><![endif]-->",
        "<a title='{}'>",
        "<a href='https://accord.example.org/{}'>log in</a>",
        "<textarea>{}</textarea>",
        "<p>evil.example/<b>{}</b></p>",
        "<p>https://accord.example.org/<span>{}</span></p>",
    ],
)
def test_the_password_is_only_text_of_the_page(html: str) -> None:
    assert "password" in of_page(f"<p>{PASSWORD}</p>" + html.replace("{}", PASSWORD))


@pytest.mark.parametrize(
    ("html", "about"),
    [
        ("<a href='https://accord.example.org/x'>log in</a>", None),
        ("<a href=' https://accord.example.org/x'>log in</a>", None),
        ("<a href='mailto:pki@example.org?subject=Help me'>help</a>", None),
        ("<img src='cid:logo'><img src='data:image/png;base64,AAAA'>", None),
        ("<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN' 'http://www.w3.org/TR/xhtml1/DTD/xhtml1.dtd'>", None),
        ("<html xmlns='http://www.w3.org/1999/xhtml' xmlns:v='urn:x'><td width=7 bgcolor='#fff'>", None),
        ("<style>b > i { color: red }</style><!-- logo -->", None),
        ("<a href='https://evil.example/'>log in</a>", "link"),
        ("<a href='//evil.example/'>log in</a>", "link"),
        ("<a href='ht\ntps://evil.example/'>log in</a>", "link"),
        ("<a href='https:evil.example/'>log in</a>", "link"),
        ("<a href='/x'>log in</a>", "link"),
        ("<a href='javascript:alert(1)'>log in</a>", "link"),
        ("<a href='&#104;ttps://evil.example/'>log in</a>", "link"),
        ("<img srcset='https://evil.example/a 1x'>", "link"),
        ("<td background=//evil.example/a>", "link"),
        ("<p style='background: u\\72l(a)'>", "link"),
        ("<style>@import 'x'</style>", "link"),
        ("<!--[if mso]><a href='//evil.example'><![endif]-->", "link"),
        ("<a data-x='https://evil.example/'>", "link"),
        ("<form>", "element"),
        ("<SCRIPT>", "element"),
        ("<base target=x>", "element"),
        ("<meta http-equiv=refresh content='0'>", "element"),
    ],
)
def test_tags_lead_only_to_permitted_hosts_and_run_nothing(html: str, about: str | None) -> None:
    found = of_page(f"<p>{PASSWORD}</p>{html}")
    assert (found == []) if about is None else (about in found)


def test_the_subject_shows_no_password_and_leads_nowhere_else() -> None:
    assert of_page(PASSWORD, subject=f"hello {PASSWORD}") == ["password"]
    assert of_page(PASSWORD, subject="https://evil.example/") == ["link"]


def test_links_in_values_become_text_unless_their_host_is_permitted() -> None:
    text = "see https://accord.example.org/a, https://evil.example/b and spiffe://cluster/c"
    shown = inert(text, HOSTS)
    assert shown == "see https://accord.example.org/a, https[:]//evil.example/b and spiffe[:]//cluster/c"
    assert list(links_elsewhere(shown, HOSTS)) == []


def test_the_host_of_a_link() -> None:
    assert host_of("https://[2001:db8::1]:8443/x") == "[2001:db8::1]"
    assert host_of("https://Accord.Example.org") == "accord.example.org"
    assert host_of("https://a_b.example/") is None


@pytest.mark.parametrize("piece", [PASSWORD + " ", "<", "https://", "a.", "www.", "/*", "<a href=x>", "&lt;", "a/"])
def test_judging_a_mail_takes_linear_time(piece: str) -> None:
    def judging(length: int) -> object:
        text = piece * (length // len(piece))
        return partial(lambda: list(objections(Rendered("s", text, text), HOSTS, PASSWORD)))

    assert_linear(judging, 1 << 11, 1 << 15)


def test_no_objection_quotes_the_password() -> None:
    evil = f"https://evil.example/a-rather-long-path-to-be-cut/{PASSWORD}"
    found = list(objections(Rendered(evil, f"{PASSWORD} {evil}", f"{PASSWORD} <a href='{evil}'>x</a>"), HOSTS, PASSWORD))
    assert len(found) > 5
    assert not any(PASSWORD[:4] in each.message for each in found)


def test_a_password_alone_is_found_wherever_it_stands() -> None:
    assert stands_alone(PASSWORD, PASSWORD)
    assert not stands_alone(f"{PASSWORD} a/{PASSWORD}", PASSWORD)
