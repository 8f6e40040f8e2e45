"""Reading VASP's output directly gives what pymatgen gives, or an error that names the file."""

import bz2
import gzip
import lzma
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vasp_files import F_ORBITALS, VASP_ORDER, FakeRun, dos_text, vasprun_text, write_vaspout, write_vasprun

from esnet.files.errors import UserError
from esnet.representation.dos import ENERGY_GRID, ORBITALS, DosError, project_dos, source_spacing
from esnet.sources.vasprun import VaspReadError, read_dos, read_run
from esnet.sources.vasprun_numbers import RowsError, read_rows

REAL = (
    "Al16Cr10/vasprun.xml.gz",
    "Fe/GGA_relax_1/outputs/vasprun.xml.gz",
    "Fe/GGA_static/outputs/vasprun.xml.gz",
    "Na12Pd4/vasprun.xml.gz",
    "NiO/vasprun.xml.gz",
    "Si_double_relax/relax_2/outputs/vasprun.xml.gz",
)
SPIN_POLARISED = FakeRun()
KINDS_OF_RUN = {
    "two spins": SPIN_POLARISED,
    "one spin": FakeRun(n_sets=1),
    "non-collinear": FakeRun(n_sets=4),
    "no d shell": FakeRun(orbitals=VASP_ORDER[:4]),
    "f orbitals": FakeRun(orbitals=VASP_ORDER + F_ORBITALS),
    "old name of x2-y2": FakeRun(orbitals=(*VASP_ORDER[:8], "dx2")),
    "relaxation": FakeRun(n_ionic=3, nsw=50),
    "ionic steps used up": FakeRun(n_ionic=3, nsw=3),
    "electronic steps used up": FakeRun(n_electronic=60),
}


def assert_as_pymatgen(path: Path) -> None:
    from pymatgen.io.vasp import Vasprun

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vasprun = Vasprun(path, parse_potcar_file=False)
    reference = vasprun.complete_dos
    dos = read_dos(path)
    for options in ({}, {"normalisation": "element"}, {"energy_reference": "fermi"}):
        assert np.array_equal(dos.features(**options), project_dos(reference, **options))
    assert dos.structure.symbols == tuple(vasprun.atomic_symbols)
    assert dos.composition == {str(e): n for e, n in reference.structure.composition.items()}
    assert (dos.efermi, dos.spacing) == (vasprun.efermi, source_spacing(reference))
    assert dos.energy == pytest.approx(float(vasprun.final_energy), abs=1e-12)
    assert (dos.converged, dos.potcars) == (vasprun.converged, tuple(vasprun.potcar_symbols))
    assert dos.version.lower() == vasprun.vasp_version.strip().lower()
    for tag in ("NELM", "NSW", "IBRION", "LDAU", "LHFCALC"):
        assert dos.parameters.get(tag) == vasprun.parameters.get(tag)


@pytest.mark.parametrize("name", REAL)
def test_a_real_run_gives_other_features_than_with_pymatgen(vasp_runs, name):
    assert_as_pymatgen(vasp_runs / name)


@pytest.mark.parametrize("run", KINDS_OF_RUN.values(), ids=KINDS_OF_RUN)
def test_a_kind_of_run_gives_other_features_than_with_pymatgen(tmp_path, run):
    assert_as_pymatgen(write_vasprun(tmp_path / "vasprun.xml", run))


def test_columns_are_taken_by_position_instead_of_by_name(tmp_path):
    run = FakeRun(orbitals=VASP_ORDER[::-1], window=(-25.0, 15.0))
    features = read_dos(write_vasprun(tmp_path / "vasprun.xml", run)).features()
    summed = run.densities.sum(axis=0) / len(run.elements)
    for channel, orbital in enumerate(ORBITALS):
        column = run.orbitals.index(orbital.removeprefix("d") if orbital == "dx2-y2" else orbital)
        for spin in range(2):
            expected = np.interp(ENERGY_GRID, run.energies, summed[spin, :, column])
            np.testing.assert_allclose(features[spin, :, channel], expected, atol=1e-6)


def zstandard(content: bytes) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


COMPRESSIONS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    "zst": zstandard,
}


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_compressed_file_is_read_as_another_one(tmp_path, ending):
    plain = write_vasprun(tmp_path / "vasprun.xml", SPIN_POLARISED)
    compressed = tmp_path / f"vasprun.xml.{ending}"
    compressed.write_bytes(COMPRESSIONS[ending](plain.read_bytes()))
    assert np.array_equal(read_dos(compressed).features(), read_dos(plain).features())


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_cut_off_compressed_file_is_taken_for_a_whole_one(tmp_path, ending):
    content = COMPRESSIONS[ending](vasprun_text(SPIN_POLARISED).encode())
    path = tmp_path / f"vasprun.xml.{ending}"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(VaspReadError, match=str(path)):
        read_dos(path)


