"""What Python gets of a trained ESNet: predictions from densities of states, with how far they may be off."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from esnet.bundle.assessor import Assessment
from esnet.bundle.bundle import Bundle
from esnet.bundle.shipped import bundle_folder
from esnet.files.errors import UserError
from esnet.representation.composition import composition_vector
from esnet.representation.dos import project_dos
from esnet.scoring.prediction import Prediction
from esnet.sources.vasprun import read_dos

_AT_ONCE = 256
"""Densities of states in memory together, 216 kB each."""


class NoDosError(UserError, TypeError):
    """What was given is neither a file of VASP nor a density of states."""


def open_bundle(bundle: str | os.PathLike[str]) -> Bundle:
    """Open a trained ESNet.

    Parameters
    ----------
    bundle
        Its folder, or the name of one that ships with the project (``gpaw-fast-binary``).

    Returns
    -------
    Bundle
        With ``predict`` and ``assess`` for features, and ``representation``, which says how these are made.

    Raises
    ------
    UnknownModelError
        It is neither a folder nor the name of a shipped model.
    BundleError
        A file of it is missing or altered.

    Examples
    --------
    >>> import esnet
    >>> esnet.open_bundle("gpaw-fast-binary").representation.normalisation
    'atom'
    """
    return Bundle.load(bundle_folder(os.fspath(bundle)))


def predict(bundle: Bundle | str | os.PathLike[str], sources: Any) -> list[Prediction]:
    """Predict the formation energies of relaxed crystals from densities of states of unrelaxed ones.

    Parameters
    ----------
    bundle
        A bundle of `open_bundle`, its folder, or the name of a shipped one.
    sources
        A vasprun.xml or vaspout.h5 (also packed: .gz, .bz2, .xz) by its path, pymatgen's ``CompleteDos`` with
        lm-resolved projections (energies in eV, densities in states/eV), or n of these in a list.

    Returns
    -------
    list of Prediction
        n of them in the order of the sources: ``e_form`` (eV/atom, with the corrections of the model's training set),
        ``uncertainty`` (one standard deviation, eV/atom) and ``novel``; both None where the model cannot say. ``id`` is
        the path, or the formula of a CompleteDos.

    Raises
    ------
    NoDosError
        A source is neither a path nor a CompleteDos.
    DosError, FeatureError
        A file cannot be read, or its projections cannot be used; the message names it.

    Examples
    --------
    >>> import esnet
    >>> [prediction] = esnet.predict("gpaw-fast-binary", "vasprun.xml")
    >>> -3 < prediction.e_form < 3
    True
    """
    wanted = list(sources) if isinstance(sources, Sequence) and not isinstance(sources, str) else [sources]
    model = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    found: list[Prediction] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        features = [_features(source, place, model) for place, source in enumerate(part, start=start)]
        ids, dos, compositions = zip(*features, strict=True)
        found += _predictions(ids, model.assess(np.stack(dos), np.stack(compositions)))
    return found


def _features(source: Any, place: int, model: Bundle) -> tuple[str, Any, Any]:
    """Name, channels (2, 1500, 9) and composition vector (111,) of one source."""
    settings = model.representation
    options: Any = {"normalisation": settings.normalisation, "energy_reference": settings.energy_reference}
    if isinstance(source, str | os.PathLike):
        run = read_dos(Path(source))
        vector = composition_vector(run.composition, mode=settings.composition)
        return os.fspath(source), run.features(**options), vector
    if not (hasattr(source, "pdos") and hasattr(source, "structure")):
        raise NoDosError(
            f"sources[{place}] is {type(source).__name__}; right: the path of a vasprun.xml, or pymatgen's CompleteDos"
        )
    amounts = source.structure.composition
    vector = composition_vector(amounts.element_composition, mode=settings.composition)
    return str(amounts.reduced_formula), project_dos(source, **options), vector


def _predictions(ids: Sequence[str], said: Assessment) -> list[Prediction]:
    flags = [None] * len(ids) if said.novel is None else said.novel.tolist()
    numbers = zip(ids, said.e_form.tolist(), said.uncertainty.tolist(), flags, strict=True)
    return [
        Prediction(id=name, e_form=e_form, uncertainty=None if math.isnan(deviation) else deviation, novel=novel)
        for name, e_form, deviation, novel in numbers
    ]
