"""The file of leaked passwords: searched where it lies, refused if it cannot be searched."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from api.authentication import leaked as module
from api.authentication.leaked import BadLeaked, Leaked
from api.authentication.passwords import objection
from api.errors import Unavailable
from api.state.policies import PasswordPolicy

LEAKED = [f"leaked password {number}" for number in range(500)]


def _hash(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def _file(folder: Path, text: str) -> str:
    path = folder / "leaked.txt"
    path.write_bytes(text.encode())
    return str(path)


@pytest.mark.parametrize("line", ["{}:3\r\n", "{}:1234567\n", "{}\n"])
@pytest.mark.parametrize("ends", [True, False], ids=["a last line", "no end of the last line"])
def test_every_password_of_the_file_is_found_and_no_other(tmp_path: Path, line: str, ends: bool) -> None:
    text = "".join(line.format(each) for each in sorted(map(_hash, LEAKED)))
    found = Leaked(_file(tmp_path, text if ends else text.rstrip()))
    assert all(found.contains(each) for each in LEAKED)
    assert not any(found.contains(f"{each}!") for each in LEAKED)
    found.close()


def test_lower_case_and_a_single_line_will_do(tmp_path: Path) -> None:
    found = Leaked(_file(tmp_path, _hash("one of them").lower()))
    assert found.contains("one of them") and not found.contains("another")
    found.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("\n".join(sorted(map(_hash, LEAKED), reverse=True)), "not sorted by hash: the line at byte 41"),
        ("\n".join([*sorted(map(_hash, LEAKED)), _hash("last")]), "not sorted by hash: the line at byte 20500"),
        ("hunter2\n", "no line with the SHA-1 hash of a password at byte 0"),
        (_hash("x") + "\n" + "A" * 32 + "\n", "at byte 41"),
        ("0" * 5_000, "at byte 0"),
    ],
)
def test_a_file_that_cannot_be_searched_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadLeaked, match=why):
        Leaked(_file(tmp_path, text))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("nothing", "No such file"), (".", "is not a file"), ("pipe", "is not a file")):
        with pytest.raises(BadLeaked, match=why):
            Leaked(str(tmp_path / name))


def test_lines_all_over_a_large_file_are_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXAMINED", 10)
    hashes = sorted(map(_hash, LEAKED))
    Leaked(_file(tmp_path, "\n".join(hashes))).close()
    with pytest.raises(BadLeaked, match="not sorted"):
        Leaked(_file(tmp_path, "\n".join(hashes[250:] + hashes[:250])))


def test_a_file_that_is_spoiled_later_says_no_password_is_safe(tmp_path: Path) -> None:
    path = _file(tmp_path, "\n".join(sorted(map(_hash, LEAKED))))
    found = Leaked(path)
    Path(path).write_bytes(b"x" * 20_499)
    with pytest.raises(Unavailable, match="leaked passwords"):
        found.contains("any")
    found.close()


def test_a_leaked_password_is_refused_however_the_policy_stands(tmp_path: Path) -> None:
    composed = "pass\u00e9 compos\u00e9 de la grammaire"
    found = Leaked(_file(tmp_path, "\n".join(sorted((_hash("quiet otter maps dawn"), _hash(composed))))))
    for policy in (PasswordPolicy(15, True), PasswordPolicy(8, False)):
        for password in ("quiet otter maps dawn", composed, "passe\u0301 compose\u0301 de la grammaire"):
            why = objection(password, policy, identity=("alice",), leaked=found)
            assert why is not None and "known from a leak" in why and password not in why
        assert objection("quiet otter maps dusk", policy, identity=("alice",), leaked=found) is None
    found.close()
