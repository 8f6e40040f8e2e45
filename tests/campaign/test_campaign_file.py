"""A mistake in a campaign file is named with its place before anything is submitted."""

from pathlib import Path

import pytest

from campaign.config.yaml_file import CampaignFileError, describe, dotted, line_of, nearest, read_yaml
from campaign.policies.best_first import BestFirst
from campaign.spec.checks import check_new
from campaign.spec.reader import read_campaign_file

CAMPAIGN = Path(__file__).parent / "bootstrap.yaml"


@pytest.fixture
def written(tmp_path):
    """Write a campaign file: one with some text replaced."""

    def write(*replacements: tuple[str, str]) -> Path:
        text = CAMPAIGN.read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "changed.yaml"
        path.write_text(text)
        return path

    return write


def problems_of(path: Path) -> list[str]:
    with pytest.raises(CampaignFileError) as caught:
        read_campaign_file(path)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[Al, Cu, Pd", "[Al, Cuu, Pd", ["candidates.elements[1]", "'Cuu'", "did you mean 'Cu'?"]),
        ("[Al, Cu, Pd", "[Al, Gold, Pd", ["candidates.elements[1]", "'Gold'", "did you mean 'Au'?"]),
        ("[Al, Cu, Pd", "[Al, cu, Pd", ["candidates.elements[1]", "did you mean 'Cu'?"]),
        ("[Al, Cu, Pd", "[Al, Ce, Pd", ["candidates.elements[1]", "'Ce'", "lanthanide", "f electrons"]),
        ("[Al, Cu, Pd", "[Al, U, Pd", ["candidates.elements[1]", "actinide"]),
        ("[Al, Cu, Pd", "[Al, Al, Pd", ["candidates.elements", "Al given more than once"]),
        ("[Al, Cu, Pd", "[Al, Po, Pd", ["candidates.elements[1]", "'Po'", "no PBE PAW data set"]),
        ("encut: 520", "encut: -520", ["dft.encut", "-520", "eV"]),
        ("encut: 520", "encut: '520'", ["dft.encut", "'520'", "a number"]),
        ("[B1, B2, B3]", "[B1, L1_00]", ["candidates.prototypes[1]", "'L1_00'", "did you mean 'L1_0'?", "C15"]),
        ("energy: 0.1 ", "energy: low", ["policy.max_formation_energy", "'low'", "a number", "eV/atom"]),
        ("energy: 0.1 ", "energy: true", ["policy.max_formation_energy", "True", "a number"]),
        ("energy: 0.1 ", "energy: .nan", ["policy.max_formation_energy", "finite number"]),
        ("energy: 0.1 ", "energy: -.inf", ["policy.max_formation_energy", "finite number"]),
        ("energy: 0.1 ", "energy: 100", ["policy.max_formation_energy", "100", "eV/atom"]),
        ("force_tolerance:", "force_tolerence:", ["dft.force_tolerence", "did you mean 'force_tolerance'?"]),
        ("    screening:", "    screning:", ["spec.campaign.screning", "did you mean 'screening'?"]),
        ("engine: gpaw", "engine: gpwa", ["dft.engine", "'gpwa'", "did you mean 'gpaw'?"]),
        ("vasp_command: null", "vasp_command: vasp_std", ["spec.campaign.dft", "'vasp_std'", "engine: vasp"]),
        ("emin: -20", "emin: 20", ["spec.campaign.dft", "emin", "lower than emax"]),
        ("bundle: null", "bundle: no/such/folder", ["model.bundle", "no/such/folder", "does not exist"]),
        ("name: quickstart", "name: quick start", ["name", "'quick start'", "letters, digits"]),
        ("name: quickstart", "name: 7", ["name", "7", "quotes"]),
        ("_category: screen", "_category: dos", ["spec._category", "'dos'", "_category: screen"]),
        ("_add_launchpad_and_fw_id: true", "_add_launchpad_and_fw_id: 1", ["_add_launchpad_and_fw_id: true"]),
        ("campaign.firetasks.StartCampaign", "StartCampaign", ["spec._tasks", "campaign.firetasks"]),
        (
            "    seed: 1",
            "    budget: {until: 2027-03-01 08:00:00}\n    seed: 1",
            ["found 2027-03-01T08:00:00: has no time"],
        ),
        ("  _category: screen", "  seed: 3", ["spec.seed", "inside spec.campaign"]),
        ("widths: [8, 16, 32, 64]", "widths: [8, 16]", ["model.training.widths", "[8, 16]", "at least 4"]),
        ("seed: 1 ", "seed: 1.5 ", ["spec.campaign.seed", "1.5", "whole number"]),
        ("prototypes: [B1, B2, B3]", "prototypes: null", ["candidates.prototypes", "candidates.structures"]),
        ("elements: [Al, Cu, Pd, Ag, Au]", "elements: [Al]", ["candidates.elements", "2 distinct elements"]),
    ],
)
def test_a_wrong_value_is_named_with_field_value_and_remedy(written, old, new, expected):
    path = written((old, new))
    text = "\n".join(problems_of(path))
    for part in [str(path), *expected]:
        assert part in text


