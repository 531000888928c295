"""Checks whether a template is fit to be sent: judges its text, then renders it with ordinary and odd samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any

from reconciler.access.resources import EmailTemplate
from reconciler.mail.branches import renderings
from reconciler.mail.fitness import Objection, objections
from reconciler.mail.grammar import FIELDS, Fault, Field, Rule, Severity, faults_of
from reconciler.mail.markup import html_of
from reconciler.mail.rendering import SAMPLE_HOSTS, BadTemplate, Rendered, render
from reconciler.mail.variables import SAMPLES, VARIABLES, Variable, nested

_ODD = """<b onclick='a()'>"{{ 7 * 7 }}" & {% x %}</b>"""


_MOST_BRANCHES = 50
"""Of a part of a template that shows a password: each is looked at."""
_RULES: Mapping[str, Rule] = {"password": "template-password", "link": "template-link", "element": "template-forbidden"}


def check(template: EmailTemplate) -> list[Fault]:
    """Return all errors and warnings about a template; a template with an unknown name has none."""
    if template.name not in VARIABLES:
        return []
    sources = {field: source for field in FIELDS if (source := getattr(template, field)) is not None}
    faults = [fault for field, source in sources.items() for fault in faults_of(template.name, field, source)]
    if any(fault.severity == "error" for fault in faults):
        return faults
    return [*faults, *dict.fromkeys(_judged(template))]


def _judged(template: EmailTemplate) -> Iterator[Fault]:
    """Judge what comes out of a template; the first rendering with an error is the last."""
    try:
        for mail, password in _renderings(template):
            found = list(objections(mail, SAMPLE_HOSTS, password))
            faults = [_fault(template, each) for each in found if not (each.field == "html" and template.html is None)]
            yield from faults
            if any(fault.severity == "error" for fault in faults):
                return
    except BadTemplate as error:
        yield Fault(error.field, error.line or 1, 1, "template-result", error.message)


def _renderings(template: EmailTemplate) -> Iterator[tuple[Rendered, str | None]]:
    """Yield a template's mails, each with the password that it must bring. Raises BadTemplate."""
    for occasion, sample in _samples(template.name):
        try:
            yield render(template, sample, SAMPLE_HOSTS), sample.get("password")
        except BadTemplate as error:
            raise BadTemplate(f"{error.message} {occasion}", error.field, error.line) from None
    if "password" not in SAMPLES[template.name]:
        return
    values = {each.name: each.sample for each in VARIABLES[template.name]}
    texts = _branches("text", template.text, values)
    pages = None if template.html is None else _branches("html", template.html, values)
    for text, page in zip_longest(texts, [html_of(each) for each in texts] if pages is None else pages):
        mail = Rendered("", text or texts[0], page or (pages or [""])[0])
        yield mail, values["password"]


def _branches(field: Field, source: str, values: Mapping[str, Any]) -> list[str]:
    found = list(islice(renderings(source, values), _MOST_BRANCHES + 1))
    if len(found) > _MOST_BRANCHES:
        raise BadTemplate(f"it has more than {_MOST_BRANCHES - 1} branches; a mail with a password needs fewer", field)
    return found


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
    odd = f"{_ODD} {variable.name}"  # no two alike: the password is looked for
    return {"text": odd, "list": (odd,)}.get(variable.type, variable.sample)


def _most(variable: Variable) -> Any:
    if variable.type == "list":
        return tuple(f"{number}.a-rather-long-name-of-a-host.example.org" for number in range(1_000))
    return variable.sample * 60 if variable.lines else variable.sample


def _fault(template: EmailTemplate, objection: Objection) -> Fault:
    """Return an objection as a fault, at the first line with a word that it is about, or at the part's beginning.

    A link is a warning: only the API knows which hosts its own links lead to.
    """
    lines = (getattr(template, objection.field) or "").split("\n")
    word = re.compile(r"\{\{[^}]*(?=password)" if objection.about == "password" else r"//|www\.|<")
    places = ((number, found.end() + 1) for number, line in enumerate(lines, 1) if (found := word.search(line)))
    line, column = next(places, (1, 1))
    severity: Severity = "warning" if objection.about == "link" else "error"
    hint = "; unless the API permits it, the built-in text is sent instead" if objection.about == "link" else ""
    return Fault(objection.field, line, column, _RULES[objection.about], objection.message + hint, None, severity)
