"""What a campaign file would do, before anything is submitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from campaign.spec import CampaignSpec


def preview_lines(spec: CampaignSpec) -> Iterator[str]:
    """Say what would be computed, a line for each kind of work."""
    from campaign.execution.start import divide_candidates
    from campaign.reference_phases import reference_phases

    candidates, bootstrap = divide_candidates(spec)
    by_prototype = Counter(candidate.prototype for candidate in candidates)
    listed = ", ".join(f"{number} {name}" for name, number in sorted(by_prototype.items()))
    yield f"{len(candidates)} candidates ({listed})"
    elements = sorted({symbol.symbol for item in candidates for symbol in item.structure.composition.elements})
    labels = [label for label, _ in reference_phases(spec, elements)]
    yield f"{len(labels)} reference phases are relaxed first: {', '.join(labels)}"
    if spec.references.structures is not None:
        from campaign.structure_files import read_structure_folder

        unused = sorted({label for label, _ in read_structure_folder(spec.references.structures)} - set(labels))
        if unused:
            yield f"not used, since they hold other elements than the candidates: {', '.join(unused)}"
    if spec.purpose == "training_set":
        yield "a training set: every candidate gets an IS-DOS, a relaxation and an RS-DOS; nothing is predicted"
    elif not spec.scorer.needs_model:
        dos = "get an IS-DOS and" if spec.scorer.needs_dos else "get no DOS and"
        yield f"all candidates {dos} a prediction by {spec.scorer.describe()}"
    elif spec.model.bundle is None:
        yield f"{len(bootstrap)} candidates are relaxed to train ESNet"
        yield f"the other {len(candidates) - len(bootstrap)} get an IS-DOS and a prediction"
    else:
        from campaign.models import check_model_engine
        from esnet.bundle import BundleInfo
        from esnet.shipped import bundle_folder

        model = BundleInfo.read(bundle_folder(spec.model.bundle), representation=spec.representation())
        check_model_engine(model, spec.dft.engine)
        yield f"all candidates get an IS-DOS and a prediction by model {model.checksum[:12]} ({spec.model.bundle})"
    if spec.purpose == "screening":
        yield f"promoted to a relaxation: {spec.policy.describe()}"
    fast = " with coarse k-points (quality: fast, for examples only)" if spec.dft.quality == "fast" else ""
    yield f"computed by {spec.dft.engine}{fast}, cutoff {spec.dft.encut:g} eV"
