"""Confirmation of irreversible actions."""

import typer

from esnet.files.errors import UserError


class NotConfirmedError(UserError, RuntimeError):
    """An action was not confirmed, and nothing was done."""


def confirm(question: str, *, answer: str, option: str = "--yes") -> None:
    """Ask for an answer on the terminal.

    Parameters
    ----------
    answer
        Required answer: the campaign's name.
    option
        Option that scripts use instead.

    Raises
    ------
    NotConfirmedError
        If something else was typed, or there is no terminal.
    """
    try:
        typed = typer.prompt(question, default="", show_default=False)
    except typer.Abort:
        raise NotConfirmedError(
            f"no answer was given, and nothing was done; use {option} to skip the question"
        ) from None
    if typed.strip() != answer:
        raise NotConfirmedError(f"found {typed.strip()!r}, right: {answer}; nothing was done")
