"""What a model predicts for one candidate."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """What a model says of one candidate.

    Attributes
    ----------
    id
        The candidate's.
    e_form
        Formation energy of the relaxed crystal, eV/atom; None where there is no prediction.
    reason
        Why there is none; None where there is one.
    uncertainty
        Calibrated standard deviation of `e_form`, eV/atom; None where the model cannot say.
    novel
        Whether the model has never seen a similar structure (see `esnet.bundle.bundle.Assessment.novel`); None where it
        cannot say.

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
