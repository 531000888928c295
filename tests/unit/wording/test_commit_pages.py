"""Where a forge has the page of a commit."""

from __future__ import annotations

import pytest

from reconciler.wording.forges import commit_link

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        ("https://github.com/acme/access.git", f"https://github.com/acme/access/commit/{SHA}"),
        ("https://github.com/acme/access", f"https://github.com/acme/access/commit/{SHA}"),
        ("https://github.corp.example/acme/access/", f"https://github.corp.example/acme/access/commit/{SHA}"),
        ("https://gitlab.com/acme/pki/access.git", f"https://gitlab.com/acme/pki/access/-/commit/{SHA}"),
        ("https://git.gitlab.example:8443/a/b", f"https://git.gitlab.example:8443/a/b/-/commit/{SHA}"),
        ("https://gitea.example/a/b.git", f"https://gitea.example/a/b/commit/{SHA}"),
        ("https://forgejo.example/a/b.git", f"https://forgejo.example/a/b/commit/{SHA}"),
        ("https://codeberg.org/a/b.git", f"https://codeberg.org/a/b/commit/{SHA}"),
        ("https://bitbucket.org/a/b.git", f"https://bitbucket.org/a/b/commits/{SHA}"),
        ("https://bitbucket.example/scm/PKI/b.git", f"https://bitbucket.example/projects/PKI/repos/b/commits/{SHA}"),
        ("https://stash.example/scm/~jane/b.git", f"https://stash.example/users/jane/repos/b/commits/{SHA}"),
        ("https://alice:secret@github.com/a/b.git", f"https://github.com/a/b/commit/{SHA}"),  # never with credentials
        ("http://github.com/a/b.git", None),
        ("ssh://git@github.com/a/b.git", None),
        ("git@github.com:a/b.git", None),
        ("https://git.example.org/a/b.git", None),  # any forge may be there
        ("https://github.com/a", None),
        ("https://github.com/a/../b", None),
        ('https://github.com/a/b"onclick=x', None),
        ("https://github.com/a b/c", None),
        ("https://github.com:port/a/b", None),
        ("https://[::1/a/b", None),
        ("javascript:alert(1)//github.com/a/b", None),
        ("/srv/config.git", None),
        ("", None),
    ],
)
def test_a_commit_has_a_page_where_the_address_tells_the_forge(repository: str, page: str | None) -> None:
    assert commit_link(repository, SHA) == page


@pytest.mark.parametrize("commit", ["", "main", SHA[:39], f"{SHA}/..", SHA.upper()])
def test_only_a_whole_commit_has_a_page(commit: str) -> None:
    assert commit_link("https://github.com/a/b", commit) is None
