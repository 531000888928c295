"""What all calls of existing clients have in common."""

from __future__ import annotations

from functools import partial

from api.http.operations import operation

certdog_operation = partial(operation, tag="Existing clients", legacy=True)
"""Declare a responder for existing clients."""
