"""Scores of structures as they stand in space."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem, rdDistGeom
from scipy.spatial.transform import Rotation
from scipy.stats import false_discovery_control

from molebm.chem.parsing import mol_from_sdf
from molebm.chem.reading import Record
from molebm.errors import RequestError
from molebm.parametrise import NamedEnergy, named_energy
from molebm.plausibility import load_calibration, score, score_records
from molebm.plausibility.calibration import Calibration
from molebm.plausibility.scores import COLUMNS, OK, Score
from molebm.plausibility.scoring import ScoringSettings
from tests.plausibility.conftest import (
    bent,
    embedded,
    five_valent,
    mirrored,
    moved,
    stretched,
    turned,
    with_hydrogens_at,
    without,
)

SOURCE = "crystal"  # that of the defaults; folded in a vacuum, as structures here are, they pass as crystals do
INVARIANT = {
    "atol": 0.02,
    "rtol": 0.01,
}  # of a score, a logarithm: 5 % of a share; four decimals, chance in single precision, and 0.5 kcal/mol/Å of force
LOCAL = {"atol": 1e-3, "rtol": 0}  # of a score without strain: rounding of 1e-16, amplified on the way downhill
BACKBONE = (3, 4, 6)  # N, C and C of the carbonyl in N-acetylalanine methylamide
OTHER_HAND = "CC(=O)N[C@H](C)C(=O)NC"


@cache
def calibration() -> Calibration:
    return load_calibration()


@cache
def learned() -> NamedEnergy:
    return named_energy("learned")


def scored(*mols: Chem.Mol | None, **settings) -> pd.DataFrame:
    chosen = ScoringSettings(**{"source": SOURCE, **settings})
    return score(mols, energy=learned(), calibration=calibration(), settings=chosen)


def told(mol: Chem.Mol) -> Score:
    settings = ScoringSettings(source=SOURCE)
    (found,) = score_records([Record(0, "", "", mol, None)], learned(), settings, calibration())
    return found


def smallest() -> float:
    return 1 / (calibration().sources[SOURCE].n + 1)


def curled(smiles: str = "CCCCCC") -> Chem.Mol:
    """Hexane with its ends in one another."""
    return turned(embedded(smiles), {(0, 1, 2, 3): 60, (1, 2, 3, 4): -60, (2, 3, 4, 5): 60})


def declared(mol: Chem.Mol, smiles: str) -> Chem.Mol:
    copy = Chem.Mol(mol)
    copy.SetProp("declared_smiles", smiles)
    return copy


@pytest.fixture(scope="module")
def sound(alanine) -> list[Chem.Mol]:
    return [alanine, embedded("CCO"), embedded("c1ccccc1O"), embedded("CC(C)C(=O)N1CCOCC1")]


@pytest.fixture(scope="module")
def noisy(alanine) -> list[Chem.Mol]:
    """Five structures of three molecules, none of them relaxed, two of them poses of one molecule."""
    generator = np.random.default_rng(3)
    mols = [alanine, alanine, embedded("c1ccccc1O"), embedded("CC(C)Cc1ccc(cc1)C(C)C(=O)O"), alanine]
    return [moved(mol, lambda x: x + generator.normal(0, 0.05, x.shape)) for mol in mols]


@pytest.fixture(scope="module")
def as_they_are(noisy) -> np.ndarray:
    return scored(*noisy).score.to_numpy()


def test_sound_structures_are_not_flagged(sound):
    found = scored(*sound)
    assert (found.status == OK).all()
    assert not found.flagged.any()
    assert (found.p_value > 0.05).all()


def test_every_record_has_one_row_with_all_columns_in_its_order(alanine):
    drawing = Chem.MolFromSmiles("CCO")
    AllChem.Compute2DCoords(drawing)
    mols = [alanine, None, Chem.MolFromSmiles("CCO"), drawing, embedded("C[Se]C", relaxed=False), alanine]
    found = scored(*mols)
    assert list(found.columns) == list(COLUMNS)
    assert found.record.tolist() == list(range(6))
    assert (found.status == OK).tolist() == [True, False, False, False, False, True]
    for index, word in [(1, "None"), (2, "no coordinates"), (3, "two dimensions"), (4, "Se")]:
        assert word in found.status[index]
        assert ";" in found.status[index], "and what to do"
    empty = found[found.status != OK].drop(columns=["record", "name", "status", "reasons"])
    assert empty.isna().all(axis=None)


def test_nothing_in_gives_an_empty_table_with_all_columns():
    assert list(scored().columns) == list(COLUMNS)
    assert scored().empty


def test_every_channel_that_is_measured_has_a_score_and_a_p_value(alanine):
    found = scored(alanine)
    for channel in ("geometry", "torsions", "contacts", "strain", "hydrogens", "stereo", "graph"):
        assert found[f"{channel}_score"].notna().all(), channel
        assert found[f"{channel}_p_value"].between(smallest(), 1).all(), channel


def test_stretched_bond_is_flagged_by_geometry_and_named_with_both_lengths(alanine):
    found = told(stretched(alanine, 4, 6, 0.3))
    assert found.flagged
    assert found.channels["geometry"][1] <= 0.05
    assert found.findings[0].kind == "bond"
    assert set(found.findings[0].atoms) == {4, 6}
    assert found.findings[0].given == pytest.approx(found.findings[0].expected + 0.3, abs=0.05)
    assert found.reasons[0].startswith("C4–C6 1.8")


def test_p_value_is_no_less_than_the_calibration_can_tell(alanine):
    for mol in (moved(alanine, lambda x: x * 1e15), mirrored(alanine), five_valent()):
        found = told(mol)
        assert found.p_value == found.smallest_p_value == smallest()


def test_worst_atoms_are_those_of_the_stretched_bond(alanine):
    found = told(stretched(alanine, 4, 6, 0.3))
    assert len(found.atom_scores) == len(found.elements) == alanine.GetNumAtoms()
    assert min(found.atom_scores) >= 0
    assert set(np.argsort(found.atom_scores)[-2:]) == {4, 6}


def test_bent_angle_is_flagged_by_geometry_and_named_first():
    found = told(bent(embedded("CC(C)O"), (0, 1, 3), 150))
    assert found.flagged
    assert found.channels["geometry"][1] <= 0.05
    assert found.findings[0].kind == "angle"
    assert found.reasons[0].startswith("angle C0–C1–O3 150°, expected ")


def test_turned_amide_is_flagged_by_torsions(alanine):
    found = told(turned(alanine, {(0, 1, 3, 4): 90}))
    assert found.flagged
    assert found.channels["torsions"][1] <= 0.05 < found.channels["geometry"][1]
    assert {finding.kind for finding in found.findings} >= {"conjugated bond", "rotor", "rotamer", "twist"}
    assert all({1, 3} <= set(finding.atoms) for finding in found.findings[:3])
    assert found.reasons[0].startswith("C1–N3 twisted to 90°")
    assert not any("–C1–N3–" in reason or "–N3–C1–" in reason for reason in found.reasons)  # told once
    assert set(found.findings[0].atoms[1:3]) == {1, 3}


def test_clash_is_flagged_by_contacts_and_named_with_its_distance():
    mol = curled()
    found = told(mol)
    assert found.flagged
    assert found.channels["contacts"][1] <= 0.05
    clash = next(finding for finding in found.findings if finding.kind == "contact")
    assert clash.atoms == (0, 5)
    assert clash.given == pytest.approx(np.linalg.norm(np.diff(mol.GetConformer().GetPositions()[[0, 5]], axis=0)))
    assert f"C0···C5 {clash.given:.2f} Å, expected at least {clash.expected:.2f}" in found.reasons


def test_mirror_image_scores_the_same_in_every_channel_but_stereo(alanine):
    found = scored(alanine, mirrored(alanine))
    for channel in ("geometry", "torsions", "contacts", "hydrogens"):
        first, second = found[f"{channel}_score"]
        assert second == pytest.approx(first, abs=INVARIANT["atol"]), channel
    assert found.flagged.tolist() == [False, True]
    assert found.stereo_score.tolist() == [0, 1]
    assert found.reasons[1].startswith("C4 is R, declared S")


def test_structure_is_flagged_where_it_is_not_the_smiles_that_was_declared(alanine):
    right, wrong, other = (declared(alanine, smiles) for smiles in (Chem.MolToSmiles(alanine), OTHER_HAND, "CCO"))
    found = scored(right, wrong, other)
    assert found.flagged.tolist() == [False, True, True]
    assert "C4 is S, declared R" in found.reasons[1]
    assert "is another molecule" in found.reasons[2]
    found = scored(alanine, right, declared=OTHER_HAND)
    assert found.flagged.tolist() == [True, False], "the record's own declaration comes first"


@pytest.mark.parametrize(
    ("mol", "words"),
    [
        (five_valent(), "C0 has valence 5"),
        (embedded("C[CH]C", relaxed=False), "C1 has an unpaired electron"),
        (embedded("CCO.O", relaxed=False), "not bonded to the rest"),
    ],
)
def test_what_no_molecule_is_is_flagged_and_said(mol, words, sound):
    (row,) = scored(mol).itertuples()
    assert row.status == OK
    assert row.flagged
    assert words in row.reasons
    assert row.graph_score == 1
    assert row.graph_p_value == row.p_value == row.smallest_p_value
    assert row.score > scored(*sound).score.max()
    found = told(mol)
    assert [(finding.channel, finding.words in row.reasons) for finding in found.findings] == [("graph", True)]


def test_hydrogen_missing_among_many_is_a_fault_of_the_graph(alanine):
    found = told(without(alanine, 10))
    assert found.flagged
    assert found.channels["graph"] == (1, smallest())
    assert found.reasons[0] == "C0 lacks a hydrogen, while others are there"
    assert found.reasons[-1] == "1 missing hydrogen added and relaxed"


def test_structure_without_hydrogens_is_as_good_as_any_and_says_how_many_were_added(sound):
    for mol in sound:
        found = told(Chem.RemoveHs(mol))
        added = mol.GetNumAtoms() - mol.GetNumHeavyAtoms()
        assert not found.flagged
        assert found.reasons[-1] == f"{added} missing hydrogens added and relaxed"
        assert len(found.atom_scores) == found.mol.GetNumAtoms() == mol.GetNumAtoms()


def test_given_atoms_stay_while_hydrogens_are_placed(alanine):
    bare = Chem.RemoveHs(stretched(alanine, 4, 6, 0.3))
    found = told(bare)
    assert found.reasons[0].startswith("C4–C6 1.8")
    given = bare.GetConformer().GetPositions()
    np.testing.assert_array_equal(found.mol.GetConformer().GetPositions()[: len(given)], given)


def test_one_length_for_all_bonds_to_hydrogen_is_a_convention_and_no_fault(sound):
    found = scored(*(with_hydrogens_at(mol, 1.0) for mol in sound))
    assert not found.flagged.any(), found.reasons.tolist()


def test_one_bond_to_hydrogen_that_is_not_like_the_others_is_flagged(sound):
    alanine = with_hydrogens_at(sound[0], 1.0)
    assert told(stretched(alanine, 0, 10, 0.3)).reasons[0].startswith("C0–H10 1.30 Å")


def test_score_does_not_depend_on_place_and_direction(noisy, as_they_are):
    turn = Rotation.random(random_state=5).as_matrix()
    there = [moved(mol, lambda x: x @ turn.T + [90000, -90000, 50000]) for mol in noisy]
    np.testing.assert_allclose(scored(*there).score, as_they_are, **INVARIANT)
    local = [scored(*mols, with_strain=False).score for mols in (noisy, there)]
    np.testing.assert_allclose(*local, **LOCAL)


def test_score_does_not_depend_on_the_order_of_atoms(noisy, as_they_are):
    generator = np.random.default_rng(0)
    shuffled = [Chem.RenumberAtoms(mol, generator.permutation(mol.GetNumAtoms()).tolist()) for mol in noisy]
    np.testing.assert_allclose(scored(*shuffled).score, as_they_are, **INVARIANT)
    local = [scored(*mols, with_strain=False).score for mols in (noisy, shuffled)]
    np.testing.assert_allclose(*local, **LOCAL)


def test_score_survives_sdf_with_its_four_decimals(noisy, as_they_are):
    written = [mol_from_sdf(Chem.MolToMolBlock(mol)) for mol in noisy]
    np.testing.assert_allclose(scored(*written).score, as_they_are, **INVARIANT)


@pytest.mark.parametrize("share", [{"batch_size": 1}, {"batch_size": 2}, {"threads": 2}])
def test_score_does_not_depend_on_how_the_work_is_shared_out(noisy, as_they_are, share):
    np.testing.assert_array_equal(scored(*noisy, **share).score, as_they_are)


def test_score_does_not_depend_on_the_company(noisy, as_they_are):
    np.testing.assert_array_equal(scored(*noisy[::-1]).score[::-1], as_they_are)
    np.testing.assert_array_equal(scored(curled(), *noisy, five_valent()).score[1:-1], as_they_are)


def test_score_does_not_depend_on_other_poses_of_the_molecule(noisy, as_they_are):
    """Consecutive poses are computed together, and the batches may cut them anywhere."""
    poses = [mol for mol in noisy for _ in range(3)]
    for size in (2, 128):
        np.testing.assert_array_equal(scored(*poses, batch_size=size).score[::3], as_they_are)


def test_the_same_seed_gives_the_same_bits(noisy):
    pd.testing.assert_frame_equal(scored(*noisy, seed=4), scored(*noisy, seed=4), check_exact=True)


@pytest.mark.parametrize(
    ("damage", "severities"),
    [
        (lambda mol, by: stretched(mol, 4, 6, by), [0.1, 0.2, 0.3, 0.5]),
        (lambda mol, by: bent(mol, BACKBONE, by), [125, 140, 155]),
        (lambda mol, by: turned(mol, {(0, 1, 3, 4): by}), [150, 130, 110]),
    ],
)
def test_score_rises_with_severity(alanine, damage, severities):
    found = scored(*(damage(alanine, severity) for severity in severities)).score
    assert (np.diff(found) > 0).all(), found.tolist()


def test_flagging_is_by_alpha_and_faults_are_flagged_at_any(alanine):
    mols = [alanine, bent(alanine, BACKBONE, 150), curled(), mirrored(alanine)]
    for alpha in (smallest() / 2, 0.02, 0.5):
        found = scored(*mols, alpha=alpha)
        assert found.flagged.tolist() == [*(found.p_value <= alpha)[:3], True]


def test_energy_without_calibration_gives_no_p_values(alanine):
    settings = ScoringSettings(source=SOURCE)
    mols = [stretched(alanine, 4, 6, 0.3), mirrored(alanine), five_valent()]
    found = score(mols, energy="mmff94", calibration=calibration(), settings=settings)
    assert found.filter(like="p_value").isna().all(axis=None)
    assert found.score.notna().all()
    assert found.flagged.tolist() == [False, True, True], "faults are no matter of chance"


def test_false_discoveries_are_bounded_as_by_benjamini_and_hochberg(alanine, sound):
    mols = [*sound, *(stretched(alanine, 4, 6, by) for by in (0.1, 0.15, 0.3)), curled(), None, mirrored(alanine)]
    kept = {"energy": learned(), "calibration": calibration(), "settings": ScoringSettings(source=SOURCE)}
    found = score(mols, **kept)
    for rate in (0.001, 0.02, 0.2):
        flagged = score(mols, fdr=rate, **kept).flagged
        known = found.p_value.notna()
        expected = false_discovery_control(found.p_value[known], method="bh") <= rate
        assert flagged[known].tolist()[:-1] == expected.tolist()[:-1]
        assert flagged.iloc[-1], "a mirror image stays flagged"
        assert flagged[~known].isna().all()


def test_strain_that_is_left_out_is_left_empty_and_of_no_account():
    mol = embedded("CCO")
    found = scored(mol, stretched(mol, 0, 1, 0.3), with_strain=False)
    assert found[["strain_score", "strain_p_value"]].isna().all(axis=None)
    assert found.flagged.tolist() == [False, True]


def test_energy_is_that_of_the_structure_as_it_is(alanine):
    mol = stretched(alanine, 4, 6, 0.3)
    properties = Chem.rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    field = Chem.rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, properties)
    found = score([mol], energy="mmff94", calibration=calibration())
    assert found.energy_kcal_mol[0] == pytest.approx(field.CalcEnergy(), abs=1e-3)


def test_structure_whose_energy_overflows_is_flagged_and_leaves_its_neighbours_alone(alanine):
    found = scored(moved(alanine, lambda x: x * 1e15), alanine)
    assert found.flagged.tolist() == [True, False]
    assert found.score[1] == pytest.approx(scored(alanine).score[0], abs=INVARIANT["atol"])


def test_every_conformer_of_a_molecule_has_a_row():
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    rdDistGeom.EmbedMultipleConfs(mol, 3, randomSeed=1)
    frames = [Chem.Mol(mol, confId=conformer.GetId()) for conformer in mol.GetConformers()]
    together, apart = scored(mol), scored(*frames)
    assert together["record"].tolist() == [0, 1, 2]
    pd.testing.assert_frame_equal(together, apart)


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": 1.5}, {"seed": -1}, {"threads": 0}, {"batch_size": 0}], ids=str
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(RequestError, match="must be"):
        ScoringSettings(**wrong)


def test_source_that_is_not_in_the_calibration_is_refused_with_those_that_are(alanine):
    with pytest.raises(RequestError, match=f"no source 'elsewhere'; choose from .*{SOURCE}"):
        scored(alanine, source="elsewhere")


def test_atoms_of_a_graph_that_is_no_molecule_are_named():
    carbon = Chem.RWMol(embedded("CC"))
    place = carbon.AddAtom(Chem.Atom(1))
    carbon.AddBond(0, place, Chem.BondType.SINGLE)
    broken = carbon.GetMol()
    broken.GetConformer().SetAtomPosition(place, (0.0, 0.0, 9.0))
    (found,) = score_records([Record(0, "five bonds", "here", broken, None)], learned(), ScoringSettings())
    assert found.flagged
    assert np.argmax(found.atom_scores) == 0
    assert len(found.atom_scores) == len(found.elements) == 9
