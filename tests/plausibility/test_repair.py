"""Repairs: what is flagged is relaxed as mildly as it takes, and stays the molecule it is meant to be."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolTransforms
from rdkit.Geometry import Point3D

import molebm
from molebm.chem.reading import Record
from molebm.errors import RequestError
from molebm.parametrise import NamedEnergy, named_energy
from molebm.plausibility.identity import changes
from molebm.plausibility.mending import Case, Energy, heavy_rmsd, open_case, refold, relax_freely, relax_hydrogens
from molebm.plausibility.repair import repair_records
from molebm.plausibility.repair_outcome import COLUMNS, RepairSettings
from molebm.plausibility.scoring import ScoringSettings
from molebm.plausibility.structures import admit
from tests.plausibility.conftest import embedded, mirrored, moved, stretched

DIPEPTIDE = "CC(=O)N[C@@H](C)C(=O)NC"
OTHER_HAND = "CC(=O)N[C@H](C)C(=O)NC"


@pytest.fixture(scope="module")
def learned() -> NamedEnergy:
    return named_energy("learned")


@pytest.fixture(scope="module")
def relaxed(alanine: Chem.Mol, learned: NamedEnergy) -> Chem.Mol:
    """The dipeptide at a minimum of the learned energy."""
    case = case_of(alanine, learned)
    return relax_freely(case, case.structure.mol)


def case_of(mol: Chem.Mol, energy: NamedEnergy) -> Case:
    return open_case(admit(mol), Energy(energy.parametrise, "bound"), 60.0, 0)


def declaring(mol: Chem.Mol, smiles: str) -> Chem.Mol:
    """Copy a molecule as it is read from a file that says what it is meant to be: tags are those of coordinates."""
    copy = Chem.Mol(mol)
    Chem.AssignStereochemistryFrom3D(copy, replaceExistingTags=True)
    copy.SetProp("declared_smiles", smiles)
    return copy


def smiles_in_space(mol: Chem.Mol) -> str:
    copy = Chem.Mol(mol)
    Chem.AssignStereochemistryFrom3D(copy, replaceExistingTags=True)
    return Chem.MolToSmiles(Chem.RemoveHs(copy))


def heavy(mol: Chem.Mol) -> np.ndarray:
    atoms = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    return mol.GetConformer().GetPositions()[atoms]


def test_sound_structure_is_passed_through_untouched(relaxed: Chem.Mol, learned: NamedEnergy):
    given = Chem.RemoveHs(relaxed)
    for mol in (relaxed, given):
        (found,) = molebm.repair([mol], energy=learned)
        assert found.status == "sound"
        assert found.mol is mol, "not even its hydrogens are added"
        assert (found.rmsd, found.after) == (0, found.before)


def test_stretched_bond_is_repaired_and_its_molecule_stays_where_it_was(relaxed: Chem.Mol, learned: NamedEnergy):
    bad = stretched(relaxed, 3, 4, 0.4)
    shifted = moved(bad, lambda x: x + np.array([10, -20, 30]))
    found, far = molebm.repair([bad, shifted], energy=learned)
    assert found.status == far.status == "repaired"
    assert found.before.flagged
    assert not found.after.flagged
    assert found.after.score < found.before.score
    assert rdMolTransforms.GetBondLength(found.mol.GetConformer(), 3, 4) == pytest.approx(1.45, abs=0.05)
    assert 0 < found.rmsd == pytest.approx(heavy_rmsd(found.mol, bad))
    np.testing.assert_allclose(heavy(found.mol).mean(0), heavy(bad).mean(0), atol=1e-6)
    np.testing.assert_allclose(heavy(far.mol) - [10, -20, 30], heavy(found.mol), atol=1e-3)


def test_displaced_hydrogens_are_relaxed_with_no_heavy_atom_moved(relaxed: Chem.Mol, learned: NamedEnergy):
    hydrogen = next(a.GetIdx() for a in relaxed.GetAtoms() if a.GetAtomicNum() == 1)
    carbon = relaxed.GetAtomWithIdx(hydrogen).GetNeighbors()[0].GetIdx()
    (found,) = molebm.repair([stretched(relaxed, carbon, hydrogen, 0.5)], energy=learned)
    assert found.status == "repaired"
    assert found.rmsd == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(heavy(found.mol), heavy(relaxed))


def test_relaxing_hydrogens_moves_them_alone(alanine: Chem.Mol, learned: NamedEnergy):
    after = relax_hydrogens(case_of(alanine, learned), alanine)
    np.testing.assert_array_equal(heavy(after), heavy(alanine))
    assert np.abs(after.GetConformer().GetPositions() - alanine.GetConformer().GetPositions()).max() > 1e-3


def test_missing_hydrogens_are_in_what_is_repaired(relaxed: Chem.Mol, learned: NamedEnergy):
    bad = stretched(Chem.RemoveHs(relaxed), 3, 4, 0.4)
    (found,) = molebm.repair([bad], energy=learned)
    assert found.status == "repaired"
    assert found.mol.GetNumAtoms() == relaxed.GetNumAtoms()
    assert bad.GetNumAtoms() == Chem.RemoveHs(relaxed).GetNumAtoms()


def test_inverted_centre_is_refused_and_left_as_it_was(relaxed: Chem.Mol, learned: NamedEnergy):
    wrong = declaring(relaxed, OTHER_HAND)
    (found,) = molebm.repair([wrong], energy=learned)
    assert found.kind == "not repaired"
    assert "C4" in found.why
    assert "--stereo rebuild" in found.why
    assert found.mol is wrong


def test_inverted_centre_is_built_as_declared_when_that_is_asked_for(relaxed: Chem.Mol, learned: NamedEnergy):
    by_field, by_tags = declaring(relaxed, OTHER_HAND), mirrored(relaxed)
    found = molebm.repair([by_field, by_tags], energy=learned, settings=RepairSettings(stereo="rebuild"))
    assert [one.status for one in found] == ["repaired", "repaired"]
    assert smiles_in_space(found[0].mol) == Chem.CanonSmiles(OTHER_HAND)
    assert Chem.MolToSmiles(Chem.RemoveHs(found[0].mol)) == Chem.CanonSmiles(OTHER_HAND), "its tags say so too"
    assert found[0].mol.GetProp("declared_smiles") == OTHER_HAND
    assert smiles_in_space(found[1].mol) == Chem.CanonSmiles(DIPEPTIDE)


def test_double_bond_is_turned_to_what_is_declared(learned: NamedEnergy):
    wrong = declaring(embedded("C/C=C/CO"), r"C/C=C\CO")
    (found,) = molebm.repair([wrong], energy=learned, settings=RepairSettings(stereo="rebuild"))
    assert found.status == "repaired"
    assert smiles_in_space(found.mol) == Chem.CanonSmiles(r"C/C=C\CO")


def test_rebuilding_keeps_the_stereo_that_the_declaration_leaves_open(learned: NamedEnergy):
    wrong = declaring(embedded("C[C@H](O)CC[C@H](F)Cl"), "CC(O)CC[C@@H](F)Cl")
    (found,) = molebm.repair([wrong], energy=learned, settings=RepairSettings(stereo="rebuild"))
    assert found.status == "repaired"
    assert smiles_in_space(found.mol) == Chem.CanonSmiles("C[C@H](O)CC[C@@H](F)Cl")


def test_declaration_of_another_molecule_cannot_be_met(relaxed: Chem.Mol, learned: NamedEnergy):
    for stereo in ("refuse", "rebuild"):
        settings = RepairSettings(stereo=stereo)
        (found,) = molebm.repair([declaring(relaxed, "CCO")], energy=learned, settings=settings)
        assert found.kind == "not repaired"
        assert "another molecule" in found.why
        assert "--stereo" not in found.why


def test_hand_that_relaxing_would_choose_by_chance_is_not_taken(learned: NamedEnergy):
    """A centre in the plane of its neighbours, of which the record says nothing, may go either way."""
    mol = embedded("C[C@H](F)Cl")
    bonded = [a.GetIdx() for a in mol.GetAtomWithIdx(1).GetNeighbors()]

    def change(x: np.ndarray) -> np.ndarray:
        kept = [atom for atom in bonded if mol.GetAtomWithIdx(atom).GetAtomicNum() > 1]
        x[1] = x[kept].mean(0)
        x[[a for a in bonded if a not in kept]] = x[1] + (x[kept[0]] - x[1]) * -0.7
        return x

    flat = moved(mol, change)
    Chem.AssignStereochemistryFrom3D(flat, replaceExistingTags=True)
    assert smiles_in_space(flat) == "CC(F)Cl"
    (found,) = molebm.repair([flat], energy=learned)
    assert found.kind == "not repaired"
    assert "C1 was open" in found.why
    assert found.mol is flat


def test_threaded_ring_is_taken_apart(learned: NamedEnergy):
    """A chain through a ring cannot leave it in three dimensions, and no bond may break."""
    mol = embedded("C1CCCCC1CCCCCC")
    ring = list(range(6))

    def change(x: np.ndarray) -> np.ndarray:
        centre = x[ring].mean(0)
        _, _, axes = np.linalg.svd(x[ring] - centre)
        x[10], x[11] = centre - 0.75 * axes[2], centre + 0.75 * axes[2]
        return x

    threaded = moved(mol, change)
    (found,) = molebm.repair([threaded], energy=learned)
    assert found.kind in {"repaired", "improved"}, found.status
    case = case_of(mol, learned)
    assert changes(case.structure, found.mol, case.parameters.bond_length) == []


def test_broken_and_new_bonds_are_named(alanine: Chem.Mol, learned: NamedEnergy):
    case = case_of(alanine, learned)
    lengths = case.parameters.bond_length
    assert changes(case.structure, alanine, lengths) == []
    (broken,) = changes(case.structure, stretched(alanine, 3, 4, 0.6), lengths)
    assert broken.startswith("bond N3-C4 would be 2.0")
    fused = Chem.Mol(alanine)
    conformer = fused.GetConformer()
    conformer.SetAtomPosition(0, conformer.GetAtomPosition(9) + Point3D(1.4, 0, 0))
    assert any("C0 and C9 would be 1.40 Å apart" in words for words in changes(case.structure, fused, lengths))


def test_stereo_that_is_no_longer_as_declared_is_named(alanine: Chem.Mol, learned: NamedEnergy):
    case = case_of(alanine, learned)
    (words,) = changes(case.structure, mirrored(alanine), case.parameters.bond_length)
    assert words == "C4 is R, declared S"


def test_folding_what_is_right_leaves_it_much_as_it_was(relaxed: Chem.Mol, learned: NamedEnergy):
    case = case_of(relaxed, learned)
    after = refold(case, relaxed)
    assert heavy_rmsd(after, relaxed) < 0.1
    assert changes(case.structure, after, case.parameters.bond_length) == []


def test_all_are_relaxed_when_that_is_asked_for(alanine: Chem.Mol, learned: NamedEnergy):
    (found,) = molebm.repair([alanine], energy=learned, settings=RepairSettings(relax_all=True))
    assert found.status == "relaxed"
    assert not found.after.flagged
    assert 0 < found.rmsd < 0.5


def test_what_cannot_be_scored_says_why(relaxed: Chem.Mol, learned: NamedEnergy):
    found = molebm.repair([None, Chem.MolFromSmiles("CCO"), relaxed], energy=learned)
    assert [one.kind for one in found] == ["failed", "failed", "sound"]
    assert "None" in found[0].why
    assert "coordinates" in found[1].why
    assert [one.row()["record"] for one in found] == [0, 1, 2]
    assert list(found[0].row()) == list(COLUMNS)


def test_each_conformer_is_repaired_by_itself(relaxed: Chem.Mol, learned: NamedEnergy):
    both = Chem.Mol(relaxed)
    both.AddConformer(stretched(relaxed, 3, 4, 0.4).GetConformer(), assignId=True)
    assert [one.status for one in molebm.repair([both], energy=learned)] == ["sound", "repaired"]


def test_repair_does_not_depend_on_the_company(relaxed: Chem.Mol, learned: NamedEnergy):
    inverted = declaring(embedded("C[C@H](F)Cl"), "C[C@@H](F)Cl")
    bad = [stretched(relaxed, 3, 4, 0.4), inverted, stretched(relaxed, 1, 2, 0.3)]
    records = [Record(index, f"m{index}", "", mol, None) for index, mol in enumerate(bad)]

    def frames(batch_size: int, threads: int) -> list[np.ndarray]:
        settings = RepairSettings(ScoringSettings(batch_size=batch_size, threads=threads), stereo="rebuild")
        return [one.mol.GetConformer().GetPositions() for one in repair_records(records, learned, settings)]

    for alone, together in zip(frames(1, 1), frames(8, 2), strict=True):
        np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("wrong", [{"stereo": "maybe"}, {"environment": "water"}, {"time_limit": 0.0}])
def test_settings_that_are_not_allowed_are_refused(wrong: dict):
    with pytest.raises(RequestError, match=str(next(iter(wrong.values())))):
        RepairSettings(**wrong)
