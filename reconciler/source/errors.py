"""What can go wrong with where resources come from. Problems *in* resources are values: `plan.problems.Problem`."""


class SourceError(Exception):
    """The source cannot be read or written as asked; the message says why and what to do."""


class RepositoryUnreachable(SourceError):
    """The config repository is not there, does not answer, or is damaged."""


class UnknownRevision(SourceError):
    """There is no such commit."""


class ShallowRepository(SourceError):
    """The clone's history is cut off where it is needed."""