def test_every_problem_is_listed_at_once(written):
    path = written(
        ("[Al, Cu,", "[Al, Xx, Po,"),
        ("encut: 520", "encut: -1"),
        ("bundle: null", "bundle: nowhere"),
        ("seed: 1", "sed: 1"),
    )
    found = problems_of(path)
    for field in ("candidates.elements[1]", "candidates.elements[2]", "dft.encut", "model.bundle", "campaign.sed"):
        assert sum(field in problem for problem in found) == 1
    assert len(found) == 5


def test_a_folder_that_is_no_bundle_is_listed_with_the_others(written, tmp_path):
    (tmp_path / "roost").mkdir()
    found = problems_of(written(("bundle: null", "bundle: roost"), ("encut: 520", "encut: -1")))
    assert len(found) == 2
    (wrong,) = [problem for problem in found if "spec.campaign.model.bundle: " in problem]
    assert ", line " in wrong
    assert "roost is no bundle of an ESNet" in wrong
    assert "right: the folder of a trained" in wrong


def test_a_problem_names_its_line(written):
    path = written(("encut: 520", "encut: -520"))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "-520" in text)
    assert f"line {line}: spec.campaign.dft.encut" in problems_of(path)[0]


def test_a_missing_required_key_is_named(written):
    assert (
        "spec.campaign.candidates.elements: is missing"
        in problems_of(written(("      elements: [Al, Cu, Pd, Ag, Au]", "")))[0]
    )


