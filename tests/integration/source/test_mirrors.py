"""Mirrors of remotes: only Accord's own is written to, a broken one is made anew, and a credential is nobody else's."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from using import using
from waiting import until
from work_tree import ALICE, BOB, Work, contents, opened

from reconciler.source.cache import BlobCache
from reconciler.source.errors import RepositoryUnreachable, SourceError, UnknownRevision
from reconciler.source.load import load_revision
from reconciler.source.location import parse_remote
from reconciler.source.repository import Repository

# Whose repository is written to


def test_a_fetch_in_a_hook_leaves_the_hooks_repository_alone(
    work: Work, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = work.commit({"alice.yaml": ALICE})
    mine = Work(tmp_path / "mine")
    mine.commit({"bob.yaml": BOB})
    mine.git("branch", "unpushed")
    before = mine.git("for-each-ref")
    for name, value in (
        ("GIT_DIR", ".git"),
        ("GIT_WORK_TREE", "."),
        ("GIT_INDEX_FILE", ".git/index"),
        ("GIT_COMMON_DIR", ".git"),
    ):
        monkeypatch.setenv(name, str(mine.folder / value))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(mine.folder / ".git/objects/incoming"))
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(mine.folder / ".git/objects/incoming"))
    assert opened(f"file://{work.folder}", cache).resolve("main").commit == head
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert mine.git("for-each-ref") == before


def test_only_what_accord_made_is_written_to(work: Work, cache: Path, tmp_path: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    url = f"file://{work.folder}"
    mirror = Path(opened(url, cache).git_dir)
    shutil.rmtree(mirror)
    mine = Work(tmp_path / "mine")
    mine.commit({"bob.yaml": BOB})
    shutil.copytree(mine.folder / ".git", mirror)
    kept = sorted(mirror.rglob("*"))
    with pytest.raises(SourceError, match="is not a mirror that Accord made"):
        opened(url, cache)
    assert sorted(mirror.rglob("*")) == kept
    shutil.rmtree(mirror)
    mirror.symlink_to(mine.folder / ".git")
    with pytest.raises(SourceError, match="is not a mirror that Accord made"):
        opened(url, cache)
    mirror.unlink()
    opened(url, cache)
    mirror.chmod(0o777)
    with pytest.raises(SourceError, match="is not a mirror that Accord made"):
        opened(url, cache)


def test_a_mirror_is_read_where_bare_repositories_must_be_named(work: Work, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = work.commit({"alice.yaml": ALICE})
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.bareRepository")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "explicit")
    repository = opened(f"file://{work.folder}", cache)
    assert contents(repository, head) == {"alice.yaml": ALICE}
    assert contents(opened(repository.git_dir, cache), head) == {"alice.yaml": ALICE}


def test_a_mirror_that_has_grown_is_repacked(work: Work, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (key, value) in enumerate({"gc.autoPackLimit": "3", "fetch.unpackLimit": "1"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    most = 0
    for number in range(8):
        head = work.commit({"alice.yaml": ALICE + b"#" * (number + 1)})
        repository = opened(f"file://{work.folder}", cache)
        most = max(most, len(list(Path(repository.git_dir).glob("objects/pack/*.pack"))))
    assert 1 < most <= 4
    assert contents(repository, head) == {"alice.yaml": ALICE + b"#" * 8}


def test_a_mirror_has_no_head_that_somebody_could_push(work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    work.git("branch", "master")
    url = f"file://{work.folder}"
    mirror = Path(opened(url, cache).git_dir)
    for head in ("refs/heads/master", None):  # as an earlier version made it; as it is made
        if head:
            work.git("-C", str(mirror), "symbolic-ref", "HEAD", head)
        repository = opened(url, cache)
        for ask in (repository.head, repository.resolve, repository.tree):
            with pytest.raises(UnknownRevision, match="has no HEAD to go by; name the branch, such as --branch main"):
                ask("HEAD")
        before = (mirror / "HEAD").stat()
        opened(url, cache)
        after = (mirror / "HEAD").stat()
        assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns), "it is not written again and again"
        shutil.rmtree(mirror)


# Broken mirrors


@pytest.mark.parametrize(
    "damage",
    [
        "packed-refs.lock", "refs/heads/main.lock", "HEAD.lock", "config.lock", "shallow.lock", "objects/pack/tmp_pack_x",
        "refs/heads/main", "HEAD", "config", "packed-refs", "refs/heads/nobody",
    ],
)  # fmt: skip
def test_a_broken_mirror_is_made_anew(damage: str, work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    url = f"file://{work.folder}"
    mirror = Path(opened(url, cache).git_dir)
    head = work.commit({"bob.yaml": BOB})
    file = mirror / damage
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    repository = opened(url, cache)
    assert repository.resolve("main").commit == head
    assert contents(repository, head) == {"alice.yaml": ALICE, "bob.yaml": BOB}
    assert [file.name for file in cache.iterdir() if file.suffix in (".new", ".old")] == []


@pytest.mark.parametrize("left", [".new", ".old"])
def test_what_an_interrupted_run_left_is_removed_wherever_it_was_interrupted(
    left: str, work: Work, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def limited(act: Callable[..., None]) -> Callable[..., None]:
        def remove(path: str, **options: object) -> None:
            nonlocal steps
            steps -= 1
            if steps < 0:
                raise Killed
            act(path, **options)

        return remove

    head = work.commit({"alice.yaml": ALICE})
    url = f"file://{work.folder}"
    mirror = Path(opened(url, cache).git_dir)
    for number in range(6):  # as many as there are to remove
        (mirror / "HEAD").write_bytes(b"")  # broken, so it is made anew
        remains = mirror.with_suffix(left)
        (remains / "refs/heads").mkdir(parents=True)
        for name in ("HEAD", "accord-mirror", "refs/heads/main"):
            (remains / name).write_text("")
        steps = number
        with monkeypatch.context() as patch:
            for name in ("unlink", "rmdir"):
                patch.setattr(os, name, limited(getattr(os, name)))
            with pytest.raises(Killed):
                opened(url, cache)
        assert contents(opened(url, cache), head) == {"alice.yaml": ALICE}
        assert not list(cache.glob("*.new")) + list(cache.glob("*.old"))


@pytest.mark.parametrize("which", ["commit", "tree", "blob"])
def test_a_damaged_object_of_a_mirror_is_fetched_again(which: str, work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    url = f"file://{work.folder}"
    mirror = Path(opened(url, cache).git_dir)
    name = work.git("rev-parse", {"commit": "HEAD", "tree": "HEAD^{tree}", "blob": "HEAD:alice.yaml"}[which])
    file = mirror / "objects" / name[:2] / name[2:]
    file.chmod(0o644)
    file.write_bytes(b"")
    repository = opened(url, cache)
    assert repository.resolve("main").commit == head
    loaded = load_revision(repository, head, "", cache=BlobCache(None))
    assert [found.resource.name for found in loaded.declarations] == ["alice"]
    assert contents(Repository(repository.git_dir), head) == {"alice.yaml": ALICE}


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "empty"])
@pytest.mark.parametrize("which", ["old", "between"])
def test_a_damaged_history_is_never_taken_for_a_rewritten_one(which: str, lost: bool, work: Work, cache: Path) -> None:
    old, between, new = (work.commit({"alice.yaml": ALICE + b"#" * number}) for number in range(3))
    file = work.object_file(old if which == "old" else between).relative_to(work.folder / ".git")
    url = f"file://{work.folder}"
    mirror = opened(url, cache)
    damaged = work.folder.with_name("damaged")
    shutil.copytree(work.folder, damaged)
    for broken in (Path(mirror.git_dir) / file, damaged / ".git" / file):
        broken.chmod(0o644)
        broken.unlink() if lost else broken.write_bytes(b"")
    with pytest.raises(RepositoryUnreachable):
        opened(damaged, cache).relation(old, new)
    assert mirror.relation(old, new) == "descends"
    assert Repository(mirror.git_dir).relation(old, new) == "descends", "the mirror was made anew"


def test_a_mirror_is_kept_if_its_remote_is_at_fault(work: Work, cache: Path, tmp_path: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    url = f"file://{work.folder}"
    mirror = opened(url, cache).git_dir
    work.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(RepositoryUnreachable, match="does not appear to be a git repository"):
        opened(url, cache)
    assert Repository(mirror).resolve("main").commit == head


def test_a_remote_that_never_answers_ends_with_all_that_git_started(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"  # as in an image without ps and pgrep
    programs.mkdir()
    (programs / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(programs))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/pki.git"
        with pytest.raises(RepositoryUnreachable, match="did not answer in time"):
            Repository.open(url, cache, within=1)
        with silent.accept()[0]:  # so git has asked, and still would
            until(lambda: not using(url), "the end of all processes")


# Credentials


class Server(ThreadingHTTPServer):
    """A remote on loopback that asks for a name and a password, and writes down what it was told."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Asking, directory=str(folder)))
        self.told: list[str] = []
        self.accepted: set[str] = set()
        self.elsewhere: str | None = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def admit(self, name: str, password: str) -> None:
        self.accepted.add("Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())


class Asking(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        said = self.headers.get("Authorization", "")
        self.server.told.append(said)
        if self.server.elsewhere is not None:
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere + self.path)
            self.end_headers()
        elif said not in self.server.accepted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server(work: Work, tmp_path: Path) -> Iterator[Server]:
    work.commit({"alice.yaml": ALICE})
    work.git("clone", "-q", "--bare", str(work.folder), str(tmp_path / "www/pki.git"))
    work.git("-C", str(tmp_path / "www/pki.git"), "update-server-info")
    served = Server(tmp_path / "www")
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of each program that git is, or starts for HTTP."""
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "arguments"
    program = programs / "git"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return log


def test_a_credential_is_in_no_argument_and_no_file_and_a_new_one_needs_no_new_mirror(
    server: Server, cache: Path, arguments: Path
) -> None:
    for secret, written in (("ghs_first", "ghs_first"), ("ghs_%s 'x'", "ghs_%25s%20%27x%27")):
        server.accepted.clear()
        server.admit("x-access-token", secret)
        repository = opened(f"http://x-access-token:{written}@{server.place}/pki.git", cache)
        assert contents(repository, repository.resolve("main").commit) == {"alice.yaml": ALICE}
    assert len(list(cache.glob("mirror-*.git"))) == 1
    assert "fetch" in arguments.read_text() and "ghs_" not in arguments.read_text()
    assert not [file for file in cache.rglob("*") if file.is_file() and b"ghs_" in file.read_bytes()]


def test_a_wrong_credential_is_refused_without_showing_it(server: Server, cache: Path) -> None:
    server.admit("deploy", "right")
    with pytest.raises(RepositoryUnreachable, match="Authentication failed") as caught:
        opened(f"http://deploy:hunter2@{server.place}/pki.git", cache)
    assert "hunter2" not in str(caught.value) and "deploy" not in str(caught.value)


def test_a_name_without_a_password_leaves_the_password_to_the_users_helpers(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.admit("deploy", "kept")
    (tmp_path / "kept").write_text(f"http://deploy:kept@{server.place}\nhttp://other:none@{server.place}\n")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "credential.helper")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"store --file={tmp_path}/kept")
    assert opened(f"http://deploy@{server.place}/pki.git", cache).resolve("main").author == "Alice Jones"


@pytest.mark.parametrize("token", ["ghp_hunter2", "ghp_%2Fhunter2", "ghp_%40hunter2", "ghp_%20hunter2"])
def test_a_token_in_place_of_a_name_is_in_no_argument_and_no_message(
    token: str, server: Server, cache: Path, tmp_path: Path, arguments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass = tmp_path / "bin/askpass"
    askpass.write_text(f'#!/bin/sh\necho "$@" >> {arguments}\n')
    askpass.chmod(0o755)
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(askpass))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.askPass")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(askpass))
    with pytest.raises(RepositoryUnreachable) as caught:
        opened(f"http://{token}@{server.place}/pki.git", cache)
    assert "fetch" in arguments.read_text()
    for said in (arguments.read_text(), str(caught.value)):
        assert "hunter2" not in said and "ghp" not in said, said


def test_a_credential_is_not_told_to_where_a_remote_redirects(server: Server, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Server(tmp_path / "other")
    server.elsewhere = f"http://localhost:{other.server_address[1]}"
    with pytest.raises(RepositoryUnreachable):
        opened(f"http://deploy:hunter2@{server.place}/pki.git", cache)
    other.shutdown()
    other.server_close()
    assert other.told and not any(other.told)


# What may be asked


@pytest.mark.parametrize(
    "url", ["http://git.example.org/pki.git", "git://git.example.org/pki.git", "HTTP://10.0.0.1/x", "http://[fe80::1]/x"]
)
def test_a_remote_without_tls_is_refused_unless_its_host_was_named(url: str) -> None:
    with pytest.raises(RepositoryUnreachable, match="ACCORD_REPOSITORY_WITHOUT_TLS="):
        parse_remote(url)
    with pytest.raises(RepositoryUnreachable, match="TLS"):
        parse_remote(url, {"example.org"})
    assert parse_remote(url, {url.split("/")[2].strip("[]")}).protocol in ("http", "git")


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/x", "http://127.8.0.1/x", "http://[::1]:80/x", "https://a/x", "ssh://git@a/x", "git@a:x"]
)
def test_loopback_and_what_is_protected_need_no_permission(url: str) -> None:
    assert parse_remote(url).url == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://host/x", "`ftp://` is a transport that Accord does not use"),
        ("file://server/share/x", "write file:///PATH"),
        ("https:///x", "write https://HOST/PATH"),
        ("https://alice:pa/ss@host/x", "write `/`, `@`"),
        ("https://alice:12/hunter2@host/x", "write `/`, `@`"),
        ("https://alice:a%0Ahost=evil@host/x", "control characters"),
        ("ssh://git:hunter2@host/x", "ssh takes no password"),
        ("https://host/x?private_token=hunter2", "has parameters"),
        ("ssh://-oProxyCommand=x/y", "write ssh://HOST/PATH"),
    ],
)
def test_a_url_that_cannot_be_asked_safely_is_refused_without_showing_its_secret(url: str, why: str) -> None:
    with pytest.raises(RepositoryUnreachable, match=why) as caught:
        parse_remote(url)
    assert "hunter2" not in str(caught.value) and "ss@" not in str(caught.value)
