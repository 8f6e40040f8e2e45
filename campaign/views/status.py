"""Where a campaign stands, from a handful of counting queries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from campaign.decisions.references import reference_problem
from campaign.decisions.spending import cost_by_stage
from campaign.execution.processes import fizzled_query, fizzled_reason
from campaign.loading import load_campaign
from campaign.stages import BEFORE_SCREEN, BOOTSTRAP, SCREENED
from campaign.store import CampaignStore

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from rich.table import Table

#: FireWorks states in which something can still happen without anybody's help.
LIVE_STATES = ("READY", "RESERVED", "RUNNING", "WAITING")


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a campaign stands.

    Attributes
    ----------
    name, state
        The campaign, ``running`` or ``finished``.
    purpose
        ``screening``, or ``training_set``.
    problem
        What keeps it from going on, in words; None if nothing does.
    engine, quality
        How its numbers are computed.
    candidates
        Number of candidates by state.
    references, bootstrap
        ``{"done", "all"}``: phases of the reference set and structures of the training sample that are relaxed.
    dos, promoted
        ``{"done", "all"}``: candidates whose IS-DOS has ended, promoted ones whose relaxation has.
    fireworks
        Number of fireworks by FireWorks' state.
    stable
        Candidates found stable so far.
    failures
        ``science`` and ``machine``: candidates and references that failed for good.
    cost
        Attempts and CPU-seconds by stage.
    model
        The model in use: its checksum, number of training structures, and ``number`` among the models that the campaign
        has had, the latest; None before there is a model.
    scorer
        What predicts, in words.
    needs_dos, needs_model
        Whether it needs an IS-DOS of every candidate, and the campaign's ESNet.
    """

    name: str
    state: str
    purpose: str
    problem: str | None
    engine: str
    quality: str
    candidates: dict[str, int]
    references: dict[str, int]
    bootstrap: dict[str, int]
    dos: dict[str, int]
    promoted: dict[str, int]
    fireworks: dict[str, int]
    stable: int
    failures: dict[str, int]
    cost: dict[str, dict[str, float]]
    model: dict[str, Any] | None
    scorer: str
    needs_dos: bool
    needs_model: bool

    @property
    def is_finished(self) -> bool:
        """Whether the campaign has come to its report."""
        return self.state == "finished"

    @property
    def can_go_on(self) -> bool:
        """Whether FireWorks has anything of this campaign to run or running."""
        return any(self.fireworks.get(state) for state in LIVE_STATES)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return asdict(self)


def campaign_status(store: CampaignStore, name: str) -> Status:
    """Count where a campaign stands.

    Raises
    ------
    UnknownCampaignError
        If there is none of that name.
    """
    campaign = load_campaign(store, name)
    document = campaign.document
    failures: dict[str, int] = {}
    for collection in (store.candidates, store.references):
        failed = {"campaign": name, "state": {"$in": ["dos_failed", "relax_failed"]}}
        for found in collection.find(failed, ["failure.kind"]):
            kind = found["failure"]["kind"]
            failures[kind] = failures.get(kind, 0) + 1
    fireworks = store.database["fireworks"].aggregate(
        [{"$match": {"spec.campaign_name": name}}, {"$group": {"_id": "$state", "n": {"$sum": 1}}}]
    )
    model = document.get("model")
    with_dos = {"campaign": name, "role": {"$ne": BOOTSTRAP}}
    return Status(
        name=name,
        state=document["state"],
        purpose=campaign.spec.purpose,
        problem=reference_problem(store, name) or _fizzled_problem(store, name),
        engine=document["engine"],
        quality=document["quality"],
        candidates=store.state_counts(name),
        references=_share(store.references, {"campaign": name}, {"state": "relaxed"}),
        bootstrap=_share(store.candidates, {"campaign": name, "role": {"$ne": SCREENED}}, {"state": "relaxed"}),
        dos=_share(store.candidates, with_dos, {"state": {"$nin": list(BEFORE_SCREEN)}}),
        promoted=_share(
            store.candidates,
            {"campaign": name, "decision.promoted": True},
            {"state": {"$in": ["relaxed", "relax_failed"]}},
        ),
        fireworks={group["_id"]: group["n"] for group in fireworks},
        stable=store.candidates.count_documents({"campaign": name, "result.stable": True}),
        failures=failures,
        cost=cost_by_stage(store, name),
        model=model
        and {
            "checksum": model["checksum"],
            "n_structures": model["n_structures"],
            "number": max(len(document.get("models") or []), 1),
        },
        scorer=campaign.spec.scorer.describe(),
        needs_dos=campaign.spec.scorer.needs_dos,
        needs_model=campaign.spec.scorer.needs_model,
    )


