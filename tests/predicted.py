"""Predictions written without a scorer."""

from campaign.scorers.base import Score
from campaign.steps.predictions import write_predictions


def store_predictions(campaign, step_id, ids, e_form, **more):
    """Write predictions as a Screen does.

    Parameters
    ----------
    e_form
        Formation energies by id, eV/atom; NaN or absent where there is no prediction.
    more
        ``uncertainty``, ``novel`` and ``reasons`` by id; absent where there are none.
    """
    fields = {{"reasons": "reason"}.get(name, name): values for name, values in more.items()}
    scores = (
        Score(id=name, e_form=e_form.get(name), **{field: values.get(name) for field, values in fields.items()})
        for name in ids
    )
    write_predictions(campaign, step_id, scores)
