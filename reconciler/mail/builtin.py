"""The templates to use if a config repository declares none of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.access.mails import (
    CERTIFICATE_EXPIRING,
    CERTIFICATE_ISSUED,
    PASSWORD_RESET,
    PASSWORD_SET,
    TOKEN_EXPIRING,
    TOKEN_MINTED,
    WELCOME,
)
from reconciler.access.resources import EmailTemplate

_NAME = "{{ user.fullName or user.name }}"
_LOG_IN = """\
    User name: {{ user.name }}
    Password:  {{ password }}

{% if url %}
Log in at {{ url }}

{% endif %}
You will be asked to choose a password of your own. The one above can be
used until {{ passwordExpires }}.

Nobody will ever ask you for your password. If you did not expect this mail,
tell the people who run the certificate service.
"""
_ROWS = (
    ("Subject", "{{ certificate.subject }}", ""),
    ("Names", '{{ certificate.names | join(", ") | truncate(1000) }}', "certificate.names"),
    ("Issuer", "{{ certificate.issuer }} ({{ certificate.verification }})", ""),
    ("Serial number", "{{ certificate.serialNumber }}", ""),
    ("Valid from", "{{ certificate.validFrom }}", ""),
    ("Valid to", "{{ certificate.validTo }}", ""),
    ("Requested by", f"{_NAME}, team {{{{ certificate.team }}}}", ""),
)
"""Rows about a certificate: a label, a value, and the optional variable that the row depends on."""


def _expires(days: str) -> str:
    return (
        f"{{% if {days} < 0 %}}has expired{{% elif {days} == 0 %}}expires today"
        f"{{% elif {days} == 1 %}}expires in 1 day{{% else %}}expires in {{{{ {days} }}}} days{{% endif %}}"
    )


_EXPIRES = _expires("certificate.daysToExpiry")

_P = '<p style="margin: 0 0 16px">'
_BOX = "border: 1px solid #8888; border-radius: 6px; border-spacing: 0; margin: 0 0 16px; padding: 8px 12px; width: 100%"
_LABEL = "padding: 4px 16px 4px 0; text-align: left; vertical-align: top; white-space: nowrap; font-weight: normal; opacity: 0.75"
_CELL = "padding: 4px 0; width: 100%; overflow-wrap: anywhere"
_CODE = "font-family: ui-monospace, Consolas, Menlo, monospace; font-size: 15px"
_BUTTON = (
    "display: inline-block; padding: 8px 20px; border-radius: 6px; background: #1f5fbf; color: #ffffff; "
    "font-weight: bold; text-decoration: none"
)


def _page(*paragraphs: str) -> str:
    return "\n".join(paragraphs) + "\n"


def _paragraph(text: str) -> str:
    return f"{_P}{text}</p>"


def _row(label: str, value: str, style: str = "") -> str:
    return f'<tr><th style="{_LABEL}">{label}</th><td style="{_CELL}{style}">{value}</td></tr>'


def _table(*rows: str) -> str:
    return "\n".join((f'<table role="presentation" style="{_BOX}">', *rows, "</table>"))


def _button(address: str, words: str) -> str:
    """Return a link that looks like a button, with its address below."""
    shown = f'<small style="opacity: 0.75">{{{{ {address} }}}}</small>'
    return f'{_P}<a href="{{{{ {address} }}}}" style="{_BUTTON}">{words}</a><br>\n{shown}</p>'


def _account(name: str, subject: str, what: str) -> EmailTemplate:
    """Return a mail with a password."""
    code = f"; {_CODE}"
    return EmailTemplate(
        name,
        subject,
        f"Hello {_NAME},\n\n{what}\n\n{_LOG_IN}",
        _page(
            _paragraph(f"Hello {_NAME},"),
            _paragraph(what),
            _table(_row("User name", "{{ user.name }}", code), _row("Password", "{{ password }}", code)),
            "{% if url %}",
            _button("url", "Log in"),
            "{% endif %}",
            _paragraph(
                "You will be asked to choose a password of your own. "
                "The one above can be used until <strong>{{ passwordExpires }}</strong>."
            ),
            _paragraph(
                "Nobody will ever ask you for your password. "
                "If you did not expect this mail, tell the people who run the certificate service."
            ),
        ),
    )


_WHOSE = "What follows was written by {{ certificate.describedBy }}; nobody has checked it:"
_WORDS = f"""\
{{% if certificate.note or certificate.links %}}

