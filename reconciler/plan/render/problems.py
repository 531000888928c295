"""Problems as text, JSON, SARIF 2.1.0 (OASIS) and GitHub workflow annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from reconciler.access.problems import Problem
from reconciler.plan.render.document import problem_document
from reconciler.plan.render.text import Line
from reconciler.wording.text import count, printable

_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}
"""Severities as GitHub calls them."""


def problem_lines(problems: Sequence[Problem]) -> list[Line]:
    """Render one line for each problem, errors last, where the eye is; text from the file is made safe to show."""
    return [
        (
            "refused" if problem.severity == "error" else "changed",
            f"{printable(problem.file)}:{problem.line}:{problem.column}: {problem.severity}: "
            f"{printable(problem.message)} [{problem.rule}]",
        )
        for problem in sorted(problems, key=lambda problem: problem.severity == "error")
    ]


def tally(problems: Sequence[Problem]) -> str:
    """`2 errors, 1 warning`, and how many lines a comment allows as no secrets."""
    found = Counter(problem.severity for problem in problems)
    allowed = f", {count(found['note'], 'line')} allowed as no secret" if found["note"] else ""
    return f"{count(found['error'], 'error')}, {count(found['warning'], 'warning')}{allowed}"


def problems_json(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Return the list that `schemas/problems.schema.json` describes."""
    return [problem_document(problem) for problem in problems]


def problems_github(problems: Sequence[Problem]) -> list[str]:
    """Render workflow commands, which GitHub shows beside the line."""

    def escaped(text: str, extra: str = "") -> str:
        for char in "%\r\n" + extra:
            text = text.replace(char, f"%{ord(char):02X}")
        return text

    return [
        f"::{_GITHUB[problem.severity]} file={escaped(problem.file, ',:')},line={problem.line},col={problem.column},"
        f"title={escaped(problem.rule, ',:')}::{escaped(printable(problem.message))}"
        for problem in problems
    ]


def problems_sarif(problems: Sequence[Problem], version: str) -> dict[str, Any]:
    """Return one SARIF run (OASIS SARIF 2.1.0), with what GitHub's code scanning asks for beyond the standard."""
    rules = sorted({problem.rule for problem in problems})
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "accord",
                        "version": version,
                        "rules": [_sarif_rule(rule) for rule in rules],
                    }
                },
                "results": [_sarif_result(problem, rules) for problem in problems],
            }
        ],
    }


def _sarif_rule(rule: str) -> dict[str, Any]:
    words = {"text": rule.replace("-", " ")}
    help_text = {"text": f"What is wrong and what to do: the rule `{rule}` in docs/pull-request-author.md of Accord."}
    return {"id": rule, "shortDescription": words, "fullDescription": words, "help": help_text}


def _sarif_result(problem: Problem, rules: list[str]) -> dict[str, Any]:
    region = {"startLine": problem.line, "startColumn": problem.column}
    return {
        "ruleId": problem.rule,
        "ruleIndex": rules.index(problem.rule),
        "level": problem.severity,
        "message": {"text": printable(problem.message)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(problem.file)}, "region": region}}],
    }


def _uri(file: str) -> str:
    """Make a relative reference (RFC 3986): percent-encode everything except unreserved characters and the slash."""
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in file.encode("utf-8", "surrogateescape"))
