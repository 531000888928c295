"""A proposal's commit changes the files that were edited, and no others."""

from __future__ import annotations

import pytest

from reconciler.run.proposal_failures import ProposalFailed
from reconciler.run.proposing import refuse_others
from reconciler.source.proposals import FileChange


def test_a_commit_that_changes_other_files_is_refused() -> None:
    changes = [FileChange("users/b", "1f", None), FileChange("users/b/bob.yaml", None, "2e")]
    refuse_others(changes, ["users/b", "users/b/bob.yaml"])
    for edited, others in ((["users/b/bob.yaml"], "users/b"), (["users/b", "users/b/bob.yaml", "c.yaml"], "c.yaml")):
        with pytest.raises(ProposalFailed, match=f"exactly the files that were edited: {others}$") as refused:
            refuse_others(changes, edited)
        assert refused.value.reason == "not-editable"