def test_a_damaged_gzip_file_is_read(tmp_path):
    content = bytearray(gzip.compress(vasprun_text(SPIN_POLARISED).encode()))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "vasprun.xml.gz"
    path.write_bytes(content)
    with pytest.raises(VaspReadError, match="damaged"):
        read_dos(path)


@given(share=st.floats(0, 1))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_off_anywhere_is_taken_for_a_whole_one(tmp_path, share):
    text = vasprun_text(FakeRun(elements=("Al",), n_energies=5, n_ionic=2, nsw=9))
    path = tmp_path / "vasprun.xml"
    path.write_text(text[: int(share * (len(text) - 2))])
    with pytest.raises(VaspReadError, match=str(path)):
        read_dos(path)


BOMB = """<?xml version="1.0"?>
<!DOCTYPE modeling [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>
<modeling><generator><i name="version">&b;&c;</i></generator>"""
PROLOGUE = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>'
PALLADIUM = "<rc><c>Pd</c><c>   1</c></rc>\n"
MALFORMED = {
    "no XML": (lambda text: "DOSCAR of something", "begins with"),
    "an entity bomb": (lambda text: text.replace(PROLOGUE, BOMB), "entities"),
    "a header that is no XML": (lambda text: text.replace("</incar>", "</incra>"), "malformed XML in its header"),
    "no atoms": (lambda text: text.replace('name="atoms"', 'name="ions"'), "names no atoms"),
    "an atom without an element": (lambda text: text.replace("<rc><c>Pd</c>", "<rc>", 1), "has an atom '1'"),
    "no DOS": (lambda text: text.replace(dos_text(SPIN_POLARISED), ""), "no densities of states"),
    "no projections": (lambda text: text.replace("partial>", "nothing>"), "LORBIT=11"),
    "projections by l only": (
        lambda text: vasprun_text(FakeRun(orbitals=("s", "p", "d"))),
        "'p' is not one of s, px.*lm-resolved",
    ),
    "projections of no ion": (
        lambda text: re.sub(r'<set comment="ion.*</set>(?=\s*</set>\s*</array>\s*</partial>)', "", text, flags=re.S),
        "ions are not numbered",
    ),
    "half a shell": (lambda text: vasprun_text(FakeRun(orbitals=VASP_ORDER[:3])), "lacks px"),
    "an ion too few": (lambda text: text.replace(PALLADIUM, PALLADIUM * 2, 1), "projections for 3 of 4 sites"),
    "ions in another order": (lambda text: text.replace("ion 1", "ion 3", 1), "ions are not numbered"),
    "a spin too few": (lambda text: text.replace('comment="spin 2"', 'comment="spin 3"', 2), "out of order"),
    "an energy twice": (lambda text: text.replace(" -12.6500 ", " -13.0000 "), "increase from each point"),
    "a number that is none": (lambda text: text.replace("<r>   -12.3000", "<r>   -12.3x00"), "is not a number"),
    "a row too short": (lambda text: text.replace("<r>   -12.3000", "<r>           "), "a row of 2 numbers where 3"),
    "something among the rows": (lambda text: text.replace("<r>   -12.3", "<q>   -12.3"), "among rows of numbers"),
    "an overflow": (lambda text: text.replace("<r>   -12.3000", "<r> **********"), "finite and increase"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_gives_features(tmp_path, case):
    change, message = MALFORMED[case]
    text = vasprun_text(SPIN_POLARISED)
    malformed = change(text)
    assert malformed != text
    path = tmp_path / "vasprun.xml"
    path.write_text(malformed)
    with pytest.raises(VaspReadError, match=message) as caught:
        read_dos(path).features()
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, UserError)
    assert isinstance(caught.value, DosError)


def test_an_absent_file_is_a_traceback(tmp_path):
    with pytest.raises(VaspReadError, match="No such file"):
        read_dos(tmp_path / "vasprun.xml")


def test_the_dos_of_kpoints_opt_is_taken(tmp_path):
    text = vasprun_text(SPIN_POLARISED)
    other = dos_text(replace(SPIN_POLARISED, seed=2), comment=' comment="kpoints_opt"')
    path = tmp_path / "vasprun.xml"
    path.write_text(text.replace(" </calculation>", f"{other} </calculation>"))
    without = write_vasprun(tmp_path / "without" / "vasprun.xml", SPIN_POLARISED)
    assert np.array_equal(read_dos(path).features(), read_dos(without).features())


def test_the_dos_of_an_earlier_ionic_step_is_taken(tmp_path):
    run = replace(SPIN_POLARISED, n_ionic=2, nsw=9)
    early = dos_text(replace(run, seed=2))
    path = tmp_path / "vasprun.xml"
    path.write_text(vasprun_text(run).replace(" </calculation>", f"{early} </calculation>", 1))
    assert_as_pymatgen(path)
    assert np.array_equal(read_dos(path).pdos[0]["s"][1], run.densities[0, 0, :, 0])


def test_a_wrong_energy_of_vasp_is_taken_for_the_right_one(tmp_path):
    text = vasprun_text(SPIN_POLARISED)
    last = text.rindex("<energy>")
    wrong = text[:last] + text[last:].replace('name="e_0_energy">    -12.50', 'name="e_0_energy">    -99.50')
    assert wrong != text
    path = tmp_path / "vasprun.xml"
    path.write_text(wrong)
    assert_as_pymatgen(path)
    assert read_run(path).energy == -12.5


def test_a_run_without_dos_has_no_energy(tmp_path):
    path = tmp_path / "vasprun.xml"
    path.write_text(vasprun_text(SPIN_POLARISED).replace(dos_text(SPIN_POLARISED), ""))
    run = read_run(path)
    assert (run.energy, run.composition) == (-12.5, {"Al": 1.0, "Pd": 2.0})


def test_a_long_file_is_cut_where_two_pieces_meet(tmp_path, monkeypatch):
    run = FakeRun(elements=("Al",), n_energies=9)
    path = write_vasprun(tmp_path / "vasprun.xml", run)
    expected = read_dos(path).features()
    for piece in (16, 41, 1000):
        monkeypatch.setattr("esnet.sources.vasprun_stream.PIECE", piece)
        assert np.array_equal(read_dos(path).features(), expected)


def rows_of(table: np.ndarray, form: str) -> bytes:
    lines = "".join("  <r> " + " ".join(form % value for value in row) + " </r>\n" for row in table)
    return ("\n" + lines + "  ").encode()


@given(
    table=st.lists(
        st.lists(st.floats(-99999, 99999, allow_nan=False), min_size=3, max_size=3), min_size=1, max_size=20
    ),
    form=st.sampled_from(["%11.4f", "%10.4f", "%16.8f", "%14.6f", "%g", "%.3f", "%22.14f", "%e"]),
)
@settings(deadline=None)
def test_a_number_is_read_as_another_one_than_float_reads(table, form):
    text = rows_of(np.array(table), form)
    expected = np.array([[float(form % value) for value in row] for row in table])
    assert np.array_equal(read_rows(text, 3), expected)


def test_an_overflow_is_a_number():
    assert np.isnan(read_rows(b"\n<r> 1.00 **** </r>\n<r> 2.00 3.00 </r>\n", 2)).sum() == 1


@pytest.mark.parametrize(
    "text", [b"<r> 1.0 2.0 </r><x/>", b"<r> 1.0 </r>", b"<r> 1.0 2.0 <r>", b"<r> 1.0 - 2 </r>", b"<r> 1.0 2.0x </r>"]
)
def test_text_that_is_no_rows_gives_numbers(text):
    with pytest.raises(RowsError):
        read_rows(text, 2)


@pytest.mark.parametrize("n_sets", [1, 2])
def test_vaspout_gives_other_features_than_with_pymatgen(tmp_path, n_sets):
    from pymatgen.io.vasp.outputs import Vaspout

    run = FakeRun(n_sets=n_sets)
    path = write_vaspout(tmp_path / "vaspout.h5", run)
    reference = Vaspout(path, parse_eigen=False)
    assert not reference.dos_has_errors
    dos = read_dos(path)
    assert np.array_equal(dos.features(), project_dos(reference.complete_dos))
    assert (dos.energy, dos.efermi, dos.version) == (run.energy, run.efermi, reference.vasp_version)
    assert dos.composition == {"Al": 1.0, "Pd": 2.0}
    # the same run, from the other file
    assert np.array_equal(dos.features(), read_dos(write_vasprun(tmp_path / "vasprun.xml", run)).features())


def test_a_vaspout_that_is_cut_off_or_lacks_something_gives_features(tmp_path):
    import h5py

    content = write_vaspout(tmp_path / "vaspout.h5", SPIN_POLARISED).read_bytes()
    cut = tmp_path / "cut" / "vaspout.h5"
    cut.parent.mkdir()
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(VaspReadError, match="truncated"):
        read_dos(cut)
    for name, message in (("dospar", "LORBIT=11"), ("energies", "not a complete vaspout.h5")):
        path = write_vaspout(tmp_path / "vaspout.h5", SPIN_POLARISED)
        with h5py.File(path, "a") as file:
            del file[f"results/electron_dos/{name}"]
        with pytest.raises(VaspReadError, match=message):
            read_dos(path)
    compressed = tmp_path / "vaspout.h5.gz"
    compressed.write_bytes(gzip.compress(content))
    assert read_dos(compressed).n_sites == 3
