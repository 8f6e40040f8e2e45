"""Prediction for one candidate."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """Prediction of a model for one candidate.

    Attributes
    ----------
    id
        Id of the candidate.
    e_form
        Formation energy of the relaxed crystal, eV/atom; None without a prediction.
    reason
        Why there is no prediction; None otherwise.
    uncertainty
        Calibrated standard deviation of `e_form`, eV/atom; None if the model gives none.
    novel
        Whether the structure is unlike the training data (see `esnet.bundle.assessor.Assessment.novel`); None if
        unknown.

    Examples
    --------
    >>> import esnet
    >>> esnet.Prediction(id="AlPd", e_form=-0.37, uncertainty=0.22, novel=False).e_form
    -0.37
    """

    id: str
    e_form: float | None
    reason: str | None = None
    uncertainty: float | None = None
    novel: bool | None = None
