"""What hostile files cost: a document or a template as large as the limits let it be, made to take long.

    python -m benchmarks.hostile

Processor seconds, best of several. That they grow no faster than the file, tests show on any machine; here is how many they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from reconciler.access.resources import EmailTemplate
from reconciler.mail.checking import check
from reconciler.mail.rendering import SAMPLE_HOSTS, BadTemplate, _compiled, render
from reconciler.mail.variables import SAMPLES
from reconciler.source.documents import Unreadable, parse
from reconciler.source.schema import find_problems
from reconciler.source.secrets import secret_in

RUNS = 3
MEBIBYTE = 1 << 20
CERTIFICATE = "certificate-issued"
TEAM = {"apiVersion": "accord/v1", "kind": "Team", "metadata": {"name": "web"}}


def main() -> None:
    """Print one line a file."""
    for name, work in {**secrets(), **yaml(), **problems(), **templates()}.items():
        print(f"{name:<60} {min(taken(work) for _ in range(RUNS)):8.3f} s", flush=True)


def taken(work: Callable[[], object]) -> float:
    _compiled.cache_clear()
    began = time.thread_time()
    work()
    return time.thread_time() - began


def secrets() -> Mapping[str, Callable[[], object]]:
    pieces = ("-----BEGIN ", "password = ", "a://a:", "a.b-", "$6$ ", "x")
    return {f"secrets: 1 MiB of `{piece}`": partial(secret_in, piece * (MEBIBYTE // len(piece))) for piece in pieces}


def yaml() -> Mapping[str, Callable[[], object]]:
    def refuse(content: bytes) -> None:
        try:
            parse(content)
        except Unreadable:
            return
        raise AssertionError("this was to be refused")

    pieces = ("[", "{a: ", "- ", "? ", "&a [", '"\\ "')
    return {f"YAML: 1 MiB of `{piece}`": partial(refuse, (piece * (MEBIBYTE // len(piece))).encode()) for piece in pieces}


def problems() -> Mapping[str, Callable[[], object]]:
    specs: dict[str, dict[str, Any]] = {
        "200,000 members that are numbers": {"members": [1] * 200_000},
        "50,000 members without a user": {"members": [{f"x{number}": 1} for number in range(50_000)]},
        "200,000 teams that are none": {"mayDecideFor": [{}, 1] * 100_000},
        "100,000 unknown properties": {f"member-{number}": 1 for number in range(100_000)},
    }
    return {f"problems: {name}": partial(find_problems, {**TEAM, "spec": spec}) for name, spec in specs.items()}


def templates() -> Mapping[str, Callable[[], object]]:
    sample = SAMPLES[CERTIFICATE]
    values = {**sample, "certificate": {**sample["certificate"], "names": ["a.example"] * 9_000}}

    def judge_and_render(html: str) -> None:
        template = EmailTemplate(CERTIFICATE, "s", "x", html)
        check(template)
        try:
            render(template, values, SAMPLE_HOSTS)
        except BadTemplate:
            return

    texts = {
        "nothing but tags": "<a b='" * 40_000,
        "more code than any mail needs": "{{ x }}" * 30_000,
        "filters over 9,000 names": "{% for name in certificate.names %}"
        + "{% if name|upper|lower == 'x' %}x{% endif %}" * 30
        + "{% endfor %}",
        "9,000 certificates": "{% for name in certificate.names %}{{ certificate.pem }}{% endfor %}",
    }
    return {f"templates: {name}": partial(judge_and_render, text) for name, text in texts.items()}


if __name__ == "__main__":
    main()
