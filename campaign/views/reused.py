"""Description of the calculations that a campaign reuses from others."""

from collections.abc import Iterator, Mapping
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.documents import stage_fields
from campaign.store.reuse.sources import reused_campaigns, reused_sums
from campaign.store.states import STAGES


def format_reused(campaign: Campaign) -> str | None:
    """Return one line on the reused calculations and the saved cost, or None if there are none."""
    sums = reused_sums(campaign)
    if not sums:
        return None
    titles = {name: "relaxations" if name == "relax" and sums[name]["n"] > 1 else STAGES[name].title for name in sums}
    counts = ", ".join(f"{sums[name]['n']} {titles[name]}" for name in STAGES if name in sums)
    hours = sum(float(found["saved"]) for found in sums.values()) / 3600.0
    return f"reused from {', '.join(reused_campaigns(campaign))}: {counts} ({hours:.3g} CPU-hours saved)"


def reused_from(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the title and the origin of each reused calculation of a document."""
    for stage in STAGES.values():
        if origin := stage_fields(document, stage).get("reused_from"):
            yield stage.title, origin
