"""Fetching from the Materials Project, with its real client against answers of the recorded shape on this machine."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from materials_project_server import ServerProcess, complete_dos, write_tables

from esnet.dataset.dataset import Dataset, DatasetExistsError, Filters
from esnet.representation.dos import project_dos
from esnet.representation.features import Representation
from esnet.sources.materials_project import FetchReport, MaterialsProjectError, MaterialsQuery, fetch
from esnet.sources.materials_project_cache import DownloadCache

pytest.importorskip("mp_api", reason="mp-api is not installed (extra 'mp')")

ANSWERS = Path(__file__).parent / "materials_project_answers"
KEY = "0123456789abcdefghijklmnopqrstuv"
ALL = MaterialsQuery(num_elements=(1, 3))


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("s3")
    write_tables(folder, json.loads((ANSWERS / "densities.json").read_text()))
    process = ServerProcess(ANSWERS, folder)
    yield process
    process.stop()


@pytest.fixture
def service(server, monkeypatch) -> ServerProcess:
    """The server, answering, with the environment that leads the client to it."""
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url.rstrip("/"))
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    server.fail()
    return server


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory) -> tuple[Dataset, FetchReport, dict]:
    """What an undisturbed call fetches, and what it asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MP_API_KEY", KEY)
        patch.setenv("AWS_ENDPOINT_URL", server.url.rstrip("/"))
        patch.setenv("AWS_ALLOW_HTTP", "true")
        server.fail()
        dataset, report = fetch(tmp_path_factory.mktemp("whole") / "data", query=ALL, endpoint=server.url)
    return dataset, report, server.asked()


def test_the_data_set_is_not_what_the_service_has(whole):
    dataset, report, _ = whole
    tasks = {
        document["material_id"]: document["dos"]["task_id"]
        for document in json.loads((ANSWERS / "electronic_structure.json").read_text())["data"]
        if document["dos"]
    }
    densities = json.loads((ANSWERS / "densities.json").read_text())
    names = ("mp-2", "mp-134", "mp-829", "mp-1143", "mp-5555", "mp-18905")
    assert dataset.ids == tuple(f"{name}:rs_dos" for name in names)
    # of the scheme of 2020 alone: the summaries' -0.91, -9.0 and -8.0 eV/atom are mixed with r2SCAN
    assert dataset.energies.tolist() == [0.0, 0.0, -0.93, -3.4, -0.6, -1.5]
    assert set(dataset.kinds) == {"rs_dos"}
    for place, identifier in enumerate(dataset.ids):
        document = densities[tasks[identifier.split(":")[0]]]
        assert np.array_equal(dataset.read([place])[0], project_dos(complete_dos(document)))
        assert dataset.efermi[place] == document["efermi"]
        spacing = (document["window"][1] - document["window"][0]) / (document["n_energies"] - 1)
        assert dataset.spacing[place] == pytest.approx(spacing)
        (crystal,) = dataset.structures([place], "relaxed")
        assert crystal.lattice.a == document["a"]
        assert [site.specie.symbol for site in crystal] == document["species"]
        assert crystal.frac_coords.tolist() == document["positions"]
    # of a calculation's beginning nothing is known
    assert dataset.manifest.structures == {"initial": 0, "relaxed": 6}
    # no document, no DOS in the document, no densities, no projections
    assert report.counts == {"dos": 6, "no DOS": 4, "unusable DOS": 0}
    assert report.n_materials == 12


def test_energies_have_other_corrections_than_the_data_set_says(whole, tmp_path):
    dataset, _, _ = whole
    cache = dataset.path.with_name("data.download")
    raw, report = fetch(tmp_path / "raw", query=ALL, corrections="none", cache=cache)
    assert (dataset.manifest.source["corrections"], raw.manifest.source["corrections"]) == ("mp2020", "none")
    without = dict(zip(raw.ids, raw.energies.tolist(), strict=True))
    assert without["mp-829:rs_dos"] == pytest.approx(-0.93)
    assert without["mp-1143:rs_dos"] == pytest.approx(-3.4 + 3 * 0.687 / 5)
    # energies with a Hubbard U compare with nothing without their corrections
    assert "mp-18905:rs_dos" not in without
    assert (report.n_with_u, raw.manifest.source["left_out_with_u"]) == (1, 1)
    [said] = raw.provenance([raw.ids.index("mp-1143:rs_dos")])
    assert said["formation_energy_mp2020"] == -3.4
    assert said["formation_energy_uncorrected"] == pytest.approx(-3.4 + 3 * 0.687 / 5)


