"""accord propose: turns an intent into a commit on a branch of its own, shown with its plan before anything is pushed.

A preview and the proposal after it make the same commit, so that what was seen is what is pushed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import Declaration, Revision
from reconciler.plan.plan import Plan
from reconciler.plan.render.problems import tally
from reconciler.run.deployment import Deployment
from reconciler.run.errors import InvalidBase, InvalidConfiguration
from reconciler.run.inputs import desired_revision, open_source, state_of
from reconciler.run.planning import Read, compare
from reconciler.run.proposal_failures import ProposalFailed
from reconciler.run.proposal_message import branch_name, message_of
from reconciler.run.workshop import (
    Base,
    Shown,
    Workshop,
    approvals_of,
    find_overlapping,
    has_database,
    named,
    open_workshop,
    plan_on_database,
    refusing,
)
from reconciler.store.commit import committing
from reconciler.wording.text import count, listed

if TYPE_CHECKING:
    from reconciler.source.acts import Wanted
    from reconciler.source.editing import OrphanComment
    from reconciler.source.intent import Author, Intent
    from reconciler.source.load import Loaded
    from reconciler.source.proposals import FileChange
    from reconciler.source.scratch import Scratch


class Built(NamedTuple):
    """A commit in the temporary repository, and what it would do."""

    commit: str
    message: str
    wanted: Sequence[Wanted]
    files: Sequence[FileChange]
    comparison: Plan
    plan: Plan | None
    unplanned: str | None
    problems: Sequence[Problem]
    comments: Sequence[OrphanComment]


def propose(
    deployment: Deployment, intent: Intent, author: Author, *, preview: bool, now: datetime, most_open: int | None = None
) -> Shown:
    """Make the commit of an intent and show it; unless it is a preview, put it on a branch of the config repository.

    An author who has `most_open` open proposals gets no other one.

    Raises ProposalFailed, or the errors of reading repository and database (see `failure_of`).
    """
    from reconciler.source.intent import at

    shop = open_workshop(deployment, now)
    head = desired_revision(deployment, shop.source, None)
    intent = at(intent, now)._replace(author=author)
    there = None if preview else _proposed_before(shop, intent)
    if there is not None:
        return there
    with shop.quarantine(head.commit) as scratch:
        if most_open is not None:
            _check_open(shop, scratch, head.commit, author, most_open)
        maker = _Maker(shop, scratch, intent, author)
        base, moved = shop.base_at(head), None
        if not preview and intent.base not in (None, head.commit):
            built = maker.build_again(head)
            if built is not None:
                base, moved = shop.base_at(shop.source.repository.resolve(intent.base or "")), base
        else:
            built = maker.build(head)
        if built is None:
            return _declared(shop, intent, base, maker)
        if not preview and intent.expect not in (None, built.commit):
            raise _other_commit(intent, head)
        shown = _shown(shop, scratch, intent, base, built)._replace(moved=moved)
        return shown if preview else _submitted(shop, scratch, shown)


def _proposed_before(shop: Workshop, intent: Intent) -> Shown | None:
    """Show the previewed commit if it is on a branch already, whatever happened since: somebody asks twice."""
    from reconciler.source.proposals import diff_of, file_changes, find_branches, mailed_patch, proposed_by
    from reconciler.source.proposals import message_of as said

    repository, commit = shop.source.repository, intent.expect
    branch = next((each for each in find_branches(repository) if each.commit == commit), None)
    parent = None if branch is None else repository.parent(branch.commit)
    if branch is None or commit is None or parent is None:
        return None
    message = said(repository, commit)
    if proposed_by(message) != str(intent.author):  # somebody else's: its preview was not this person's
        return None
    shown = Shown(
        "already-proposed",
        shop.base_at(repository.resolve(parent)),
        intent=intent,
        commit=commit,
        author=str(intent.author),
        message=message,
        files=file_changes(repository, parent, commit),
        diff=diff_of(repository, parent, commit),
        patch=mailed_patch(repository, commit),
    )
    return named(shop, shown, branch, "already-proposed", "")


def _check_open(shop: Workshop, scratch: Scratch, head: str, author: Author, most: int) -> None:
    """Raise ProposalFailed if so many proposals of the author are open."""
    from reconciler.source.proposals import find_branches, message_of, proposed_by, state_of

    repository = shop.source.repository
    unmerged = find_branches(repository, head)
    own = [each for each in unmerged if proposed_by(message_of(repository, each.commit)) == str(author)]
    # what was merged as another commit is no longer open
    if len(own) >= most and sum(state_of(repository, scratch, head, each).state == "open" for each in own) >= most:
        raise ProposalFailed("too-many", f"{author} has {count(most, 'open proposal')} already")


class _Maker:
    """Makes the commit of an intent on top of a base."""

    def __init__(self, shop: Workshop, scratch: Scratch, intent: Intent, author: Author) -> None:
        self.shop, self.scratch, self.intent, self.author = shop, scratch, intent, author
        self._loaded: dict[str, Loaded] = {}

    def build(self, base: Revision) -> Built | None:
        """Return the commit on top of a base, or None if the base declares all of it. Raises what `propose` does."""
        from reconciler.source.acts import wanted_by
        from reconciler.source.proposals import changed_tree, file_changes

        before = self._load_base(base)
        wanted = wanted_by(self.intent.acts, state_of(before.declarations).declared)
        if not wanted:
            return None
        edited, comments = self._edited(base, before.declarations, wanted)
        tree = changed_tree(self.scratch, base.commit, edited)
        changes = file_changes(self.scratch, base.commit, tree)
        refuse_others(changes, edited)
        draft = self.scratch.child_of(base.commit, tree)
        after, stood = self._read_draft(base, draft, before, wanted)
        comparison = compare(Read(self.shop.source, base, before.declarations, stood), after, now=self.shop.now)
        plan, unplanned = plan_on_database(self.shop, after.source, after.revision)
        message = message_of(self.intent, self.author, refusing(plan, comparison))
        commit = self._commit(base, tree, message)
        revision = self.scratch.resolve(commit)
        return Built(
            commit,
            message,
            wanted,
            changes,
            comparison._replace(revision=revision),
            None if plan is None else plan._replace(revision=revision),
            unplanned,
            [problem for problem in after.problems if problem.file in edited],
            comments,
        )

    def build_again(self, head: Revision) -> Built | None:
        """Return the previewed commit, although the head moved since, if that has no bearing on it; None if all is declared now.

        Raises ProposalFailed if it has.
        """
        from reconciler.source.errors import SourceError
        from reconciler.source.proposals import blobs_at

        old, repository = self.intent.base or "", self.shop.source.repository
        if not repository.has(old) or not repository.is_ancestor(old, head.commit):
            raise _moved(head, "the branch no longer contains the commit that the preview was made on")
        try:
            now = self.build(head)
        except (InvalidConfiguration, InvalidBase, SourceError) as error:
            raise _moved(head, f"it cannot be done on top of that: {error}") from None
        if now is None:
            return None
        was = self.build(repository.resolve(old))
        if was is None or self.intent.expect not in (None, was.commit):
            raise _moved(head, "what would be proposed is not the commit that was previewed")
        files = [change.path for change in was.files]
        if blobs_at(repository, old, files) != blobs_at(repository, head.commit, files) or _reach(was) != _reach(now):
            raise _moved(head, "it changed the same files, or what this would do")
        return was._replace(plan=now.plan, unplanned=now.unplanned)

    def _load_base(self, base: Revision) -> Loaded:
        """Load what the base declares. Raises InvalidBase if its documents have errors; others are found beside the draft's."""
        from reconciler.source.load import load_revision

        if base.commit not in self._loaded:
            source = self.shop.source
            found = load_revision(source.repository, base.commit, source.path, cache=source.cache)
            if any(problem.severity == "error" for problem in found.problems):
                raise InvalidBase(base.commit, found.problems)
            self._loaded[base.commit] = found
        return self._loaded[base.commit]

    def _edited(
        self, base: Revision, declarations: Sequence[Declaration], wanted: Sequence[Wanted]
    ) -> tuple[dict[str, bytes | None], Sequence[OrphanComment]]:
        """Return the files, by their shown names, in which all is declared as wanted."""
        from reconciler.source.editing import ResourceEdit, edit_files
        from reconciler.source.errors import SourceError
        from reconciler.source.proposals import is_free

        path, repository = self.shop.source.path, self.shop.source.repository
        prefix = f"{path}/" if path else ""
        files = {(each.kind, each.resource.name): each.origin.file.removeprefix(prefix) for each in declarations}
        edits = [ResourceEdit(kind, name, was, now, files.get((kind, name))) for kind, name, was, now in wanted]
        try:
            edited = edit_files(
                edits,
                lambda file: repository.content(base.commit, prefix + file),
                sorted(set(files.values())),
                drop_comments=self.intent.drop_comments,
                root=path,
                is_free=lambda file: is_free(repository, base.commit, prefix + file),
            )
        except SourceError as error:
            raise ProposalFailed("not-editable", str(error)) from None
        comments = [comment._replace(file=prefix + comment.file) for comment in edited.comments]
        return {prefix + file: content for file, content in edited.files.items()}, comments

    def _read_draft(self, base: Revision, draft: str, before: Loaded, wanted: Sequence[Wanted]) -> tuple[Read, Sequence[Problem]]:
        """Check the result as `accord validate` does, of which only the changed files have to be read; also return the problems
        that they had before.

        Raises InvalidConfiguration, or InvalidBase if the base has errors already, or ProposalFailed unless exactly what is
        wanted is declared, and nothing else differs.
        """
        from reconciler.source.load import load_onto
        from reconciler.source.rules import problems_of

        source, now = self.shop.within(self.scratch), self.shop.now
        changed = self.scratch.changed(base.commit, draft, source.path)
        if changed is None:
            raise ProposalFailed("not-editable", "this would change what `.accordignore` hides")
        files = [(file.path, file.new_blob) for file in changed]
        after = load_onto(before, self.scratch, files, cache=source.cache)
        problems = problems_of(after, now)
        stood: Sequence[Problem] = ()
        if any(problem.severity == "error" or problem.file in dict(files) for problem in problems):
            stood = problems_of(before, now)
            if any(problem.severity == "error" for problem in stood):
                raise InvalidBase(base.commit, stood)
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors:
            raise InvalidConfiguration(errors, f"the result would have {tally(errors)}")
        expected = {(each.kind, each.resource.name): each.resource for each in before.declarations}
        for kind, name, _, resource in wanted:
            expected.pop((kind, name), None)
            if resource is not None:
                expected[kind, resource.name] = resource
        if {(each.kind, each.resource.name): each.resource for each in after.declarations} != expected:
            raise ProposalFailed("not-editable", "the edited files would not declare exactly this; `.accordignore` may hide one")
        return Read(source, base._replace(commit=draft), after.declarations, problems), stood

    def _commit(self, base: Revision, tree: str, message: str) -> str:
        from reconciler.source.intent import parse_author
        from reconciler.source.proposals import committed_at
        from reconciler.source.scratch import Record

        deployment, time = self.shop.deployment, committed_at(self.shop.source.repository, base.commit)
        committer = parse_author(deployment.proposal_committer)
        record = Record((self.author.name, self.author.email), (committer.name, committer.email), time, message)
        return self.scratch.commit(base.commit, tree, record, self.shop.left, deployment.proposal_signing_key)


