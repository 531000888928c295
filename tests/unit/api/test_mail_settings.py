"""The settings of mail: where they come from, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from api.settings import Misconfigured, read_settings
from reconciler.mail.addresses import is_address

HOST = {"ACCORD_SMTP_HOST": "mail.example.org", "ACCORD_SMTP_FROM": "accord@example.org"}


def test_without_settings_mail_goes_to_a_folder() -> None:
    mail = read_settings({}, {}).mail
    assert (mail.delivers, mail.server, mail.maildir, mail.give_up) == (True, None, Path("mail"), timedelta(days=3))
    assert is_address(mail.sender)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465)])
def test_the_default_port_depends_on_the_security(security: str, port: int) -> None:
    server = read_settings({}, {**HOST, "ACCORD_SMTP_SECURITY": security}).mail.server
    assert server is not None
    assert (server.security, server.port) == (security, port)
    assert read_settings({}, HOST).mail.server == read_settings({}, {**HOST, "ACCORD_SMTP_SECURITY": "starttls"}).mail.server


def test_the_environment_overrides_the_file_which_holds_no_password(tmp_path: Path) -> None:
    secret, file = tmp_path / "secret", tmp_path / "accord.toml"
    secret.write_text("the secret\n")
    file.write_text(
        'public_url = "https://a.example"\n[smtp]\nhost = "one.example"\nfrom = "a@b.example"\nport = 2525\n'
        f'username = "u"\npassword_file = "{secret}"\ngive_up = "1d"\n'
    )
    mail = read_settings({}, {"ACCORD_CONFIG": str(file), "ACCORD_SMTP_HOST": "two.example"}).mail
    assert mail.server is not None
    assert (mail.server.host, mail.server.port, mail.server.password) == ("two.example", 2525, "the secret")
    assert (mail.sender, mail.public_url, mail.give_up) == ("a@b.example", "https://a.example", timedelta(days=1))
    file.write_text('[smtp]\npassword = "here"\n')
    with pytest.raises(Misconfigured, match="the password does not belong in this file"):
        read_settings({}, {"ACCORD_CONFIG": str(file)})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_without_tls_mail_goes_only_to_this_machine(host: str) -> None:
    server = read_settings({}, {**HOST, "ACCORD_SMTP_HOST": host, "ACCORD_SMTP_SECURITY": "none"}).mail.server
    assert server is not None
    assert server.port == 25


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ACCORD_SMTP_SECURITY": "none"}, "so others could read passwords"),
        ({"ACCORD_SMTP_HOST": "10.0.0.1", "ACCORD_SMTP_SECURITY": "none"}, "so others could read passwords"),
        ({"ACCORD_SMTP_HOST": "localhost.evil.example", "ACCORD_SMTP_SECURITY": "none"}, "so others could read passwords"),
        ({"ACCORD_SMTP_SECURITY": "ssl"}, "ACCORD_SMTP_SECURITY must be one of starttls, tls, none, not `ssl`"),
        ({"ACCORD_SMTP_HOST": "a b"}, "ACCORD_SMTP_HOST must be a name or an address"),
        ({"ACCORD_SMTP_HOST": "mail.example.org:587"}, "set the port with ACCORD_SMTP_PORT"),
        ({"ACCORD_SMTP_HOST": "[::1]:25"}, "set the port with ACCORD_SMTP_PORT"),
        ({"ACCORD_SMTP_HOTS": "a"}, "ACCORD_SMTP_HOTS is not a setting; did you mean `ACCORD_SMTP_HOST`?"),
        ({"ACCORD_SMTP_PORT": "0"}, "ACCORD_SMTP_PORT must be a number"),
        ({"ACCORD_SMTP_PORT": "70000"}, "ACCORD_SMTP_PORT must be a number"),
        ({"ACCORD_SMTP_FROM": ""}, "ACCORD_SMTP_FROM is empty; give it a value, or unset it"),
        ({"ACCORD_SMTP_FROM": "Accord <a@b>"}, "ACCORD_SMTP_FROM must be an address"),
        ({"ACCORD_SMTP_FROM": "a@b\r\nBcc: c@d"}, "ACCORD_SMTP_FROM must be an address"),
        ({"ACCORD_SMTP_USERNAME": "u"}, "belong together"),
        ({"ACCORD_SMTP_PASSWORD": "p"}, "belong together"),
        ({"ACCORD_SMTP_USERNAME": "u", "ACCORD_SMTP_PASSWORD": "a\nb"}, "one line of text"),
        (
            {"ACCORD_SMTP_HOST": "::1", "ACCORD_SMTP_SECURITY": "none", "ACCORD_SMTP_USERNAME": "u", "ACCORD_SMTP_PASSWORD": "p"},
            "only sent over TLS",
        ),
        ({"ACCORD_SMTP_USERNAME": "u", "ACCORD_SMTP_PASSWORD_FILE": "/nonexistent"}, "cannot be read: No such file"),
        ({"ACCORD_SMTP_USERNAME": "u", "ACCORD_SMTP_PASSWORD_FILE": "/dev/null"}, "names `/dev/null`, which is empty"),
        ({"ACCORD_SMTP_CA_FILE": "/nonexistent"}, "ACCORD_SMTP_CA_FILE names `/nonexistent`"),
        ({"ACCORD_SMTP_TIMEOUT": "5m"}, "ACCORD_SMTP_TIMEOUT must be from 1s to 4m"),
        ({"ACCORD_SMTP_TIMEOUT": "soon"}, "ACCORD_SMTP_TIMEOUT: `soon` is not a duration"),
        ({"ACCORD_SMTP_GIVE_UP": "never"}, "ACCORD_SMTP_GIVE_UP"),
        ({"ACCORD_PUBLIC_URL": "javascript:alert(1)"}, "ACCORD_PUBLIC_URL must be an address"),
        ({"ACCORD_PUBLIC_URL": "https://accord.example.org@evil.example/"}, "ACCORD_PUBLIC_URL must be an address"),
        ({"ACCORD_LINK_HOSTS": "wiki.example.org, https://x/"}, "ACCORD_LINK_HOSTS must be names of hosts"),
        ({"ACCORD_SMTP_HELO": "accord"}, "ACCORD_SMTP_HELO must be a name such as"),
        ({"ACCORD_SMTP_HELO": "a.example\r\nMAIL"}, "ACCORD_SMTP_HELO must be a name such as"),
        ({"ACCORD_MAIL": "maybe"}, "ACCORD_MAIL must be on or off"),
    ],
)
def test_impossible_settings_are_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_settings({}, {**HOST, **variables})
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["[smtp]\nhots = 'a'\n", "smtp = 1\n", "[smtp]\nhost = true\n", "[smtp]\nport = 25.0\n"])
def test_a_table_with_unknown_or_wrong_settings_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "accord.toml").write_text(text)
    with pytest.raises(Misconfigured, match="smtp"):
        read_settings({}, {"ACCORD_CONFIG": str(tmp_path / "accord.toml")})


@pytest.mark.parametrize(
    ("machine", "variables", "greeting"),
    [
        ("mail1.example.net", {}, "mail1.example.net"),
        ("3f2a9c1b0d4e", {}, "example.org"),
        ("3f2a9c1b0d4e", {"ACCORD_PUBLIC_URL": "https://accord.example.org:8443/x"}, "accord.example.org"),
        ("3f2a9c1b0d4e", {"ACCORD_PUBLIC_URL": "https://192.0.2.1/"}, "example.org"),
        ("localhost.localdomain", {}, "example.org"),
        ("localhost", {"ACCORD_SMTP_FROM": "accord@localhost"}, "[127.0.0.1]"),
        ("mail1.example.net", {"ACCORD_SMTP_HELO": "relay.example.com"}, "relay.example.com"),
        ("mail1.example.net", {"ACCORD_SMTP_HELO": "[192.0.2.7]"}, "[192.0.2.7]"),
    ],
)
def test_accord_introduces_itself_with_a_name_that_servers_accept(
    monkeypatch: pytest.MonkeyPatch, machine: str, variables: dict[str, str], greeting: str
) -> None:
    monkeypatch.setattr("api.mail.settings.socket.gethostname", lambda: machine)
    server = read_settings({}, {**HOST, **variables}).mail.server
    assert server is not None and server.helo == greeting


def test_links_lead_to_the_public_host_and_to_those_that_the_deployment_names() -> None:
    variables = {"ACCORD_PUBLIC_URL": "https://Accord.Example.org/x", "ACCORD_LINK_HOSTS": "Wiki.example.org, help.example.org"}
    found = read_settings({}, {**HOST, **variables}).mail.link_hosts
    assert found == {"accord.example.org", "wiki.example.org", "help.example.org"}
