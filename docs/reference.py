"""Write docs/reference/ from the programs: commands as click knows them, resources as their schemas, the API as its operations.

`python -m docs.reference` (`make docs`) also renews the outputs of all examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from api.cli.main import accord_api
from api.http.openapi import document
from api.routes import ROUTES
from docs.examples import TOP, pages, renew
from reconciler.cli.main import accord
from reconciler.mail.filters import FILTERS
from reconciler.mail.grammar import MOST_LOOPED, MOST_NODES
from reconciler.mail.rendering import LONGEST_PART, LONGEST_SUBJECT
from reconciler.mail.variables import VARIABLES
from reconciler.source.schema import FILES

FOLDER = TOP / "docs" / "reference"
_WRITTEN = "<!-- Written by `make docs`; changes by hand are lost. -->"


def documents() -> dict[str, str]:
    """The reference's pages by file name."""
    return {
        "commands.md": "\n".join(_commands()) + "\n",
        "resources.md": "\n".join(_resources()) + "\n",
        "mail.md": "\n".join(_mails()) + "\n",
        "openapi.json": json.dumps(document(ROUTES), indent=2, ensure_ascii=False) + "\n",
    }


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Every command of both programs by its full name."""
    yield from commands(accord, "accord")
    yield from commands(accord_api, "accord-api")


def commands(group: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command of a program or group by its full name, itself first."""
    yield name, group
    if isinstance(group, click.Group):
        context = _context(group, name)
        for child in group.list_commands(context):
            command = group.get_command(context, child)
            assert command is not None
            yield from commands(command, f"{name} {child}")


def _context(command: click.Command, name: str) -> click.Context:
    """A context as when the command runs: the program's context settings apply to every command."""
    return click.Context(command, info_name=name, help_option_names=accord.context_settings["help_option_names"])


def _commands() -> Iterator[str]:
    yield from ("# Commands", "", _WRITTEN, "", "What `--help` says, on one page.", "")
    for name, _ in every_command():
        yield f"- [`{name}`](#{name.replace(' ', '-')})"
    for name, command in every_command():
        context = _context(command, name)
        yield from ("", f"## {name}", "", _paragraphs(command.help or ""), "")
        yield from ("```text", " ".join([name, *command.collect_usage_pieces(context)]), "```")
        options = [parameter for parameter in command.get_params(context) if isinstance(parameter, click.Option)]
        yield from ("", "| option | meaning |", "|---|---|")
        for option in options:
            shown = option.get_help_record(context)
            assert shown is not None
            yield f"| {_code(shown[0])} | {_cell(shown[1])} |"
        yield from _epilog(command.epilog or "")


def _epilog(text: str) -> Iterator[str]:
    """Examples as code, exit codes as text."""
    for part in text.replace("\b\n", "").strip().split("\n\n"):
        head, _, rest = part.partition("\n")
        if head.startswith("Example"):
            yield from ("", head, "", "```sh", *(line.removeprefix("  ") for line in rest.split("\n")), "```")
        elif part:
            yield from ("", _paragraphs(part))


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))


def _resources() -> Iterator[str]:
    yield from ("# Resources", "", _WRITTEN, "", "What the [schemas](../../schemas) say, kind by kind.", "")
    for kind in FILES:
        yield f"- [{kind}](#{kind.lower()})"
    for kind, file in FILES.items():
        schema = json.loads((TOP / "schemas" / file).read_text(encoding="utf-8"))
        yield from ("", f"## {kind}", "", f"{schema['description']} ([schema](../../schemas/{file}))", "")
        yield from ("| property | type | default | meaning | example |", "|---|---|---|---|---|")
        yield from _properties(schema, schema["$defs"], "")
        yield from ("", "Example:", "", "```json", json.dumps(schema["examples"][0], indent=2, ensure_ascii=False), "```")


