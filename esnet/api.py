"""Predict formation energies from densities of states with a trained ESNet, including uncertainties."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from esnet.bundle.assessor import Assessment
from esnet.bundle.bundle import Bundle
from esnet.bundle.info import BundleInfo
from esnet.bundle.shipped import bundle_folder
from esnet.files.errors import UserError
from esnet.representation.composition import composition_vector
from esnet.representation.dos import DosError, EnergyReference, Normalisation, project_dos
from esnet.representation.errors import FeatureError
from esnet.representation.features import Representation
from esnet.representation.grid_dos import GridDos
from esnet.residual.prediction import PotentialAdder
from esnet.scoring.prediction import Prediction
from esnet.sources import vasprun
from esnet.sources.vasp_dos import engine_of_version

_AT_ONCE = 256
"""Number of densities of states in memory at the same time, 108 kB each."""


class NoDosError(UserError, TypeError):
    """The input is neither a VASP file nor a density of states."""


class EngineWarning(UserWarning):
    """A density of states comes from another engine than the model's training data."""


def open_bundle(bundle: str | os.PathLike[str]) -> Bundle:
    """Open a trained ESNet.

    Parameters
    ----------
    bundle
        Folder of the bundle, or the name of a shipped one (``gpaw-fast-binary``).

    Returns
    -------
    Bundle
        Has ``predict`` and ``assess`` for features, and ``representation``, which defines how these are computed.

    Raises
    ------
    UnknownModelError
        If it is neither a folder nor the name of a shipped model.
    BundleError
        If one of its files is missing or altered.

    Examples
    --------
    >>> import esnet
    >>> esnet.open_bundle("gpaw-fast-binary").representation.normalisation
    'atom'
    """
    return Bundle.load(bundle_folder(os.fspath(bundle)))


def read_dos(
    source: Any, *, normalisation: Normalisation = "atom", energy_reference: EnergyReference = "absolute"
) -> GridDos:
    """Read a projected density of states onto the network's grid, for inspection or prediction.

    Parameters
    ----------
    source
        Path of a vasprun.xml or vaspout.h5 (optionally compressed: .gz, .bz2, .xz) or of its folder, or pymatgen's
        ``CompleteDos`` with lm-resolved projections (energies in eV, densities in states/eV).
    normalisation
        Divisor of the sum over sites: the number of atoms (``atom``), the number of distinct elements (``element``), or
        nothing (``none``).
    energy_reference
        ``absolute``: energies as written by the engine; ``fermi``: relative to the Fermi level.

    Returns
    -------
    GridDos
        Energies in eV, shape (1500,), and channels in states/(eV atom), or in the unit of the normalisation, shape
        (2, 1500, 9).

    Raises
    ------
    NoDosError
        If the source is neither a path nor a CompleteDos.
    DosError
        If the file is missing, truncated, not VASP output, or without lm-resolved projections; the message names it.
    ValueError
        If an option is not one of those listed.

    Examples
    --------
    >>> import esnet
    >>> dos = esnet.read_dos("vasprun.xml", energy_reference="fermi")
    >>> dos.energies[[0, -1]].tolist(), dos.total().shape
    ([-20.0, 10.0], (1500,))
    """
    return _read(source, "source", normalisation, energy_reference)


def predict(bundle: Bundle | str | os.PathLike[str], sources: Any, *, strict: bool = True) -> list[Prediction]:
    """Predict the formation energies of relaxed crystals from densities of states of unrelaxed ones.

    Parameters
    ----------
    bundle
        A bundle from `open_bundle`, its folder, or the name of a shipped one.
    sources
        Path of a vasprun.xml or vaspout.h5 (optionally compressed: .gz, .bz2, .xz) or of its folder, pymatgen's
        ``CompleteDos`` with lm-resolved projections (energies in eV, densities in states/eV), a `GridDos` from
        `read_dos` or a campaign, or a list of n of these.
    strict
        Whether an unusable source raises an error; otherwise its prediction has no energy, and ``reason`` says why.

    Returns
    -------
    list of Prediction
        One per source, in order: ``e_form`` (eV/atom, with the corrections of the model's training set),
        ``uncertainty`` (one standard deviation, eV/atom) and ``novel``; both None if the model does not give them.
        ``id`` is the path, or the formula of a CompleteDos. An `EngineWarning` is issued for files from another engine
        than the training data.

    Raises
    ------
    NoDosError
        If a source is neither a path nor a density of states.
    DosError, FeatureError
        If a file cannot be read or its projections cannot be used; the message names it.
    UnknownModelError, BundleError
        As raised by `open_bundle`.

    Examples
    --------
    >>> import esnet
    >>> [prediction] = esnet.predict("gpaw-fast-binary", "vasprun.xml")
    >>> -3 < prediction.e_form < 3
    True
    """
    wanted = _listed(sources)
    info = (
        bundle.info if isinstance(bundle, Bundle) else BundleInfo.read(bundle_folder(os.fspath(bundle)), residual=True)
    )
    model = bundle if isinstance(bundle, Bundle) else None
    if info.record.adds_single_point:
        info.require_formation_energies()  # a DOS alone does not tell the energy of its crystal
    of = info.record.residual_of
    add = None if of is None else PotentialAdder(of)
    found: list[Prediction] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        read = [_usable(source, place, info.representation, strict) for place, source in enumerate(part, start=start)]
        usable = [dos for dos in read if isinstance(dos, GridDos)]
        if usable and model is None:
            # loaded only once there is something to predict, since networks take seconds to load
            model = Bundle.load(info.path, residual=True)
        said = iter(network_outputs(model, usable) if model is not None else ())
        if add is not None:
            said = (add(each, dos.structure, strict=strict) for each, dos in zip(list(said), usable, strict=True))
        found += [next(said) if isinstance(dos, GridDos) else dos for dos in read]
    return found


