"""The command `campaign add`: more candidates for a running or finished campaign."""

from dataclasses import replace
from pathlib import Path

from campaign.candidates.given.reading import GivenSettings, read_given
from campaign.candidates.given.source_files import LEFT_OUT_ENDING
from campaign.commands.connection import open_for_writing
from campaign.commands.given import reading_progress, report_left_out
from campaign.running_campaign import RunningCampaign
from campaign.spec.given import MadeCandidates, usable_crystals
from campaign.spec.potcar_checks import check_potcars_of
from esnet.commands.console import console, print_plain
from esnet.files.errors import UserError


class AddOptionError(UserError, ValueError):
    """No path was given."""


def add(
    *,
    name: str,
    paths: list[Path] | None,
    as_given: list[Path] | None,
    column: str | None,
    rescale: str | None,
    strict: bool,
    left_out: Path | None,
    launchpad: Path | None,
    engine_elsewhere: bool,
) -> None:
    """Add crystals to a running or finished campaign; they are screened with its settings."""
    given = tuple(path.expanduser().absolute() for path in [*(as_given or ()), *(paths or ())])
    if not given:
        raise AddOptionError(f"nothing to add; right: campaign add {name} --as-given PATH")
    campaign = RunningCampaign.open(*open_for_writing(launchpad), name)
    section = campaign.spec.candidates
    settings = GivenSettings(
        paths=given,
        column=column or section.structure_column,
        rescale=(rescale or section.rescale) is not None,
        max_atoms=section.max_atoms,
    )
    with reading_progress() as show:
        found = read_given(settings, on_progress=show)
        usable, refused = usable_crystals(campaign.spec, found)
        made = MadeCandidates(candidates=[], left_out=(*found.left_out, *refused), sources=found.sources)
        if strict:
            made.refuse_bad()
        if not engine_elsewhere and campaign.spec.dft.engine == "vasp":
            check_potcars_of(
                campaign.spec, sorted({symbol for each in usable for symbol in each.crystal.composition()})
            )
        added = campaign.add(found, rescale="elements" if settings.rescale else None, on_progress=show)
    report_left_out(replace(made, left_out=added.left_out), left_out or Path(f"{name}.added{LEFT_OUT_ENDING}"))
    out = console()
    print_plain(out, added.message)
    if added.n_added and campaign.refresh().is_halted:
        print_plain(out, f"nothing starts before `campaign resume {name}`; see `campaign status {name}`")
    elif added.n_added:
        print_plain(out, f"run them like the others, with `campaign run {name}`, `rlaunch` or `campaign cluster run`")
