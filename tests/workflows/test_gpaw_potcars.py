"""Header-only POTCARs: complete, readable by pymatgen, made once, and never half-made."""

import threading
import warnings
from pathlib import Path

import pytest

from workflows.gpaw_vasp import potcars

pytestmark = pytest.mark.skipif(not potcars.available_elements(), reason="gpaw-data is not installed (extra 'gpaw')")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return potcars.header_potcar_tree(tmp_path_factory.mktemp("psp") / "tree")


def test_d_block_elements_are_available_and_actinides_are_not() -> None:
    elements = potcars.available_elements()
    assert {"Al", "Cu", "Pd", "Ag", "Au", "Ni", "Cd", "Hg", "O", "La"} <= elements
    assert not {"U", "Pu", "Tc"} & elements


def test_a_data_set_of_the_users_own_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Tc.PBE").write_text('<paw_setup><atom symbol="Tc" Z="43" core="30" valence="13"/></paw_setup>')
    monkeypatch.setenv("GPAW_SETUP_PATH", str(tmp_path))
    assert "Tc" in potcars.available_elements()
    potcars.valence.cache_clear()
    assert potcars.valence("Tc") == 13
    potcars.valence.cache_clear()


def test_an_element_without_a_data_set_is_named() -> None:
    with pytest.raises(ValueError, match="element Pu"):
        potcars.header_potcar("Pu")


def test_pymatgen_reads_every_header(tree: Path) -> None:
    from pymatgen.io.vasp import PotcarSingle

    files = sorted((tree / "POT_GGA_PAW_PBE_54").iterdir())
    assert len(files) > 100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files:
            single = PotcarSingle.from_file(str(file))
            symbol = file.name.removeprefix("POTCAR.")
            assert single.symbol == symbol
            assert single.element == symbol.split("_")[0]
            assert single.zval == potcars.valence(single.element)
            assert single.functional == "PBE"
            assert "GPAW" in single.TITEL


def test_every_symbol_of_atomate2s_and_the_materials_projects_sets_is_there(tree: Path) -> None:
    base = pytest.importorskip("atomate2.vasp.sets.base")
    from pymatgen.io.vasp.sets import MPRelaxSet

    elements = potcars.available_elements()
    for wanted in (base._BASE_VASP_SET["POTCAR"], MPRelaxSet.CONFIG["POTCAR"]):
        for element, entry in wanted.items():
            symbol = entry if isinstance(entry, str) else entry["symbol"]
            if element in elements:
                for folder in potcars.FUNCTIONAL_FOLDERS:
                    assert (tree / folder / f"POTCAR.{symbol}").is_file(), symbol


def test_two_at_once_make_one_tree_and_a_second_call_leaves_it_alone(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "tree"
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(potcars.header_potcar_tree(target))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [target, target]
    assert [path.name for path in target.parent.iterdir()] == ["tree"]
    stamp = (target / "POT_GGA_PAW_PBE" / "POTCAR.Al").stat().st_mtime_ns
    potcars.header_potcar_tree(target)
    assert (target / "POT_GGA_PAW_PBE" / "POTCAR.Al").stat().st_mtime_ns == stamp


def test_a_folder_that_is_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="not a tree"):
        potcars.header_potcar_tree(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_the_cache_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert potcars.default_tree().parent == tmp_path / "esnet-campaign"
    assert "potcars-" in potcars.default_tree().name
