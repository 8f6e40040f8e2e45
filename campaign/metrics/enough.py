"""Number of results needed for a meaningful figure: for one crystal, every fraction is 0 or 100 %.

With 10 results the 95 % interval of a fraction still extends some 30 % to each side, with 20 some 20 %; with fewer it
is of no use to a reader.
"""

FEWEST_FOR_SHARE = 10
"""Results needed for a fraction, such as the success ratio, and for a mean error."""
FEWEST_FOR_COVERAGE = 20
"""Errors needed for the coverage of uncertainties."""
FEWEST_FOR_THRESHOLDS = 20
"""Results needed for a comparison of thresholds."""
FEWEST_OF_BOTH_KINDS = 3
"""Stable and unstable ones needed among these: without both, all thresholds are equally good."""


def too_few(*counts: tuple[int, int, str]) -> str | None:
    """Return a sentence on insufficient counts, or None.

    Parameters
    ----------
    counts
        Number found, number needed, and the noun.

    Returns
    -------
    str or None
        A sentence without full stop; None if all are sufficient.

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
    """Return `too_few` for a fraction or a mean error."""
    return too_few((found, FEWEST_FOR_SHARE, what))


def too_few_for_thresholds(relaxed: int, stable: int) -> str | None:
    """Return `too_few` for a comparison of thresholds on relaxed candidates, some of them stable."""
    return too_few(
        (relaxed, FEWEST_FOR_THRESHOLDS, "relaxed candidates that were decided on"),
        (stable, FEWEST_OF_BOTH_KINDS, "stable ones"),
        (relaxed - stable, FEWEST_OF_BOTH_KINDS, "ones that are not stable"),
    )
