"""Make what the console ships of other projects: from the packages that its lock names, or with `--lock`, and the lock as well.

`vendor.py FOLDER` needs npm, and asks the registry that npm is set to. Without `--lock`, a package or a file that is not what the
lock says is an error, and nothing is written.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parents[1] / "api" / "console" / "assets"
LOCK = "vendor.lock.json"
_MARK = (
    '<path d="M5 3h14a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1z"/>'
    '<path d="M8 3v18"/><path d="m11 9.5 2 2 4-4"/><path d="M11 16h6"/>'
)
"""Accord's own: a ledger, and an entry that is right."""
_STROKES = 'viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'

PATIENCE = 60.0
"""Seconds for one package."""


def fetch(package: str, version: str, folder: Path) -> bytes:
    """A package as it was published. A registry that does not answer in time is taken to give none."""
    command = ["npm", "pack", f"{package}@{version}", "--json", "--ignore-scripts", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"npm gave no {package} {version}: {getattr(error, 'stderr', '') or error}")
    told = json.loads(done.stdout)
    [packed] = told.values() if isinstance(told, dict) else told
    return (folder / Path(packed["filename"]).name).read_bytes()


def read(archive: Path, name: str) -> bytes:
    """A file of a package. Raises KeyError if it has none of that name."""
    with tarfile.open(archive) as opened:
        found = opened.extractfile(f"package/{name}")
        assert found is not None
        return found.read()


def symbol(name: str, svg: str) -> str:
    """An icon as a symbol of the sprite."""
    shapes = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    assert shapes is not None, name
    inner = re.sub(r"\s*\n\s*", "", shapes[1]).replace(" />", "/>")
    return f'<symbol id="{name}" {_STROKES}>{inner}</symbol>\n'


def sprite(archive: Path, icons: list[str], notice: str) -> bytes:
    """The icons in one file, and Accord's mark."""
    symbols = [symbol(name, read(archive, f"icons/{name}.svg").decode()) for name in sorted(icons)]
    symbols.append(symbol("mark", f"<svg>{_MARK}</svg>"))
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n<!-- {notice} -->\n{"".join(symbols)}</svg>\n'.encode()


def make(package: dict[str, Any], *, renew: bool) -> dict[str, bytes]:
    """The files that come of a package, by name. With `renew`, they and the package go into the lock as they are."""
    name = f"{package['package']} {package['version']}"
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        published = fetch(package["package"], package["version"], Path(folder))
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(published).digest()).decode()
        if renew:
            package["integrity"] = integrity
        elif package["integrity"] != integrity:
            sys.exit(f"{name} is not the package that {LOCK} names: its integrity is {integrity}")
        archive = Path(folder) / "package.tgz"
        archive.write_bytes(published)
        for file, told in package["files"].items():
            notice = f"{name}, {package['licence']}"
            content = read(archive, told["from"]) if "from" in told else sprite(archive, told["icons"], notice)
            found = hashlib.sha256(content).hexdigest()
            if renew:
                told["sha256"] = found
            elif told["sha256"] != found:
                sys.exit(f"{file}, made of {name}, is not the file that {LOCK} names: its SHA-256 is {found}")
            made[file] = content
    return made


def main(arguments: list[str]) -> None:
    """Make all files, then write them."""
    renew = "--lock" in arguments
    folder = Path(next((each for each in arguments if each != "--lock"), ASSETS))
    lock = json.loads((ASSETS / LOCK).read_text())
    made = {file: content for package in lock["packages"] for file, content in make(package, renew=renew).items()}
    for file, content in made.items():
        place = folder / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    if renew:
        (folder / LOCK).write_text(json.dumps(lock, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
