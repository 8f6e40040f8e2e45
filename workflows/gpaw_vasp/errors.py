"""What the program says no to."""


class InputRefused(ValueError):
    """An input file asks for something that this program cannot do, or that makes no sense.

    The message names the file and the tag, what was found, and what would be right. Nothing has been
    computed when it is raised.
    """
