"""What blocks a campaign: elemental references that failed permanently, without which nothing gets an E_f.

State, reason and remedy are derived here alone, and every command and page shows them.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campaign.attempts.causes import stored_cause
from campaign.attempts.suited_settings import suited_settings
from campaign.references.reference_sets import failed_elements
from campaign.store.campaigns import Campaign
from campaign.store.counts import has_unfinished_fireworks
from campaign.store.reference_sets import write_problem

BLOCKED = "blocked"


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """Failed references that a campaign waits for.

    Attributes
    ----------
    ids, references
        Ids and names of the failed references.
    reason
        In one sentence.
    command
        The complete command that retries them, with settings that suit the failures.
    needs_mending
        Whether a machine's fault has to be mended first.
    is_all
        Whether nothing else of the campaign runs or can run; it is in the state ``blocked`` then.
    """

    ids: list[str]
    references: list[str]
    reason: str
    command: str
    needs_mending: bool
    is_all: bool

    @property
    def why(self) -> str:
        """Reason and remedy in one line."""
        return f"{self.reason}; {self.advice}"

    @property
    def advice(self) -> str:
        """The remedy: the command, after what a machine's fault needs."""
        return f"{'fix the cause, then ' if self.needs_mending else ''}`{self.command}`"

    def __str__(self) -> str:
        """Return state, reason and remedy in one line."""
        return f"{BLOCKED}: {self.why}"


def blocked(campaign: Campaign) -> Blocked | None:
    """Return what blocks a campaign, or None."""
    if not (failed := failed_elements(campaign)):
        return None
    causes = {phase["_id"]: stored_cause(phase.get("final_failure") or {}) for phase in failed}
    labels = [_name(phase) for phase in failed]
    one = len(failed) == 1
    named = labels[0] if one else f"{', '.join(labels[:-1])} and {labels[-1]}"
    said = "; ".join(dict.fromkeys(causes.values()))
    return Blocked(
        ids=list(causes),
        references=labels,
        reason=f"E_f is empty until the reference{'' if one else 's'} {named} {'is' if one else 'are'} computed: "
        f"{'it' if one else 'they'} failed ({said})",
        command=" && ".join(_commands(campaign, failed, causes)),
        needs_mending=any((phase.get("final_failure") or {}).get("kind") != "science" for phase in failed),
        is_all=not (campaign.is_halted or has_unfinished_fireworks(campaign)),
    )


def _name(phase: Mapping[str, Any]) -> str:
    """Return ``Pd``, or ``mine (Pd)`` for a phase that a user has named."""
    element, label = str(phase["elements"][0]), phase.get("label")
    return element if label in (None, element) else f"{label} ({element})"


def note_blocked(campaign: Campaign) -> None:
    """Store what blocks a campaign (``problem``), for `campaign list` and for people's queries."""
    found = blocked(campaign)
    said = None if found is None else str(found)
    if campaign.document.get("problem") != said:
        write_problem(campaign, said)


def _commands(campaign: Campaign, failed: Sequence[Mapping[str, Any]], causes: Mapping[str, str]) -> Iterator[str]:
    """Yield one command per cause, or per reference if the settings differ."""
    stop = campaign.document.get("stopped") if campaign.stop_kind == "failures" else None
    by_cause: defaultdict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for phase in failed:
        cause = causes[phase["_id"]]
        if stop is not None and stop.get("cause") == cause:
            continue  # resumed campaigns retry what they were stopped for
        by_cause[cause].append((phase["_id"], suited_settings(cause, phase, campaign.spec)))
    for cause, found in by_cause.items():
        first = found[0][1]
        if len(found) > 1 and all(settings == first for _, settings in found):
            yield _command(campaign.name, cause, ["--stage", "relax"], first)
        else:
            yield from (_command(campaign.name, cause, ["--candidate", id_], settings) for id_, settings in found)
    if stop is not None:
        yield shlex.join(["campaign", "resume", campaign.name])


def _command(name: str, cause: str, only: Sequence[str], settings: Sequence[str]) -> str:
    words = ["campaign", "retry", name, "--kind", cause, *only]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])
