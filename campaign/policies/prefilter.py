"""The prefilter's rule: a candidate too far above the hull, even allowing for the error, needs no IS-DOS."""

import math

from campaign.policies.base import Verdict


def prefilter_verdict(
    e_hull: float | None, uncertainty: float | None, *, z: float, max_hull_energy: float, why_none: str | None = None
) -> Verdict:
    """Judge a candidate by a cheap prediction; it is accepted if there is none.

    Parameters
    ----------
    e_hull
        Predicted energy above the hull, eV/atom; None or NaN if there is no prediction.
    uncertainty
        Its standard deviation, eV/atom; None if unknown.
    z
        Number of standard deviations allowed for.
    max_hull_energy
        Accept if E_hull - z * uncertainty is at most this, eV/atom.
    why_none
        Why there is no prediction.
    """
    if e_hull is None or math.isnan(e_hull):
        why = why_none or "the hull has no phases of its elements"
        return Verdict(True, f"prefilter: no prediction ({why}), so it gets its IS-DOS")
    if uncertainty is None:
        return Verdict(True, f"prefilter: E_hull {e_hull:.3f} eV/atom without an uncertainty, so it gets its IS-DOS")
    least = e_hull - z * uncertainty
    promising = least <= max_hull_energy
    reason = (
        f"prefilter: E_hull {e_hull:.3f} - {z:g} x {uncertainty:.3f} = {least:.3f} {'<=' if promising else '>'} "
        f"{max_hull_energy:g} eV/atom"
    )
    return Verdict(promising, reason)
