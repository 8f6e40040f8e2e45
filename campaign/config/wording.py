"""Numbers with the right form of their noun, for messages."""


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Format a number with its noun, in the plural unless there is one.

    Parameters
    ----------
    noun
        In the singular: ``relaxation``, ``failed attempt``, ``IS-DOS`` (a DOS has no plural form).
    plural
        Where it is irregular, e.g. ``entries``; default: `noun` with ``s``, or ``es`` after ``s``, ``x`` and ``ch``.
    """
    if number == 1 or (noun.endswith("DOS") and not plural):
        return f"{number} {noun}"
    return f"{number} {plural or noun + ('es' if noun.endswith(('s', 'x', 'ch')) else 's')}"