def _mails() -> Iterator[str]:
    yield from ("# Mail templates", "", _WRITTEN, "")
    yield "The texts of an [EmailTemplate](resources.md#emailtemplate) can use values, filters, `if` and `for`."
    yield "[How to write one](../pull-request-author.md#mail-templates)."
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, variables in VARIABLES.items():
        alike.setdefault(tuple(variable.name for variable in variables), []).append(name)
    for names in alike.values():
        yield from ("", f"## Variables of {' and '.join(names)}", "")
        yield from ("| variable | type | meaning | example |", "|---|---|---|---|")
        for variable in VARIABLES[names[0]]:
            sample = variable.sample
            shown = f"{sample:%Y-%m-%d %H:%M} UTC" if variable.type == "instant" else json.dumps(sample, ensure_ascii=False)
            meaning = variable.meaning + (". May be missing" if variable.optional else "")
            example = _code(shown if len(shown) <= 60 else f"{shown[:40]}…")
            yield f"| `{variable.name}` | {variable.type} | {meaning} | {example} |"
    yield from (
        "",
        "A link is an http or https address. An instant is written out in UTC: 2 December 2026, 09:30 UTC. `for` also has",
    )
    yield "`loop.first`, `loop.last`, `loop.index` (from 1) and `loop.length`."
    yield from ("", "## Filters", "", "| filter | result | applies to |", "|---|---|---|")
    for name, known in FILTERS.items():
        yield f"| `{name}` | {_cell(known.meaning)} | {', '.join(known.takes)} |"
    yield from ("", "## Statements", "")
    yield from (
        "- `{% if … %}`, `{% elif … %}`, `{% else %}`, `{% endif %}`, and `… if … else …`; `and`, `or`, `not`, `==`, `!=`,",
        '  `is none`, `is defined`, `in ["a", "b"]`, and for numbers `<`, `<=`, `>`, `>=`.',
        "- `{% for name in certificate.names %}`, `{% else %}` if there are none, `{% endfor %}`; loops cannot be nested.",
        "- `{# … #}` and `{% raw %}…{% endraw %}`. A line that holds only such a tag leaves no line in the mail.",
        "",
        "Everything else is refused: calls, calculations, `set`, macros, `include` and the like.",
        "",
        "## Limits",
        "",
        f"A template has at most {MOST_NODES:,} parts, {MOST_LOOPED} of them in loops. Rendered text and HTML have at most",
        f"{LONGEST_PART:,} characters each; a subject is cut at {LONGEST_SUBJECT}. Values lose control characters, and",
        "single-line values also lose line breaks.",
    )


def _properties(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[str]:
    """A table row for every property, including those of nested objects and of list items."""
    for name, written in schema.get("properties", {}).items():
        found = _resolved(written, definitions)
        required = name in schema.get("required", ())
        default = "required" if required else _json(found["default"]) if "default" in found else ""
        example = _json(found["examples"][0]) if "examples" in found else ""
        yield f"| `{prefix}{name}` | {_type(found, definitions)} | {default} | {_cell(found['description'])} | {example} |"
        yield from _properties(found, definitions, f"{prefix}{name}.")
        items = _resolved(found.get("items", {}), definitions)
        for form in items.get("oneOf", ()):
            yield from _properties(form, definitions, f"{prefix}{name}[].")


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else {**definitions[reference.rpartition("/")[2]], **schema}


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "oneOf" in schema:
        return " or ".join(_type(_resolved(form, definitions), definitions) for form in schema["oneOf"])
    if schema.get("type") == "array":
        return f"list of {_type(_resolved(schema['items'], definitions), definitions)}"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    title = f" ({schema['$ref'].rpartition('/')[2]})" if "$ref" in schema else ""
    return " or ".join(types) + title


def _json(value: Any) -> str:
    return _code(json.dumps(value, ensure_ascii=False))


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write the reference, and the outputs on every other page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for page in pages():
        renew(page)


if __name__ == "__main__":
    main()
