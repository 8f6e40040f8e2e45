"""What a campaign has to make of each way in which VASP ends: the class of the failure, and the next try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from campaign.store.collections import CampaignStore
from vasp_stand_in.site import VaspSite

#: again: another try from the beginning.           continues: another one, from the last CONTCAR.
#: more memory, more time: another one that asks for more, and continues where it is a relaxation.
#: given up: no further try.                        corrected: custodian mends it within the try.
#: completed: nothing has happened.
NextTry = Literal["again", "continues", "more memory", "more time", "given up", "corrected", "completed"]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One injected fault, and what is to become of it.

    Attributes
    ----------
    fault
        Kind in `vasp_stand_in.faults`.
    elements, stage
        Whose calculation meets it: ``Al`` is a reference, ``Al-Cu`` a candidate; ``dos``, ``relax`` or ``rs_dos``.
    cause
        Word in the ledger, or custodian's code where it is corrected; None where nothing is to be told.
    next_try
        What follows.
    """

    fault: str
    elements: str
    stage: Literal["dos", "relax", "rs_dos"]
    cause: str | None
    next_try: NextTry

    @property
    def name(self) -> str:
        """For messages of tests."""
        return f"{self.fault} in {self.stage} of {self.elements}"


_FIELDS = {"dos": "is_dos", "relax": "relaxation", "rs_dos": "rs_dos"}
_DONE = {"dos": ("dos_done", "relax_running", "relaxed"), "relax": ("relaxed",), "rs_dos": ("done",)}


def inject(site: VaspSite, expected: list[Expected]) -> None:
    """Let the stand-in meet the faults, each once; one that is meant for an RS-DOS lets the IS-DOS pass."""
    for case in expected:
        earlier = [other for other in expected if (other.elements, other.stage) == (case.elements, "dos")]
        after = 0
        if case.stage == "rs_dos":
            # the IS-DOS, and its next try where a fault makes one: the start that met it is not counted
            after = 1
            assert all(other.next_try in ("again", "more memory") for other in earlier)
        site.fail(case.fault, case.elements, "relax" if case.stage == "relax" else "static", after=after)


def deviations(site: VaspSite, store: CampaignStore, expected: list[Expected]) -> list[str]:
    """Say of each fault what became of it where that is not what is expected."""
    return [f"{case.name}: {said}" for case in expected for said in _deviations(site, store, case)]


def _deviations(site: VaspSite, store: CampaignStore, case: Expected) -> list[str]:
    collection = store.candidates if "-" in case.elements else store.references
    document = collection.find_one({"chemsys": case.elements})
    if document is None:
        return ["there is no such document"]
    attempts = list(store.attempts.find({"document": document["_id"], "stage": case.stage}).sort("started", 1))
    if not attempts:
        return ["it was never tried"]
    if not any(start["fault"] == case.fault and start["elements"] == case.elements for start in site.starts()):
        return ["the stand-in was not started, or did not meet it"]
    if case.next_try in ("corrected", "completed"):
        return _of_a_good_end(document, attempts, case)
    if case.next_try == "given up":
        # what is found when the output is recorded is told by the candidate; the attempt itself was completed
        failure = document.get("final_failure") or {}
        if len(attempts) > 1 or failure.get("cause") != case.cause:
            causes = [entry.get("cause") for entry in attempts]
            return [f"tries {causes}, final failure {failure.get('cause')!r} ({str(failure.get('error'))[:200]})"]
        return []
    first, found = attempts[0], []
    if first.get("cause") != case.cause:
        found.append(f"cause {first.get('cause')!r} in place of {case.cause!r} ({str(first.get('error'))[:200]})")
    return found + _of_another_try(document, attempts, case)


def _of_a_good_end(document: Mapping[str, Any], attempts: list[dict[str, Any]], case: Expected) -> list[str]:
    facts = document[_FIELDS[case.stage]]
    codes = [code for correction in facts.get("corrections") or [] for code in correction["errors"]]
    found = []
    if [entry["outcome"] for entry in attempts] != ["completed"]:
        found.append(f"outcomes {[(entry['outcome'], entry.get('cause')) for entry in attempts]}")
    if codes != ([case.cause] if case.cause else []):
        found.append(f"corrections {codes} in place of {case.cause}")
    return found


def _of_another_try(document: Mapping[str, Any], attempts: list[dict[str, Any]], case: Expected) -> list[str]:
    facts = document[_FIELDS[case.stage]]
    state = document["state"] if case.stage != "rs_dos" else facts.get("state")
    found = []
    if len(attempts) != 2 or attempts[-1]["outcome"] != "completed" or state not in _DONE[case.stage]:
        outcomes = [(entry["outcome"], entry.get("cause")) for entry in attempts]
        found.append(f"tries {outcomes}, state {state!r}; one more try was expected, and to complete")
    restarted = (facts.get("restarted_from") or {}).get("cause")
    goes_on = case.stage == "relax" and case.next_try != "again"
    if restarted != (case.cause if goes_on else None):
        found.append(f"restarted from {restarted!r}")
    queue = facts.get("queue") or {}
    asked = {"more memory": {"mem", "mem_per_cpu"}, "more time": {"walltime"}}.get(case.next_try, set())
    if bool(asked & set(queue)) != bool(asked) or (not asked and queue):
        found.append(f"the next try asked the queue for {queue}")
    return found
