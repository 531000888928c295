"""accord schemas."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exits import ERROR, OK


@click.command(
    "schemas",
    epilog="""\b
Examples:
  accord schemas                # in a config repository: after each upgrade of Accord
  accord schemas config --check # in CI: are they those of this version?

Exit codes: 0 written, or nothing to do; 1 error, or --check found stale schemas.
""",
)
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a schema is missing or of another version.")
def command(folder: Path | None, check: bool) -> int:
    """Write or refresh the schemas with which editors complete and check resources, in .accord/schemas of a config repository.

    Also write .vscode/settings.json, which maps all YAML files to them, unless there is one; then print what to add to it.

    DIR is the folder of the resources [default: the working folder].
    """
    from reconciler.cli.output import say
    from reconciler.run.deployment import read_deployment
    from reconciler.run.validating import working_folder
    from reconciler.source.editors import MAPPING, SCHEMAS, stale_schemas, write_mapping, write_schemas
    from reconciler.wording.text import count

    where = folder if folder is not None else working_folder(read_deployment({}), "name a folder")
    if check:
        stale = stale_schemas(where)
        for place in stale:
            say(f"{place}: {'of another version' if place.exists() else 'missing'}")
        say(f"{count(len(stale), 'stale schema')}; run `accord schemas {where}`" if stale else "The schemas are up to date.")
        return ERROR if stale else OK
    written = write_schemas(where)
    mapping, to_add = write_mapping(where)
    for place in [*written, *mapping]:
        say(f"wrote {place}")
    if not written:
        say(f"The schemas in {where / SCHEMAS} are up to date.")
    if to_add:
        say(
            f"{where / MAPPING} is yours and was left as it is. To map all YAML files to the schemas, add to it:\n{to_add}",
            nl=False,
        )
    return OK
