"""The examples of a page: run, compared with the output that the page shows, and renewed from it.

A page's examples run in order, in one shell, in a folder that holds `examples/` as a checkout does. They have one of two forms:

- A ```bash block is pasted into the shell as it stands; the ```text block right after it shows what all of it prints.
- In a ```console block, `$ ` begins a command, `> ` continues it, and the lines after it show what it prints.

A line `…` stands for any lines left out. `127.0.0.1:8080` in a ```bash block is a free port when it runs.
A comment `<!-- run: COMMANDS -->` runs as well, unseen by readers. In it, `example` makes the repository of `make demo`,
`serve` starts the API on a free port and sets `$ACCORD` to its address, and `await delivered` waits until no mail waits.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[1]
LEFT_OUT = "…"
_PATIENCE = 600
"""Seconds after which a page counts as hanging."""
_BLOCK = re.compile(
    r"^(?P<fence>`{3,})console\n(?P<shown>.*?)^(?P=fence)$"
    r"|^```bash\n(?P<pasted>.*?)^```$(?:\n\n```text\n(?P<printed>.*?)^```$)?"
    r"|^<!-- run:(?P<hidden>.*?)-->$",
    re.MULTILINE | re.DOTALL,
)
_LISTENING = "127.0.0.1:8080"
_MOMENT = re.compile(
    r'(?<!ntil )(?<!ntil": ")(?<!ntil":")'  # when access ends stands in a file: that is the same every day
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| UTC)"
)
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_ID = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{7,64}\b")
_WORLD = {
    "GIT_AUTHOR_NAME": "Alice Jones",
    "GIT_AUTHOR_EMAIL": "alice@example.org",
    "GIT_COMMITTER_NAME": "Alice Jones",
    "GIT_COMMITTER_EMAIL": "alice@example.org",
    "GIT_AUTHOR_DATE": "2026-11-02T09:30:00Z",
    "GIT_COMMITTER_DATE": "2026-11-02T09:30:00Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "ACCORD_APPLIED_BY": "alice",
    "COLUMNS": "100",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
_RANDOM = re.compile(r'accord_[0-9A-Za-z]{49}|"(?:id|jti|requestId)": ?"[0-9a-f-]+"|"(?:exp|iat)": ?\d+')
_PROGRAMS = {
    "accord": "from reconciler.cli.main import main\nmain()\n",
    "accord-api": "from api.cli.main import main\nmain()\n",
    "jq": "import json, sys\n*options, path = sys.argv[1:]\nvalue = json.load(sys.stdin)\n"
    "for key in filter(None, path.split('.')):\n    value = value[key]\n"
    "print(value if '-r' in options else json.dumps(value, indent=2, ensure_ascii=False))\n",
    "sqlite3": "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as base:\n"
    "    for row in base.execute(sys.argv[2]):\n        print(*row, sep='|')\n",
}
"""What a page may call beside the system's own: this very Accord, and as much of `sqlite3` and `jq` as the examples use."""
_PRELUDE = """trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT  # a server ends with the page
example() {  # the repository of `make demo`, with one commit
  cp -r examples/config-repo "${1:-config}" && git -C "${1:-config}" init -q -b main && git -C "${1:-config}" add -A &&
  git -C "${1:-config}" commit -q -m "Who may use what"
}
serve() {  # the API over the page's database
  accord-api serve --listen 127.0.0.1:0 "$@" >"$HOME/api.log" 2>&1 & server=$!
  until grep -q 'listening on' "$HOME/api.log"; do kill -0 $server || { cat "$HOME/api.log"; return 1; }; sleep 0.05; done
  ACCORD=$(sed -n 's/.*listening on //p' "$HOME/api.log")
}
await() {  # a command's success; what never comes is ended with the page
  until "$@"; do sleep 0.1; done
}
delivered() { accord-api mail status | grep -q '^0 wait'; }
"""


class Example(NamedTuple):
    """A command, the output that the page shows, its line on the page, and whether readers see it or paste it."""

    command: str
    shown: list[str]
    line: int
    hidden: bool
    pasted: bool = False


class Ran(NamedTuple):
    """An example, what it really printed, and its exit code."""

    example: Example
    output: list[str]
    code: int

    @property
    def is_as_shown(self) -> bool:
        """Whether the page tells the truth, but for what differs from day to day; what readers do not see must succeed."""
        return self.code == 0 if self.example.hidden else _alignment(self.example.shown, self.output) is not None


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])


def examples(text: str) -> Iterator[Example]:
    """A page's examples in order."""
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        if block["hidden"] is not None:
            yield Example(block["hidden"].strip(), [], line, True)
            continue
        if block["pasted"] is not None:
            yield Example(block["pasted"].rstrip(), (block["printed"] or "").splitlines(), line + 1, False, pasted=True)
            continue
        command, at = "", line
        shown: list[str] = []
        for number, content in enumerate(block["shown"].splitlines(), line + 1):
            if content.startswith("$ "):
                if command:
                    yield Example(command, shown, at, False)
                command, shown, at = content[2:], [], number
            elif content.startswith("> ") and not shown:
                command += "\n" + content[2:]
            else:
                shown.append(content)
        yield Example(command, shown, at, False)