def _other_commit(intent: Intent, head: Revision) -> ProposalFailed:
    what = "what would be proposed is not the commit that was previewed"
    if intent.base == head.commit:
        return ProposalFailed("moved", f"{what}, although the branch did not move: the acts, the author or the guards differ")
    return _moved(head, what)


def refuse_others(changes: Sequence[FileChange], edited: Collection[str]) -> None:
    """Raise ProposalFailed unless exactly the files that were edited, by their shown names, differ."""
    differ = {change.path for change in changes} ^ {*edited}
    if differ:
        raise ProposalFailed(
            "not-editable", f"the commit would not change exactly the files that were edited: {listed(sorted(differ))}"
        )


def _moved(head: Revision, why: str) -> ProposalFailed:
    what = f"the branch is at {head.commit[:12]} now, by {head.author} ({head.summary!r})"
    return ProposalFailed("moved", f"{what}; {why}")


def _reach(built: Built) -> object:
    """Return what a commit changes, wherever in its files, and which guards refuse it."""
    plan = built.comparison
    changes = [(change.action, change.kind, change.name, change.before, change.after) for change in plan.changes]
    guards = [(guard.id, guard.message) for guard in refusing(built.plan, plan)]
    return changes, plan.access, plan.rights, plan.administrators, plan.groups, guards


