"""What fields send back: every template writes it so that a browser returns the text itself, whatever hides in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, nodes

import api.console
from api.console.rendering import exact

TEMPLATES = sorted((Path(api.console.__file__).parent / "templates").glob("*.html"))
_FIELD = "input|select|option|button|textarea|form|param|data|meter|progress|output"
_SENT_BACK = re.compile(
    rf"""<(?:{_FIELD})\b[^<>]*\s(?:value|name|action|formaction)="[^"<>]*$  # within an attribute
    |<textarea\b[^<>]*>[^<]*$
    |<option\b(?![^<>]*\svalue=)[^<>]*>[^<]*$  # without a value, it sends its text""",
    re.VERBOSE,
)
_VALUES = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{(.*?)\}\}", re.DOTALL)


def sent_back(template: str) -> list[str]:
    """The expressions of a template whose text a form sends."""
    before, found, end = "", [], 0
    for each in _VALUES.finditer(template):
        before += template[end : each.start()]
        end = each.end()
        if each[1] is not None and _SENT_BACK.search(before):
            found.append(each[1].strip())
    return found


def is_exact(expression: str) -> bool:
    (output,) = Environment(autoescape=True).parse(f"{{{{ {expression} }}}}").body
    assert isinstance(output, nodes.Output)
    return all(isinstance(each, nodes.Filter) and each.name == "exact" for each in output.nodes)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_field_is_written_exactly(template: Path) -> None:
    assert [each for each in sent_back(template.read_text("utf-8")) if not is_exact(each)] == []


def test_a_field_that_is_not_written_exactly_is_found() -> None:
    for field in (
        '<input {% if x %}type="hidden"{% endif %} name="a" value="{{ note }}">',
        '<input name="{{ note }}">',
        '<textarea rows="3">\n{{ note }}</textarea>',
        "<select><option{% if a > b %} selected{% endif %}>{{ note }}</option></select>",
        '<select><option value="{{ note }}">{{ note | exact }}</option></select>',
        '<button name="x" value="a {{ note }}">',
        '<form action="{{ note }}">',
    ):
        assert sent_back(field)[0] == "note"
    assert sent_back('<option value="x">{{ note }}</option><input class="{{ a }}"><p>{{ a }}</p>') == []
    assert is_exact("(a or b) | exact")
    assert not is_exact("a if b else c | exact")
    assert sum(len(sent_back(path.read_text("utf-8"))) for path in TEMPLATES) > 50


class _Read(HTMLParser):
    """What a browser makes of a field and of a textarea."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


_TEXT = st.text(
    st.one_of(
        st.sampled_from("\"'<>&#;:[\\\n\u200c\u200d\xad\u202e\u2066\x80\x85\x9b\U000e0041"),
        st.characters(exclude_categories=("Cs", "Cc", "Cn")),
    )
)


@given(_TEXT)
def test_text_comes_back_as_it_was_and_leaves_no_field(text: str) -> None:
    page = _Read(f'<input value="{exact(text)}"><textarea>{exact(text)}</textarea>')
    assert page.tags == [("input", [("value", text)]), ("textarea", [])]
    assert page.text == text


@pytest.mark.parametrize("character", "\u202a\u202e\u2066\u2069\u200f\u061c\u200b\u200d\xad\ufeff")
def test_what_turns_the_writing_direction_or_hides_is_a_reference(character: str) -> None:
    assert exact(f"a{character}b") == f"a&#{ord(character)};b"
