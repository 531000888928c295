"""A mail out of a template and its variables: values are harmless in it, whatever they hold."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.access.resources import EmailTemplate
from reconciler.mail.builtin import BUILT_IN
from reconciler.mail.checking import check
from reconciler.mail.fitness import objections
from reconciler.mail.markup import text_of
from reconciler.mail.rendering import LONGEST_SUBJECT, SAMPLE_HOSTS, BadTemplate, Rendered, render
from reconciler.mail.variables import SAMPLES, VARIABLES, nested


def certificate_mail(text: str = "x", html: str | None = None, subject: str = "s") -> EmailTemplate:
    return EmailTemplate("certificate-issued", subject, text, html)


def rendered(template: EmailTemplate, **changed: Any) -> Rendered:
    """A template with sample values but for some: `certificate_note="…"`."""
    values = {each.name: each.sample for each in VARIABLES[template.name]}
    assert {name.replace("_", ".") for name in changed} <= set(values)
    return render(
        template, nested((values | {name.replace("_", "."): value for name, value in changed.items()}).items()), SAMPLE_HOSTS
    )


def test_every_mail_has_a_built_in_template_and_samples_of_all_its_variables() -> None:
    assert list(BUILT_IN) == list(VARIABLES) == list(SAMPLES)
    assert all(template.name == name for name, template in BUILT_IN.items())


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_template_has_no_fault_and_shows_everything_its_mail_is_about(name: str) -> None:
    assert check(BUILT_IN[name]) == []
    mail = render(BUILT_IN[name], SAMPLES[name], SAMPLE_HOSTS)
    page = text_of(mail.html)
    for variable in VARIABLES[name]:
        if variable.type == "text" and variable.name not in ("user.name", "user.email", "certificate.pem"):
            assert variable.sample in mail.text and variable.sample in page, variable.name
    assert all(len(line) <= 78 for line in mail.text.split("\n"))


WORDS = {"Log in", "Download it", "Renew it"}
"""On buttons, above the link that the text has in a sentence."""


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("sample", ["with", "without"])
def test_text_and_html_of_a_built_in_template_say_the_same(name: str, sample: str) -> None:
    values = nested((each.name, None if each.optional and sample == "without" else each.sample) for each in VARIABLES[name])
    mail = render(BUILT_IN[name], values, SAMPLE_HOSTS)
    text, page = mail.text, text_of(mail.html)
    for words in WORDS:
        text = text.replace(f"{words} at", words)
    assert "".join(text.replace(":", "").split()) == "".join(page.replace(":", "").split())


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_template_fetches_nothing_and_runs_nothing(name: str) -> None:
    html = render(BUILT_IN[name], SAMPLES[name], SAMPLE_HOSTS).html.casefold()
    assert not any(word in html for word in ("<img", "<script", "<link", "url(", "src=", "<style", "onclick", "@import", "<form"))


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "has expired:"), (0, "expires today:"), (1, "expires in 1 day:"), (30, "expires in 30 days:")]
)
def test_the_built_in_reminder_counts_days_in_words(days: int, words: str) -> None:
    assert words in rendered(BUILT_IN["certificate-expiring"], certificate_daysToExpiry=days).subject


def test_values_are_escaped_in_html_and_nowhere_else() -> None:
    mail = rendered(certificate_mail("{{ certificate.note }}", "<i>{{ certificate.note }}</i>"), certificate_note="<b>\"'&</b>")
    assert mail.text == "<b>\"'&</b>"
    assert "<i>&lt;b&gt;&#34;&#39;&amp;&lt;/b&gt;</i>" in mail.html


def test_html_is_made_from_the_text_if_there_is_none() -> None:
    mail = rendered(certificate_mail("<{{ certificate.note }}>\n  see {{ certificate.url }}."), certificate_note="&")
    address = "https://ca.example.org/certificates/4711"
    assert f'&lt;&amp;&gt;\n  see <a href="{address}">{address}</a>.</div>' in mail.html
    assert text_of(mail.html).strip() == mail.text


def test_a_fragment_becomes_a_page_and_a_page_stays_as_it_is() -> None:
    assert rendered(certificate_mail(html="<p>x</p>")).html.startswith("<!DOCTYPE html>\n<html")
    assert rendered(certificate_mail(html="<HTML><p>x</p></HTML>")).html == "<HTML><p>x</p></HTML>"


def test_a_value_is_never_read_as_a_template() -> None:
    assert rendered(certificate_mail("{{ certificate.note }}"), certificate_note="{{ user.name }}").text == "{{ user.name }}"


@pytest.mark.parametrize("evil", ["a\nBcc: x@example.org", "a\r\nBcc: x", "a\u2028b", "a\x00b", "a\x85b", "a\u202eb", "a\ud800b"])
def test_no_value_breaks_the_subject_or_hides_characters(evil: str) -> None:
    template = certificate_mail("{{ certificate.subject }} {{ certificate.note }}", subject="{{ certificate.subject }}!")
    mail = rendered(template, certificate_subject=evil, certificate_note=evil)
    assert mail.subject == f"a {evil[-1] if evil[1] != chr(13) and evil[1] != chr(10) else 'Bcc: x' + evil.partition('x')[2]}!"
    assert "\n" not in mail.text.partition("!")[0].partition(" a")[0]
    for part in mail:
        part.encode()  # no half of a surrogate pair is left


def test_only_multi_line_values_keep_their_lines() -> None:
    mail = rendered(
        certificate_mail("{{ user.fullName }}|{{ certificate.note }}"), user_fullName="a\nb", certificate_note="c\r\nd"
    )
    assert mail.text == "a b|c\nd"


def test_a_long_subject_is_cut() -> None:
    subject = rendered(certificate_mail(subject="{{ certificate.subject }}"), certificate_subject="x" * 1000).subject
    assert len(subject) == LONGEST_SUBJECT and subject.endswith("x…")


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", 'https://x/" onclick=a', "http://a b", "", 7, "//x"])
def test_an_invalid_link_is_left_out(link: Any) -> None:
    template = certificate_mail("{{ certificate.url or 'none' }}")
    assert rendered(template, certificate_url=link).text == "none"


def test_instants_are_shown_in_words_in_utc() -> None:
    moment = datetime.fromisoformat("2026-03-01T00:30:00+02:00")
    template = certificate_mail("{{ certificate.validTo }}|{{ certificate.validTo | date }}|{{ certificate.validTo | time }}")
    assert rendered(template, certificate_validTo=moment).text == "28 February 2026, 22:30 UTC|28 February 2026|22:30"
    assert moment.astimezone(UTC).day == 28


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("{{ user.name | upper }}", "ALICE"),
        ("{{ 'aLICE jones' | lower | title }}", "Alice Jones"),
        ("{{ 'x Y' | capitalize }}", "X y"),
        ("{{ ' x ' | trim }}", "x"),
        ("{{ user.name | replace('a', 'b') }}", "blice"),
        ("{{ certificate.issuer | truncate(8) }}", "Public…"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ '<' | e }}", "&lt;"),
        ("{{ certificate.names | join('; ') }}", "shop.example.org; www.shop.example.org"),
        ("{{ certificate.names | first | default('none') }}", "shop.example.org"),
        ("{{ certificate.names | length }}", "2"),
        ("{{ certificate.note | default('none') }}", "Ordered for the winter sale"),
        ("{% if certificate.daysToExpiry <= 30 %}soon{% endif %}", "soon"),
        ("{{ 'a' if certificate.issuer in ['Public TLS'] else 'b' }}", "a"),
        (
            "{% for name in certificate.names if name != 'shop.example.org' %}{{ loop.index }}{{ name }}{% endfor %}",
            "1www.shop.example.org",
        ),
        (
            "{% for name in certificate.names %}{{ name }}{% if not loop.last %}+{% endif %}{% else %}none{% endfor %}",
            "shop.example.org+www.shop.example.org",
        ),
        ("{# nothing #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{% if certificate.note is none %}a{% elif certificate.note is defined %}b{% endif %}", "b"),
    ],
)
def test_what_templates_can_do(code: str, shown: str) -> None:
    assert check(certificate_mail(code)) == []
    assert rendered(certificate_mail(code)).text == shown


def test_lines_with_only_a_condition_leave_no_line() -> None:
    assert rendered(certificate_mail("a\n  {% if user.name %}\nb\n  {% endif %}\nc\n")).text == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("{{ certificate.note or '' }}", "x"),
        ("s", "{% for name in certificate.names %}{{ certificate.pem }}{% endfor %}"),
        ("s", "{% for name in certificate.names %}{% if certificate.pem|upper == 'x' %}x{% endif %}{% endfor %}"),
    ],
)
def test_a_template_that_fails_with_some_values_is_bad(subject: str, text: str) -> None:
    with pytest.raises(BadTemplate):
        rendered(
            certificate_mail(text, subject=subject),
            certificate_note=None,
            certificate_names=["a"] * 9_000,
            certificate_pem="x" * 60_000,
        )


def test_a_bad_template_says_where_and_shows_no_value() -> None:
    with pytest.raises(BadTemplate) as caught:
        rendered(certificate_mail("a\nb {{ user.nam }}"))
    assert (caught.value.field, caught.value.line) == ("text", 2)
    assert caught.value.message == "unknown variable `user.nam`; did you mean `user.name`?"
    assert str(caught.value).startswith("text, line 2: unknown")


def test_a_missing_variable_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match=r"`user\.name` of mail `welcome` is missing"):
        render(BUILT_IN["welcome"], {"user": {}}, SAMPLE_HOSTS)


@given(st.text(max_size=200), st.lists(st.text(max_size=40), max_size=4))
def test_the_built_in_mails_render_with_any_values(text: str, names: list[str]) -> None:
    for template in BUILT_IN.values():
        changed = {each.name.replace(".", "_"): text for each in VARIABLES[template.name] if each.type == "text"}
        changed |= {"certificate_names": names} if template.name.startswith("certificate") else {}
        mail = rendered(template, **changed)
        assert mail.subject and "\n" not in mail.subject and len(mail.subject) <= LONGEST_SUBJECT
        assert "<script" not in mail.html and mail.html.count("<") <= tags(template.name)


@given(
    st.lists(st.sampled_from(["evil", ".", "example", "/", ":", "8443", "www.", "@", "https", "//", " ", "?", "х", "\\"])).map(
        "".join
    )
)
def test_no_value_makes_a_built_in_mail_lead_elsewhere(text: str) -> None:
    for template in BUILT_IN.values():
        if "password" not in SAMPLES[template.name]:
            changed = {each.name.replace(".", "_"): text for each in VARIABLES[template.name] if each.type == "text"}
            changed |= {"certificate_names": [text]} if template.name.startswith("certificate") else {}
            assert list(objections(rendered(template, **changed), SAMPLE_HOSTS)) == []


@cache
def tags(name: str) -> int:
    """How many tags a built-in mail has at most, where no value brings any."""
    return (
        render(BUILT_IN[name], SAMPLES[name], SAMPLE_HOSTS).html.count("<") + 4
    )  # the certificate itself stands where no link does
