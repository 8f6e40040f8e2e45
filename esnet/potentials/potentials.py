"""Available interatomic potentials and their sets of weights, and how to load them."""

import importlib.util
import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esnet.files.errors import require
from esnet.files.versions import installed_versions

EMT = "EMT"
EMT_ELEMENTS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
"""Elements that effective medium theory describes: K. W. Jacobsen et al., Surf. Sci. 366, 394 (1996). ASE also includes
H, C, N and O "just for fun", which are refused here."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """Package of an ML potential.

    Attributes
    ----------
    module
        Name under which it is imported.
    distribution
        Name under which it is installed.
    extra
        Extra of esnet-campaign that installs it; None if it must be installed separately.
    """

    module: str
    distribution: str
    extra: str | None = None


_MACE = Package(module="mace", distribution="mace-torch")
_MATGL = Package(module="matgl", distribution="matgl")
#: ML potentials of atomate2 that need no file from the user, by atomate2's names (atomate2.forcefields.MLFF).
ML_POTENTIALS: Mapping[str, Package] = {
    "CHGNet": Package(module="chgnet", distribution="chgnet", extra="forcefields"),
    "SevenNet": Package(module="sevenn", distribution="sevenn", extra="forcefields"),
    "MACE-MP-0": _MACE,
    "MACE-MP-0b3": _MACE,
    "MACE-MPA-0": _MACE,
    "M3GNet": _MATGL,
    "MatPES-PBE": _MATGL,
    "MatPES-r2SCAN": _MATGL,
    "MatterSim": Package(module="mattersim", distribution="mattersim"),
    "FAIRChem": Package(module="fairchem", distribution="fairchem-core"),
    "UPET": Package(module="upet", distribution="upet"),
}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A set of weights included in a potential's package, so that nothing is downloaded.

    Attributes
    ----------
    name
        Name in the package.
    file
        Path of the file inside the package.
    modality
        Functional to select in a model that was trained on several.
    """

    name: str
    file: str
    modality: str | None = None


#: Sets of weights by their names in a campaign file, the default one first. Other potentials have only atomate2's
#: default weights, which they download on first use.
MODELS: Mapping[str, Mapping[str, Weights]] = {
    "CHGNet": {
        "0.3.0": Weights(name="0.3.0", file="pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"),
        "0.2.0": Weights(name="0.2.0", file="pretrained/0.2.0/chgnet_0.2.0_e30f77s348m32.pth.tar"),
        "r2scan": Weights(
            name="r2scan", file="pretrained/r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar"
        ),
    },
    "SevenNet": {
        "SevenNet-0": Weights(
            name="7net-0", file="pretrained_potentials/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth"
        ),
        "l3i5": Weights(name="7net-l3i5", file="pretrained_potentials/SevenNet_l3i5/checkpoint_l3i5.pth"),
        "MF-0": Weights(
            name="7net-mf-0", file="pretrained_potentials/SevenNet_MF_0/checkpoint_sevennet_mf_0.pth", modality="PBE"
        ),
    },
}


def model_of(calculator: str, model: str | None) -> str | None:
    """Return the name of the weights in use; None if a potential has only one set."""
    return model if model is not None else next(iter(MODELS.get(calculator, {})), None)


def missing_weights(calculator: str, model: str | None) -> str | None:
    """Return a message if the file of weights is missing; None if it is present or the package is not installed."""
    weights = MODELS.get(calculator, {}).get(model_of(calculator, model) or "")
    spec = importlib.util.find_spec(ML_POTENTIALS[calculator].module) if weights else None
    if weights is None or spec is None or not spec.submodule_search_locations:
        return None
    if any((Path(folder) / weights.file).is_file() for folder in spec.submodule_search_locations):
        return None
    distribution = ML_POTENTIALS[calculator].distribution
    return (
        f"the weights {model_of(calculator, model)} of {calculator} are not in the installed package "
        f"({weights.file}); right: pip install --force-reinstall --no-deps {distribution}"
    )


def calculator_versions(calculator: str) -> dict[str, str]:
    """Return the versions of everything that determines a potential's energies."""
    if calculator == EMT:
        return installed_versions("ase", "atomate2")
    return installed_versions("ase", "atomate2", "torch", ML_POTENTIALS[calculator].distribution)


def require_package(calculator: str) -> None:
    """Raise MissingExtraError if the package of a potential is not installed."""
    if calculator != EMT:
        package = ML_POTENTIALS[calculator]
        require(package.module, extra=package.extra, distribution=package.distribution)


def load_calculator(calculator: str, model: str | None = None) -> Any:
    """Return a potential as an ASE calculator.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    """
    if calculator == EMT:
        from ase.calculators.emt import EMT as EmtCalculator

        return EmtCalculator()
    # atomate2 would use the CHGNet of another package if this one is missing
    require_package(calculator)
    weights = MODELS.get(calculator, {}).get(model_of(calculator, model) or "")
    with redirect_stdout(io.StringIO()):  # the packages print a banner
        if calculator == "CHGNet" and weights is not None:
            from chgnet.model.dynamics import CHGNetCalculator
            from chgnet.model.model import CHGNet

            # a warning of PyTorch about a line in CHGNet
            warnings.filterwarnings("ignore", "Converting a tensor with requires_grad", module="chgnet")
            return CHGNetCalculator(model=CHGNet.load(model_name=weights.name, verbose=False))
        if calculator == "SevenNet" and weights is not None:
            from sevenn.calculator import SevenNetCalculator

            return SevenNetCalculator(model=weights.name, modal=weights.modality)
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        return ForceFieldRelaxMaker(force_field_name=calculator).calculator
