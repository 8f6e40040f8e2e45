"""Description of an exported campaign's file (``manifest.json``), and the limits that readers enforce."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from campaign.store.collections import SCHEMA_VERSION
from esnet.files.errors import UserError

FORMAT = "esnet-campaign export"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
#: A manifest has about 3 kB.
LARGEST_MANIFEST = 1024**2
#: Bytes; MongoDB's limit for a document plus its allowance for commands.
LARGEST_DOCUMENT = 16 * 1024**2 + 16 * 1024
DIGEST_LENGTH = 64
#: Placeholder for the file's own checksum while it is computed.
NO_DIGEST = b"0" * DIGEST_LENGTH

#: Collections whose documents name their campaign. ``campaigns`` has one document and is read first.
OF_CAMPAIGN = ("candidates", "references", "left_out", "steps", "attempts", "events", "features")
#: Collections shared by campaigns, by checksum or job.
SHARED = ("reference_sets", "models", "bundles.files", "bundles.chunks", "outputs", "data.files", "data.chunks")
COLLECTIONS = ("campaigns", *OF_CAMPAIGN, *SHARED)
#: Stored without compression, since they are already compressed.
STORED = frozenset({"features", "bundles.chunks", "data.chunks"})


class ArchiveError(UserError, ValueError):
    """The file is not a complete export of a campaign; the message names the file and the part."""


def part_name(collection: str) -> str:
    """Return the name of a collection's part in the file."""
    return f"{collection}.bson"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Description of a part in the manifest.

    Attributes
    ----------
    documents
        Number of documents.
    bytes
        Uncompressed size.
    sha256
        Of the uncompressed content.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    documents: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Description of an exported campaign's file.

    Attributes
    ----------
    campaign, state
        Name and state of the campaign.
    schema_version
        Version of its documents' schema.
    program
        Version of esnet-campaign that wrote the file.
    written
        Time of the export, ISO 8601 in UTC.
    fw_ids
        Smallest and largest firework id in the documents; None if there is none.
    interrupted
        Number of calculations that were running or queued, and are not started in the file.
    parts
        The parts, by collection.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    campaign: str = Field(min_length=1)
    state: Literal["running", "finished"]
    schema_version: int
    program: str
    written: str
    fw_ids: tuple[int, int] | None
    interrupted: int = Field(ge=0)
    parts: dict[str, Part]

    def __post_init__(self) -> None:
        """Refuse impossible firework ids.

        Raises
        ------
        ValueError
            If the largest is below the smallest, or an id is not positive.
        """
        if self.fw_ids is not None and not 0 < self.fw_ids[0] <= self.fw_ids[1]:
            raise ValueError(f"fw_ids: found {self.fw_ids}; right: the smallest and the largest number")

    @property
    def documents(self) -> int:
        """Number of documents in all parts."""
        return sum(part.documents for part in self.parts.values())

    @property
    def size(self) -> int:
        """Uncompressed size of all parts in bytes."""
        return sum(part.bytes for part in self.parts.values())

    def to_json(self) -> bytes:
        """Return the content of ``manifest.json``."""
        return json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes, *, source: str) -> Self:
        """Parse ``manifest.json``.

        Raises
        ------
        ArchiveError
            Names `source` and the problem: another format, a newer version, or a field.
        """
        try:
            found: Any = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ArchiveError(f"{source}: {MANIFEST} is damaged: {error}") from error
        if not isinstance(found, Mapping) or found.get("format") != FORMAT:
            raise ArchiveError(f"{source}: {MANIFEST} is not that of an exported campaign (format: {FORMAT!r})")
        _refuse_newer(source, "format version", found.get("format_version"), FORMAT_VERSION)
        _refuse_newer(source, "schema version", found.get("schema_version"), SCHEMA_VERSION)
        fields = {key: value for key, value in found.items() if key not in ("format", "format_version")}
        try:
            manifest: Self = TypeAdapter(cls).validate_json(json.dumps(fields))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise ArchiveError(f"{source}: {MANIFEST}: {field}: {first['msg']}, found {first['input']!r}") from error
        if unknown := sorted(set(COLLECTIONS) ^ manifest.parts.keys()):
            raise ArchiveError(
                f"{source}: {MANIFEST}: its parts differ from those of an exported campaign in {', '.join(unknown)}"
            )
        return manifest


def _refuse_newer(source: str, what: str, found: Any, known: int) -> None:
    if not isinstance(found, int) or found < 1:
        raise ArchiveError(f"{source}: {MANIFEST}: the {what} is {found!r}; right: a whole number, at most {known}")
    if found > known:
        raise ArchiveError(
            f"{source} was written by a newer version of esnet-campaign ({what} {found}; this program knows versions "
            f"up to {known}): update esnet-campaign"
        )
