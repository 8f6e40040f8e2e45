"""Each crystal is a candidate once, under the same id however it is written down, in a sensible cell."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.candidates.elements import volume_per_atom
from campaign.candidates.generate import bootstrap_sample, generate, prototypes, substitute
from campaign.candidates.prototypes import shipped_prototypes
from campaign.candidates.structure_files import read_structure_folder
from campaign.candidates.structure_hash import candidate_id, primitive_cell, structure_hash
from campaign.candidates.structure_text import StructureFileError
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.reader import read_campaign_file

CAMPAIGN = Path(__file__).parent / "bootstrap.yaml"
NAMES = tuple(shipped_prototypes())


def campaign(*, name: str = "test", **candidates: object) -> CampaignSpec:
    return CampaignSpec.model_validate({"name": name, "candidates": candidates})


@pytest.fixture(scope="module")
def quickstart():
    return list(generate(read_campaign_file(CAMPAIGN)))


def test_three_prototypes_and_ten_pairs_are_thirty_candidates(quickstart):
    assert len(quickstart) == 30
    assert len({candidate.id for candidate in quickstart}) == 30
    assert Counter(candidate.prototype for candidate in quickstart) == {"B1": 10, "B2": 10, "B3": 10}
    assert all(candidate.n_sites == len(candidate.structure) == 2 for candidate in quickstart)
    assert ("AlPd", "B2") in {(candidate.formula, candidate.prototype) for candidate in quickstart}


def test_the_same_file_gives_the_same_candidates_in_the_same_order(quickstart):
    again = list(generate(read_campaign_file(CAMPAIGN)))
    assert [candidate.id for candidate in again] == [candidate.id for candidate in quickstart]
    assert all(a.structure == b.structure for a, b in zip(again, quickstart, strict=True))


def test_the_id_says_campaign_crystal_and_settings(quickstart):
    spec = read_campaign_file(CAMPAIGN)
    first = quickstart[0]
    assert first.id == candidate_id("quickstart", first.structure, spec.settings_hash)
    content = spec.model_dump(mode="json")
    content["dft"]["encut"] = 500.0
    other = next(generate(CampaignSpec.model_validate(content)))
    assert other.id != first.id
    assert other.id.rsplit("-", 1)[0] == first.id.rsplit("-", 1)[0]


@pytest.mark.parametrize(("name", "distinct"), [("B1", 1), ("B2", 1), ("B3", 1), ("L1_0", 1), ("L1_2", 2), ("B8_1", 2)])
def test_swapped_assignments_count_once_where_they_are_the_same_crystal(name, distinct):
    assert len(list(generate(campaign(prototypes=[name], elements=["Al", "Pd"])))) == distinct


def test_every_ordered_choice_of_elements_is_there():
    found = list(generate(campaign(prototypes=["L1_2"], elements=["Al", "Cu", "Pd"])))
    assert {candidate.formula for candidate in found} == {"AlCu3", "Al3Cu", "AlPd3", "Al3Pd", "Cu3Pd", "CuPd3"}
    for candidate in found:
        replaced = candidate.parent["substitution"]
        assert candidate.structure.composition.reduced_formula == candidate.formula
        assert set(replaced.values()) == set(candidate.chemsys.split("-"))
        assert candidate.structure.get_space_group_info()[1] == 221


def test_max_candidates_takes_the_first_ones(quickstart):
    content = read_campaign_file(CAMPAIGN).model_dump(mode="json")
    content["candidates"]["max_candidates"] = 7
    found = list(generate(CampaignSpec.model_validate(content)))
    assert [candidate.id for candidate in found] == [candidate.id for candidate in quickstart[:7]]


SIZED_BY_ELEMENTS = tuple(name for name in NAMES if shipped_prototypes()[name].volume_factor is not None)


def prototype_of(name):
    elements = ["Al", "Pd", "Cu"]  # as many as any shipped prototype needs
    return prototypes(campaign(prototypes=[name], elements=elements).candidates)[0]


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_rescaled_to_the_elements_and_keep_their_shape(name):
    prototype = prototype_of(name)
    structure = substitute(prototype, ["Al", "Pd", "Cu"][: len(prototype.elements)])
    own = sum(volume_per_atom(site.specie.symbol) for site in structure)
    if name in SIZED_BY_ELEMENTS:
        assert structure.volume == pytest.approx(prototype.volume_factor * own)
    assert 0.75 * own < structure.volume < 2.5 * own
    before, after = prototype.structure.lattice, structure.lattice
    assert np.allclose(after.angles, before.angles)
    assert np.allclose(np.array(after.abc) / after.a, np.array(before.abc) / before.a)
    assert 1.8 < min(structure.get_neighbor_list(5.0)[3]) < 3.3


def rewritten(structure, *, matrix, shift, order, rotation):
    """The same crystal in a supercell, shifted, with its sites in another order, rotated as a whole."""
    from pymatgen.core import Lattice, Structure

    cell = structure.copy()
    cell.make_supercell(matrix)
    order = order.permutation(len(cell))
    q, _ = np.linalg.qr(rotation)
    return Structure(
        Lattice(cell.lattice.matrix @ q),
        [cell[i].specie for i in order],
        np.array([cell[i].frac_coords for i in order]) + shift,
    )


SUPERCELLS = (
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[2, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
    [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
    [[1, 1, 0], [1, -1, 0], [0, 0, 1]],
    [[1, 0, 1], [0, 1, 0], [-1, 0, 2]],
)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    conventional=st.booleans(),
    elements=st.permutations(["Al", "Cu", "Pd", "Hf"]),
    matrix=st.sampled_from(SUPERCELLS),
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_crystal_has_one_id_however_its_cell_is_written(name, conventional, elements, matrix, shift, seed):
    prototype = prototype_of(name)
    structure = substitute(prototype, elements[: len(prototype.elements)])
    rng = np.random.default_rng(seed)
    cell = structure.to_conventional() if conventional else structure
    other = rewritten(cell, matrix=matrix, shift=shift, order=rng, rotation=rng.normal(size=(3, 3)))
    assert structure_hash(other) == structure_hash(structure) == structure_hash(structure, refined=True)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["B2", "L1_0", "L1_2", "B19"]),
    matrix=st.sampled_from(SUPERCELLS),
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_users_supercell_of_a_prototype_gives_the_same_candidates(name, matrix, shift, seed, tmp_path_factory):
    from pymatgen.io.vasp import Poscar

    folder = tmp_path_factory.mktemp("crystals")
    rng = np.random.default_rng(seed)
    structure = shipped_prototypes()[name].structure()
    other = rewritten(structure, matrix=matrix, shift=shift, order=rng, rotation=np.eye(3))
    Poscar(other).write_file(folder / "mine.vasp", significant_figures=12)
    shipped = {c.id for c in generate(campaign(prototypes=[name], elements=["Al", "Pd"]))}
    mine = {c.id for c in generate(campaign(structures=folder, elements=["Al", "Pd"]))}
    assert mine == shipped


def test_different_crystals_have_different_hashes():
    found = {}
    for name in NAMES:
        prototype = prototype_of(name)
        structure = substitute(prototype, ["Al", "Pd", "Cu"][: len(prototype.elements)])
        stretched = structure.copy()
        stretched.scale_lattice(structure.volume * 1.01)
        for label, cell in ((name, structure), (f"{name} stretched", stretched)):
            assert found.setdefault(structure_hash(cell), label) == label


def test_a_mirror_image_is_the_same_candidate():
    from pymatgen.core import Lattice, Structure

    left = Structure.from_spacegroup(
        198, Lattice.cubic(4.45), ["Fe", "Si"], [[0.136, 0.136, 0.136], [0.844, 0.844, 0.844]]
    )
    right = Structure(left.lattice, left.species, -left.frac_coords)
    assert structure_hash(left) == structure_hash(right)


def test_a_similar_crystal_of_the_users_is_no_second_candidate(tmp_path):
    """2 % off in c/a: another hash, but StructureMatcher sees the same crystal in its bucket; B2 is in another one."""
    from pymatgen.core import Lattice, Structure

    near = shipped_prototypes()["L1_0"].structure()
    Structure(Lattice.tetragonal(2.80, 3.74), near.species, near.frac_coords).to(str(tmp_path / "near.cif"))
    spec = campaign(prototypes=["B2", "L1_0"], structures=tmp_path, elements=["Al", "Pd"])
    assert [candidate.prototype for candidate in generate(spec)] == ["B2", "L1_0"]


def test_a_users_folder_is_read_by_stem_and_other_files_are_passed_over(tmp_path):
    structure = shipped_prototypes()["B2"].structure()
    structure.to(str(tmp_path / "one.cif"))
    structure.to(str(tmp_path / "POSCAR_two"), fmt="poscar")
    (tmp_path / "notes.txt").write_text("nothing")
    found = dict(read_structure_folder(tmp_path))
    assert list(found) == ["POSCAR_two", "one"]
    assert all(structure_hash(crystal) == structure_hash(structure) for crystal in found.values())


def test_unusable_structure_files_are_named(tmp_path):
    from pymatgen.core import Lattice, Structure

    with pytest.raises(StructureFileError, match="has no structure file"):
        list(read_structure_folder(tmp_path))
    with pytest.raises(StructureFileError, match="does not exist"):
        list(read_structure_folder(tmp_path / "absent"))
    Structure(Lattice.cubic(3), [{"Al": 0.5, "Cu": 0.5}], [[0, 0, 0]]).to(str(tmp_path / "mixed.cif"))
    with pytest.raises(StructureFileError, match=r"mixed\.cif: has partially occupied sites"):
        list(read_structure_folder(tmp_path))
    (tmp_path / "mixed.cif").unlink()
    (tmp_path / "a.cif").write_text("")
    (tmp_path / "a.vasp").write_text("")
    with pytest.raises(StructureFileError, match=r"a\.cif and a\.vasp"):
        list(read_structure_folder(tmp_path))
    (tmp_path / "a.cif").unlink()
    with pytest.raises(StructureFileError, match=r"a\.vasp: is empty"):
        list(read_structure_folder(tmp_path))


def test_primitive_cells_do_not_depend_on_oxidation_states():
    structure = shipped_prototypes()["B1"].structure()
    dressed = structure.copy()
    dressed.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    assert structure_hash(dressed) == structure_hash(structure)
    assert primitive_cell(dressed) == primitive_cell(structure)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_a_bootstrap_sample_is_seeded_and_spreads(quickstart, size, seed):
    sample = bootstrap_sample(quickstart, size, seed)
    assert sample == bootstrap_sample(quickstart, size, seed)
    assert len(set(sample)) == len(sample) == min(size, 30)
    chosen = [candidate for candidate in quickstart if candidate.id in set(sample)]
    by_prototype = Counter(candidate.prototype for candidate in chosen)
    assert max(by_prototype.values()) - min(by_prototype.get(name, 0) for name in ("B1", "B2", "B3")) <= 1
    if size >= 6:
        assert {symbol for candidate in chosen for symbol in candidate.chemsys.split("-")} == {
            "Al",
            "Cu",
            "Pd",
            "Ag",
            "Au",
        }


def test_another_seed_gives_another_bootstrap_sample(quickstart):
    assert len({bootstrap_sample(quickstart, 6, seed) for seed in range(10)}) > 5
