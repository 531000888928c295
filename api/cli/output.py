"""Writing to the terminal. All output leaves through this module, which disarms it: a token's name, or an entry of a directory,
may be a stranger's, and a terminal obeys escapes, a CI runner texts such as `##vso[…]`.
"""

from __future__ import annotations

from typing import Any

import click

from reconciler.wording.text import inert, inert_json


def say(text: str, *, mark: str = "", colour: str | None = None, err: bool = False) -> None:
    """Write lines for people, if wanted after a mark in a colour."""
    click.echo(click.style(mark, fg=colour) + inert(text) if mark else inert(text), err=err)


def say_json(value: Any) -> None:
    """Write a value as indented JSON, which a parser reads as before."""
    import orjson

    click.echo(inert_json(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()))
