"""Errors about where resources come from. Problems *in* resources are values: `access.problems.Problem`."""


class SourceError(Exception):
    """The source cannot be read or written; the message says why and what to do."""


class RepositoryUnreachable(SourceError):
    """The config repository is missing, does not answer, or is damaged."""


class Busy(RepositoryUnreachable):
    """Others use what is needed; trying again helps."""


class UnknownRevision(SourceError):
    """The revision does not exist."""


class ShallowRepository(SourceError):
    """The clone's history is too short for the question."""


class MergeConflict(SourceError):
    """Two revisions cannot be merged by themselves."""


class InvalidIntent(SourceError):
    """What somebody asks to be changed is not valid, or cannot be done."""


class UnknownName(SourceError):
    """What somebody asks to be changed names a resource that is not declared."""


class NameTaken(SourceError):
    """What somebody asks to be added is declared already, with other values."""
