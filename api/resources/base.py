"""What all resources of Accord share."""

from __future__ import annotations

from api.http import operations
from api.http.admission import Admission
from api.service import Service


class Resource(operations.Resource):
    """A resource over the parts of a service."""

    def __init__(self, service: Service) -> None:
        parts = service.passwords, service.known, service.reader, service.unknown
        super().__init__(Admission(service.authenticator, service.settings.trusted_proxies, *parts))
        self.service = service
