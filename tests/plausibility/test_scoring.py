import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from scipy.spatial.transform import Rotation

from molebm.chem.parsing import mol_from_sdf
from molebm.chem.reading import Record
from molebm.errors import RequestError
from molebm.parametrise import mmff, named_energy
from molebm.plausibility import score, score_records
from molebm.plausibility.scoring import COLUMNS, OK, NamedEnergy, ScoringSettings
from molebm.units import thermal_energy
from tests.plausibility.conftest import embedded, mirrored, moved, stretched

CALIBRATED = NamedEnergy("calibrated", mmff(), calibration=tuple(np.linspace(0.1, 0.6, 99)))
INVARIANT = 5e-3  # of a score; what the forces left at the minimum and float32 may change


def scores(*mols, **settings) -> np.ndarray:
    return score(mols, energy="mmff94", settings=ScoringSettings(**settings)).score.to_numpy()


@pytest.fixture(scope="module")
def noisy(alanine) -> list[Chem.Mol]:
    """Five structures of three molecules, none of them relaxed, two of them poses of one molecule."""
    generator = np.random.default_rng(3)
    mols = [alanine, alanine, embedded("c1ccccc1O"), embedded("CC(C)Cc1ccc(cc1)C(C)C(=O)O"), alanine]
    return [moved(mol, lambda x: x + generator.normal(0, 0.05, x.shape)) for mol in mols]


def test_relaxed_structure_scores_nothing_and_is_not_flagged(alanine):
    found = score([alanine], energy=CALIBRATED)
    assert found.score[0] == pytest.approx(0, abs=INVARIANT)
    assert found.p_value[0] == 1
    assert not found.flagged[0]


def test_stretched_bond_raises_the_score_and_is_flagged(alanine):
    found = score([alanine, stretched(alanine, 4, 6, 0.3)], energy=CALIBRATED)
    assert found.score[1] > 0.6 > 0.1 > found.score[0]
    assert found.p_value[1] == 1 / 100
    assert found.flagged.tolist() == [False, True]


def test_flagging_is_by_alpha(alanine):
    mols = [stretched(alanine, 4, 6, 0.3)]
    strict = score(mols, energy=CALIBRATED, settings=ScoringSettings(alpha=0.009))
    assert not strict.flagged[0]
    assert strict.p_value[0] == 1 / 100


def test_energy_without_calibration_gives_no_p_value(alanine):
    found = score([stretched(alanine, 4, 6, 0.3)], energy="mmff94")
    assert np.isnan(found.p_value[0])
    assert not found.flagged[0]


def test_mirror_image_has_the_same_score_and_is_flagged(alanine):
    found = score([alanine, mirrored(alanine)], energy="mmff94")
    assert found.score[1] == pytest.approx(found.score[0], abs=INVARIANT)
    assert found.flagged.tolist() == [False, True]
    assert found.reasons[1] == "stereo C4: declared S, is R"


def test_score_does_not_depend_on_place_and_direction(noisy):
    turn = Rotation.random(random_state=5).as_matrix()
    there = [moved(mol, lambda x: x @ turn.T + [90000, -90000, 50000]) for mol in noisy]
    np.testing.assert_allclose(scores(*there), scores(*noisy), atol=INVARIANT)


def test_score_does_not_depend_on_the_order_of_atoms(noisy):
    generator = np.random.default_rng(0)
    shuffled = [Chem.RenumberAtoms(mol, generator.permutation(mol.GetNumAtoms()).tolist()) for mol in noisy]
    np.testing.assert_allclose(scores(*shuffled), scores(*noisy), atol=INVARIANT)


def test_score_survives_sdf(noisy):
    written = [mol_from_sdf(Chem.MolToMolBlock(mol)) for mol in noisy]
    np.testing.assert_allclose(scores(*written), scores(*noisy), atol=INVARIANT)


def test_score_does_not_depend_on_the_company(noisy):
    together = scores(*noisy)
    for batch_size in (1, 2):
        np.testing.assert_allclose(scores(*noisy, batch_size=batch_size), together, atol=INVARIANT)
    np.testing.assert_allclose(scores(*noisy, threads=2), together, atol=INVARIANT)
    np.testing.assert_allclose(scores(*noisy[::-1])[::-1], together, atol=INVARIANT)