def _listed(sources: Any) -> list[Any]:
    single = isinstance(sources, str | os.PathLike) or hasattr(sources, "pdos") or not isinstance(sources, Iterable)
    return [sources] if single else list(sources)


def _usable(source: Any, place: int, asked: Representation, strict: bool) -> GridDos | Prediction:
    """Return the densities of one source, or a prediction without energy if they are unusable and `strict` is False."""
    try:
        # both raise on unusable values
        dos = _read(source, f"sources[{place}]", asked.normalisation, asked.energy_reference)
        composition_vector(dos.composition)
        return dos
    except (DosError, FeatureError, NoDosError) as error:
        if strict:
            raise
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else f"sources[{place}]"
        return Prediction(id=name, e_form=None, reason=str(error))


def _read(source: Any, name: str, normalisation: Normalisation, energy_reference: EnergyReference) -> GridDos:
    options: dict[str, Any] = {"normalisation": normalisation, "energy_reference": energy_reference}
    if isinstance(source, GridDos):
        for option, asked in options.items():
            if (found := getattr(source, option)) != asked:
                raise DosError(f"{source.name}: {option} is {found!r}; right: {asked!r}, with which the model was made")
        return source
    if isinstance(source, str | os.PathLike):
        run = vasprun.read_dos(_output_file(Path(source)))
        channels, efermi, composition = run.features(**options), run.efermi, run.composition
        found_name, engine = os.fspath(source), engine_of_version(run.version)
        # the DOS belongs to the last step
        structure = None if run.final is None else run.final.structure()
    elif hasattr(source, "pdos") and hasattr(source, "structure"):
        channels, efermi, engine = project_dos(source, **options), float(source.efermi), None
        structure = source.structure
        amounts = source.structure.composition
        composition = {element.symbol: float(amount) for element, amount in amounts.element_composition.items()}
        found_name = str(amounts.reduced_formula)
    else:
        raise NoDosError(
            f"{name} is {type(source).__name__}; right: the path of a vasprun.xml, pymatgen's CompleteDos, or a GridDos"
        )
    return GridDos(
        name=found_name,
        composition=composition,
        channels=channels,
        efermi=0.0 if energy_reference == "fermi" else efermi,
        engine=engine,
        structure=structure,
        **options,
    )


def _output_file(path: Path) -> Path:
    """Return the file itself, or the output file of VASP in a folder."""
    if not path.is_dir():
        return path
    inside = [file for name in vasprun.OUTPUT_NAMES if (file := path / name).is_file()]
    if not inside:
        raise DosError(
            f"{path}: is a folder without a vasprun.xml; right: the folder of a VASP run, or its vasprun.xml"
        )
    return inside[0]


def _warn_of_engines(info: BundleInfo, read: Sequence[GridDos]) -> None:
    learnt = info.record.data_source.get("engine")
    others = [dos for dos in read if None not in (learnt, dos.engine) and dos.engine != learnt]
    if others:
        more = "" if len(others) == 1 else f" and {len(others) - 1} more"
        text = (
            f"{others[0].name}{more}: computed by {others[0].engine}, but {info.path.name} was trained on {learnt}, "
            f"whose energies and projections differ; right: a model that was trained on {others[0].engine}"
        )
        warnings.warn(text, EngineWarning, stacklevel=4)


def network_outputs(model: Bundle, read: Sequence[GridDos]) -> list[Prediction]:
    """Return what a bundle's networks predict from n densities; for a model of residuals, without what is added."""
    if not read:
        return []
    _warn_of_engines(model.info, read)
    mode = model.representation.composition
    vectors = np.stack([composition_vector(dos.composition, mode=mode) for dos in read])
    return predictions_of([dos.name for dos in read], model.assess(np.stack([dos.channels for dos in read]), vectors))


def predictions_of(ids: Sequence[str], said: Assessment) -> list[Prediction]:
    """Return one prediction for each of n names, from the results of a bundle."""
    flags = [None] * len(ids) if said.novel is None else said.novel.tolist()
    numbers = zip(ids, said.e_form.tolist(), said.uncertainty.tolist(), flags, strict=True)
    return [
        Prediction(id=name, e_form=e_form, uncertainty=None if math.isnan(deviation) else deviation, novel=novel)
        for name, e_form, deviation, novel in numbers
    ]
