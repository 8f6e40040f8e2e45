"""Problems of a scorer in another place of the campaign file than the section ``scorer``."""

import re

from campaign.config.yaml_file import FieldPath, dotted
from campaign.scorers.base import ScorerProblem

_FIELD = re.compile(r"(?<![\w./])scorer(?=\.[a-z])")


def placed(problem: ScorerProblem, place: FieldPath) -> ScorerProblem:
    """Return a problem that a scorer reports for the section ``scorer``, with the actual place of the scorer.

    Both the path of the problem and the fields named in its message (``scorer.calculator``) are changed.
    """
    path = (*place, *problem.field[1:]) if problem.field[:1] == ("scorer",) else problem.field
    return ScorerProblem(path, _FIELD.sub(dotted(place), problem.message))
