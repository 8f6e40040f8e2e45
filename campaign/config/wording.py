"""Numbers with the singular or plural of a noun, for messages."""


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural unless the number is one.

    Parameters
    ----------
    noun
        Singular: ``relaxation``, ``failed attempt``, ``IS-DOS`` (a DOS has no plural form).
    plural
        Irregular plural, e.g. ``entries``; default: `noun` with ``s``, or ``es`` after ``s``, ``x`` and ``ch``.
    """
    if number == 1 or (noun.endswith("DOS") and not plural):
        return f"{number} {noun}"
    return f"{number} {plural or noun + ('es' if noun.endswith(('s', 'x', 'ch')) else 's')}"
