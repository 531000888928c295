"""A lost database is built again without a mail to anybody: `--no-welcome`."""

from __future__ import annotations

import json
from pathlib import Path

from scenario import ADMINISTRATORS, Accord, ConfigRepository, everything, user

OVERRIDE = ("--override", "last-administrator", "--reason", "the database was lost")


def test_nobody_is_mailed_and_the_plan_says_so(repository: ConfigRepository, accord: Accord) -> None:
    repository.commit(
        {**ADMINISTRATORS, "users/alice.yaml": user("alice"), "users/bob.yaml": user("bob", initialPassword="none")}
    )
    plan = accord.json("plan", "--no-welcome", code=4)
    assert (plan["welcome"], plan["effects"]["mails"]) == (False, 0)
    assert "withholds 2 welcome mails" in accord("plan", "--no-welcome", code=4).stdout
    applied = accord("apply", "--yes", "--no-welcome", *OVERRIDE)
    assert "2 people have no password: an administrator's reset mails one" in applied.stdout
    assert everything(accord)["outbox"] == []
    assert '"welcome":false' in accord("audit", "export").stdout.replace("\\", "")
    assert accord.json("plan")["changes"] == []


def test_an_administrator_without_a_password_refuses_until_somebody_decides(repository: ConfigRepository, accord: Accord) -> None:
    repository.commit(ADMINISTRATORS)
    refused = accord("apply", "--yes", "--no-welcome", code=4).stderr
    assert "accord-api user set-password root" in refused
    assert everything(accord)["users"] == []
    accord("apply", "--yes", "--no-welcome", *OVERRIDE)


def test_later_plans_welcome_again(repository: ConfigRepository, accord: Accord) -> None:
    repository.commit(ADMINISTRATORS)
    accord("apply", "--yes", "--no-welcome", *OVERRIDE)
    repository.commit({"users/alice.yaml": user("alice")})
    assert json.loads(accord.run("plan", "--format", "json").stdout)["effects"]["mails"] == 1


def test_a_saved_plan_and_its_apply_agree_about_mails(repository: ConfigRepository, accord: Accord, tmp_path: Path) -> None:
    repository.commit(ADMINISTRATORS)
    quiet, loud = str(tmp_path / "quiet.json"), str(tmp_path / "loud.json")
    accord("plan", "--no-welcome", "--out", quiet, code=4)
    accord("plan", "--out", loud)
    for file, options in ((quiet, ()), (loud, ("--no-welcome",))):
        refused = accord("apply", file, "--yes", *OVERRIDE, *options, code=5)
        assert "give --no-welcome to both or neither" in refused.stderr
    assert accord.json("plan")["digest"] != accord.json("plan", "--no-welcome", code=4)["digest"]
    accord("apply", quiet, "--yes", "--no-welcome", *OVERRIDE)
    assert everything(accord)["outbox"] == []
