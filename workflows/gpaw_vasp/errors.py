"""Errors for inputs that the program refuses."""


class InputRefused(ValueError):
    """An input file requests something that is not available or makes no sense.

    The message names the file and the tag, what was found, and what would be right. Nothing has been
    computed when it is raised.
    """
