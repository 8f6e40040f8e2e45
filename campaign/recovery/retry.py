"""Retries of permanently failed calculations on a person's request."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from campaign.attempts.causes import stored_cause
from campaign.attempts.overrides import Overrides, parse_overrides
from campaign.scheduling.advance import advance
from campaign.scheduling.stop import go_on
from campaign.store.attempts import failed_documents
from campaign.store.campaigns import Campaign, OpenCampaign, reopen_campaign
from campaign.store.collections import CampaignStore, now
from campaign.store.documents import StopDocument
from campaign.store.states import STAGES, Stage
from esnet.files.errors import UserError


class NothingFailedError(UserError, LookupError):
    """No failed calculation matches; the message lists the existing kinds."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A calculation that has failed permanently.

    Attributes
    ----------
    document
        Its candidate or reference: ``_id``, label or formula and prototype, state and failure.
    stage
        Stage of the calculation.
    cause
        Cause as shown by `campaign failures`.
    """

    document: Mapping[str, Any]
    stage: Stage
    cause: str

    @property
    def name(self) -> str:
        """Name as typed by a person, ``AlPd:B2``; a reference's label."""
        return document_name(self.document)


def document_name(document: Mapping[str, Any]) -> str:
    """Return ``AlPd:B2`` for a candidate, ``reference Al`` for a reference."""
    if "prototype" in document:
        return f"{document['formula']}:{document['prototype']}"
    return f"reference {document.get('label') or document['_id']}"


def failed_calculations(campaign: Campaign) -> Iterator[Failed]:
    """Yield every permanently failed calculation of a campaign, references first."""
    for stage, document in failed_documents(campaign, STAGES.values()):
        yield Failed(document=document, stage=stage, cause=stored_cause(document.get("final_failure") or {}))


def choose(
    failed: Sequence[Failed], *, kind: str | None, stage: str | None = None, candidate: str | None = None
) -> list[Failed]:
    """Return the failed calculations that match a command.

    Parameters
    ----------
    kind
        A cause as shown by `campaign failures`, ``science`` or ``machine``. If None, all.
    stage
        ``dos``, ``relax`` or ``rs_dos``. If None, all.
    candidate
        ``_id`` of a candidate or reference. If None, all.

    Raises
    ------
    NothingFailedError
        If none matches.
    """
    chosen = [
        each
        for each in failed
        if kind in (None, "all", each.cause, (each.document.get("final_failure") or {}).get("kind"))
        and stage in (None, each.stage.name)
        and candidate in (None, each.document["_id"])
    ]
    if not chosen:
        there = sorted({f"{each.cause} ({each.stage.name})" for each in failed})
        shown = ", ".join(there) if there else "none: nothing has failed permanently"
        raise NothingFailedError(f"no failed calculation is meant; the kinds that there are: {shown}")
    return chosen


def retry(
    campaign: OpenCampaign,
    chosen: Sequence[Failed],
    *,
    settings: Sequence[str] = (),
    command: str,
    dry_run: bool = False,
) -> tuple[int, Overrides]:
    """Send failed calculations back for another try, optionally with other settings.

    Changed settings are recorded on the candidate (``overrides``).

    Parameters
    ----------
    settings
        ``INCAR.TAG=value``, ``walltime=...``, ``memory=...``.
    command
        The command as given, for the record.
    dry_run
        Check everything, change nothing.

    Returns
    -------
    int, Overrides
        Number of (possible) retries, and their settings.
    """
    campaign = campaign.refresh()
    stages = list({each.stage.name: each.stage for each in chosen}.values())
    overrides = parse_overrides(settings, stages=stages, engine=campaign.spec.dft.engine)
    if dry_run:
        return len(chosen), overrides
    retried = sum(_send_back(campaign.store, each, overrides, command) for each in chosen)
    if retried:
        reopen_campaign(campaign)
    stop = campaign.document.get("stopped")
    if is_of_failures(stop) and any(each.cause == stop["cause"] for each in chosen):
        go_on(campaign)  # a user who retries the failures that stopped the campaign has fixed their cause
    else:
        advance(campaign)
    return retried, overrides


def retry_failed(campaign: OpenCampaign) -> int:
    """Retry everything that failed permanently, with unchanged settings; return the number."""
    failed = list(failed_calculations(campaign))
    command = f"campaign reconcile {campaign.name} --retry-failed"
    return retry(campaign, failed, command=command)[0]


def resume(campaign: OpenCampaign) -> tuple[StopDocument | None, int, int]:
    """Resume a paused or stopped campaign, and retry the failures that it was stopped for.

    Returns
    -------
    StopDocument or None
        Why it was stopped, or None.
    int, int
        Number of paused calculations resumed, and of failed ones retried.
    """
    campaign = campaign.refresh()
    stop = campaign.document.get("stopped")
    command = f"campaign resume {campaign.name}"
    failed = [each for each in failed_calculations(campaign) if stop is not None and each.cause == stop.get("cause")]
    retried = sum(_send_back(campaign.store, each, Overrides(), command) for each in failed)
    if retried:
        reopen_campaign(campaign)
    stopped, resumed = go_on(campaign)
    return stopped or stop, resumed, retried


def is_of_failures(stop: StopDocument | None) -> TypeGuard[StopDocument]:
    """Whether a campaign was stopped because its calculations failed alike, not by a person."""
    return stop is not None and stop.get("kind", "failures") == "failures"


def _send_back(store: CampaignStore, failed: Failed, overrides: Overrides, command: str) -> bool:
    stage, facts = failed.stage, failed.document[failed.stage.fields]
    entry = {
        "time": now(),
        "command": command,
        "stage": stage.name,
        "after": failed.cause,
        "incar": dict(overrides.incar),
        "queue": dict(overrides.queue),
    }
    changes: dict[str, Any] = {f"{stage.fields}.attempt": facts["attempt"] + 1, "final_failure": None}
    changes |= {f"{stage.fields}.queue.{key}": value for key, value in overrides.queue.items()}
    # it gets the same number of tries as a new calculation
    changes[f"{stage.fields}.first_attempt"] = facts["attempt"] + 1
    return store.move(
        failed.document["_id"],
        stage,
        expected=stage.failed,
        to=facts["from_state"],
        changes=changes,
        push={"overrides": entry} if overrides else {},
    )
