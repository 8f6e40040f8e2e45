"""Relaxed structures used to train a campaign's model."""

from collections.abc import Sequence
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.candidates import collection_of_candidates, collection_of_references
from campaign.store.collections import exists
from campaign.store.documents import CandidateDocument
from campaign.store.states import AWAITS_RS_DOS, BOOTSTRAP, SCREENED, CandidateState, RsDosState


def is_bootstrap_open(campaign: Campaign) -> bool:
    """Whether a bootstrap structure or a reference still waits for its relaxation or RS-DOS."""
    open_relaxation = {
        "campaign": campaign.name,
        "role": {"$ne": SCREENED},
        "state": {"$nin": [CandidateState.RELAXED, CandidateState.RELAX_FAILED]},
    }
    return any(
        exists(collection, query)
        for collection in (campaign.store.references, campaign.store.candidates)
        for query in (open_relaxation, {"campaign": campaign.name, **AWAITS_RS_DOS})
    )


def bootstrap_results(campaign: Campaign) -> list[CandidateDocument]:
    """Return the results of bootstrap structures with an RS-DOS."""
    # a candidate that the references' correction scheme cannot treat has no result
    query = {**_with_rs_dos(campaign), "role": BOOTSTRAP, "result.e_form_per_atom": {"$ne": None}}
    return list(collection_of_candidates(campaign.store).find(query, ["result"]))


def references_with_rs_dos(campaign: Campaign, fields: Sequence[str]) -> list[CandidateDocument]:
    """Return fields of the references with an RS-DOS."""
    return list(collection_of_references(campaign.store).find(_with_rs_dos(campaign), fields))


def _with_rs_dos(campaign: Campaign) -> dict[str, Any]:
    return {"campaign": campaign.name, "state": CandidateState.RELAXED, "rs_dos.state": RsDosState.DONE}


def screened_results(campaign: Campaign) -> list[CandidateDocument]:
    """Return formation energies of the relaxed screened candidates, and the states of their RS-DOS."""
    query = {
        "campaign": campaign.name,
        "role": SCREENED,
        "state": CandidateState.RELAXED,
        "result.stable": {"$ne": None},
    }
    return list(collection_of_candidates(campaign.store).find(query, ["result.e_form_per_atom", "rs_dos.state"]))


def count_to_learn_from(campaign: Campaign) -> int:
    """Count the screened candidates with a result whose RS-DOS has finished or failed."""
    return collection_of_candidates(campaign.store).count_documents(
        {
            "campaign": campaign.name,
            "role": SCREENED,
            "rs_dos.state": {"$in": [RsDosState.DONE, RsDosState.FAILED]},
            "result.stable": {"$in": [True, False]},
        }
    )
