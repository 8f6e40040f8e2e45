"""The stages a structure passes through, and the states between them.

::

    new -> dos_running -> dos_done -> promoted | rejected | held      promoted -> relax_running -> relaxed
           dos_failed                                                            relax_failed

If the scorer needs no DOS (`campaign.scorers.base`), a candidate begins at ``dos_done``. With a prefilter (section
``prefilter`` of the campaign file) a ``new`` candidate waits for it until ``prefilter.state`` is ``done``; a candidate
that it rejects goes from ``new`` to ``rejected``. A bootstrap structure and a reference go from ``new`` directly to the
relaxation; a structure of a training set goes there from ``dos_done``. Their relaxed structures then get an RS-DOS,
whose state is stored in ``rs_dos.state``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

StageName = Literal["dos", "relax", "rs_dos"]

#: FireWorks category of recording fireworks. Those submitted by earlier versions have their stage's category.
RECORD_CATEGORY = "record"
#: Kind of a person's decision (``decision.kind``); decisions of policies have none.
PERSON = "person"
#: Kind of a prefilter's decision, and name of its stage in the ledger.
PREFILTER = "prefilter"
SCREENED, BOOTSTRAP, REFERENCE, TRAINING = "screened", "bootstrap", "reference", "training"


class CandidateState(StrEnum):
    """States of a candidate or a reference (field ``state``)."""

    NEW = "new"
    DOS_RUNNING = "dos_running"
    DOS_DONE = "dos_done"
    DOS_FAILED = "dos_failed"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    HELD = "held"
    RELAX_RUNNING = "relax_running"
    RELAXED = "relaxed"
    RELAX_FAILED = "relax_failed"


class RsDosState(StrEnum):
    """States of the RS-DOS of a relaxed structure (field ``rs_dos.state``)."""

    NEW = "new"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class PrefilterState(StrEnum):
    """Whether a candidate has passed through the prefilter (``prefilter.state``), in campaigns with one."""

    NEW = "new"
    DONE = "done"


class StepState(StrEnum):
    """States of a step."""

    SUBMITTED = "submitted"
    DONE = "done"


class CampaignState(StrEnum):
    """States of a campaign."""

    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"
    #: Its documents are being written from a file (`campaign import`); it cannot be opened until they are complete.
    IMPORTING = "importing"
    DELETING = "deleting"


#: States of unfinished candidates. An index answers queries for these values, but has to be read completely for "none
#: of the others".
OPEN_STATES = (
    CandidateState.NEW,
    CandidateState.DOS_RUNNING,
    CandidateState.DOS_DONE,
    CandidateState.PROMOTED,
    CandidateState.RELAX_RUNNING,
)
#: States of a promoted candidate, or one with a queued or running calculation of a main stage.
MOVING_STATES = (CandidateState.DOS_RUNNING, CandidateState.PROMOTED, CandidateState.RELAX_RUNNING)
#: MongoDB filter of structures with an RS-DOS still to be computed, before or after their relaxation.
OPEN_RS_DOS = {"rs_dos.state": {"$in": [RsDosState.NEW, RsDosState.RUNNING]}}
#: MongoDB filter of relaxed structures that wait for their RS-DOS.
AWAITS_RS_DOS = {"state": CandidateState.RELAXED, **OPEN_RS_DOS}
#: States of candidates that have not reached their Screen.
BEFORE_SCREEN = (CandidateState.NEW, CandidateState.DOS_RUNNING)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One kind of calculation in a campaign.

    Attributes
    ----------
    name
        Short name, as in the ledger.
    fields
        Sub-document of a candidate with the data of the calculation.
    title
        Name for people.
    category
        FireWorks category, which determines the queue.
    priority
        FireWorks priority (``_priority``); work that other work waits for comes first.
    state_field
        Field that holds the state.
    ready
        MongoDB filter of documents that may start it.
    running, done, failed
        States while it runs, when it is done, and when it has failed.
    """

    name: StageName
    fields: str
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
            fields="is_dos",
            title="IS-DOS",
            category="dos",
            priority=10,
            state_field="state",
            ready={
                "role": {"$in": [SCREENED, TRAINING]},
                "state": CandidateState.NEW,
                "prefilter.state": {"$ne": PrefilterState.NEW},
            },
            running=CandidateState.DOS_RUNNING,
            done=CandidateState.DOS_DONE,
            failed=CandidateState.DOS_FAILED,
        ),
        Stage(
            name="relax",
            fields="relaxation",
            title="relaxation",
            category="relax",
            priority=20,
            state_field="state",
            ready={
                "$or": [
                    {"role": {"$in": [BOOTSTRAP, REFERENCE]}, "state": CandidateState.NEW},
                    {"role": TRAINING, "state": CandidateState.DOS_DONE},
                    {"state": CandidateState.PROMOTED},
                ]
            },
            running=CandidateState.RELAX_RUNNING,
            done=CandidateState.RELAXED,
            failed=CandidateState.RELAX_FAILED,
        ),
        Stage(
            name="rs_dos",
            fields="rs_dos",
            title="RS-DOS",
            category="dos",
            priority=30,
            state_field="rs_dos.state",
            ready={"state": CandidateState.RELAXED, "rs_dos.state": RsDosState.NEW},
            running=RsDosState.RUNNING,
            done=RsDosState.DONE,
            failed=RsDosState.FAILED,
        ),
    )
}
