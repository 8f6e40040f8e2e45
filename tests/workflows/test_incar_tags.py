"""Which INCAR tags a person may set, in the campaign file and for another try: one list."""

import re
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from workflows.inputs.incar_tags import _RETRY_ONLY, NUMBERS, SAFE, Door, IncarTagError, check_tag, check_tags_together
from workflows.settings import DftSettings
from workflows.vasp import relax_maker, static_maker

FILE, RETRY = Door(retry=False), Door(retry=True)
ALUMINIUM = Structure(Lattice.cubic(4.05), ["Al"] * 4, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@pytest.mark.parametrize(
    ("tag", "value", "read"),
    [
        ("NCORE", 8, 8),
        ("KPAR", "2", 2),
        ("ALGO", "all", "All"),
        ("ALGO", "VeryFast", "Veryfast"),
        ("LPLANE", True, True),
        ("LSCALAPACK", ".FALSE.", False),
        ("AMIX", 0.1, 0.1),
        ("LREAL", False, False),
        ("LREAL", "auto", "Auto"),
        ("LH5", True, True),
        ("SYMPREC", "1e-8", 1e-8),
    ],
)
def test_a_value_of_yaml_or_of_an_incar_is_read_as_pymatgen_reads_it(tag, value, read):
    assert check_tag(tag, value, FILE) == read


@pytest.mark.parametrize(
    ("tag", "value", "why"),
    [
        ("ENCUT", 600, r"refused: right: dft\.encut"),
        ("EDIFFG", -0.01, r"dft\.force_tolerance"),
        ("NSW", 200, r"dft\.max_ionic_steps"),
        ("KSPACING", 0.2, r"dft\.kpoint_length"),
        ("MAGMOM", "5 5", r"dft\.magmom"),
        ("LDAUU", 3, r"dft\.hubbard_u: mp"),
        ("METAGGA", "R2SCAN", "functional is PBE"),
        ("IVDW", 11, "functional is PBE"),
        ("LHFCALC", True, "functional is PBE"),
        ("LSORBIT", True, "collinear spins"),
        ("ISPIN", 1, "two spins"),
        ("NUPDOWN", 2, "charge or moment"),
        ("NELECT", 20, "charge or moment"),
        ("NBANDS", 64, "campaign retry --set for one"),
        ("LOPTICS", True, "is not among"),
        ("NCOREE", 4, "is not an INCAR tag; do you mean NCORE"),
        ("ALGO", "None", "another kind of calculation"),
        ("IBRION", 5, "another kind of calculation"),
        ("IBRION", 0, "another kind of calculation"),
        ("ISMEAR", -5, "another kind of calculation"),
        ("NCORE", 0, "a number above 0"),
        ("NCORE", True, "a number"),
        ("NCORE", 2.5, "a whole number"),
        ("NCORE", "many", "a number"),
        ("NCORE", float("inf"), "a number"),
        ("AMIX", "0.1 or so", "a number"),
        ("LPLANE", "perhaps", "true or false"),
        ("POTIM", -1, "from 0.001 to 2"),
        ("NELM", 1, "from 20 to 10000"),
        ("AMIX", -1, "from 0.0001 to 4"),
        ("SIGMA", 5, "from 0.001 to 0.5"),
        ("TIME", 0, "from 0.001 to 2"),
        ("PREC", "Low", "Accurate"),
    ],
)
def test_what_is_refused_in_a_campaign_file_says_why(tag, value, why):
    with pytest.raises(IncarTagError, match=why):
        check_tag(tag, value, FILE)


@pytest.mark.parametrize(
    ("tag", "value", "meant"),
    [
        *(("ALGO", "F", "Fast"), ("ALGO", "vERY", "Veryfast"), ("PREC", "n", "Normal"), ("PREC", "Acc", "Accurate")),
        *(("LREAL", "A", "Auto"), ("LREAL", "on", "On"), ("LREAL", False, False)),
    ],
)
def test_words_that_vasp_reads_by_their_beginning_are_written_out(tag, value, meant):
    assert check_tag(tag, value, FILE) == meant


def test_a_dos_is_not_tried_again_with_what_fails_with_its_tetrahedra():
    for tag, value in (("ALGO", "All"), ("ALGO", "d"), ("IALGO", 58)):
        with pytest.raises(IncarTagError, match=r"tetrahedra of IS-DOS.*--stage relax"):
            check_tag(tag, value, Door(retry=True, dos=("IS-DOS",)))
        assert check_tag(tag, value, RETRY)
    assert check_tag("ALGO", "Fast", Door(retry=True, dos=("IS-DOS",))) == "Fast"


def test_tags_that_say_the_same_are_refused_together():
    with pytest.raises(IncarTagError, match="both NCORE and NPAR"):
        check_tags_together({"NCORE": 4, "NPAR": 4})


def test_vasp_gpaw_refuses_what_it_would_ignore_though_it_changes_numbers():
    gpaw = Door(retry=False, gpaw=True)
    with pytest.raises(IncarTagError, match=r"projection in real space, .* and vasp-gpaw ignores it"):
        check_tag("LREAL", "Auto", gpaw)
    assert check_tag("NCORE", 4, gpaw) == 4
    assert check_tag("ISYM", 0, gpaw) == 0


def test_every_tag_is_of_one_kind_and_stands_on_its_page():
    assert not SAFE & NUMBERS.keys()
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "incar.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page))
    assert SAFE | NUMBERS.keys() | _RETRY_ONLY <= named


def test_a_retry_takes_the_same_list_and_moments_by_element():
    for tag in SAFE - {"ALGO", "IALGO", "IBRION"}:
        number = {"NELM": 60, "SYMPREC": 1e-5}.get(tag, 1)
        with_value = {"b": True, "n": number}[("n", "b")[tag.startswith("L") and tag != "LMAXMIX"]]
        assert check_tag(tag, with_value, RETRY) == check_tag(tag, with_value, FILE)
    moments = check_tag("MAGMOM", "Fe:5,O:0.6", RETRY)
    assert moments == {"Fe": 5.0, "O": 0.6}
    iron = Structure(Lattice.cubic(4.3), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    carried = iron.copy(site_properties={"magmom": [2.0, 0.0]})
    maker = static_maker(carried, DftSettings(engine="vasp"), incar={"MAGMOM": {"Fe": 1.0}})
    assert maker.input_set_generator.get_input_set(carried, potcar_spec=True).incar["MAGMOM"] == [1.0, 0.0]
    with pytest.raises(IncarTagError, match="moments by element"):
        check_tag("MAGMOM", "5 5 0.6", RETRY)


def test_tags_of_relaxations_do_not_reach_a_dos():
    tags = {"NCORE": 4, "POTIM": 0.2, "ISMEAR": 0, "SIGMA": 0.1, "IALGO": 48, "PREC": "Normal"}
    settings = DftSettings(engine="vasp", incar=tags)
    dos, relaxation = (
        make(ALUMINIUM, settings).input_set_generator.get_input_set(ALUMINIUM, potcar_spec=True)
        for make in (static_maker, relax_maker)
    )
    assert tags.items() <= dict(relaxation.incar).items()
    assert "ALGO" not in relaxation.incar
    assert {tag: dos.incar.get(tag) for tag in ("NCORE", "PREC", "POTIM", "ISMEAR", "SIGMA")} == {
        **{"NCORE": 4, "PREC": "Normal"},
        **{"POTIM": None, "ISMEAR": -5, "SIGMA": 0.05},
    }


@pytest.mark.parametrize(("tag", "value"), [("ALGO", "All"), ("ALGO", "Damped"), ("IALGO", 58)])
def test_what_fails_with_tetrahedra_does_not_reach_a_dos(tag, value):
    settings = DftSettings(engine="vasp", incar={tag: value})
    dos, relaxation = (
        make(ALUMINIUM, settings).input_set_generator.get_input_set(ALUMINIUM, potcar_spec=True).incar
        for make in (static_maker, relax_maker)
    )
    assert relaxation[tag] == value
    assert (dos["ALGO"], dos.get("IALGO")) == ("Normal", None)


def test_a_retry_replaces_the_other_name_of_a_tag():
    maker = relax_maker(ALUMINIUM, DftSettings(engine="vasp", incar={"IALGO": 38}), incar={"ALGO": "All"})
    incar = maker.input_set_generator.get_input_set(ALUMINIUM, potcar_spec=True).incar
    assert (incar["ALGO"], incar.get("IALGO")) == ("All", None)


def test_no_value_carries_further_lines_into_an_incar():
    assert check_tag("EFERMI", "midgap", FILE) == "MIDGAP"
    assert check_tag("EFERMI", "1.5", FILE) == 1.5
    for value in ("MIDGAP\nENCUT = 300", "MIDGAP; ENCUT = 300", "banana", [1, 2]):
        with pytest.raises(IncarTagError, match="right: a number"):
            check_tag("EFERMI", value, FILE)


def test_the_hash_has_what_changes_numbers_and_nothing_else():
    plain = DftSettings(engine="vasp").physics()
    assert DftSettings(engine="vasp", incar={"NCORE": 8, "ALGO": "All", "LWAVE": True}).physics() == plain
    assert DftSettings(engine="vasp", incar={"PREC": "Normal", "NCORE": 8}).physics()["incar"] == {"PREC": "Normal"}
    assert DftSettings(engine="vasp", magmom={"Fe": 1.0}).physics()["magmom"] == {"Fe": 1.0}
    assert DftSettings(engine="vasp", hubbard_u="mp").physics()["hubbard_u"] == "mp"
    # campaigns of earlier versions keep their ids
    assert not {"incar", "magmom", "hubbard_u"} & plain.keys()