def test_a_file_without_a_campaign_is_refused(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("name: a\nspec: {}\n")
    text = "\n".join(problems_of(path))
    for field in ("spec._tasks", "spec._category", "spec._add_launchpad_and_fw_id", "spec.campaign"):
        assert f"{field}: is missing" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nspec:\n  a: [1, 2\n  b: 3\n", "line 4: not valid YAML"),
        ("name: a\nspec: 1\nname: b\n", 'line 3: not valid YAML: found duplicate key "name"'),
        (
            "name: a\nspec:\n  engine:vasp\n  b: 3\n",
            "line 3: not valid YAML: found 'engine:vasp'; right: a colon with a",
        ),
        (
            "name a\nspec:\n  b: 3\n",
            "line 1: not valid YAML: found 'name a'; right: a colon with a space after the key",
        ),
        (
            "name: a\nspec:\n  candidates {prototypes: [B2], elements: [Li, Al]}\n  b: 3\n",
            "line 3: not valid YAML: found 'candidates {prototypes: [B2], elements: [Li, Al]}'; right: a colon with a "
            "space after the key, 'candidates: {prototypes: [B2], elements: [Li, Al]}'",
        ),
        (
            "name: a\nspec:\n  dft {engine: gpaw, quality: fast}\n  b: 3\n",
            "line 3: not valid YAML: found 'dft {engine: gpaw, quality: fast}'; right: a colon with a space after the",
        ),
        ("name: a\nspec:\n\tb: 3\n", "line 3: not valid YAML: found a tab in 'b: 3'; right: spaces instead of the tab"),
        ("name: a\nspec:\n  a: 1\n b: 3\n", "the same number of spaces for all keys of a section, in 'b: 3'"),
        ("name: a: b\n", "line 1: not valid YAML: a colon where none can be (quote a value"),
        ("- 1\n", "is a mapping"),
        ("", "is a mapping"),
        ("name: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_text_that_is_no_campaign_is_refused_with_its_line(tmp_path, text, expected):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert expected in problems_of(path)[0]


def test_an_absent_or_binary_file_is_refused(tmp_path):
    assert "cannot be read" in problems_of(tmp_path / "absent.yaml")[0]
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in problems_of(tmp_path / "binary.yaml")[0]


def test_numbers_are_read_as_fireworks_reads_them(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("small: 1e-5\nelements: [No, N, Y]\n")
    assert read_yaml(path)[0] == {"small": 1e-5, "elements": ["No", "N", "Y"]}


def test_a_structure_file_that_does_not_parse_is_named(written, tmp_path):
    folder = tmp_path / "crystals"
    folder.mkdir()
    (folder / "broken.cif").write_text("this is no CIF\n")
    (folder / "POSCAR_bad").write_text("comment\n1.0\nnot numbers\n")
    found = problems_of(
        written(("structures: null            # folder of CIF/POSCAR files used", "structures: crystals # used"))
    )
    assert len(found) == 2
    assert any(str(folder / "broken.cif") in problem and "does not parse as CIF" in problem for problem in found)
    assert any(str(folder / "POSCAR_bad") in problem and "does not parse as POSCAR" in problem for problem in found)


def test_places_in_a_file():
    assert dotted(("spec", "campaign", "elements", 2)) == "spec.campaign.elements[2]"
    assert line_of("a:\n  b: 1\n  c: [x,\n y]\n", ("a", "c", 1)) == 4
    assert line_of("a:\n  b: 1\n", ("a", "absent")) == 1
    assert nearest("ENCT", ["ediff", "encut"]) == "encut"
    assert nearest("qqq", ["ediff", "encut"]) is None
    assert nearest("Alu", ["Lu", "Al", "Au"]) == nearest("Alu", ["Al", "Lu"]) == "Al"


def test_a_date_that_does_not_exist_is_a_problem_of_the_file_and_no_traceback(tmp_path):
    file = tmp_path / "campaign.yaml"
    file.write_text("name: a\nspec:\n  campaign:\n    budget: {until: 2027-02-30T08:00:00Z}\n")
    with pytest.raises(CampaignFileError, match="day is out of range for month"):
        read_campaign_file(file)


def test_names_of_earlier_versions_are_read_with_one_line_that_says_the_new_one(written, caplog):
    policy = CAMPAIGN.read_text().partition("    policy:\n")[2].partition("\n\n")[0]
    file = written(
        ("min_completed_fraction:", "close_at:"), (policy, "      kind: budget\n      cpu_hours: 2\n      audit: 0.2")
    )
    spec = read_campaign_file(file)
    assert spec.screening.min_completed_fraction == 0.95
    assert spec.policy == BestFirst(cpu_hours=2.0, audit=0.2)
    first, second = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "close_at" in first
    assert "min_completed_fraction" in first
    assert "'budget' has been called 'best_first'" in second
    assert first.startswith(f"{file}:") or str(file) in first


def test_the_old_and_the_new_name_together_are_refused(written):
    file = written(("batch_size: 256", "close_at: 0.5\n      batch_size: 256"))
    with pytest.raises(CampaignFileError, match=r"min_completed_fraction since version 0\.2, which is also given"):
        read_campaign_file(file)


DEEP_FLOW = "name: x\nspec: " + "[" * 100_000
DEEP_BLOCK = "name: x\n" + "".join(" " * depth + "a:\n" for depth in range(300))
LAUGHS = "name: x\nspec:\n" + "".join(
    f"  a{level}: &a{level} [{', '.join([f'*a{level - 1}' if level else 'lol'] * 9)}]\n" for level in range(9)
)
MERGED = "name: x\nspec:\n" + "".join(
    f"  a{level}: &a{level} {{b: [{', '.join([f'*a{level - 1}' if level else 'lol'] * 50)}]}}\n" for level in range(4)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEEP_FLOW, "line 2: not valid YAML: nested more than 50 levels deep"),
        (DEEP_BLOCK, "nested more than 50 levels deep"),
        (LAUGHS, "expand to more than 10000 values"),
        (MERGED, "expand to more than 10000 values"),
    ],
    ids=["flow", "block", "laughs", "merged"],
)
def test_nesting_and_aliases_without_end_are_refused(tmp_path, text, expected):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    [problem] = problems_of(file)  # LAUGHS stands for 9**9 values: it ends only if refused
    assert expected in problem


def test_a_file_that_is_far_too_large_is_refused_before_it_is_parsed(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(CAMPAIGN.read_text() + "\nlist: [" + "1, " * 900_000 + "1]\n")
    [problem] = problems_of(file)  # parsing it takes a minute and 1.4 GiB
    assert problem.startswith(f"{file}: is larger than 128 KiB; right: a campaign file")
    file.write_text(CAMPAIGN.read_text() + "# a comment\n" * 5000)
    assert read_campaign_file(file).name == "quickstart"


def test_a_thousand_problems_are_told_with_their_lines(written):
    """Not one parse of the file for each of them."""
    file = written(("    candidates:", "".join(f"    f{number}: 1\n" for number in range(4000)) + "    candidates:"))
    found = problems_of(file)
    first = file.read_text().splitlines().index("    f0: 1") + 1
    assert len(found) == 4000
    assert all(f"line {first + number}: spec.campaign.f{number}: " in text for number, text in enumerate(found))


def test_aliases_within_reason_are_read(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("name: x\nspec: {a: &a [1, 2], b: *a, c: *a}\n")
    assert read_yaml(file)[0]["spec"] == {"a": [1, 2], "b": [1, 2], "c": [1, 2]}


def test_a_large_value_is_quoted_by_its_beginning_alone():
    class Unread(list):
        def __repr__(self):
            raise AssertionError("the whole is looked at")

    laughs = ["lol"]
    for _ in range(12):
        laughs = Unread([laughs] * 9)
    assert describe(laughs) == 12 * "[" + describe(laughs)[12:57] + "..."
    assert describe({"a": [1, "b"], 2: None}) == repr({"a": [1, "b"], 2: None})
    assert describe("x" * 10**7) == repr("x" * 100)[:57] + "..."
    assert describe(16**9000).startswith("0x1000")
    assert describe([]) == "[]"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kpoint_length: 30 ", "kpoint_length: 1e-9 ", ["dft.kpoint_length", "1e-09", "greater than or equal to 1"]),
        ("gpus_per_actor: 0 ", "gpus_per_actor: 1.5 ", ["screening.gpus_per_actor", "found 1.5", "0.5 or 2"]),
    ],
)
def test_a_value_that_means_nothing_is_refused(written, old, new, expected):
    [problem] = problems_of(written((old, new)))
    for part in expected:
        assert part in problem


def test_whole_gpus_and_parts_of_one_are_read(written):
    for value in (0.25, 1.0, 2.0):
        spec = read_campaign_file(written(("gpus_per_actor: 0 ", f"gpus_per_actor: {value} ")))
        assert spec.screening.gpus_per_actor == value


YIELD = {"kind": "expected_yield", "uncertainty": 0.2}


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"budget": {"until": "2020-03-01T08:00:00Z"}}, "budget.until", "found 2020-03-01T08:00:00+00:00"),
        ({"policy": {"kind": "probability"}}, "policy", "nothing gives an uncertainty here, so the policy probability"),
        ({"policy": YIELD}, "policy.min_yield", "found 0 and no limit, so that every candidate"),
    ],
)
def test_a_new_campaign_that_could_promote_nothing_or_would_promote_all_is_refused(
    small_spec, changes, field, expected
):
    with pytest.raises(CampaignFileError) as caught:
        check_new(small_spec(**changes), file=Path("c.yaml"))
    [problem] = caught.value.problems
    assert str(problem).startswith(f"c.yaml: spec.campaign.{field}: {expected}")


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": YIELD | {"min_yield": 0.1}},
        {"policy": YIELD | {"cpu_hours": 10.0}},
        *({"policy": YIELD, "budget": budget} for budget in ({"relaxations": 3}, {"stop_after_no_discovery": 50})),
    ],
)
def test_a_policy_that_takes_the_best_first_needs_a_limit_or_a_least_yield(small_spec, changes):
    check_new(small_spec(**changes))


def test_an_uncertainty_from_anywhere_lets_the_policy_probability_work(small_spec):
    probability = {"kind": "probability"}
    silent = {"kind": "force_field", "calculator": "EMT"}
    for changes in (
        {"policy": probability | {"uncertainty": 0.3}},
        {"policy": probability, "model": {"bundle": "gpaw-fast-binary"}},
        {
            "policy": probability,
            "model": {},
            "scorer": {"kind": "force_field", "calculator": "EMT", "uncertainty": 0.1},
        },
        {"policy": {"kind": "thresholds"}},
    ):
        check_new(small_spec(**changes))
    with pytest.raises(CampaignFileError, match=r"scorer\.uncertainty"):
        check_new(small_spec(policy=probability, model={}, scorer=silent))


def test_a_list_whose_only_item_is_wrong_is_one_problem(written):
    (problem,) = problems_of(written(("prototypes: [B1, B2, B3]", "prototypes: [B9]")))
    assert "prototypes[0]: found 'B9'" in problem