def _fizzled_problem(store: CampaignStore, name: str) -> str | None:
    """What to do about a step, or a firework that records, that has fizzled."""
    fireworks = store.database["fireworks"]
    firework = fireworks.find_one(fizzled_query(name), ["fw_id", "name", "launches"])
    if firework is None:
        return None
    return (
        f"firework {firework['fw_id']} ({firework['name']}) fizzled: {fizzled_reason(store.database, firework)}. "
        f"Mend the cause, then `lpad rerun_fws -i {firework['fw_id']}`"
    )


def _share(collection: Collection[dict[str, Any]], whole: dict[str, Any], done: dict[str, Any]) -> dict[str, int]:
    return {
        "done": collection.count_documents({**whole, **done}),
        "all": collection.count_documents(whole),
    }


#: States in the order in which a candidate meets them, with what people call them.
_STATE_TITLES = {
    "new": "waiting",
    "dos_running": "IS-DOS queued or running",
    "dos_done": "IS-DOS done, waiting for the Screen",
    "dos_failed": "IS-DOS failed",
    "rejected": "rejected by the Screen",
    "held": "held (budget)",
    "promoted": "promoted",
    "relax_running": "relaxation queued or running",
    "relaxed": "relaxed",
    "relax_failed": "relaxation failed",
}


def status_table(status: Status) -> Table:
    """Status as a table for the terminal."""
    from rich.table import Table

    table = Table(show_header=False, box=None, title=f"campaign {status.name}: {status.state}", title_justify="left")
    table.add_column(style="cyan")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for state, title in _STATE_TITLES.items():
        if status.candidates.get(state):
            if state == "dos_done" and not status.needs_dos:
                title = "waiting for the Screen"
            table.add_row(title, str(status.candidates[state]), "candidates")
    references = status.references
    table.add_row("references relaxed", f"{references['done']}/{references['all']}", "")
    if status.bootstrap["all"]:
        done, whole = status.bootstrap["done"], status.bootstrap["all"]
        table.add_row("training sample relaxed", f"{done}/{whole}", "")
    if status.purpose == "screening":
        _add_scorer_row(table, status)
    running = status.fireworks.get("RUNNING", 0)
    table.add_row("fireworks running", str(running), f"{status.fireworks.get('READY', 0)} ready")
    table.add_row("stable so far", str(status.stable), "")
    hours = sum(cost["cpu_s"] for cost in status.cost.values()) / 3600
    table.add_row("cost so far", f"{hours:.2f}", "CPU-hours, failed attempts too")
    quality = " (fast: coarse k-points, for examples only)" if status.quality == "fast" else ""
    table.add_row("engine", status.engine, quality)
    for kind, number in sorted(status.failures.items()):
        table.add_row(f"failed for good ({kind})", str(number), "`failure` in the collections candidates, references")
    return table


def _add_scorer_row(table: Table, status: Status) -> None:
    if not status.needs_model:
        table.add_row("scorer", "", status.scorer)
        return
    if status.model is None:
        table.add_row("model", "not trained yet", "")
        return
    number = status.model["number"]
    which = f", number {number} of {number}" if number > 1 else ""
    table.add_row("model", f"on {status.model['n_structures']} structures", f"{status.model['checksum'][:12]}{which}")
