"""Reproducible identities of jobs."""

import uuid

_NAMESPACE = uuid.UUID("b1f5c0de-6d0c-4f1e-9a52-1d1f0f0c2e77")


def job_uuid(key: str) -> str:
    """Return the uuid of the job named by `key` (RFC 9562, version 5): the same key always gives the same uuid."""
    return str(uuid.uuid5(_NAMESPACE, key))