def test_what_the_filters_drop_is_downloaded_or_not_counted(whole):
    dataset, _, asked = whole
    assert dataset.manifest.n_dropped == {"f_block": 1, "max_dos": 0, "max_abs_formation_energy": 1}
    assert dataset.manifest.dropped_ids == {
        "f_block": ["mp-21151:rs_dos"],
        "max_abs_formation_energy": ["mp-999:rs_dos"],
    }
    (question,) = [path for path in asked["requests"] if "electronic_structure" in path and "material_ids" in path]
    assert "mp-829" in question
    assert "mp-21151" not in question
    assert "mp-999%2C" not in question
    assert dataset.manifest.source["counts"]["no DOS"] == 4
    assert dataset.manifest.source["database_version"] == "2026.10.1"


def test_the_key_is_written_somewhere(whole, service, tmp_path, caplog):
    dataset, _, asked = whole
    assert set(asked["keys"]) == {KEY}
    for file in [path for path in dataset.path.parent.rglob("*") if path.is_file()]:
        assert KEY.encode() not in file.read_bytes(), file
    service.fail(failures=[401])
    with caplog.at_level(logging.DEBUG), pytest.raises(MaterialsProjectError, match="valid key") as caught:
        fetch(tmp_path / "data", query=ALL, endpoint=service.url)
    assert KEY not in str(caught.value) + caplog.text


@pytest.mark.parametrize("key", [None, "", "too short"])
def test_a_missing_or_wrong_key_is_a_traceback(service, monkeypatch, tmp_path, key):
    monkeypatch.delenv("MP_API_KEY") if key is None else monkeypatch.setenv("MP_API_KEY", key)
    with pytest.raises(MaterialsProjectError, match="MP_API_KEY"):
        fetch(tmp_path / "data", query=ALL, endpoint=service.url)
    assert not (tmp_path / "data").exists()