def _shown(shop: Workshop, scratch: Scratch, intent: Intent, base: Base, built: Built) -> Shown:
    from reconciler.source.proposals import diff_of, mailed_patch

    paths = [change.path for change in built.files]
    sent = intent._replace(base=base.revision.commit, expect=built.commit)
    return Shown(
        "previewed",
        base,
        intent=sent,
        commit=built.commit,
        branch=branch_name(intent.acts, built.commit),
        author=str(intent.author),
        message=built.message,
        files=built.files,
        diff=diff_of(scratch, base.revision.commit, built.commit),
        patch=mailed_patch(scratch, built.commit),
        comparison=built.comparison,
        plan=built.plan,
        unplanned=built.unplanned,
        problems=built.problems,
        approvals=approvals_of(shop, base.revision.commit, paths),
        comments=built.comments,
        overlapping=find_overlapping(shop, scratch, base.revision.commit, paths, built.commit),
    )


def _declared(shop: Workshop, intent: Intent, base: Base, maker: _Maker) -> Shown:
    """Show that the head declares all of it, and whether it is applied."""
    from reconciler.source.acts import mentioned

    applied: bool | None = None
    if has_database(shop.deployment):
        plan, _ = plan_on_database(shop, shop.source, base.revision)
        concerned = set(mentioned(intent.acts))
        applied = plan is not None and not any((change.kind, change.name) in concerned for change in plan.changes)
    return Shown("already-declared", base, intent=intent._replace(base=base.revision.commit), applied=applied)


