"""VASP requirements of a cluster's campaigns: the command lines and POTCARs that the cluster check looks for."""

import contextlib
from collections.abc import Collection, Iterable, Mapping

from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.potcar_checks import potcar_elements
from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from campaign.store.listings import unfinished_campaigns
from esnet.files.errors import UserError
from launchers.cluster.checking import EngineQuestions

#: Categories of the queues in which VASP runs, and the kind of calculation.
_KINDS = {"dos": "dos", "relax": "relaxation"}


def unfinished_specs(store: CampaignStore, *, except_of: Collection[str]) -> list[CampaignSpec]:
    """Return the settings of the unfinished stored campaigns that can be read.

    Parameters
    ----------
    except_of
        Names of campaigns to leave out.
    """
    specs = []
    for name in unfinished_campaigns(store):
        # problems of a stored campaign are reported by `campaign status`
        with contextlib.suppress(UserError):
            specs += [] if name in except_of else [Campaign.read(store, name).spec]
    return specs


def engine_questions(specs: Iterable[CampaignSpec]) -> dict[str, EngineQuestions]:
    """Return the VASP requirements of campaigns per category of computing nodes."""
    commands: dict[str, list[str]] = {category: [] for category in _KINDS}
    potcars: dict[str, set[str]] = {}
    for spec in specs:
        if elements := potcar_elements(spec):
            potcars.setdefault(spec.dft.potcar_functional, set()).update(elements)
        for category, kind in _KINDS.items():
            given = (spec.dft.vasp_command, spec.dft.vasp_gamma_command)
            commands[category] += [line for one in given if one is not None and (line := getattr(one, kind))]
    wanted = {functional: sorted(elements) for functional, elements in sorted(potcars.items())}
    return {category: EngineQuestions(list(dict.fromkeys(lines)), wanted) for category, lines in commands.items()}


def together(questions: Mapping[str, EngineQuestions]) -> EngineQuestions:
    """Return the combined requirements of all categories."""
    commands = dict.fromkeys(line for one in questions.values() for line in one.commands)
    return EngineQuestions(list(commands), next(iter(questions.values())).potcars)
