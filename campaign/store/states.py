"""The stages a structure passes through, and the states between them.

::

    new -> dos_running -> dos_done -> promoted | rejected | held      promoted -> relax_running -> relaxed
           dos_failed                                                            relax_failed

Where the scorer needs no DOS (`campaign.scorers.base`), a candidate begins at ``dos_done``.
A bootstrap structure and a reference go from ``new`` to the relaxation at once; a structure of a training set goes
there from ``dos_done``. Their relaxed structures then get an RS-DOS, whose states stand in ``rs_dos.state``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

StageName = Literal["dos", "relax", "rs_dos"]

SCREENED, BOOTSTRAP, REFERENCE, TRAINING = "screened", "bootstrap", "reference", "training"

#: States in which nothing more happens to a candidate by itself.
FINAL_STATES = ("rejected", "held", "relaxed", "dos_failed", "relax_failed")
#: All others. An index answers a question for these at once, and reads everything for "none of the final ones".
OPEN_STATES = ("new", "dos_running", "dos_done", "promoted", "relax_running")
#: States of ``rs_dos.state`` in which an RS-DOS is still to come.
OPEN_RS_DOS = ("new", "running")
#: States from which a candidate still has to come to its Screen.
BEFORE_SCREEN = ("new", "dos_running")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One kind of calculation in a campaign.

    Attributes
    ----------
    name
        Short name, as in the ledger.
    facts
        Sub-document of a candidate that keeps what is known of it.
    title
        What people call it.
    category
        FireWorks category, which decides the queue.
    priority
        FireWorks priority (``_priority``): what others wait for comes first.
    state_field
        Field that holds the state.
    ready
        MongoDB filter of the documents that may start it.
    running, done, failed
        States.
    """

    name: StageName
    facts: str
    title: str
    category: str
    priority: int
    state_field: str
    ready: Mapping[str, Any]
    running: str
    done: str
    failed: str


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="dos",
            facts="dos",
            title="IS-DOS",
            category="dos",
            priority=10,
            state_field="state",
            ready={"role": {"$in": [SCREENED, TRAINING]}, "state": "new"},
            running="dos_running",
            done="dos_done",
            failed="dos_failed",
        ),
        Stage(
            name="relax",
            facts="relaxation",
            title="relaxation",
            category="relax",
            priority=20,
            state_field="state",
            ready={
                "$or": [
                    {"role": {"$in": [BOOTSTRAP, REFERENCE]}, "state": "new"},
                    {"role": TRAINING, "state": "dos_done"},
                    {"state": "promoted"},
                ]
            },
            running="relax_running",
            done="relaxed",
            failed="relax_failed",
        ),
        Stage(
            name="rs_dos",
            facts="rs_dos",
            title="RS-DOS",
            category="dos",
            priority=30,
            state_field="rs_dos.state",
            ready={"state": "relaxed", "rs_dos.state": "new"},
            running="running",
            done="done",
            failed="failed",
        ),
    )
}
