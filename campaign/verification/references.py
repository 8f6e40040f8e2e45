"""Check that the reference set is frozen once and unaltered, and that all models are stored completely."""

from collections.abc import Iterator, Mapping

from campaign.references.reference_sets import correction_scheme, load_hull, stored_set
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.verification.finding import Finding
from campaign.verification.records import Records

_REFERENCES = "the reference set is frozen once, and is as its checksum says"
_MODELS = "the campaign's models are in the database, whole"


def check_references(campaign: Campaign, records: Records) -> Iterator[Finding]:
    """Check the frozen reference set."""
    frozen = campaign.document.get("reference_set")

    def wrong(subject: str, problem: str, remedy: str) -> Finding:
        return Finding(check=_REFERENCES, subject=subject, problem=problem, remedy=remedy)

    previous = campaign.document.get("previous_reference_sets") or []
    if frozen is None:
        # after `campaign add` with further elements, their references are computed first
        if records.steps and not previous:
            names = ", ".join(sorted(records.steps)[:3])
            yield wrong(campaign.name, f"steps were submitted ({names}) and no set is frozen", _reconcile(campaign))
        return
    try:
        stored_set(campaign.store, frozen)
    except LookupError:
        yield wrong(frozen[:12], "it is not in the database; right: restored from a backup of it", _restore())
    except ValueError as error:
        yield wrong(frozen[:12], f"{error}; right: restored from a backup of it", _restore())
    for other in integrity.reference_sets_of(campaign):
        if other != frozen and other not in previous:
            yield wrong(
                other[:12],
                f"a second set of this campaign, whose own is {frozen[:12]}",
                f"campaign references show {other}",
            )


def elemental_energies(campaign: Campaign) -> Mapping[str, float] | None:
    """Return the energies of the elements in the frozen set, eV/atom; None if there is no usable set."""
    frozen = campaign.document.get("reference_set")
    try:
        if frozen is None or correction_scheme(campaign.store, frozen) != "none":
            return None
        return load_hull(campaign.store, frozen).elemental_energies
    except (LookupError, ValueError):  # `check_references` reports the problem
        return None


def check_models(campaign: Campaign) -> Iterator[Finding]:
    """Check that every model the campaign has had is stored without lost chunks."""
    checksums = [model["checksum"] for model in campaign.document.get("models") or []]
    if campaign.model_checksum is not None and campaign.model_checksum not in checksums:
        checksums.append(campaign.model_checksum)
    checksums += [bundle["checksum"] for bundle in campaign.document.get("scorer_bundles") or []]
    files = integrity.model_files(campaign.store, checksums)
    incomplete = integrity.incomplete_bundles(campaign.store)
    for checksum in checksums:
        if checksum not in files or files[checksum] in incomplete:
            lost = "lacks chunks in GridFS" if checksum in files else "is not in the database"
            yield Finding(
                check=_MODELS,
                subject=checksum[:12],
                problem=f"the model {lost}; right: restored from a backup",
                remedy=_restore(),
            )


def _restore() -> str:
    return "mongorestore --nsInclude='DATABASE.*' BACKUP (documents that are there are left as they are)"


def _reconcile(campaign: Campaign) -> str:
    return f"campaign reconcile {campaign.name}"
