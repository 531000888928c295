"""A URL names PostgreSQL's hosts in every usual form, and is shown without its secrets."""

from __future__ import annotations

import pytest

from reconciler.store.engine import open_database
from reconciler.store.errors import StoreError
from reconciler.store.urls import hosts_of, read_url, shown

TWO = [{"host": "h1", "port": "1"}, {"host": "h2", "port": "2"}]


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://accord@h1:1,h2:2/accord?target_session_attrs=read-write", TWO),
        ("postgresql://accord@/accord?host=h1:1&host=h2:2", TWO),
        ("postgresql://accord@/accord?host=h1,h2&port=1,2", TWO),
        ("postgresql://accord@h1,h2/accord?port=1,2", TWO),
        ("postgresql://accord@h1,h2/accord", [{"host": "h1"}, {"host": "h2"}]),
        ("postgresql://accord@h1,h2:2/accord", [{"host": "h1"}, {"host": "h2", "port": "2"}]),
        ("postgresql://accord@h1,h2/accord?port=7", [{"host": "h1", "port": "7"}, {"host": "h2", "port": "7"}]),
        ("postgresql://accord@[::1]:1,[fe80::2]/accord", [{"host": "::1", "port": "1"}, {"host": "fe80::2"}]),
        ("postgresql://%2Frun%2Fpostgresql/accord", [{"host": "/run/postgresql"}]),
        ("postgresql:///accord?host=/run/postgresql&port=5433", [{"host": "/run/postgresql", "port": "5433"}]),
        ("postgresql:///accord", [{}]),
        ("postgresql://accord@h1:1/accord?hostaddr=192.0.2.1", [{"host": "h1", "port": "1", "hostaddr": "192.0.2.1"}]),
    ],
)
def test_hosts_are_read_in_every_usual_form(url: str, hosts: list[dict[str, str]]) -> None:
    parsed = read_url(url)
    assert parsed is not None
    assert hosts_of(parsed) == hosts


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h1:1,h2:port/accord",
        "postgresql://h1:0/accord",
        "postgresql://h1:65536/accord",
        "postgresql://[::1/accord",
        "postgresql://h1,h2,h3/accord?port=1,2",
        "postgresql://accord:one@two@h1/accord",
    ],
)
def test_a_url_that_names_hosts_badly_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="the database URL is invalid"):
        open_database(url)


def test_several_hosts_are_shown_without_the_password() -> None:
    url = "postgresql://accord:secret@h1:1,[::1]:2/accord?sslpassword=other"
    assert shown(url) == "postgresql://accord:***@h1:1,[::1]:2/accord"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("nonsense=1", "nonsense"),
        ("autocommit=1", "autocommit"),
        ("row_factory=x", "row_factory"),
        ("connect_timout=3", "did you mean `connect_timeout`"),
        ("client_encoding=latin1", "client_encoding"),
        ("sslmode=prefer&sslmode=require", "more than once"),
        ("connect_timeout=soon", "connect_timeout"),
        ("connect_timeout=0", "connect_timeout"),
        ("answer_timeout=-1", "answer_timeout"),
        ("target_session_attrs=standby", "target_session_attrs"),
        ("target_session_attrs=prefer-standby", "target_session_attrs"),
        ("target_session_attrs=nonsense", "target_session_attrs"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_before_connecting(options: str, named: str) -> None:
    with pytest.raises(StoreError, match=named):
        open_database(f"postgresql://accord@127.0.0.1:1/accord?{options}")


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=nonsense",
        "keepalives=nonsense",
        "tcp_user_timeout=nonsense",
        "gssencmode=nonsense",
        "channel_binding=nonsense",
        "hostaddr=nonsense",
        "hostaddr=127.0.0.1,127.0.0.1,127.0.0.1",
        "sslrootcert=/nowhere&sslmode=verify-full",
        "options=%00",
        "application_name=%FF%00",
        "service=nowhere",
        "host=%00",
        "host=" + "h" * 300,
    ],
)
def test_a_bad_value_that_only_the_driver_knows_is_a_message(options: str) -> None:
    with (
        pytest.raises(StoreError, match="the database"),
        open_database(f"postgresql://accord@127.0.0.1:1/accord?{options}") as database,
        database.reading(),
    ):
        pass


def test_a_command_that_only_reads_may_use_a_standby() -> None:
    open_database("postgresql://accord@h1/accord?target_session_attrs=prefer-standby", read_only=True).close()
