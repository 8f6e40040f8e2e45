"""Crystals that become candidates as they are: every kind of source, what is left out, duplicates."""

import csv
import gzip
import json
from collections import Counter
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from small_campaign import write_campaign
from typer.testing import CliRunner

from campaign.candidates.given import reading
from campaign.candidates.given.duplicates import find_duplicates
from campaign.candidates.given.reading import GivenSettings, read_given
from campaign.candidates.structure_text import StructureFileError
from campaign.cli.app import app
from campaign.config.yaml_file import CampaignFileError
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.given import LeftOutError, make_candidates
from campaign.spec.reader import read_campaign_file

runner = CliRunner()


def b2(a=2.9, first="Al", second="Cu", z=0.5) -> Structure:
    return Structure(Lattice.cubic(a), [first, second], [[0, 0, 0], [0.5, 0.5, z]])


FACES = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
#: Five crystals, no two of them the same.
FIVE = {
    "gen_0000": b2(),
    "gen_0001": b2(3.1, "Al", "Ag"),
    "gen_0002": b2(3.2, "Mg", "Ag", 0.45),
    "gen_0003": Structure(Lattice.cubic(4.1), ["Al", *["Cu"] * 3], [[0, 0, 0], *FACES]),
    "gen_0004": Structure(Lattice.tetragonal(2.9, 3.4), ["Zn", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
}


def disordered() -> Structure:
    return Structure(Lattice.cubic(3.0), [{"Mg": 0.5, "Zn": 0.5}, "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]])


BAD = {
    "bad_disordered": (disordered(), "disordered"),
    "bad_fblock": (b2(3.5, "Gd"), "f-block element"),
    "bad_dense": (b2(0.9), "atoms too close"),
}


def spec_of(*paths: Path, **candidates: object) -> CampaignSpec:
    section = {"as_given": [str(path) for path in paths], **candidates}
    return CampaignSpec.model_validate({"name": "given", "candidates": section})


def as_atoms(structure: Structure):
    return AseAtomsAdaptor.get_atoms(structure, msonable=False)


def write_folder(folder: Path, crystals: dict[str, Structure]) -> Path:
    for number, (name, structure) in enumerate(crystals.items()):
        inside = folder / ("run1" if number == 1 else ".")
        inside.mkdir(parents=True, exist_ok=True)
        structure.to(filename=str(inside / f"{name}.cif"))
    return folder


def write_pattern(folder: Path, crystals: dict[str, Structure]) -> Path:
    return write_folder(folder, crystals) / "**" / "*.cif"


def write_list(folder: Path, crystals: dict[str, Structure]) -> Path:
    write_folder(folder / "cif", crystals)
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.cif"))
    (folder / "list.txt").write_text("# generated\n\n" + "\n".join(map(str, paths)) + "\n")
    return folder / "list.txt"


def write_extxyz(folder: Path, crystals: dict[str, Structure]) -> Path:
    folder.mkdir()
    atoms = [as_atoms(structure) for structure in crystals.values()]
    for each, name in zip(atoms, crystals, strict=True):
        each.info = {"label": name, "energy": -1.5}
    ase.io.write(folder / "five.extxyz", atoms)
    return folder / "five.extxyz"


def write_ase(folder: Path, crystals: dict[str, Structure], ending: str) -> Path:
    folder.mkdir()
    with ase.db.connect(folder / f"five.{ending}") as database:
        for name, structure in crystals.items():
            database.write(as_atoms(structure), name=name, score=0.5)
    return folder / f"five.{ending}"


def write_json(folder: Path, crystals: dict[str, Structure]) -> Path:
    folder.mkdir()
    (folder / "five.json").write_text(json.dumps([each.as_dict() for each in crystals.values()]))
    return folder / "five.json"


def write_mapping(folder: Path, crystals: dict[str, Structure]) -> Path:
    folder.mkdir()
    with gzip.open(folder / "five.json.gz", "wt") as file:
        json.dump({name: each.as_dict() for name, each in crystals.items()}, file)
    return folder / "five.json.gz"


def write_jsonl(folder: Path, crystals: dict[str, Structure]) -> Path:
    folder.mkdir()
    records = [{"id": name, "structure": each.as_dict(), "score": 0.5} for name, each in crystals.items()]
    (folder / "five.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    return folder / "five.jsonl"


def write_csv_of_texts(folder: Path, crystals: dict[str, Structure]) -> Path:
    folder.mkdir()
    with (folder / "five.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["material_id", "cif", "score"]])
        rows.writerows([name, each.to(fmt="cif"), 0.5] for name, each in crystals.items())
    return folder / "five.csv"


def write_csv_of_paths(folder: Path, crystals: dict[str, Structure]) -> Path:
    write_folder(folder / "cif", crystals)
    rows = [f"{path.stem},{path.relative_to(folder)},0.5" for path in sorted(folder.rglob("*.cif"))]
    (folder / "five.csv").write_text("\n".join(["id,path,score", *rows]))
    return folder / "five.csv"


WRITERS = {
    "folder": write_folder,
    "pattern": write_pattern,
    "list": write_list,
    "extxyz": write_extxyz,
    "ase.db": lambda folder, crystals: write_ase(folder, crystals, "db"),
    "ase.json": lambda folder, crystals: write_ase(folder, crystals, "json"),
    "json": write_json,
    "json of names": write_mapping,
    "jsonl": write_jsonl,
    "csv of texts": write_csv_of_texts,
    "csv of paths": write_csv_of_paths,
}


def same_crystal(one: Structure, other: Structure) -> bool:
    """The same cell with the same atoms, whatever their order."""
    if not np.allclose(one.lattice.matrix, other.lattice.matrix, atol=1e-6) or one.composition != other.composition:
        return False
    distances = one.lattice.get_all_distances(one.frac_coords, other.frac_coords)
    return all(
        any(distances[i, j] < 1e-4 and one[i].specie == other[j].specie for j in range(len(other)))
        for i in range(len(one))
    )


@pytest.mark.parametrize("kind", WRITERS)
def test_each_kind_of_source_gives_the_same_crystals_unchanged(kind, tmp_path):
    path = WRITERS[kind](tmp_path / "source", FIVE)
    made = make_candidates(spec_of(path))
    assert made.left_out == ()
    found = {candidate.formula: candidate for candidate in made.candidates}
    assert len(made.candidates) == len(found) == 5
    for name, structure in FIVE.items():
        candidate = found[structure.composition.reduced_formula]
        assert same_crystal(candidate.structure, structure)
        assert candidate.parent["source"] == "as given"
        if kind in ("ase.db", "ase.json", "jsonl", "csv of texts", "csv of paths", "json of names"):
            assert candidate.parent["name"] == name
        if kind in ("ase.db", "jsonl"):
            assert candidate.parent["columns"]["score"] == 0.5
    assert found["AlCu"].prototype == "AB_cP2_221"
    assert found["AlCu3"].prototype == "AB3_cP4_221"


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind not in ("extxyz", "ase.db", "ase.json")])
def test_what_cannot_be_used_is_left_out_by_reason_whatever_the_source(kind, tmp_path):
    path = WRITERS[kind](tmp_path / "source", FIVE | {name: structure for name, (structure, _) in BAD.items()})
    made = make_candidates(spec_of(path))
    assert len(made.candidates) == 5
    assert Counter(str(each.reason) for each in made.left_out) == Counter(reason for _, reason in BAD.values())
    with pytest.raises(LeftOutError, match=r"(?s)3 of 8 crystals.*Gd is a lanthanide"):
        made.refuse_bad()


def test_atoms_of_ase_are_checked_too(tmp_path):
    molecule = as_atoms(b2())
    molecule.pbc = False
    atoms = [as_atoms(b2()), as_atoms(b2(0.9)), as_atoms(b2(3.5, "Gd")), molecule]
    ase.io.write(tmp_path / "a.extxyz", atoms)
    with (tmp_path / "a.extxyz").open("a") as file:
        file.write('2\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3\nAl 0 0 zero\nCu 1 1 1\n')
    made = make_candidates(spec_of(tmp_path / "a.extxyz"))
    assert [candidate.parent["name"] for candidate in made.candidates] == ["a#0"]
    reasons = {each.name: str(each.reason) for each in made.left_out}
    assert reasons == {
        **{"a#1": "atoms too close", "a#2": "f-block element", "a#3": "impossible cell", "a#4": "not readable"}
    }


def test_elements_without_a_reference_and_large_cells_are_left_out(tmp_path):
    crystals = {"a": b2(), "oxide": b2(4.2, "Mg", "O"), "large": b2() * (2, 2, 2)}
    large = crystals["large"].copy()
    large.replace(0, "Zn")
    path = write_jsonl(tmp_path / "source", crystals | {"large": large})
    made = make_candidates(spec_of(path, max_atoms=8))
    assert {str(each.reason) for each in made.left_out} >= {"too many atoms"}
    assert "a" in {candidate.parent["name"] for candidate in made.candidates}
    if refused := [each for each in made.left_out if each.name == "oxide"]:
        assert "'O'" in refused[0].detail


def test_the_same_crystal_twice_is_one_candidate_and_is_said(tmp_path):
    moved = b2(2.95)
    moved.translate_sites([0, 1], [0.1, 0.2, 0.3])
    noisy = b2().copy()
    noisy.perturb(0.02)
    crystals = {"first": b2(), "supercell": b2() * (2, 1, 1), "moved": moved, "noisy": noisy, "other": FIVE["gen_0003"]}
    made = make_candidates(spec_of(write_jsonl(tmp_path / "source", crystals)))
    assert [candidate.parent["name"] for candidate in made.candidates] == ["first", "other"]
    assert {each.name: each.detail for each in made.left_out} == dict.fromkeys(
        ("supercell", "moved", "noisy"), "the same crystal as first"
    )
    made.refuse_bad()  # duplicates are nothing that --strict stops at


def test_prototypes_and_crystals_as_they_are_stand_in_one_campaign(tmp_path):
    path = write_jsonl(tmp_path / "source", FIVE)
    spec = spec_of(path, prototypes=["B2", "L1_0"], elements=["Al", "Cu", "Ag"])
    made = make_candidates(spec)
    by_source = Counter(candidate.parent["source"] for candidate in made.candidates)
    assert by_source == {"shipped": 6, "as given": 3}
    assert {each.name: each.detail for each in made.left_out} == {
        "gen_0000": "the same crystal as AlCu:B2",
        "gen_0001": "the same crystal as AlAg:B2",
    }
    assert len({candidate.id for candidate in made.candidates}) == 9
    assert (
        len(make_candidates(spec_of(path, prototypes=["B2"], elements=["Al", "Cu"], max_candidates=3)).candidates) == 3
    )


def test_rescaling_changes_the_volume_alone(tmp_path):
    path = write_jsonl(tmp_path / "source", {"a": FIVE["gen_0004"]})
    (plain,) = make_candidates(spec_of(path)).candidates
    (scaled,) = make_candidates(spec_of(path, rescale="elements")).candidates
    assert plain.structure.volume == pytest.approx(FIVE["gen_0004"].volume)
    assert scaled.structure.volume != pytest.approx(plain.structure.volume, rel=0.01)
    assert scaled.structure.lattice.c / scaled.structure.lattice.a == pytest.approx(3.4 / 2.9)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,score\na,1\n", "no column of crystals"),
        ("a.json", "{", "does not parse as JSON"),
        ("a.db", "no database", "cannot be read as an ASE database"),
        ("a.txt", "# nothing\n", "is empty"),
        ("a.pdf", "x", "without a known file extension"),
    ],
)
def test_a_source_that_cannot_be_read_as_a_whole_is_refused_by_name(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises((CampaignFileError, StructureFileError), match=message):
        make_candidates(spec_of(tmp_path / name))
    with pytest.raises((CampaignFileError, StructureFileError), match="does not exist"):
        make_candidates(spec_of(tmp_path / "nowhere"))


def test_single_bad_rows_do_not_stop_the_others(tmp_path):
    lines = [json.dumps({"structure": b2().as_dict()}), "{broken", json.dumps({"score": 1}), '{"structure": 7}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "list.txt").write_text("absent.cif\na.jsonl\n")
    made = make_candidates(spec_of(tmp_path / "list.txt"))
    assert len(made.candidates) == 1
    assert {each.name for each in made.left_out} == {"absent.cif", "a#2", "a#3", "a#4"}
    assert {str(each.reason) for each in made.left_out} == {"not readable"}


def test_the_column_of_the_crystals_can_be_named(tmp_path):
    records = [{"id": "a", "relaxed": b2().as_dict(), "structure": "not this", "x.y": {"$z": 1}, "big": 1 << 80}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    (candidate,) = make_candidates(spec_of(tmp_path / "a.jsonl", structure_column="relaxed")).candidates
    assert candidate.parent["columns"] == {
        **{"id": "a", "structure": "not this", "x_y": '{"$z": 1}', "big": str(1 << 80)}
    }


def test_changed_files_are_read_again_and_their_checksum_changes(tmp_path):
    path = write_folder(tmp_path / "source", FIVE)
    first = read_given(GivenSettings(paths=(path,)))
    assert read_given(GivenSettings(paths=(path,))) is first
    b2(3.0, "Zn", "Ag").to(filename=str(path / "gen_0000.cif"))
    second = read_given(GivenSettings(paths=(path,)))
    assert second.sources[0].sha256 != first.sources[0].sha256
    assert "Zn" in second.elements


def test_many_crystals_are_read_by_several_processes_in_the_same_order(tmp_path, monkeypatch):
    crystals = {f"c{number:03d}": b2(2.9 + number / 1000, "Al", "Cu", 0.5 - number / 2500) for number in range(260)}
    path = write_jsonl(tmp_path / "source", crystals)
    found = read_given(GivenSettings(paths=(path,)))
    assert [crystal.name for crystal in found.crystals] == list(crystals)
    monkeypatch.setattr("campaign.candidates.given.reading.usable_processes", lambda: 1)
    monkeypatch.setattr("campaign.candidates.given.reading._latest", None)
    alone = read_given(GivenSettings(paths=(path,)))
    assert [crystal.structure_hash for crystal in alone.crystals] == [each.structure_hash for each in found.crystals]
    assert alone.sources == found.sources


ELEMENTS = st.sampled_from(["Al", "Cu", "Ag", "Mg", "Zn"])
COORDINATES = st.floats(0, 0.999, allow_nan=False)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(
    lengths=st.tuples(*[st.floats(3.5, 9.0)] * 3),
    angles=st.tuples(*[st.floats(70.0, 110.0)] * 3),
    sites=st.lists(st.tuples(ELEMENTS, COORDINATES, COORDINATES, COORDINATES), min_size=1, max_size=6),
)
def test_what_goes_in_is_what_comes_out(lengths, angles, sites, tmp_path):
    structure = Structure(Lattice.from_parameters(*lengths, *angles), [s[0] for s in sites], [s[1:] for s in sites])
    assume(len(structure) == 1 or structure.distance_matrix[np.triu_indices(len(structure), 1)].min() > 2.0)
    (tmp_path / "one.jsonl").write_text(json.dumps({"structure": structure.as_dict()}))
    (candidate,) = make_candidates(spec_of(tmp_path / "one.jsonl")).candidates
    assert same_crystal(candidate.structure, structure)
    # the same crystal under another description is the same candidate
    (tmp_path / "two.jsonl").write_text(json.dumps({"structure": (structure * (1, 1, 2)).as_dict()}))
    found = read_given(GivenSettings(paths=(tmp_path / "one.jsonl", tmp_path / "two.jsonl")))
    assert find_duplicates(found.crystals, digits=16) == {1: "one#1"}


def test_check_says_what_is_read_and_lists_what_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(
        tmp_path / "gen", FIVE | {name: structure for name, (structure, _) in BAD.items()} | {"twin": b2(2.91)}
    )
    (tmp_path / "gen" / "broken.cif").write_text("data_x\n_cell_length_a 3\n")
    (tmp_path / "gen" / "table.csv").write_text("x")
    file = write_campaign(tmp_path / "mine.yaml", candidates={"as_given": "gen"}, model={"bundle": "gpaw-fast-binary"})
    done = runner.invoke(app, ["check", str(file), "--engine-elsewhere"])
    assert done.exit_code == 0, done.output
    assert "5 candidates (5 as given)" in done.output
    for said in (
        "1 disordered",
        "1 f-block element",
        "1 atoms too close",
        "1 not readable",
        "1 duplicate",
        "table.csv",
    ):
        assert said in done.output
    rows = list(csv.DictReader((tmp_path / "mine.left_out.csv").open()))
    assert {(row["name"], row["reason"]) for row in rows} == {
        *((name, reason) for name, (_, reason) in BAD.items()),
        ("broken", "not readable"),
        ("twin", "duplicate"),
    }
    strict = runner.invoke(app, ["check", str(file), "--engine-elsewhere", "--strict"])
    assert isinstance(strict.exception, LeftOutError)
    other = runner.invoke(app, ["check", str(file), "--engine-elsewhere", "--left-out", "list.csv"])
    assert (other.exit_code, (tmp_path / "list.csv").exists()) == (0, True)


def test_elements_are_needed_for_prototypes_alone(tmp_path):
    write_folder(tmp_path / "gen", FIVE)
    read_campaign_file(write_campaign(tmp_path / "a.yaml", candidates={"as_given": "gen"}))
    with pytest.raises(CampaignFileError, match=r"candidates.elements: is missing"):
        read_campaign_file(write_campaign(tmp_path / "a.yaml", candidates={"as_given": "gen", "prototypes": ["B2"]}))
    with pytest.raises(CampaignFileError, match=r"as_given\[0\].*does not exist"):
        read_campaign_file(write_campaign(tmp_path / "a.yaml", candidates={"as_given": "none"}))
    with pytest.raises(CampaignFileError, match="rescale and structure_column"):
        read_campaign_file(
            write_campaign(
                tmp_path / "a.yaml", candidates={"prototypes": ["B2"], "elements": ["Al", "Cu"], "rescale": "elements"}
            )
        )


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {kind: writer(folder / kind.replace(" ", "-"), FIVE) for kind, writer in WRITERS.items() if "." not in kind}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["extxyz", "json", "jsonl", "csv of texts"]),
    cut=st.floats(0, 1),
    junk=st.binary(max_size=30) | st.sampled_from([b"9999999999", b"[" * 5000, b"NaN", b"\0", b'"lattice"']),
)
def test_a_damaged_file_is_refused_or_its_rows_are_left_out(kind, cut, junk, whole_files, tmp_path):
    content = whole_files[kind].read_bytes()
    place = int(cut * len(content))
    damaged = tmp_path / whole_files[kind].name
    damaged.write_bytes(content[:place] + junk + content[place + len(junk) :])
    try:
        made = make_candidates(spec_of(damaged))
    except (CampaignFileError, StructureFileError):
        return
    assert len(made.candidates) <= 5 + 1
    assert all(each.detail for each in made.left_out)


def test_the_crystals_of_linked_folders_are_read_and_a_circle_of_links_ends(tmp_path):
    folder = write_folder(tmp_path / "gen", dict(list(FIVE.items())[:2]))
    write_folder(tmp_path / "elsewhere", {"far": FIVE["gen_0002"]})
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "run1" / "up").symlink_to(folder)
    (folder / "gone.cif").symlink_to(tmp_path / "nowhere.cif")
    made = make_candidates(spec_of(folder))
    assert [each.parent["name"] for each in made.candidates] == ["gen_0000", "linked/far", "run1/gen_0001"]
    assert made.unused == ((folder, ("gone.cif",)),)


def test_no_crystal_beyond_the_limit_is_lost_without_a_word(tmp_path):
    made = make_candidates(spec_of(write_folder(tmp_path / "gen", FIVE), max_candidates=2))
    assert len(made.candidates) == 2
    assert [(str(each.reason), each.name) for each in made.left_out] == [
        ("beyond max_candidates", name) for name in ("gen_0003", "gen_0004", "run1/gen_0001")
    ]
    made.refuse_bad()  # as asked for, so `--strict` does not mind


def test_lines_of_a_list_that_are_no_paths_are_left_out(tmp_path):
    write_folder(tmp_path, {"one": b2()})
    (tmp_path / "list.txt").write_text(f"one.cif\n~nobody-of-that-name/two.cif\n{'x' * 5000}\n\x00.cif\n")
    made = make_candidates(spec_of(tmp_path / "list.txt"))
    assert (len(made.candidates), [str(each.reason) for each in made.left_out]) == (1, ["not readable"] * 3)


def test_compounds_are_rescaled_by_the_rule_of_prototypes(tmp_path):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.0), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    folder = write_folder(tmp_path / "salt", {"MgO": salt.get_primitive_structure()})
    (candidate,) = make_candidates(spec_of(folder, rescale="elements")).candidates
    made_of = {"prototypes": ["B1"], "elements": ["Mg", "O"]}
    (usual,) = make_candidates(CampaignSpec.model_validate({"name": "given", "candidates": made_of})).candidates
    assert candidate.structure.volume == pytest.approx(usual.structure.volume, rel=1e-6)


def test_a_pattern_does_not_read_the_list_of_what_was_left_out(tmp_path):
    write_csv_of_texts(tmp_path / "gen", FIVE)
    (tmp_path / "gen" / "given.left_out.csv").write_text("name,file,reason,detail\na,b.cif,disordered,so\n")
    made = make_candidates(spec_of(tmp_path / "gen" / "*.csv"))
    assert (len(made.candidates), made.left_out) == (5, ())


def test_a_duplicate_is_said_to_be_the_crystal_that_stays(tmp_path):
    same = {"a": b2(), "b": b2(2.95), "c": b2(2.95)}
    made = make_candidates(spec_of(write_jsonl(tmp_path / "gen", same)))
    assert [each.detail for each in made.left_out] == ["the same crystal as a"] * 2


def test_what_an_extended_xyz_file_says_of_a_frame_is_kept(tmp_path):
    atoms = as_atoms(b2())
    atoms.info = {"material_id": "gen-7", "score": 0.25}
    ase.io.write(tmp_path / "one.extxyz", atoms)
    (candidate,) = make_candidates(spec_of(tmp_path / "one.extxyz")).candidates
    assert candidate.parent["name"] == "gen-7"
    assert candidate.parent["columns"]["score"] == 0.25


def test_readers_that_are_killed_lose_nothing(tmp_path, monkeypatch):
    crystals = {f"gen_{number}": b2(2.5 + number / 200) for number in range(60)}
    path = write_jsonl(tmp_path / "gen", crystals)
    monkeypatch.setattr(reading, "_ALONE", 0)
    monkeypatch.setattr(reading, "_CHUNK", 2)
    monkeypatch.setattr(reading, "usable_processes", lambda: 2)
    monkeypatch.setattr(reading, "make_pool", lambda _: BrokenPool())
    found = read_given(GivenSettings(paths=(path,)))
    assert [each.name for each in found.crystals] == list(crystals)


class BrokenPool:
    """A pool whose processes are killed at the second task."""

    def __init__(self):
        self.tasks = 0

    def submit(self, function, *arguments):
        self.tasks += 1
        if self.tasks > 1:
            raise BrokenProcessPool("a process was killed")
        future = Future()
        future.set_exception(BrokenProcessPool("a process was killed"))
        return future

    def shutdown(self, **_):
        """Nothing runs."""