{_WHOSE}
{{% endif %}}
{{% if certificate.note %}}

    {{{{ certificate.note | indent(4) }}}}
{{% endif %}}
{{% for link in certificate.links %}}

    {{{{ link }}}}
{{% endfor %}}
"""
_QUOTE = "margin: 0 0 16px; padding: 0 0 0 12px; border-left: 3px solid #8888; overflow-wrap: anywhere; white-space: pre-wrap"
_HTML_WORDS = _page(
    "{% if certificate.note or certificate.links %}",
    _paragraph(_WHOSE),
    "{% endif %}",
    "{% if certificate.note %}",
    f'<blockquote style="{_QUOTE}">{{{{ certificate.note }}}}</blockquote>',
    "{% endif %}",
    "{% for link in certificate.links %}",
    f'<blockquote style="{_QUOTE}">{{{{ link }}}}</blockquote>',
    "{% endfor %}",
)
"""Whoever may register a certificate can write anything here, so that readers must know whose words these are."""


def _rows(rows: Iterable[tuple[str, str, str]]) -> tuple[list[str], list[str]]:
    """Return rows as lines of text and as HTML."""
    text, html = [], []
    for label, value, needed in rows:
        row = _row(label, value)
        begin, end = ([f"{{% if {needed} %}}"], ["{% endif %}"]) if needed else ([], [])
        text += [*begin, f"    {label + ':':<15}{value}", *end]
        html += [*begin, row, *end]
    return text, html


def _certificate(name: str, subject: str, what: str, text_end: str, html_end: str) -> EmailTemplate:
    """Return a mail about a certificate."""
    text, html = _rows(_ROWS)
    return EmailTemplate(
        name,
        subject,
        "\n".join(("Hello,", "", what, "", *text, "", text_end)) + _WORDS,
        _page(_paragraph("Hello,"), _paragraph(what), _table(*html), html_end) + _HTML_WORDS,
    )


def _notice(
    name: str,
    subject: str,
    to: str,
    what: str,
    rows: Iterable[tuple[str, str, str]],
    instead: str,
    more: tuple[Iterable[str], Iterable[str]] = ((), ()),
) -> EmailTemplate:
    """Return a mail about what happened to an account, and what to do; `more` is text and HTML that follows."""
    text, html = _rows(rows)
    return EmailTemplate(
        name,
        subject,
        "\n".join((f"{to},", "", what, "", *text, "", instead, *more[0], "")),
        _page(_paragraph(f"{to},"), _paragraph(what), _table(*html), _paragraph(instead), *more[1]),
    )


def _token() -> EmailTemplate:
    """Return the mail about an API token that expires."""
    expires = _expires("token.daysToExpiry")
    rows = (
        ("Account", "{{ user.name }}{{ ', ' if user.fullName else '' }}{{ user.fullName or '' }}", ""),
        ("Token", "{{ token.name }}", ""),
        ("ID", "{{ token.id }}", ""),
        ("Expires", "{{ token.expires }}", ""),
        ("Last used", "{{ token.lastUsed }}", "token.lastUsed"),
    )
    what = f"an API token {expires}. What uses it stops working then."
    instead = "Mint another one before that, and put it in the place of this one,\nunless it is no longer in use."
    others = "These tokens of the account expire soon as well:"
    text_others = ("{% if token.others %}", "", others, "", "{% for other in token.others %}", "    {{ other }}")
    html_others = ("{% if token.others %}", _paragraph(others), "<ul>", "{% for other in token.others %}", "<li>{{ other }}</li>")
    subject = f"API token of {{{{ user.name }}}} {expires}: {{{{ token.name }}}}"
    more = (*text_others, "{% endfor %}", "{% endif %}"), (*html_others, "{% endfor %}", "</ul>", "{% endif %}")
    return _notice(TOKEN_EXPIRING, subject, "Hello", what, rows, instead, more)


def _minted() -> EmailTemplate:
    """Return the mail to a person for whom an administrator minted an API token."""
    rows = (
        ("Token", "{{ token.name }}", ""),
        ("ID", "{{ token.id }}", ""),
        ("Expires", "{{ token.expires }}", ""),
        ("Minted by", "{{ token.mintedBy }}", ""),
    )
    what = "an administrator has minted an API token for your account. Whoever has it\ncan do what you can."
    instead = "If you did not ask for it, revoke it, and tell the people who run the\ncertificate service."
    subject = "An API token was minted for your account: {{ token.name }}"
    return _notice(TOKEN_MINTED, subject, f"Hello {_NAME}", what, rows, instead)


def _password_set() -> EmailTemplate:
    """Return the mail to a person whose password an administrator set."""
    rows = (("Account", "{{ user.name }}", ""), ("Set by", "{{ setBy }}", ""))
    what = "an administrator has set a new password for your account, and knows it."
    instead = "If you did not ask for that, tell the people who run the certificate service."
    return _notice(PASSWORD_SET, "The password of your account was set", f"Hello {_NAME}", what, rows, instead)


_FETCH = """\
{% if certificate.url %}
Download it at {{ certificate.url }}
{% else %}
{{ certificate.pem }}
{% endif %}
"""
_RENEW = """\
{% if certificate.renewalUrl %}
Renew it at {{ certificate.renewalUrl }}
{% endif %}
{% if certificate.url %}
You can find it at {{ certificate.url }}
{% endif %}
"""
BUILT_IN: Mapping[str, EmailTemplate] = {
    template.name: template
    for template in (
        _account(
            WELCOME,
            "Your new account in the certificate service",
            "an account has been created for you in the certificate service.",
        ),
        _account(
            PASSWORD_RESET,
            "Your new password for the certificate service",
            "an administrator has reset your password for the certificate service.",
        ),
        _certificate(
            CERTIFICATE_ISSUED,
            "Certificate issued: {{ certificate.subject }}",
            "this certificate has been issued:",
            _FETCH,
            _page(
                "{% if certificate.url %}",
                _button("certificate.url", "Download it"),
                "{% else %}",
                f'<pre style="margin: 0 0 16px; overflow-x: auto; {_CODE}; font-size: 12px">{{{{ certificate.pem }}}}</pre>',
                "{% endif %}",
            ),
        ),
        _certificate(
            CERTIFICATE_EXPIRING,
            f"Certificate {_EXPIRES}: {{{{ certificate.subject }}}}",
            f"this certificate {_EXPIRES}. Renew it,\nunless it is no longer in use:",
            _RENEW,
            _page(
                "{% if certificate.renewalUrl %}",
                _button("certificate.renewalUrl", "Renew it"),
                "{% endif %}",
                "{% if certificate.url %}",
                _paragraph('You can find it at <a href="{{ certificate.url }}">{{ certificate.url }}</a>'),
                "{% endif %}",
            ),
        ),
        _token(),
        _minted(),
        _password_set(),
    )
}
"""Built-in templates by name. Text and HTML say the same; the HTML has no pictures and leaves colours to the mail program."""
