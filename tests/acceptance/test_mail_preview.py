"""`accord mail preview`: a mail as its readers will see it, by the declared template or the built-in one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scenario import Accord, issuer, resource, team

from reconciler.mail.variables import VARIABLES

MINE = {"subject": "Hi {{ user.name }}", "text": "{{ password }}\n", "html": "<p>{{ password }}</p>"}
Declare = Callable[[dict[str, Any]], Path]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """Write files into a work tree, and commit them."""
    folder = tmp_path / "config"

    def write(files: dict[str, Any]) -> Path:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(content))
        person = ("-c", "user.name=Alice", "-c", "user.email=alice@example.org")
        for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), (*person, "commit", "-q", "-m", "Change")):
            subprocess.run(["git", "-C", str(folder), *arguments], check=True)
        return folder

    return write


@pytest.fixture
def accord(tmp_path: Path) -> Accord:
    return Accord(tmp_path / "config", "sqlite:///none.db", tmp_path / "cache")


@pytest.mark.parametrize("name", VARIABLES)
def test_a_mail_without_a_template_is_the_built_in_one(accord: Accord, declare: Declare, name: str) -> None:
    declare({"issuer.yaml": issuer("tls")})
    document = accord.json("mail", "preview", name)
    assert (document["name"], document["source"]) == (name, None)
    output = accord("mail", "preview", name).stdout
    assert output.startswith(f"Mail {name}, from the built-in template (no template is declared)\n")
    assert f"\nSubject: {document['subject']}\n" in output and document["text"].rstrip() in output


def test_a_declared_template_is_taken_from_a_folder_a_file_or_a_revision(accord: Accord, declare: Declare) -> None:
    file = declare({"mails/welcome.yaml": resource("EmailTemplate", "welcome", MINE)}) / "mails" / "welcome.yaml"
    file.write_text(file.read_text().replace("Hi ", "Hello "))
    for where, subject in (
        ((), "Hello alice"),
        ((str(file),), "Hello alice"),
        (("--rev", "HEAD"), "Hi alice"),
        (("--rev", "HEAD", "--path", "mails"), "Hi alice"),
    ):
        document = accord.json("mail", "preview", "welcome", *where)
        assert (document["subject"], document["source"]) == (subject, "mails/welcome.yaml:1")
    html = accord("mail", "preview", "welcome", "--format", "html").stdout
    assert html.startswith("<!DOCTYPE html>") and html.endswith("</html>\n") and "<p>k7Qm" in html


def test_errors_are_those_of_validate_and_only_those_of_this_mail(accord: Accord, declare: Declare) -> None:
    broken = resource("EmailTemplate", "welcome", MINE | {"text": "{{ passwort }}"})
    declare({"welcome.yaml": broken, "team.yaml": team("web", members=["nobody"])})
    found = accord("mail", "preview", "welcome", code=1)
    assert found.stderr.splitlines() == [
        line for line in accord("validate", code=1).stdout.splitlines() if "welcome.yaml" in line
    ]
    assert "did you mean `password`? [template-variable]" in found.stderr and found.stdout == ""
    assert "built-in" in accord("mail", "preview", "password-reset").stdout


def test_an_invalid_template_is_not_replaced_by_the_built_in_one(accord: Accord, declare: Declare) -> None:
    declare({"welcome.yaml": resource("EmailTemplate", "welcome", {"subject": "Hi"})})
    assert "`text` is missing" in accord("mail", "preview", "welcome", code=1).stderr


def test_warnings_go_beside_the_mail(accord: Accord, declare: Declare) -> None:
    declare({"welcome.yaml": resource("EmailTemplate", "welcome", MINE | {"subject": "Hi {{ user.fullName }}"})})
    found = accord("mail", "preview", "welcome", "--format", "json")
    assert "[template-missing-value]" in found.stderr and json.loads(found.stdout)["subject"] == "Hi Alice Jones"


def test_an_unknown_mail_is_refused_with_the_known_ones(accord: Accord) -> None:
    assert "'certificate-expiring'" in accord("mail", "preview", "farewell", code=1).stderr
    assert "not both" in accord("mail", "preview", "welcome", ".", "--rev", "HEAD", code=1).stderr