def _submitted(shop: Workshop, scratch: Scratch, shown: Shown) -> Shown:
    """Put the commit on its branch. Raises ProposalFailed, with the patch."""
    from reconciler.source.proposals import find_branches
    from reconciler.source.pushing import Branch, PushFailed, make_branch

    commit = shown.commit or ""
    intent = shown.intent
    assert intent is not None
    source = shop.source
    for attempt in range(2):
        known = find_branches(source.repository)
        there = next((branch for branch in known if branch.commit == commit), None)
        if there is not None:
            return named(shop, shown, there, "already-proposed", "")
        names = {branch.name for branch in known}
        lengths = (6, 8, 12, len(commit))
        name = next(name for length in lengths if (name := branch_name(intent.acts, commit, length)) not in names)
        branch = Branch(name, commit)
        try:
            with committing():  # from here on nobody may say that nothing was done
                said = make_branch(source.repository, scratch, branch, shown.base.revision.commit, shop.remote, shop.left)
        except PushFailed as error:
            reason, words = error.refusal
            if reason == "exists" and attempt == 0:  # somebody was quicker: look again
                source = open_source(shop.deployment, within=shop.left)
                continue
            told = "busy" if reason == "exists" else reason
            raise ProposalFailed(
                told, f"the branch {name} was not made", remote=words, patch=shown.patch, problems=shown.problems
            ) from None
        return named(shop, shown, branch, "proposed", said)
    raise ProposalFailed("busy", "somebody else makes the same branch", patch=shown.patch)