def test_an_interrupted_download_begins_again(whole, service, tmp_path):
    dataset, _, asked = whole
    n_objects = sum(".parquet" in path for path in asked["requests"])
    service.fail(objects_left=n_objects // 2)
    with pytest.raises(MaterialsProjectError, match="repeat the command to continue"):
        fetch(tmp_path / "data", query=ALL, endpoint=service.url)
    assert not (tmp_path / "data").exists()
    service.fail()
    again, report = fetch(tmp_path / "data", query=ALL, endpoint=service.url)
    assert again.checksum == dataset.checksum
    assert 0 < report.n_fetched < 10
    assert not any("summary" in path for path in service.asked()["requests"])


def test_a_journal_that_was_cut_off_or_a_damaged_file_is_trusted(whole, service, tmp_path, caplog):
    dataset, _, _ = whole
    cache = tmp_path / "cache"
    fetch(tmp_path / "first", query=ALL, endpoint=service.url, cache=cache)
    journal = cache / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    cut_off = json.loads(lines[-1])["material_id"]
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    (damaged,) = cache.rglob("mp-829.npy")
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    service.fail()
    again, report = fetch(tmp_path / "second", query=ALL, endpoint=service.url, cache=cache)
    assert report.n_fetched == 2
    assert again.checksum == dataset.checksum
    assert "mp-829" in caplog.text
    assert cut_off != "mp-829"


def test_a_finished_download_asks_again(whole, monkeypatch, tmp_path):
    dataset, _, _ = whole
    monkeypatch.delenv("MP_API_KEY", raising=False)
    cache = dataset.path.with_name("data.download")
    again, report = fetch(tmp_path / "data", query=ALL, cache=cache, filters=Filters(max_dos=None))
    assert report.n_fetched == 0
    assert again.ids == dataset.ids


def test_a_download_of_something_else_is_gone_on_with(whole, tmp_path):
    dataset, _, _ = whole
    cache = dataset.path.with_name("data.download")
    with pytest.raises(MaterialsProjectError, match="query"):
        fetch(tmp_path / "data", query=replace(ALL, max_materials=3), cache=cache)
    with pytest.raises(MaterialsProjectError, match="energy_reference absolute, requested is fermi"):
        fetch(tmp_path / "data", query=ALL, cache=cache, representation=Representation(energy_reference="fermi"))
    with pytest.raises(DatasetExistsError):
        fetch(dataset.path, query=ALL, cache=cache)
    materials = cache / "materials.json"
    original = materials.read_text()
    try:
        materials.write_text(original.replace("-0.93", "-0.39"))
        with pytest.raises(MaterialsProjectError, match="checksum"):
            fetch(tmp_path / "data", query=ALL, cache=cache)
    finally:
        materials.write_text(original)


def test_two_processes_write_one_journal(tmp_path):
    first = DownloadCache(tmp_path, query=ALL, representation=Representation())
    second = DownloadCache(tmp_path, query=ALL, representation=Representation())
    with first, pytest.raises(MaterialsProjectError, match="another process"), second:
        pass
    with second:
        assert second.fetched == {}


def test_a_busy_service_ends_the_download(whole, service, tmp_path):
    dataset, _, _ = whole
    service.fail(failures=[429, 502, 504])
    again, _ = fetch(tmp_path / "data", query=ALL, endpoint=service.url)
    assert again.checksum == dataset.checksum
    service.fail(failures=[500])
    with pytest.raises(MaterialsProjectError, match=r"summaries.*500"):
        fetch(tmp_path / "other", query=ALL, endpoint=service.url)


def test_an_unreachable_service_is_a_traceback(service, tmp_path, free_port):
    with pytest.raises(MaterialsProjectError, match="connecting"):
        fetch(tmp_path / "data", query=ALL, endpoint=f"http://127.0.0.1:{free_port()}/")


def test_a_query_gets_other_materials(service, tmp_path):
    dataset, _ = fetch(tmp_path / "a", query=MaterialsQuery(chemsys=("Al-Pd", "Pd")), endpoint=service.url)
    assert dataset.ids == ("mp-2:rs_dos", "mp-829:rs_dos")
    query = MaterialsQuery(elements=("Pd",), max_materials=1, max_energy_above_hull=0.1)
    dataset, report = fetch(tmp_path / "b", query=query, endpoint=service.url)
    assert (dataset.ids, report.n_materials) == (("mp-2:rs_dos",), 1)
    query = MaterialsQuery(chemsys=("Al-Ni-Pd", "Al"), max_energy_above_hull=0.05)
    assert fetch(tmp_path / "d", query=query, endpoint=service.url)[0].ids == ("mp-134:rs_dos",)
    with pytest.raises(MaterialsProjectError, match=r"no material .*Rg"):
        fetch(tmp_path / "c", query=MaterialsQuery(elements=("Rg",)), endpoint=service.url)


def test_entries_are_those_of_another_system_or_of_another_scheme(service):
    from esnet.sources.materials_project_client import MaterialsProjectClient

    with MaterialsProjectClient(endpoint=service.url) as client:
        entries = client.entries(["Al", "Pd", "Al-Pd", "Al-O"])
        service.fail(failures=[500])
        with pytest.raises(MaterialsProjectError, match=r"(?s)computed entries.*repeat the command to continue"):
            client.entries(["Al"])
    # not mp-134-R2SCAN, whose energy is of the mixed scheme
    assert [entry["entry_id"] for entry in entries] == ["mp-1143-GGA", "mp-134-GGA", "mp-2-GGA", "mp-829-GGA"]
    assert entries[0]["correction"] == pytest.approx(3 * -0.687)


def test_an_id_leads_out_of_the_folder():
    from esnet.sources.materials_project_client import Material

    document = {"material_id": "../../mp-149", "composition": {"Si": 2}}
    with pytest.raises(MaterialsProjectError, match=r"\.\./\.\./mp-149"):
        Material.of(document, {"formation_energy_per_atom": 0.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"elements": ("Xx",)}, "Xx"),
        ({"chemsys": ("Al-Qq",)}, "Qq"),
        ({"num_elements": (3, 2)}, "num_elements"),
        ({"max_materials": 0}, "max_materials"),
    ],
)
def test_a_senseless_query_is_sent(options, message):
    with pytest.raises(MaterialsProjectError, match=message):
        MaterialsQuery(**options)


def test_the_command_does_not_fetch(service, tmp_path):
    from typer.testing import CliRunner

    from esnet.cli.app import app

    options = ["--chemsys", "Al-Pd", "--num-elements", "1-2", "--endpoint", service.url]
    result = CliRunner().invoke(app, ["fetch-mp", "--output", str(tmp_path / "data"), *options])
    assert result.exit_code == 0, result.output
    assert "2 materials: 1 dos, 1 no DOS" in result.output
    assert Dataset.open(tmp_path / "data").ids == ("mp-829:rs_dos",)
    assert CliRunner().invoke(app, ["fetch-mp", "--output", "x", "--num-elements", "two"]).exit_code == 2
