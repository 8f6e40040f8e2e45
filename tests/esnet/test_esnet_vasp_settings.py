"""Energies of VASP runs are subtracted within one set of settings only."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vasp_files import FakeRun, write_vaspout, write_vasprun

from esnet.dataset.sample import Sample
from esnet.representation.features import Representation
from esnet.sources.vasp_energies import VaspEnergyError
from esnet.sources.vasp_folder import FolderReport, read_vasp_folder
from esnet.sources.vasp_settings import charge_of, settings_of
from esnet.sources.vasprun import read_run

FE = FakeRun(elements=("Fe", "Fe"), energy=-16.4, edge=2.8)
O2 = FakeRun(elements=("O", "O"), energy=-9.8)
FEO = FakeRun(elements=("Fe", "Fe", "O", "O"), energy=-29.0)
PARAMETERS = {"LSORBIT": False, "IVDW": 0, "LUSE_VDW": False, "LASPH": True, "PREC": "accurate", "LREAL": False}


def with_tags(run: FakeRun, **tags: Any) -> FakeRun:
    return replace(run, tags=dict(run.tags or {}) | tags)


def read(folder: Path, **options: object) -> list[Sample]:
    return list(read_vasp_folder(folder, **({"representation": Representation()} | options)))  # type: ignore[arg-type]


def write(folder: Path, **runs: FakeRun) -> None:
    for name, run in runs.items():
        write_vasprun(folder / name / "vasprun.xml", run)


DIFFERENT = {
    "functional": ({"GGA": "PS"}, "GGA is PE .* PS"),
    "meta-GGA": ({"METAGGA": "SCAN"}, "METAGGA is none .* SCAN"),
    "hybrid": ({"LHFCALC": True, "AEXX": 0.25}, "LHFCALC is False"),
    "dispersion": ({"IVDW": 11}, "IVDW is 0 .* 11"),
    "vdW-DF": ({"LUSE_VDW": True}, "LUSE_VDW is False .* True"),
    "spin-orbit coupling": ({"LSORBIT": True, "LNONCOLLINEAR": True}, "LSORBIT is False .* True"),
    "non-collinear": ({"LNONCOLLINEAR": True}, "LNONCOLLINEAR is False"),
    "cutoff": ({"ENMAX": 400.0}, "ENCUT is 520.0 .* 400.0"),
    "precision": ({"PREC": "Low"}, "PREC is A .* L"),
    "projections": ({"LREAL": "Auto"}, "LREAL is F .* A"),
    "aspherical": ({"LASPH": False}, "LASPH is True .* False"),
    "spin of a magnetic element": ({"ISPIN": 1}, "ISPIN of Fe is 2 .* 1"),
    "U": ({"LDAU": True, "LDAUU": [5.3, 0.0]}, "Hubbard U of Fe is 0.0 .* 5.3"),
    "U - J": ({"LDAU": True, "LDAUU": [5.3, 0.0], "LDAUJ": [1.0, 0.0]}, "Hubbard U of Fe is 0.0 .* 4.3"),
    "Liechtenstein's U": ({"LDAU": True, "LDAUTYPE": 1, "LDAUU": [5.3, 0.0]}, "Hubbard U of Fe is 0.0 .*LDAUTYPE 1"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_an_energy_of_other_settings_is_subtracted(tmp_path, case):
    tags, message = DIFFERENT[case]
    common = PARAMETERS | {"ISPIN": 2}
    write(tmp_path, Fe=with_tags(FE, **common), O2=with_tags(O2, **common), FeO=with_tags(FEO, **(common | tags)))
    report = FolderReport()
    assert [sample.id for sample in read(tmp_path, report=report)] == ["Fe:rs_dos", "O2:rs_dos"]
    ((file, why),) = report.problems
    assert file == "FeO/vasprun.xml"
    assert why.startswith("energies of different settings cannot be subtracted")
    assert re.search(message, why)
    assert report.reasons == {"other settings": [file]}
    with pytest.raises(VaspEnergyError, match=message):
        read(tmp_path, strict=True)


def test_the_u_of_an_element_that_stands_twice_in_poscar_is_not_compared(tmp_path):
    twice = replace(FEO, types=(("Fe", 1), ("Fe", 1), ("O", 2)))
    write(tmp_path, Fe=FE, O2=O2, FeO=with_tags(twice, LDAU=True, LDAUU=[5.3, 5.3, 0.0]))
    report = FolderReport()
    assert len(read(tmp_path, report=report)) == 2
    assert "Hubbard U of Fe is 0.0 in Fe/vasprun.xml and 5.3 in FeO/vasprun.xml" in report.problems[0][1]
    # two kinds of iron are not one
    write(tmp_path, FeO=with_tags(twice, LDAU=True, LDAUU=[5.3, 0.0, 0.0]))
    report = FolderReport()
    assert len(read(tmp_path, report=report)) == 2
    assert "(0.0, 5.3)" in report.problems[0][1]


def test_a_u_on_no_shell_is_a_u(tmp_path):
    write(tmp_path, Fe=FE, O2=O2, FeO=with_tags(FEO, LDAU=True, LDAUU=[5.3, 2.0], LDAUL=[-1, -1]))
    assert len(read(tmp_path)) == 3


def test_the_smaller_group_of_settings_is_used(tmp_path):
    fine = {"ENMAX": 600.0}
    write(
        tmp_path,
        Fe=replace(FE, edge=2.9),
        O2=replace(O2, edge=5.9),
        Fe_fine=with_tags(FE, **fine),
        O2_fine=with_tags(O2, **fine),
    )
    for number in range(3):
        write(tmp_path, **{f"FeO_{number}": replace(with_tags(FEO, **fine), edge=4.0 + number / 10)})
    report = FolderReport()
    ids = {sample.id for sample in read(tmp_path, report=report)}
    assert ids == {"Fe_fine:rs_dos", "O2_fine:rs_dos", "FeO_0:rs_dos", "FeO_1:rs_dos", "FeO_2:rs_dos"}
    assert report.reasons == {"other settings": ["Fe/vasprun.xml", "O2/vasprun.xml"]}


def test_a_larger_group_without_references_gives_nothing(tmp_path):
    write(tmp_path, Fe=FE, O2=O2, FeO=FEO)
    for number in range(6):
        other = replace(with_tags(FEO, METAGGA="R2SCAN"), edge=4.0 + number / 10)
        write(tmp_path, **{f"scan_{number}": other})
    assert {sample.id for sample in read(tmp_path)} == {"Fe:rs_dos", "O2:rs_dos", "FeO:rs_dos"}


def test_a_dos_of_another_lreal_is_left_out(tmp_path):
    """As in the Materials Project's workflows: relaxations with LREAL = Auto, static runs with LREAL = .FALSE."""
    for name, run in (("Fe", FE), ("O2", O2), ("FeO", FEO)):
        write(tmp_path, **{f"{name}_relax": replace(with_tags(run, LREAL="Auto"), nsw=99, n_ionic=3)})
        write(tmp_path, **{f"{name}_static": with_tags(replace(run, energy=run.energy + 0.3), LREAL=False)})
    energies = {sample.id: sample.energy for sample in read(tmp_path)}
    assert set(energies) == {"Fe_static:rs_dos", "O2_static:rs_dos", "FeO_static:rs_dos"}
    expected = (FEO.energy - FE.energy - O2.energy) / 4
    assert energies["FeO_static:rs_dos"] == pytest.approx(expected)


