"""What all resources of Accord share."""

from __future__ import annotations

from api.http import operations
from api.http.addresses import Addresses
from api.http.admission import Admission
from api.service import Service


class Resource(operations.Resource):
    """A resource over the parts of a service."""

    def __init__(self, service: Service, admission: Admission) -> None:
        super().__init__(admission)
        self.service = service


def admission_of(service: Service) -> Admission:
    """Who is let in to a service."""
    parts = service.passwords, service.known, service.reader, service.unknown
    return Admission(service.authenticator, Addresses(service.settings.trusted_proxies), *parts)
