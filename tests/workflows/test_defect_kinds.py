"""Each kind of defect changes a copy, repeats itself, and leaves alone what has no place for it."""

import pytest
from defect_kinds import ALL, level, made
from rdkit import Chem
from structure_changes import embedded, rng

PLACES = {  # a molecule with a place for each kind
    "noise": "CO",
    "bond": "CC(=O)Nc1ccccc1",
    "angle": "CCCOC",
    "aromatic atom": "CCc1ccccc1",
    "flattened ring": "CC1CCCCC1",
    "cis amide": "CCC(=O)NC",
    "inverted centre": "C[C@H](F)[C@@H](O)CC",
    "epimer": "C[C@H](F)[C@@H](O)CC",
    "E/Z flip": "C/C=C/CC",
    "mirror image": "C[C@H](F)[C@@H](O)CC",
    "eclipsed torsion": "CC(C)CC",
    "contact": "CC(C)C(C)CCCC",
    "bond order": "CC=CCO",
    "X-H bond": "CO",
    "bent triple bond": "CCC#CC",
    "missing hydrogen": "CCO",
    "extra hydrogen": "CCO",
    "planar centre": "CC(F)CC",
    "pyramidal amide": "CC(=O)N(C)C",
    "twisted double bond": "CC=CC",
    "twisted aromatic ring": "c1ccccc1",
    "scaled": "CO",
    "swapped elements": "CC(=O)N",
    "boat ring": "FC1CCCCC1",
    "squashed": "CO",
    "swollen ring": "CC1CCCCC1",
    "alternating aromatic ring": "Cc1ccccc1",
    "boat aromatic ring": "Cc1ccccc1",
    "substituent off ring": "Cc1ccccc1",
    "pyramidal carbonyl": "CC(C)=O",
    "twisted amide": "CC(=O)NC",
    "tilted hydrogen": "CO",
    "atom shifted in ring": "Cc1ccccc1",
    "displaced side": "CC(=O)N",
    "closed umbrella": "CCC(F)(F)F",
    "twisted ester": "CC(=O)OC",
    "misplaced nitrogen": "c1ccncc1",
    "sheared": "CO",
}
OF_HYDROGENS = {"X-H bond", "missing hydrogen", "tilted hydrogen"}
OF_ANY_ATOM = {"noise", "scaled", "squashed", "sheared", "extra hydrogen"}
CASES = [(kind, severity) for kind in ALL for severity in kind.severities]


@pytest.mark.parametrize(("kind", "severity"), CASES, ids=lambda value: getattr(value, "name", str(value)))
def test_every_kind_copies_and_repeats_itself(kind, severity):
    mol = embedded(PLACES[kind.name])
    mol.SetProp("_Name", "given")
    given = mol.ToBinary()
    first, again = kind.make(mol, severity, rng()), kind.make(mol, severity, rng())
    assert first.atoms == again.atoms
    assert first.mol.ToBinary() == again.mol.ToBinary()
    assert mol.ToBinary() == given
    assert first.mol.GetProp("_Name") == "given"
    assert first.mol.GetConformer().Is3D()
    assert max(first.atoms) < first.mol.GetNumAtoms()
    assert all(type(atom) is int for atom in first.atoms)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.name not in OF_ANY_ATOM | OF_HYDROGENS])
def test_methane_has_no_place_for_any_defect_of_more_than_a_hydrogen(kind):
    assert all(kind.make(embedded("C"), severity, rng()) is None for severity in kind.severities)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.name not in OF_HYDROGENS])
def test_hydrogens_need_not_be_there(kind):
    """A pyramidal or inverted atom has its third or fourth direction from those that are there."""
    mol = Chem.RemoveAllHs(embedded(PLACES[kind.name]))
    assert any(kind.make(mol, kind.severities[-1], rng(seed)) for seed in range(20))


@pytest.mark.parametrize("name", sorted(OF_HYDROGENS))
def test_hydrogens_that_are_not_there_have_no_defect(name):
    (kind,) = (kind for kind in ALL if kind.name == name)
    assert kind.make(Chem.RemoveAllHs(embedded(PLACES[name])), 1, rng()) is None


@pytest.mark.parametrize("kind", ALL)
def test_severities_of_a_kind_share_their_place(kind):
    mol = embedded(PLACES[kind.name])
    found = [made(kind, severity, mol, (3, 5)).atoms for severity in kind.severities if severity > 0]
    if kind.name not in {"contact", "bond order"}:  # another place, as another atom comes near first
        assert len(set(found)) == 1


def test_severities_are_counted_from_the_mildest_of_their_sign():
    (bond,) = (kind for kind in ALL if kind.name == "bond")
    assert [level(bond, severity) for severity in bond.severities] == [1, 2, 3, 4, 1, 2, 3, 4]
