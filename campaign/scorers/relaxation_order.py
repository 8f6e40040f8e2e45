"""Order of relaxations: elements first, each once, then the candidates whose elements are done."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pymatgen.core import Structure

from campaign.candidates.elements import MissingReferenceError
from campaign.scorers.element_energies import ElementEnergies
from campaign.scorers.relaxation import Guards, check_density
from esnet.potentials.relaxation import NoEnergyError, energy_of_elements

#: An energy in eV/atom, or the reason why there is none.
EnergyOrReason = float | str


@dataclass(frozen=True, kw_only=True)
class Task:
    """A crystal to relax.

    Attributes
    ----------
    name
        Id of the candidate, or symbol of the element.
    structure
        The unrelaxed crystal.
    zeros
        For each potential, the energy of the crystal's elements in eV/atom, subtracted from the result, or the reason
        not to relax with it; None for a crystal of an element.
    asks_change
        Whether the change of the energy in the relaxation is asked for, whatever the elements' energies.
    """

    name: str
    structure: Structure
    zeros: tuple[EnergyOrReason, ...] | None
    asks_change: bool = False


@dataclass(frozen=True, kw_only=True)
class Formed:
    """A candidate's formation energy (or its change) with each potential, eV/atom, or the reason why there is none."""

    name: str
    structure: Structure
    energies: tuple[EnergyOrReason, ...]


@dataclass
class _Element:
    """Results of an element's crystals; settled when complete."""

    to_come: int
    found: list[tuple[EnergyOrReason, ...]] = field(default_factory=list)

    def energy(self, symbol: str, potential: int) -> EnergyOrReason:
        results = [energies[potential] for energies in self.found]
        numbers = [energy for energy in results if not isinstance(energy, str)]
        return min(numbers) if numbers else f"the elemental reference of {symbol}: {results[0]}"


class RelaxationOrder:
    """Provide crystals to relax; a candidate follows once the energies of its elements are known.

    Parameters
    ----------
    n_potentials
        Number of potentials that each crystal is relaxed with.
    element_structures
        Returns the crystals of an element; raises MissingReferenceError if there is none. None if only the change of
        each candidate's energy is asked for.
    guards
        Checks of a candidate before it is relaxed.
    known
        Energies of the elements from earlier Screens, which are not relaxed again.
    """

    def __init__(
        self,
        n_potentials: int,
        element_structures: Callable[[str], list[Structure]] | None,
        guards: Guards,
        known: ElementEnergies | None = None,
    ) -> None:
        self._known = known
        self._n_potentials, self._element_structures, self._guards = n_potentials, element_structures, guards
        self._elements: dict[str, _Element | str] = {}
        self._first: deque[Task] = deque()
        self._held: list[tuple[str, Structure]] = []
        self._ready: deque[Task] = deque()
        self._formed: deque[Formed] = deque()

    def add(self, name: str, structure: Structure) -> None:
        """Add a candidate, and the crystals of its new elements."""
        try:
            check_density(structure, self._guards)
        except NoEnergyError as error:
            self._formed.append(Formed(name=name, structure=structure, energies=(str(error),) * self._n_potentials))
            return
        if self._element_structures is None:
            zeros = (0.0,) * self._n_potentials
            self._ready.append(Task(name=name, structure=structure, zeros=zeros, asks_change=True))
            return
        for element in structure.composition.elements:
            if element.symbol not in self._elements:
                self._add_element(element.symbol, self._element_structures)
        self._release(name, structure)

    def _add_element(self, symbol: str, element_structures: Callable[[str], list[Structure]]) -> None:
        try:
            crystals = element_structures(symbol)
        except MissingReferenceError as error:
            self._elements[symbol] = str(error)
            return
        known = [None if self._known is None else self._known.known(crystal) for crystal in crystals]
        missing = [crystal for crystal, energies in zip(crystals, known, strict=True) if energies is None]
        found: list[tuple[EnergyOrReason, ...]] = [energies for energies in known if energies is not None]
        self._elements[symbol] = _Element(to_come=len(missing), found=found)
        self._first.extend(Task(name=symbol, structure=crystal, zeros=None) for crystal in missing)

    def next(self) -> Task | None:
        """Return the next crystal that can be relaxed; None until a result arrives or a candidate is added."""
        return self._first.popleft() if self._first else self._ready.popleft() if self._ready else None

    @property
    def n_ready(self) -> int:
        """Number of crystals that can be relaxed now."""
        return len(self._first) + len(self._ready)

    @property
    def n_held(self) -> int:
        """Number of candidates waiting for an energy of their elements."""
        return len(self._held)

    def done(self, task: Task, energies: Sequence[EnergyOrReason]) -> None:
        """Process the results of a crystal, one per potential."""
        if task.zeros is not None:
            self._formed.append(Formed(name=task.name, structure=task.structure, energies=tuple(energies)))
            return
        if self._known is not None:
            self._known.keep(task.structure, energies)
        element = self._elements[task.name]
        assert isinstance(element, _Element)
        element.found.append(tuple(energies))
        element.to_come -= 1
        if not element.to_come:
            held, self._held = self._held, []
            for name, structure in held:
                self._release(name, structure)

    def formed(self) -> list[Formed]:
        """Return the candidates finished since the last call."""
        found = list(self._formed)
        self._formed.clear()
        return found

    def _release(self, name: str, structure: Structure) -> None:
        """Make a candidate ready if its elements are settled; hold it otherwise."""
        known = [self._elements[element.symbol] for element in structure.composition.elements]
        if any(isinstance(element, _Element) and element.to_come for element in known):
            self._held.append((name, structure))
            return
        zeros = tuple(self._zero(structure, potential) for potential in range(self._n_potentials))
        if all(isinstance(zero, str) for zero in zeros):
            self._formed.append(Formed(name=name, structure=structure, energies=zeros))
        else:
            self._ready.append(Task(name=name, structure=structure, zeros=zeros))

    def _zero(self, structure: Structure, potential: int) -> EnergyOrReason:
        elements: dict[str, EnergyOrReason] = {}
        for element in structure.composition.elements:
            known = self._elements[element.symbol]
            elements[element.symbol] = known if isinstance(known, str) else known.energy(element.symbol, potential)
        try:
            return energy_of_elements(structure, elements)
        except NoEnergyError as error:
            return str(error)