def run(text: str) -> list[Ran]:
    """Run a page's examples in a folder made for it."""
    wanted = list(examples(text))
    listening = f"127.0.0.1:{_free_port()}"
    script = _PRELUDE + "".join(f"{_typed(item, listening)}\nprintf '\\036%s\\036' $?\n" for item in wanted)
    with tempfile.TemporaryDirectory(prefix="accord-page-") as name:
        world = Path(name)
        for folder in ("bin", "home", "temporary", "work"):
            (world / folder).mkdir()
        (world / "work" / "examples").symlink_to(TOP / "examples")
        for program, source in _PROGRAMS.items():
            (world / "bin" / program).write_text(f"#!{sys.executable}\n{source}")
            (world / "bin" / program).chmod(0o755)
        environment = {
            **_WORLD,
            **{name: os.environ[name] for name in ("LD_PRELOAD", "ANOTHER_DAY") if name in os.environ},  # .ci/on-another-day
            "PATH": f"{world / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(TOP),
            "HOME": str(world / "home"),
            "TMPDIR": str(world / "temporary"),
            "ACCORD_CACHE": str(world / "cache"),
            "ACCORD_LISTEN": listening,
            "no_proxy": "127.0.0.1",
        }
        done = subprocess.run(
            ["bash"],
            input=script.encode(),
            cwd=world / "work",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_PATIENCE,
        )
    parts = done.stdout.decode().replace(listening, _LISTENING).split("\x1e")
    if len(parts) <= 2 * len(wanted):
        raise RuntimeError(f"the page ended early, or one of its commands read what was pasted after it: {parts[-2:]}")
    return [Ran(item, parts[2 * n].splitlines(), int(parts[2 * n + 1])) for n, item in enumerate(wanted)]


def _typed(item: Example, listening: str) -> str:
    """A pasted block reaches the shell line by line on its standard input, as from a terminal; other commands find that empty."""
    if item.pasted:
        return item.command.replace(_LISTENING, listening)
    return f"eval {shlex.quote(item.command)} </dev/null"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def masked(line: str) -> str:
    """A line without what differs from day to day: instants, commits, digests, hashes, secrets."""
    return _ID.sub("ID", _moments_masked(line)).rstrip()


def _moments_masked(line: str) -> str:
    return _HASH.sub("HASH", _MOMENT.sub("MOMENT", _RANDOM.sub("RANDOM", line)))


def _alignment(shown: list[str], output: list[str]) -> list[str] | None:
    """The output as the page would show it, with the same lines left out; None where what it shows is not true."""
    if not shown:
        return None if output else []
    first, *rest = shown
    if first == LEFT_OUT:
        for skipped in range(len(output) + 1):
            found = _alignment(rest, output[skipped:])
            if found is not None:
                return [LEFT_OUT, *found]
        return None
    if not output or masked(first) != masked(output[0]):
        return None
    following = _alignment(rest, output[1:])
    kept = first if _moments_masked(first) == _moments_masked(output[0]).rstrip() else output[0].rstrip()
    return None if following is None else [kept, *following]


def renewed(text: str, ran: list[Ran]) -> str:
    """The page with what its examples really print. What is only another instant or secret stays, and so do lines left out."""
    results = iter(item for item in ran if not item.example.hidden)

    def block(found: re.Match[str]) -> str:
        if found["hidden"] is not None:
            return found[0]
        lines: list[str] = []
        if found["pasted"] is not None:
            example, output, _code = next(results)
            shown = "".join(f"{line}\n" for line in _alignment(example.shown, output) or [line.rstrip() for line in output])
            return f"```bash\n{example.command}\n```" + (f"\n\n```text\n{shown}```" if shown else "")
        for _ in examples(found[0]):
            example, output, _code = next(results)
            lines.append("$ " + example.command.replace("\n", "\n> "))
            lines += _alignment(example.shown, output) or [line.rstrip() for line in output]
        longest = max([2, *(len(line) - len(line.lstrip("`")) for line in lines)])
        fence = "`" * (longest + 1)  # a page that shows Markdown shows fences, too
        return f"{fence}console\n" + "".join(f"{line}\n" for line in lines) + fence

    return _BLOCK.sub(block, text)


def renew(page: Path) -> None:
    """Write a page's outputs anew."""
    text = page.read_text(encoding="utf-8")
    ran = run(text)
    for item in ran:
        if item.example.hidden and item.code:
            raise RuntimeError(f"{page.name}:{item.example.line}: {item.example.command} failed: {item.output}")
    page.write_text(renewed(text, ran), encoding="utf-8")