def test_every_record_has_one_row_in_its_order(alanine):
    untypable = Chem.AddHs(Chem.MolFromSmiles("[H][H]"))
    untypable.AddConformer(embedded("[H][H]", relaxed=False).GetConformer())
    mols = [alanine, None, Chem.MolFromSmiles("CCO"), untypable, embedded("C[Se]C", relaxed=False), alanine]
    found = score(iter(mols), energy=CALIBRATED)
    assert list(found.columns) == list(COLUMNS)
    assert found.record.tolist() == list(range(6))
    assert (found.status == OK).tolist() == [True, False, False, False, False, True]
    for index, word in [(1, "None"), (2, "no coordinates"), (3, "cannot type"), (4, "Se")]:
        assert word in found.status[index]
    empty = found[found.status != OK]
    assert empty[["energy_kcal_mol", "score", "p_value", "flagged"]].isna().all(axis=None)


def test_nothing_in_gives_an_empty_table():
    assert score([], energy="mmff94").empty


def test_missing_hydrogens_are_added_relaxed_and_told():
    whole = embedded("c1ccncc1Cl")
    found = score([whole, Chem.RemoveHs(whole)], energy="mmff94")
    assert found.energy_kcal_mol[1] == pytest.approx(found.energy_kcal_mol[0], abs=0.02)
    assert found.score[1] == pytest.approx(0, abs=INVARIANT)
    assert found.reasons.tolist() == ["", "4 missing hydrogens added and relaxed"]


def test_given_atoms_stay_while_hydrogens_are_placed():
    bare = Chem.RemoveHs(stretched(embedded("CCO"), 1, 2, 0.3))
    assert score([bare], energy="mmff94").reasons[0].startswith("bond C1-O2 1.7")


def test_energy_is_that_of_the_structure_as_it_is(alanine):
    mol = stretched(alanine, 4, 6, 0.3)
    properties = Chem.rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    field = Chem.rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, properties)
    assert score([mol], energy="mmff94").energy_kcal_mol[0] == pytest.approx(field.CalcEnergy(), abs=1e-3)


def test_excess_of_the_atoms_sums_to_that_of_the_molecule(noisy):
    records = [Record(index, "", "", mol, None) for index, mol in enumerate(noisy)]
    for found in score_records(records, named_energy("mmff94"), ScoringSettings(temperature=250)):
        excess = found.score * 1.5 * len(found.elements) * thermal_energy(250)
        assert sum(found.atom_excess) == pytest.approx(excess, rel=1e-9)


def test_excess_is_highest_on_the_atoms_of_the_stretched_bond(alanine):
    records = [Record(0, "", "", stretched(alanine, 4, 6, 0.3), None)]
    (found,) = score_records(records, named_energy("mmff94"), ScoringSettings())
    assert set(np.argsort(found.atom_excess)[-2:]) == {4, 6}


def test_annealed_reference_is_never_higher_and_repeats():
    mols = [embedded("OCC(N)C(=O)O", relaxed=False), embedded("CCCCO", relaxed=False)]
    settings = ScoringSettings(n_anneals=3, seed=1)
    found = score(mols, energy=CALIBRATED, settings=settings)
    pd.testing.assert_frame_equal(found, score(mols, energy=CALIBRATED, settings=settings))
    assert (found.score >= scores(*mols)).all()
    assert found.p_value.isna().all(), "the calibration knows no anneals"


def test_structure_whose_energy_overflows_is_not_plausible(alanine):
    found = score([moved(alanine, lambda x: x * 1e15), alanine], energy=CALIBRATED)
    assert found.score[0] == np.inf
    assert found.flagged.tolist() == [True, False]
    assert found.score[1] == pytest.approx(0, abs=INVARIANT)


@pytest.mark.parametrize("wrong", [{"alpha": 0}, {"alpha": 1.5}, {"temperature": 0}, {"threads": 0}, {"batch_size": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(RequestError, match="must be"):
        ScoringSettings(**wrong)


def test_every_conformer_of_a_molecule_has_a_row():
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    rdDistGeom.EmbedMultipleConfs(mol, 3, randomSeed=1)
    frames = [Chem.Mol(mol, confId=conformer.GetId()) for conformer in mol.GetConformers()]
    together, apart = score([mol], energy="mmff94"), score(frames, energy="mmff94")
    assert together["record"].tolist() == [0, 1, 2]
    assert together["score"].tolist() == apart["score"].tolist()