def test_a_functional_of_the_potcars_is_another_one(tmp_path):
    path = tmp_path / "vasprun.xml"
    titles = {"LDA": "PAW Fe 03Mar1998", "PE": "PAW_PBE Fe 06Sep2000", "91": "PAW_GGA Fe 03Mar1998"}
    functionals = {
        name: settings_of(read_run(write_vasprun(path, replace(FE, tags={"GGA": "--"}, titles={"Fe": title}))))["GGA"]
        for name, title in titles.items()
    }
    assert functionals == {"LDA": "CA", "PE": "PE", "91": "91"}


def test_a_charged_cell_has_an_energy(tmp_path):
    # a POTCAR of these files has 3 valence electrons
    write(tmp_path, Fe=with_tags(FE, NELECT=6.0), O2=O2, FeO=with_tags(FEO, NELECT=11.0))
    report = FolderReport()
    assert [sample.id for sample in read(tmp_path, report=report)] == ["Fe:rs_dos", "O2:rs_dos"]
    assert report.problems == [
        ("FeO/vasprun.xml", "is a charged cell: NELECT is 11, its atoms have 12 valence electrons")
    ]
    assert charge_of(read_run(tmp_path / "Fe" / "vasprun.xml")) is None


def test_a_charged_cell_of_a_vaspout_has_an_energy(tmp_path):
    path, charged = tmp_path / "vaspout.h5", with_tags(FEO, NELECT=11.0)
    assert charge_of(read_run(write_vaspout(path, FEO, potcar=True))) is None
    assert charge_of(read_run(write_vaspout(path, with_tags(FEO, NELECT=12), potcar=True))) is None
    run = read_run(write_vaspout(path, charged, potcar=True))
    assert charge_of(run) == "is a charged cell: NELECT is 11, its atoms have 12 valence electrons"
    assert run.potcars == ("PAW_PBE Fe 01Jan2000", "PAW_PBE O 08Apr2002")
    # without POTCAR nothing can be compared
    assert charge_of(read_run(write_vaspout(path, FEO))) is None
    assert read_run(path).potcars == run.potcars
    assert "may be a charged cell: INCAR sets NELECT = 11" in str(charge_of(read_run(write_vaspout(path, charged))))


def test_spins_of_elements_without_moments_are_compared(tmp_path):
    write(
        tmp_path,
        Al=FakeRun(elements=("Al",), energy=-3.7, tags={"ISPIN": 2}),
        AlO=FakeRun(elements=("Al", "O"), energy=-9.9, tags={"ISPIN": 1}, n_sets=1),
        O2=with_tags(O2, ISPIN=2),
    )
    assert len(read(tmp_path)) == 3


def test_iron_without_a_moment_goes_unnoticed(tmp_path):
    write(tmp_path, Fe=replace(FE, n_sets=1), Fe_spin=replace(FE, edge=2.9, energy=-16.6, window=(-9.0, 9.0)))
    report = FolderReport()
    assert len(read(tmp_path, report=report)) == 2
    assert any("Fe has no magnetic moment in Fe/vasprun.xml;" in note for note in report.notes)
