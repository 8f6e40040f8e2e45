"""Check for stuck work: what `campaign reconcile` would repair, and what it cannot."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from campaign.attempts.blocked import BLOCKED, blocked
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.store.collections import in_utc
from campaign.verification.finding import Finding
from campaign.verification.records import Records

_STUCK = "nothing stands still that should run"
#: FireWorks' own limit for a lost run (RUN_EXPIRATION_SECS); it pings every hour.
_SILENT = timedelta(hours=4)


def check_stuck(campaign: Campaign, records: Records, repairs: ReconcileReport) -> Iterator[Finding]:
    """Yield findings on stuck work.

    Parameters
    ----------
    repairs
        Result of a dry run of reconcile.
    """

    def wrong(fw_id: int, problem: str, remedy: str) -> Finding:
        return Finding(check=_STUCK, subject=f"firework {fw_id}", problem=problem, remedy=remedy)

    for kind, fw_ids in repairs.by_kind():
        for fw_id in fw_ids:
            yield wrong(fw_id, f"such fireworks {kind}", f"campaign reconcile {campaign.name}")
    for fw_id, job_id in repairs.unanswered.items():
        yield wrong(
            fw_id,
            f"it is RESERVED for job {job_id}, and the scheduler of this machine says nothing of that job",
            f"lpad rerun_fws -i {fw_id} (once `squeue -j {job_id}` or `qstat` has no such job)",
        )
    for launch in integrity.running_launches(campaign):
        pinged = _last_ping(launch.get("state_history") or [])
        if pinged is not None and datetime.now(UTC) - pinged > _SILENT and launch["fw_id"] not in repairs.lost:
            yield wrong(
                launch["fw_id"],
                f"it is RUNNING on {launch.get('host')}, and was heard of last at {pinged:%F %T} UTC",
                "lpad detect_lostruns --rerun",
            )
    if (found := blocked(campaign)) is not None:
        problem = f"{BLOCKED}: {found.reason}"
        yield Finding(check=_STUCK, subject=campaign.name, problem=problem, remedy=found.command)


def _last_ping(history: list[dict[str, object]]) -> datetime | None:
    for entry in reversed(history):
        time = entry.get("updated_on") or entry.get("created_on")
        if isinstance(time, str):
            time = datetime.fromisoformat(time)
        if isinstance(time, datetime):
            return in_utc(time)
    return None
