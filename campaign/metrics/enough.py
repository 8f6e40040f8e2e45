"""How many results a figure needs before it says anything: of one crystal, every share is 0 or 100 %.

With 10 results the 95 % interval of a share is still some 30 % wide to each side, with 20 some 20 %; fewer than that
say nothing that a reader could act on.
"""

FEWEST_FOR_SHARE = 10
"""Results for a share, such as the success ratio, and for a mean error."""
FEWEST_FOR_COVERAGE = 20
"""Errors for the coverage of uncertainties."""
FEWEST_FOR_THRESHOLDS = 20
"""Results for a comparison of thresholds."""
FEWEST_OF_BOTH_KINDS = 3
"""Of these, stable and not stable ones each: without both, every threshold is as good as another."""


def too_few(*counts: tuple[int, int, str]) -> str | None:
    """Say what there is too little of.

    Parameters
    ----------
    counts
        How many there are, how many are needed, and of what.

    Returns
    -------
    str or None
        A sentence without its full stop; None where there are enough of all.

    Examples
    --------
    >>> too_few((8, 20, "relaxed candidates"), (0, 3, "stable ones"))
    'too few yet: 8 of at least 20 relaxed candidates, 0 of at least 3 stable ones'
    >>> too_few((20, 20, "relaxed candidates")) is None
    True
    """
    missing = [f"{found:,} of at least {needed} {what}" for found, needed, what in counts if found < needed]
    return f"too few yet: {', '.join(missing)}" if missing else None


def too_few_for_share(found: int, what: str) -> str | None:
    """`too_few` for a share or a mean error."""
    return too_few((found, FEWEST_FOR_SHARE, what))


def too_few_for_thresholds(relaxed: int, stable: int) -> str | None:
    """`too_few` for a comparison of thresholds over relaxed candidates, some of them stable."""
    return too_few(
        (relaxed, FEWEST_FOR_THRESHOLDS, "relaxed candidates that were decided on"),
        (stable, FEWEST_OF_BOTH_KINDS, "stable ones"),
        (relaxed - stable, FEWEST_OF_BOTH_KINDS, "ones that are not stable"),
    )
