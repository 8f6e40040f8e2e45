"""What custodian changed of a calculation's smearing and k-points is read from its corrections."""

import pytest

from workflows.results import changes_kpoints, changes_smearing


@pytest.mark.parametrize(
    ("action", "smearing", "kpoints"),
    [
        ({"dict": "INCAR", "action": {"_set": {"ISMEAR": 0, "SIGMA": 0.05}}}, True, False),
        ({"dict": "KPOINTS", "action": {"_set": {"generation_style": "Gamma"}}}, False, True),
        ({"dict": "KPOINTS", "action": {"_set": {"kpoints": [[7, 7, 7]]}}}, False, True),
        ({"dict": "INCAR", "action": {"_set": {"KSPACING": 0.22}}}, False, True),
        ({"file": "IBZKPT", "action": {"_file_copy": {"dest": "KPOINTS"}}}, False, True),
        ({"dict": "INCAR", "action": {"_set": {"ALGO": "All"}}}, False, False),
        ({"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}}, False, False),
        ("an action of another form", False, False),
    ],
)
def test_changes_of_smearing_and_k_points_are_told_apart(action, smearing, kpoints):
    corrections = [{"errors": ["x"], "actions": []}, {"errors": ["y"], "actions": [action]}]
    assert (changes_smearing(corrections), changes_kpoints(corrections)) == (smearing, kpoints)
