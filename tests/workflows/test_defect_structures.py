"""Structures that a diagnosis learns from: one defect each, molecules kept apart."""

import sys
from pathlib import Path

import pytest
from defect_kinds import KINDS

sys.path.append(str(Path(__file__).resolve().parents[2] / "workflows" / "family"))

from defect_features import SPLITS, split_molecules
from defect_structures import CLASSES, SOUND, UNSEEN, Parent, cases_of

from tests.plausibility.conftest import embedded


def test_classes_and_what_none_of_them_has_are_kinds_that_can_be_made_and_share_none():
    known = [name for kinds in CLASSES.values() for name in kinds]
    assert set(known) | set(UNSEEN) <= {kind.name for kind in KINDS}
    assert len(known) == len(set(known))
    assert not set(known) & set(UNSEEN)


def test_each_parent_comes_as_it_is_and_with_each_defect_it_has_a_place_for():
    parents = [Parent(embedded(smiles), smiles, "made") for smiles in ("CC(=O)NCCc1ccccc1", "CCO")]
    before = [parent.mol.GetConformer().GetPositions() for parent in parents]
    cases = list(cases_of(parents, {label: kinds for label, kinds in CLASSES.items() if kinds}, seed=0))
    assert [case.label for case in cases].count(SOUND) == 2
    drug = {case.label for case in cases if case.molecule == parents[0].molecule}
    assert drug == {SOUND, "clash", "wrong bond length", "wrong angle", "cis amide", "bent aromatic ring"}
    assert {case.label for case in cases if case.molecule == "CCO"} == {SOUND, "wrong bond length", "wrong angle"}
    for parent, x in zip(parents, before, strict=True):
        assert (parent.mol.GetConformer().GetPositions() == x).all()


def test_all_that_is_made_of_a_molecule_is_in_one_split():
    molecules = [f"C{'C' * (i % 50)}" for i in range(400)]
    splits = split_molecules(molecules, seed=1)
    assert set(splits) == set(molecules)
    shares = {split: list(splits.values()).count(split) / 50 for split in SPLITS}
    assert shares == pytest.approx(SPLITS, abs=0.02)
    assert split_molecules(reversed(molecules), seed=1) == splits
