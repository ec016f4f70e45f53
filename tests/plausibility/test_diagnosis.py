"""What structures look like to a diagnosis, and what it says of them."""

from functools import cache

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdMolTransforms
from scipy.spatial.transform import Rotation
from torch import Tensor

from molebm.errors import CheckpointError, MoleculeError
from molebm.family.checkpoint import TrainedEnergy, save_trained
from molebm.family.jem import JointEnergyModel
from molebm.parametrise import named_energy
from molebm.plausibility import load_calibration, load_diagnostician, score
from molebm.plausibility.defect_features import DEFECT_FEATURES
from molebm.plausibility.describing import defects, describe_structures
from molebm.plausibility.diagnosis import NONE_OF_THESE, Diagnostician
from molebm.plausibility.settings import ScoringSettings
from tests.plausibility.conftest import bent, embedded, moved, stretched

DRUG = "CC(=O)N[C@@H](Cc1ccccc1)C(=O)NC1CCOCC1"
CARBONYL, NITROGEN, ALPHA, BENZYL = 1, 3, 4, 5


@pytest.fixture(scope="module")
def drug() -> Chem.Mol:
    return embedded(DRUG)


@cache
def tools():
    return named_energy("learned"), load_calibration().norms


def described(*mols: Chem.Mol) -> dict[int, Tensor]:
    energy, norms = tools()
    return dict(describe_structures(mols, energy, norms))


def feature(row: Tensor, name: str) -> float:
    return row[DEFECT_FEATURES.index(name)].item()


def cis(mol: Chem.Mol) -> Chem.Mol:
    copy = Chem.Mol(mol)
    rdMolTransforms.SetDihedralDeg(copy.GetConformer(), 0, CARBONYL, NITROGEN, ALPHA, 0.0)
    return copy


def declared_otherwise(mol: Chem.Mol) -> Chem.Mol:
    copy = Chem.Mol(mol)
    copy.SetProp("declared_smiles", DRUG.replace("@@", "@"))
    return copy


def bumped(mol: Chem.Mol) -> Chem.Mol:
    """One atom of the benzene ring out of its plane, with its hydrogen."""
    x = mol.GetConformer().GetPositions()
    ring = list(mol.GetSubstructMatch(Chem.MolFromSmarts("c1ccccc1")))
    normal = np.linalg.svd(x[ring] - x[ring].mean(axis=0))[2][2]
    hydrogen = next(a.GetIdx() for a in mol.GetAtomWithIdx(ring[3]).GetNeighbors() if a.GetAtomicNum() == 1)
    chosen = np.isin(np.arange(len(x)), [ring[3], hydrogen])[:, None]
    return moved(mol, lambda x: x + 0.5 * chosen * normal)


def test_a_description_does_not_depend_on_place_or_company(drug):
    turn = Rotation.from_rotvec([0.4, 1.0, -2.0]).as_matrix()
    other = moved(drug, lambda x: x @ turn.T + 3)
    rows = described(embedded("CCO"), drug, embedded("c1ccccc1C(N)=O"), other)
    (alone,) = described(drug).values()
    assert alone.shape == (len(DEFECT_FEATURES),)
    assert torch.allclose(rows[1], alone, atol=0.05)
    assert torch.allclose(rows[3], alone, atol=0.1)


def test_a_description_says_which_terms_are_off_and_which_way(drug):
    longer, shorter = stretched(drug, ALPHA, BENZYL, 0.3), stretched(drug, ALPHA, BENZYL, -0.3)
    wider = bent(drug, (NITROGEN, ALPHA, BENZYL), 140)
    sound, long, short, wide, turned, otherwise, out = described(
        drug, longer, shorter, wider, cis(drug), declared_otherwise(drug), bumped(drug)
    ).values()
    for broken, name in [(long, "bond worst"), (short, "bond worst"), (wide, "angle worst"), (out, "flat ring worst")]:
        assert feature(broken, name) > feature(sound, name) + 1
    assert feature(long, "bond longer") > 1.5 and feature(short, "bond longer") < -1.5
    assert feature(wide, "angle wider") > 1
    assert feature(sound, "cis amide") < 0.1 and feature(turned, "cis amide") > 0.9
    assert feature(otherwise, "centres not as declared") == pytest.approx(np.log(2), rel=1e-5)
    assert feature(sound, "centres not as declared") == 0


def test_a_molecule_without_some_kinds_of_terms_has_zeros_there():
    (row,) = described(embedded("CCO")).values()
    assert row.isfinite().all()
    assert [feature(row, f"ring torsion {what}") for what in ("worst", "second", "mean")] == [0, 0, 0]


def test_defects_are_features_by_name(drug):
    (row,) = described(drug).values()
    assert torch.allclose(defects()(drug)["x"], row, atol=1e-5)
    with pytest.raises(MoleculeError, match="no coordinates"):
        defects()(Chem.MolFromSmiles("CCO"))


@pytest.mark.parametrize(
    "kind, make",
    [
        ("sound", lambda mol: mol),
        ("wrong bond length", lambda mol: stretched(mol, ALPHA, BENZYL, 0.3)),
        ("wrong angle", lambda mol: bent(mol, (NITROGEN, ALPHA, BENZYL), 85)),
        ("cis amide", cis),
        ("inverted centre", declared_otherwise),
        ("bent aromatic ring", bumped),
    ],
)
def test_the_shipped_diagnosis_names_kinds_of_defects(drug, kind, make):
    (row,) = described(make(drug)).values()
    (found,) = load_diagnostician(alpha=1e-4).diagnose(row[None])
    assert (found.kind, found.probability > 0.5) == (kind, True)


def test_what_no_kind_is_like_is_none_of_them(drug):
    chance = np.random.default_rng(0)
    (row,) = described(moved(drug, lambda x: x + chance.normal(scale=0.3, size=x.shape))).values()
    (found,) = load_diagnostician().diagnose(row[None])
    assert found.kind == NONE_OF_THESE
    assert found.p_value < 0.01


def test_a_table_of_scores_names_the_kind_where_it_is_asked_for(drug):
    settings = ScoringSettings(with_strain=False)
    wrong = stretched(drug, ALPHA, BENZYL, 0.3)
    plain = score([drug, wrong], settings=settings)
    asked = score([drug, wrong, None], settings=settings, diagnostician=load_diagnostician(alpha=1e-4))
    assert plain.diagnosis.isna().all()
    assert asked.diagnosis[:2].tolist() == ["sound", "wrong bond length"]
    assert asked.diagnosis_probability[:2].between(0.5, 1).all() and asked.diagnosis_p_value[:2].between(0, 1).all()
    assert asked.loc[2, ["diagnosis", "diagnosis_probability"]].isna().all()
    assert asked.score[:2].tolist() == plain.score.tolist()


def test_a_model_of_other_features_is_no_diagnosis(tmp_path):
    model = JointEnergyModel(3, 2, 4, 1, 1.0, [0, 1])
    facts = {"classes": ["a", "b"], "calibration": [0.0]}
    with pytest.raises(CheckpointError, match="the features of defects"):
        Diagnostician(TrainedEnergy(model, {**facts, "features": {"name": "maccs"}}))
    save_trained(tmp_path / "model", TrainedEnergy(model, {"features": {"name": "defects"}}))
    with pytest.raises(CheckpointError, match="train it again"):
        load_diagnostician(tmp_path / "model.safetensors")
