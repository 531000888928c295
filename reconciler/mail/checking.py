"""Checks whether a template is fit to be sent: judges its text, then renders it with ordinary and odd samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from reconciler.access.resources import EmailTemplate
from reconciler.mail.grammar import FIELDS, Fault, Field, faults_of
from reconciler.mail.markup import text_of
from reconciler.mail.rendering import BadTemplate, Rendered, render
from reconciler.mail.variables import SAMPLES, VARIABLES, Variable, nested

_ODD = """<b onclick='a()'>"{{ 7 * 7 }}" & {% x %}</b>"""


def check(template: EmailTemplate) -> list[Fault]:
    """Return all errors and warnings about a template; a template with an unknown name has none."""
    if template.name not in VARIABLES:
        return []
    sources = {field: getattr(template, field) for field in FIELDS}
    faults = [
        fault for field, source in sources.items() if source is not None for fault in faults_of(template.name, field, source)
    ]
    if any(fault.severity == "error" for fault in faults):
        return faults
    for occasion, sample in _samples(template.name):
        try:
            rendered = render(template, sample)
        except BadTemplate as error:
            return [*faults, Fault(error.field, error.line or 1, 1, "template-result", f"{error.message} {occasion}")]
        found = list(_password(template, rendered, sample["password"])) if "password" in sample else []
        if found:
            return [*faults, *found]
    return faults


def _samples(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield occasions, in words, with their variables."""
    variables = VARIABLES[name]
    yield "with ordinary values", SAMPLES[name]
    yield "if all optional values are missing", nested((each.name, _least(each)) for each in variables)
    yield "if values contain quotes, tags and braces", nested((each.name, _odd(each)) for each in variables)
    yield "for a certificate with 1,000 names and a long note", nested((each.name, _most(each)) for each in variables)


def _least(variable: Variable) -> Any:
    if variable.optional:
        return None
    return {"list": (), "number": 0}.get(variable.type, variable.sample)


def _odd(variable: Variable) -> Any:
    return {"text": _ODD, "list": (_ODD,)}.get(variable.type, variable.sample)


def _most(variable: Variable) -> Any:
    if variable.type == "list":
        return tuple(f"{number}.a-rather-long-name-of-a-host.example.org" for number in range(1_000))
    return variable.sample * 60 if variable.lines else variable.sample


def _password(template: EmailTemplate, rendered: Rendered, password: str) -> Iterator[Fault]:
    """Check that both parts show the password as text and put it nowhere else: mail programs fetch what the HTML links to."""
    page = text_of(rendered.html)
    if password not in rendered.text:
        yield _at(template, "text", "nobody could log in: the text never shows `{{ password }}`")
    if template.html is not None and password not in page:
        yield _at(template, "html", "nobody could log in: the HTML never shows `{{ password }}`")
    if rendered.html.count(str(escape(password))) > page.count(password):
        yield _at(template, "html", "the password is inside a tag or a style, which could send it elsewhere; show it as text")
    linked = re.compile(r"://\S*" + re.escape(password))
    shown: dict[Field, str] = {"text": rendered.text, "html": page}
    for field, text in shown.items():
        if linked.search(text):
            yield _at(template, field, "the password is part of a link, which programs log and forward; show it outside the link")


def _at(template: EmailTemplate, field: Field, message: str) -> Fault:
    """Return a fault at the place where a part shows the password, or at its beginning."""
    lines = (getattr(template, field) or "").split("\n")
    places = ((number, line.find("password") + 1) for number, line in enumerate(lines, 1) if "password" in line and "{{" in line)
    line, column = next(places, (1, 1))
    return Fault(field, line, column, "template-password", message)
