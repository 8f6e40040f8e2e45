"""Questions before what cannot be undone."""

import typer

from esnet.files.errors import UserError


class NotConfirmedError(UserError, RuntimeError):
    """What a person has to confirm was not confirmed; nothing was done."""


def confirm(question: str, *, answer: str, option: str = "--yes") -> None:
    """Ask for an answer on the terminal.

    Parameters
    ----------
    answer
        What is to be typed: the campaign's name.
    option
        What a script gives instead.

    Raises
    ------
    NotConfirmedError
        If something else was typed, or there is no one to ask.
    """
    try:
        typed = typer.prompt(question, default="", show_default=False)
    except typer.Abort:
        raise NotConfirmedError(
            f"no answer was given, and nothing was done; use {option} to skip the question"
        ) from None
    if typed.strip() != answer:
        raise NotConfirmedError(f"found {typed.strip()!r}, right: {answer}; nothing was done")
