"""The file of an exported campaign: what is written comes back, and whatever else it holds is refused in a sentence."""

import re
import zipfile
from datetime import UTC, datetime

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.store.transfer.archive import Archive, write_archive
from campaign.store.transfer.manifest import COLLECTIONS, ArchiveError, Manifest
from campaign.store.transfer.numbers import close_entry, put_to_rest, raise_numbers, raised_id
from campaign.store.transfer.reading import tries_of

NAME = "alloys"
WRITTEN = "2026-12-01T20:00:00+00:00"

_TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | _TIMES
    | st.binary()
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | st.builds(Binary, st.binary(), st.just(5))
    | st.integers(0, 99).map(Int64)
    | st.just(Decimal128("1.50")),
    lambda parts: st.lists(parts) | st.dictionaries(st.text().filter(lambda key: "\0" not in key), parts),
    max_leaves=12,
)
_DOCUMENTS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "structure", "ä.$x"]), _VALUES), max_size=4)


def written(path, content, **changes):
    """A file of these documents, by collection."""
    with write_archive(path) as archive:
        for collection in COLLECTIONS:
            with archive.part(collection) as write:
                for document in content.get(collection, []):
                    write(encode(document))
        fields = {"campaign": NAME, "state": "running", "schema_version": 2, "program": "0.2.0", "written": WRITTEN}
        manifest = Manifest(**{**fields, "fw_ids": (3, 40), "interrupted": 0, "parts": archive.parts, **changes})
        archive.close(manifest)
    return path


CONTENT = {
    "campaigns": [{"_id": NAME, "state": "running"}],
    "candidates": [{"_id": f"{NAME}-{number}", "campaign": NAME, "energy": number / 7} for number in range(20)],
    "features": [{"_id": f"{NAME}-1:dos", "campaign": NAME, "data": Binary(bytes(range(256)))}],
}


@pytest.fixture
def file(tmp_path):
    return written(tmp_path / "alloys.campaign", CONTENT)


def read(path):
    with Archive(path) as archive:
        archive.check()
        return {name: [decode(document.raw) for document in archive.documents(name)] for name in COLLECTIONS}


@settings(max_examples=40)
@given(documents=_DOCUMENTS)
def test_documents_come_back_to_the_last_byte(tmp_path_factory, documents):
    path = written(tmp_path_factory.mktemp("file") / "file", {"candidates": documents, "data.chunks": documents})
    with Archive(path) as archive:
        archive.check()
        for name in ("candidates", "data.chunks"):
            assert [bytes(found.raw) for found in archive.documents(name)] == list(map(encode, documents))


def test_the_manifest_says_what_is_inside(file):
    with Archive(file) as archive:
        assert archive.manifest.campaign == NAME
        assert archive.manifest.parts["candidates"].documents == 20
        assert archive.manifest.documents == 22
    assert read(file)["candidates"] == CONTENT["candidates"]


def test_every_altered_byte_is_refused(file, tmp_path):
    whole = file.read_bytes()
    altered = tmp_path / "altered"
    for place in range(0, len(whole), 3):
        altered.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        with pytest.raises(ArchiveError, match=re.escape(str(altered))):
            read(altered)


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_refused_in_a_sentence(file_of_module, tmp_path_factory, data):
    whole = file_of_module.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    content = data.draw(
        st.sampled_from([whole[:cut], whole[cut:], whole[:cut] + b"xyz" + whole[cut:], whole[:cut] + whole[cut + 1 :]])
    )
    if content == whole:
        return
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(content)
    with pytest.raises(ArchiveError):
        read(path)


@pytest.fixture(scope="module")
def file_of_module(tmp_path_factory):
    return written(tmp_path_factory.mktemp("module") / "alloys.campaign", CONTENT)


def test_an_altered_part_is_named(file):
    whole = bytearray(file.read_bytes())
    place = whole.index(bytes(range(256)))
    whole[place + 100] ^= 1
    file.write_bytes(whole)
    with pytest.raises(ArchiveError, match=r"features\.bson was altered"):
        read(file)


