"""Output that several commands share: plans in every format, and the problems that stop a run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from reconciler.cli.output import json_text, write_json, write_lines, write_markdown, write_problems
from reconciler.plan.plan import Checkout, Plan
from reconciler.plan.render.document import checkout_document, plan_document
from reconciler.plan.render.text import override_hint, plan_lines, summary
from reconciler.plan.render.words import override_words
from reconciler.run.errors import InvalidBase, InvalidConfiguration, Misconfigured, Rewind, Unsafe
from reconciler.wording.text import count, printable

_LARGEST_PLAN = 1 << 30


@contextmanager
def reporting_problems(format_: str = "text", limit: int | None = None) -> Iterator[None]:
    """List the problems of an invalid configuration, then let its error pass; as Markdown, also why a plan is refused."""
    try:
        yield
    except (InvalidConfiguration, InvalidBase) as error:
        write_problems(error.problems)
        if format_ == "markdown":
            from reconciler.plan.render.markdown import problems_markdown

            base = error.base if isinstance(error, InvalidBase) else None
            write_markdown(problems_markdown(error.problems, limit or comment_limit(), base))
        raise
    except Rewind as error:
        if format_ == "markdown":
            from reconciler.plan.render.markdown import refusal_markdown

            write_markdown(refusal_markdown(str(error), limit or comment_limit()))
        raise


def comment_limit() -> int:
    """Return how long a comment may be: as GitLab takes it in a job of GitLab's, otherwise as GitHub does."""
    from reconciler.plan.render.markdown import LIMITS

    return LIMITS["gitlab" if os.environ.get("GITLAB_CI") else "github"]


@contextmanager
def showing_refused(hint: Callable[[Plan], str]) -> Iterator[None]:
    """Show a plan that guards refuse, and how to override them, then let the error pass."""
    try:
        yield
    except Unsafe as error:
        write_lines(plan_lines(error.plan, hint=hint(error.plan)), err=True)
        raise


def write_plan(plan: Plan, format_: str, limit: int | None = None, checkout: Checkout | None = None, *, given: str = "") -> None:
    """Write a plan as text, JSON or Markdown, of at most so many characters, and where the work tree stands beside it.

    `given` holds the options that named repository and database, for the command that the text shows.
    """
    if format_ == "json":
        write_json({**plan_document(plan), "checkout": None if checkout is None else checkout_document(checkout)})
    elif format_ == "markdown":
        from reconciler.plan.render.markdown import plan_markdown

        write_markdown(plan_markdown(plan, limit or comment_limit(), checkout))
    else:
        write_lines(plan_lines(plan, checkout, override_hint(plan, given)))


def write_outcome(plan: Plan, done: str) -> None:
    """Write warnings, guards overridden, overrides ended and, in one line, what a run did."""
    write_problems(plan.warnings)
    for guard in plan.guards:
        if guard.verdict == "overridden":
            write_lines([("changed", f"guard {guard.id} overridden: {guard.message}")])
    write_lines([("changed", f"ended {printable(override_words(each))}") for each in plan.ended])
    if plan.effects.mails_withheld:
        people = count(plan.effects.mails_withheld, "person has", "people have")
        write_lines([("changed", f"{people} no password: an administrator's reset mails one")])
    write_lines([("heading", f"{done}: {summary(plan)}")])


def save_plan(plan: Plan, file: Path) -> None:
    """Save a plan atomically; write straight to anything that is not a regular file, such as a pipe."""
    file = file.resolve()
    if not file.parent.is_dir():
        raise Misconfigured(f"the plan cannot be saved: there is no folder `{file.parent}`")
    content = json_text(plan_document(plan)).encode()
    if file.exists() and not file.is_file():
        file.write_bytes(content)
        return
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_plan(file: Path) -> dict[str, Any]:
    """Read a saved plan. Raises Misconfigured if the file is not one."""
    if file.stat().st_size > _LARGEST_PLAN:
        raise Misconfigured(f"`{file}` is too large to be a plan")
    try:
        document = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise Misconfigured(f"`{file}` is not a saved plan: {error}; save one with `accord plan --out`") from None
    revision = document.get("revision") if isinstance(document, dict) else None
    if not isinstance(revision, dict) or not isinstance(revision.get("commit"), str) or "digest" not in document:
        raise Misconfigured(f"`{file}` is not a saved plan; save one with `accord plan --out`")
    return dict(document)
