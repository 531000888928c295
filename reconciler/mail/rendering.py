"""A template and its variables → the subject, the text and the HTML of one mail."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Literal, NamedTuple, TypeAlias

from reconciler.access.resources import EmailTemplate

Field: TypeAlias = Literal["subject", "text", "html"]


class Rendered(NamedTuple):
    """The parts of one mail. The subject is one line; text and HTML are never missing."""

    subject: str
    text: str
    html: str


class BadTemplate(Exception):
    """A template that cannot be read, speaks of what there is not, or does what templates must not.

    `field` is the part it is in, `line` the line of that part (from 1), None where it is the part as a whole.
    """

    def __init__(self, message: str, field: Field, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.line = line


def render(template: EmailTemplate, variables: Mapping[str, Any]) -> Rendered:
    """Render a template with its variables (in the shape of `SAMPLES[template.name]`). Raises BadTemplate."""
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    escaping = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=True)
    try:
        subject = plain.from_string(template.subject).render(variables)
        text = plain.from_string(template.text).render(variables)
        html = f"<pre>{escape(text)}</pre>" if template.html is None else escaping.from_string(template.html).render(variables)
    except TemplateError as error:
        raise BadTemplate(str(error), "text") from error
    return Rendered(" ".join(subject.split()), text, html)