def rewritten(file, change):
    """The same archive with its members changed, and no checksum at its end."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
        comment = archive.comment
    change(members)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def test_foreign_files_are_refused_by_name(tmp_path, file):
    for absent in (tmp_path / "absent", tmp_path):
        with pytest.raises(ArchiveError, match="there is no such file"):
            Archive(absent)
    text = tmp_path / "notes.txt"
    text.write_text("notes")
    with pytest.raises(ArchiveError, match="is not an exported campaign"):
        Archive(text)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(ArchiveError, match=r"has no manifest\.json"):
        Archive(other)
    rewritten(file, lambda members: members.update({"../../etc/passwd": b"root"}))
    with pytest.raises(ArchiveError, match=r"parts are not those.*passwd"):
        Archive(file)


def test_a_part_that_is_missing_is_named(file):
    rewritten(file, lambda members: members.pop("steps.bson"))
    with pytest.raises(ArchiveError, match=r"steps\.bson"):
        Archive(file)


def test_no_more_is_read_than_the_manifest_says(file):
    rewritten(file, lambda members: members.update({"outputs.bson": encode({"a": "x" * 1000}) * 10_000}))
    with Archive(file) as archive, pytest.raises(ArchiveError, match=r"outputs\.bson was altered: it has \d+ bytes"):
        archive.check()
    rewritten(file, lambda members: members.update({"manifest.json": b" " * 2_000_000}))
    with pytest.raises(ArchiveError, match="far too large"):
        Archive(file)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (b'"format_version": 2', "written by a newer version of esnet-campaign .format version 2"),
        (b'"format_version": "1"', "the format version is '1'"),
        (b'"format_version": 1, "more": 1', "more: "),
    ],
)
def test_another_version_of_the_format_is_refused(file, found, said):
    def change(members):
        members["manifest.json"] = members["manifest.json"].replace(b'"format_version": 1', found)

    with pytest.raises(ArchiveError, match=said):
        Archive(rewritten(file, change))


def test_a_newer_schema_is_refused(tmp_path):
    file = written(tmp_path / "newer", CONTENT, schema_version=99)
    with pytest.raises(ArchiveError, match="newer version of esnet-campaign"):
        Archive(file)


def test_what_fails_on_the_way_leaves_the_earlier_file(file):
    before = file.read_bytes()
    with pytest.raises(RuntimeError), write_archive(file) as archive, archive.part("campaigns"):
        raise RuntimeError
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


TIME = datetime(2026, 12, 1, tzinfo=UTC)


def test_a_calculation_that_runs_is_put_back_to_where_it_came_from():
    relaxing = {"state": "relax_running", "relaxation": {"from_state": "promoted", "attempt": 2, "fw_id": 7}}
    assert put_to_rest(relaxing, time=TIME)
    assert relaxing["state"] == "promoted"
    assert relaxing["relaxation"]["attempt"] == 2
    assert relaxing["history"] == [{"stage": "relax", "state": "promoted", "time": TIME}]
    rs_dos = {"state": "relaxed", "rs_dos": {"state": "running", "from_state": "new", "fw_id": 9}}
    assert put_to_rest(rs_dos, time=TIME)
    assert (rs_dos["state"], rs_dos["rs_dos"]["state"]) == ("relaxed", "new")
    done = {"state": "relaxed", "rs_dos": {"state": "done"}}
    assert not put_to_rest(done, time=TIME)
    assert done == {"state": "relaxed", "rs_dos": {"state": "done"}}


def test_an_open_entry_of_the_ledger_is_stopped_and_keeps_what_it_has_used():
    entry = {"_id": "7.1", "outcome": "running", "cpu_s": 12.0, "seen": TIME}
    close_entry(entry, time=datetime(2027, 1, 1, tzinfo=UTC))
    assert (entry["outcome"], entry["cpu_s"], entry["ended"]) == ("stopped", 12.0, TIME)
    closed = {"_id": "7.1", "outcome": "lost", "cause": "killed"}
    close_entry(closed, time=TIME)
    assert closed == {"_id": "7.1", "outcome": "lost", "cause": "killed"}


def test_every_number_of_a_firework_is_raised():
    document = {
        "is_dos": {"fw_id": 5, "record_fw_id": 6, "attempt": 1, "energy": -3.0},
        "relaxation": {"fw_id": 9, "record_fw_id": 10, "restarted_from": {"attempt": "7.2", "cause": "timeout"}},
        "final_failure": {"attempt": "9.1", "stage": "relax"},
        "retried_failure": {"attempt": None},
        "rs_dos": None,
    }
    raise_numbers(document, 100)
    assert document == {
        "is_dos": {"fw_id": 105, "record_fw_id": 106, "attempt": 1, "energy": -3.0},
        "relaxation": {"fw_id": 109, "record_fw_id": 110, "restarted_from": {"attempt": "107.2", "cause": "timeout"}},
        "final_failure": {"attempt": "109.1", "stage": "relax"},
        "retried_failure": {"attempt": None},
        "rs_dos": None,
    }
    assert [raised_id(name, 100) for name in ("7.12", "-3.1", "alloys.7", None)] == ["107.12", "97.1", "alloys.7", None]


def test_outputs_of_every_try_go_along_and_those_of_what_was_taken_over():
    document = {
        "_id": "alloys-1",
        "is_dos": {"attempt": 0, "reused_from": {"document": "binaries-7", "attempt": 3}},
        "relaxation": {"attempt": 2},
    }
    relaxations = [("alloys-1", "relax", number) for number in (0, 1, 2)]
    assert list(tries_of(document)) == [("alloys-1", "dos", 0), ("binaries-7", "dos", 3), *relaxations]
