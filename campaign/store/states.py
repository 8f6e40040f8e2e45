"""The stages a structure passes through, and the states between them.

::

    new -> dos_running -> dos_done -> promoted | rejected | held      promoted -> relax_running -> relaxed
           dos_failed                                                            relax_failed

Where the scorer needs no DOS (`campaign.scorers.base`), a candidate begins at ``dos_done``.
With a prefilter (section ``prefilter`` of the campaign file) a ``new`` candidate waits for it until ``prefilter.state``
is ``done``; what it rejects goes from ``new`` to ``rejected``.
A bootstrap structure and a reference go from ``new`` directly to the relaxation; a structure of a training set goes
there from ``dos_done``. Their relaxed structures then get an RS-DOS, whose state is stored in ``rs_dos.state``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

StageName = Literal["dos", "relax", "rs_dos"]

#: FireWorks category of recording fireworks. Campaigns that were submitted earlier have them in their stage's.
RECORD_CATEGORY = "record"
#: Kind of a decision that a person made (``decision.kind``); those of policies have none.
PERSON = "person"
#: Kind of a decision that the prefilter made, and the name of its stage in the ledger.
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
    """Whether a candidate has come through the prefilter (``prefilter.state``), in campaigns that have one."""

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
    #: Its documents are being written from a file (`campaign import`); nothing opens it before all are there.
    IMPORTING = "importing"
    DELETING = "deleting"


#: States in which a candidate is still worked on. An index answers queries for these values quickly, but reads
#: everything for "none of the others".
OPEN_STATES = (
    CandidateState.NEW,
    CandidateState.DOS_RUNNING,
    CandidateState.DOS_DONE,
    CandidateState.PROMOTED,
    CandidateState.RELAX_RUNNING,
)
#: States in which a candidate is promoted, or a calculation of its main stages is queued or running.
MOVING_STATES = (CandidateState.DOS_RUNNING, CandidateState.PROMOTED, CandidateState.RELAX_RUNNING)
#: MongoDB filter of structures whose RS-DOS is still to come, before their relaxation or after it.
OPEN_RS_DOS = {"rs_dos.state": {"$in": [RsDosState.NEW, RsDosState.RUNNING]}}
#: MongoDB filter of relaxed structures that wait for their RS-DOS.
AWAITS_RS_DOS = {"state": CandidateState.RELAXED, **OPEN_RS_DOS}
#: States from which a candidate still has to come to its Screen.
BEFORE_SCREEN = (CandidateState.NEW, CandidateState.DOS_RUNNING)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One kind of calculation in a campaign.

    Attributes
    ----------
    name
        Short name, as in the ledger.
    fields
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
