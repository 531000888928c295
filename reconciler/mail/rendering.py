"""Renders a template and its variables into the subject, text and HTML of one mail."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from reconciler.access.resources import EmailTemplate
from reconciler.mail.filters import BUDGET, FILTERS, Budget, TooMuchWork, shown
from reconciler.mail.grammar import Field, faults_of
from reconciler.mail.links import Hosts, inert, leads_elsewhere
from reconciler.mail.markup import html_of, whole_page
from reconciler.mail.variables import VARIABLES

LONGEST_SUBJECT = 200
"""Characters; a longer subject is cut."""
LONGEST_PART = 1_048_576
"""Characters of a text or HTML part; a template that produces more is refused."""
_WORK = 8_000_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAK = re.compile(r"\s+")


class Rendered(NamedTuple):
    """The parts of one mail. The subject is one line; text and HTML are never missing."""

    subject: str
    text: str
    html: str


class BadTemplate(Exception):
    """A template that cannot be read, uses an unknown variable, or does something that templates must not do.

    `field` is the part with the fault, `line` its line (from 1), or None if the fault is in the part as a whole.
    """

    def __init__(self, message: str, field: Field, line: int | None = None) -> None:
        super().__init__(f"{field}{'' if line is None else f', line {line}'}: {message}")
        self.message = message
        self.field = field
        self.line = line


SAMPLE_HOSTS: Hosts = frozenset(("accord.example.org", "ca.example.org"))
"""Where links in `SAMPLES` lead."""


def render(template: EmailTemplate, variables: Mapping[str, Any], hosts: Hosts) -> Rendered:
    """Render a template with its variables, in the shape of `SAMPLES[template.name]`.

    Values may contain anything: control characters are removed. Links may only lead to `hosts`: others count as missing, and
    those within texts cannot be clicked. Raises BadTemplate, and ValueError if a variable is missing.
    """
    values = _values(template.name, variables, hosts)
    subject = _render(template, "subject", template.subject, _map(values, lambda text: _BREAK.sub(" ", text))).strip()
    text = _render(template, "text", template.text, values)
    html = html_of(text) if template.html is None else _render(template, "html", template.html, values)
    if not subject:
        raise BadTemplate("the rendered subject is empty", "subject")
    if "\n" in subject or "\r" in subject:
        raise BadTemplate("the rendered subject has several lines", "subject")
    if len(subject) > LONGEST_SUBJECT:
        subject = subject[: LONGEST_SUBJECT - 1].rstrip() + "…"
    return Rendered(subject, text, whole_page(html))


def _render(template: EmailTemplate, field: Field, source: str, values: Mapping[str, Any]) -> str:
    pieces: list[str] = []
    length = 0
    try:
        for piece in _compiled(template.name, field, source).generate({**values, BUDGET: Budget(_WORK)}):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST_PART:
                raise BadTemplate(f"the result is longer than {LONGEST_PART:,} characters", field)
    except TooMuchWork:
        raise BadTemplate("its filters do too much work", field) from None
    except (TemplateError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        raise BadTemplate(f"rendering failed: {type(error).__name__}", field) from None
    text = "".join(pieces)
    found = _CONTROL.search(text)
    if found:
        raise BadTemplate(f"the result contains a control character, U+{ord(found[0]):04X}", field)
    return text


@lru_cache(maxsize=64)
def _compiled(name: str, field: Field, source: str) -> Template:
    """Judge and compile a template: unjudged text must not reach Jinja's compiler."""
    if name not in VARIABLES:
        raise BadTemplate(f"there is no mail `{name}`", field)
    for fault in faults_of(name, field, source):
        if fault.severity == "error":
            raise BadTemplate(fault.message, field, fault.line)
    try:
        return _environment(field == "html").from_string(source)
    except (TemplateError, SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise BadTemplate("Jinja cannot read it", field) from error


@cache
def _environment(escaping: bool) -> ImmutableSandboxedEnvironment:
    """Return Jinja's sandbox with our filters, and without anything else that a template could reach."""
    environment = ImmutableSandboxedEnvironment(
        autoescape=escaping,
        undefined=StrictUndefined,
        finalize=shown,
        optimized=False,
        cache_size=0,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()
    environment.filters.clear()
    environment.filters.update((name, known.function) for name, known in FILTERS.items())
    environment.tests.clear()
    environment.tests.update(
        defined=lambda value: value is not None,
        undefined=lambda value: value is None,
        none=lambda value: value is None,
    )
    return environment


def _values(name: str, variables: Mapping[str, Any], hosts: Hosts) -> dict[str, Any]:
    """Return exactly the variables of a mail, each made harmless according to its type."""
    found: dict[str, Any] = {}
    for variable in VARIABLES.get(name, ()):
        group, _, part = variable.name.rpartition(".")
        try:
            value = (variables[group] if group else variables)[part]
        except KeyError:
            raise ValueError(f"the variable `{variable.name}` of mail `{name}` is missing") from None
        if variable.type == "link":
            value = value if isinstance(value, str) and not leads_elsewhere(value, hosts) else None
        elif variable.type == "text" and value is not None:
            value = inert(_harmless(str(value), lines=variable.lines), hosts, names=variable.unchecked)
        elif variable.type == "list":
            value = tuple(inert(_harmless(str(item)), hosts, names=variable.unchecked) for item in value)
        (found.setdefault(group, {}) if group else found)[part] = value
    return found


def _harmless(text: str, *, lines: bool = False) -> str:
    """Return text without control characters, on one line unless it may have several."""
    text = _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text if lines else text.replace("\n", " ")


def _map(values: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Apply a change to every text in the values."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found[name] = _map(value, change)
        elif isinstance(value, tuple):
            found[name] = tuple(map(change, value))
        else:
            found[name] = change(value) if isinstance(value, str) else value
    return found
