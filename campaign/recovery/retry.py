"""Calculations that have failed permanently, tried again because a person says so."""

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
    """No failed calculation is meant; the message says which kinds there are."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A calculation that has failed permanently.

    Attributes
    ----------
    document
        ``_id``, label or formula and prototype, state and failure of its candidate or reference.
    stage
        Which calculation.
    cause
        As `campaign failures` shows it.
    """

    document: Mapping[str, Any]
    stage: Stage
    cause: str

    @property
    def name(self) -> str:
        """The candidate as a person types it, ``AlPd:B2``; a reference's label."""
        return document_name(self.document)


def document_name(document: Mapping[str, Any]) -> str:
    """``AlPd:B2`` of a candidate, ``reference Al`` of a reference."""
    if "prototype" in document:
        return f"{document['formula']}:{document['prototype']}"
    return f"reference {document.get('label') or document['_id']}"


def failed_calculations(campaign: Campaign) -> Iterator[Failed]:
    """Every calculation of a campaign that has failed permanently, references first."""
    for stage, document in failed_documents(campaign, STAGES.values()):
        yield Failed(document=document, stage=stage, cause=stored_cause(document.get("final_failure") or {}))


def choose(
    failed: Sequence[Failed], *, kind: str | None, stage: str | None = None, candidate: str | None = None
) -> list[Failed]:
    """Those that a command means.

    Parameters
    ----------
    kind
        A cause as `campaign failures` shows it, ``science`` or ``machine``; None: all.
    stage
        ``dos``, ``relax`` or ``rs_dos``; None: all.
    candidate
        ``_id`` of a candidate or reference; None: all.

    Raises
    ------
    NothingFailedError
        If none is meant.
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
    """Send failed calculations back for another try, with other settings where some are given.

    What is changed is recorded on the candidate (``overrides``).

    Parameters
    ----------
    settings
        ``INCAR.TAG=value``, ``walltime=...``, ``memory=...``.
    command
        Who asks: the command as it was given.
    dry_run
        Check everything, change nothing.

    Returns
    -------
    int, Overrides
        How many are (would be) tried again, and with what.
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
        go_on(campaign)  # a user who retries the failures for which the campaign was stopped has fixed their cause
    else:
        advance(campaign)
    return retried, overrides


def retry_failed(campaign: OpenCampaign) -> int:
    """Send everything that failed permanently back for another try, with the settings it had; return how many."""
    failed = list(failed_calculations(campaign))
    command = f"campaign reconcile {campaign.name} --retry-failed"
    return retry(campaign, failed, command=command)[0]


def resume(campaign: OpenCampaign) -> tuple[StopDocument | None, int, int]:
    """Let a paused or stopped campaign submit again, and retry what failed of the cause that it was stopped for.

    Returns
    -------
    StopDocument or None
        Why it was stopped; None: it was not.
    int, int
        How many paused calculations run again, and how many failed ones are tried again.
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
    """Whether a campaign was stopped because its calculations failed alike, and not by a person."""
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
    # the tries that it is given are those of a new calculation
    changes[f"{stage.fields}.first_attempt"] = facts["attempt"] + 1
    return store.move(
        failed.document["_id"],
        stage,
        expected=stage.failed,
        to=facts["from_state"],
        changes=changes,
        push={"overrides": entry} if overrides else {},
    )
