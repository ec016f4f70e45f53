"""Each kind of defect changes what it says and nothing else, and leaves alone what has no place for it."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from graph_defects import inverted_centre, mirror_image, missing_hydrogen, wrong_bond_order
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rigid_moves import angle_degrees, plane, torsion_degrees
from structure_defects import (
    KINDS,
    bent_angle,
    bent_triple_bond,
    bumped_aromatic,
    flattened_ring,
    noise,
    stretched_bond,
    stretched_hydrogen,
)
from torsion_defects import CONTACT_BONDS, cis_amide, close_contact, eclipsed_torsion

from molebm.plausibility.stereo import stereo_mismatches

SMALL = 1e-8  # Å or degrees, far above what rounding leaves
PLACES = {  # a molecule with a place for each kind
    "noise": "CO",
    "bond": "CC(=O)Nc1ccccc1",
    "X-H bond": "CO",
    "angle": "CCCOC",
    "triple bond": "CCC#CC",
    "aromatic atom": "CCc1ccccc1",
    "saturated ring": "CC1CCCCC1",
    "cis amide": "CCC(=O)NC",
    "eclipsed torsion": "CCCC",
    "contact": "CCCCCC",
    "inverted centre": "C[C@H](F)[C@@H](O)CC",
    "mirror image": "C[C@H](F)[C@@H](O)CC",
    "bond order": "CC=CCO",
    "missing hydrogen": "CCO",
}
CASES = [(kind, severity) for kind in KINDS for severity in kind.severities]


def embedded(smiles, seed=7):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=seed) == 0
    return mol


def rng(seed=0):
    return np.random.default_rng(seed)


def coordinates(mol):
    return mol.GetConformer().GetPositions()


def distances(mol):
    x = coordinates(mol)
    return np.linalg.norm(x[:, None] - x[None], axis=2)


def changed_bonds(before, after):
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in before.GetBonds()]
    change = distances(after) - distances(before)
    return {frozenset(pair): change[pair] for pair in bonds if abs(change[pair]) > SMALL}


def changed_angles(before, after):
    angles = [
        (i.GetIdx(), j.GetIdx(), k.GetIdx()) for j in before.GetAtoms() for i, k in combinations(j.GetNeighbors(), 2)
    ]
    change = {a: angle_degrees(coordinates(after), *a) - angle_degrees(coordinates(before), *a) for a in angles}
    return {a: value for a, value in change.items() if abs(value) > 1e4 * SMALL}


def changed_torsions(before, after):
    """Return the bonds about which a torsion changes."""
    found = set()
    for bond in before.GetBonds():
        j, k = bond.GetBeginAtom(), bond.GetEndAtom()
        for i in j.GetNeighbors():
            for m in k.GetNeighbors():
                atoms = (i.GetIdx(), j.GetIdx(), k.GetIdx(), m.GetIdx())
                if len(set(atoms)) == 4:
                    change = torsion_degrees(coordinates(after), *atoms) - torsion_degrees(coordinates(before), *atoms)
                    if abs((change + 180) % 360 - 180) > 1e4 * SMALL:
                        found.add(frozenset(atoms[1:3]))
    return found


def only_turned_about(before, after, bond):
    assert not changed_bonds(before, after)
    assert not changed_angles(before, after)
    assert changed_torsions(before, after) == {frozenset(bond)}


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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name not in {"noise", "X-H bond", "missing hydrogen"}])
def test_methane_has_no_place_for_any_defect_of_more_than_a_hydrogen(kind):
    assert all(kind.make(embedded("C"), severity, rng()) is None for severity in kind.severities)


def test_noise_has_its_standard_deviation():
    mol = embedded("CCCCCCCC")
    moved = coordinates(noise(mol, 0.1, rng()).mol) - coordinates(mol)
    assert moved.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * moved.size))


@pytest.mark.parametrize("by", [-0.2, 0.3])
def test_one_bond_is_stretched(by):
    mol = embedded("CC(=O)Nc1ccccc1")
    for seed in range(5):
        defect = stretched_bond(mol, by, rng(seed))
        assert changed_bonds(mol, defect.mol) == {frozenset(defect.atoms): pytest.approx(by)}
        assert not changed_angles(mol, defect.mol)
        assert not changed_torsions(mol, defect.mol)
        assert not mol.GetBondBetweenAtoms(*defect.atoms).IsInRing()


def test_one_hydrogen_is_stretched():
    mol = embedded("CO")
    defect = stretched_hydrogen(mol, 0.2, rng())
    assert changed_bonds(mol, defect.mol) == {frozenset(defect.atoms): pytest.approx(0.2)}
    assert not changed_angles(mol, defect.mol)
    moved = np.abs(coordinates(defect.mol) - coordinates(mol)).max(axis=1) > SMALL
    assert np.flatnonzero(moved).tolist() == [defect.atoms[1]]
    assert mol.GetAtomWithIdx(defect.atoms[1]).GetAtomicNum() == 1


@pytest.mark.parametrize("by", [-20, 20])
@pytest.mark.parametrize("smiles", ["CCCOC", "Cc1ccccc1CC"])
def test_one_angle_opens_by_its_degrees_and_only_angles_beside_it_follow(smiles, by):
    mol = embedded(smiles)
    for seed in range(5):
        defect = bent_angle(mol, by, rng(seed))
        i, j, k = defect.atoms
        change = angle_degrees(coordinates(defect.mol), i, j, k) - angle_degrees(coordinates(mol), i, j, k)
        assert change == pytest.approx(by)
        assert not changed_bonds(mol, defect.mol)
        assert all(a[1] == j and k in a for a in changed_angles(mol, defect.mol))


@pytest.mark.parametrize("smiles", ["CCC#CC", "CCC#N", "C#CC"])
def test_triple_bond_is_bent_to_its_angle_and_nothing_else(smiles):
    mol = embedded(smiles)
    for seed in range(3):
        defect = bent_triple_bond(mol, 20, rng(seed))
        assert angle_degrees(coordinates(defect.mol), *defect.atoms) == pytest.approx(160)
        assert not changed_bonds(mol, defect.mol)
        assert {frozenset(a) for a in changed_angles(mol, defect.mol)} == {frozenset(defect.atoms)}


def test_angle_on_one_line_is_left_to_the_triple_bonds():
    assert bent_angle(embedded("CC#CC"), -20, rng()) is None


def test_a_triple_bond_already_on_one_line_bends_too():
    mol = embedded("CC#N")
    x = coordinates(mol)
    x[:3] = [[-1.46, 0, 0], [0, 0, 0], [1.16, 0, 0]]
    mol.GetConformer().SetPositions(x)
    defect = bent_triple_bond(mol, 30, rng())
    assert angle_degrees(coordinates(defect.mol), *defect.atoms) == pytest.approx(150)


def test_aromatic_atom_leaves_the_plane_of_its_ring_with_its_substituent():
    mol = embedded("CCc1ccc2ccccc2c1")
    for seed in range(10):
        defect = bumped_aromatic(mol, 0.4, rng(seed))
        atom = defect.atoms[0]
        rings = [ring for ring in mol.GetRingInfo().AtomRings() if atom in ring]
        assert len(rings) == 1
        apart = distances(defect.mol) - distances(mol)
        moved = np.abs(apart[atom]) < SMALL  # a rigid piece with the atom
        assert np.abs(apart[np.ix_(moved, moved)]).max() < SMALL
        assert np.abs(apart[np.ix_(~moved, ~moved)]).max() < SMALL
        others = [i for i in rings[0] if i != atom]
        centre, normal = plane(coordinates(defect.mol)[others])
        assert abs((coordinates(defect.mol)[atom] - centre) @ normal) == pytest.approx(0.4, abs=0.1)  # was nearly flat


def test_atoms_of_two_aromatic_rings_and_pyridine_nitrogen_stay():
    mol = embedded("c1ccc2ncccc2c1")
    atoms = {bumped_aromatic(mol, 0.4, rng(seed)).atoms[0] for seed in range(100)}
    assert atoms == {a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() == 6 and a.GetTotalNumHs(True)}


def test_saturated_ring_becomes_flat_with_its_bonds_of_the_same_mean_length():
    mol = embedded("CC1CCNCC1")
    defect = flattened_ring(mol, 1, rng())
    ring = list(defect.atoms)
    x = coordinates(defect.mol)[ring]
    centre, normal = plane(x)
    assert np.abs((x - centre) @ normal).max() < SMALL
    assert np.abs((coordinates(mol)[ring] - plane(coordinates(mol)[ring])[0]) @ normal).max() > 0.1
    around = [*pairwise(ring), (ring[-1], ring[0])]
    lengths = [[distances(m)[pair] for pair in around] for m in (mol, defect.mol)]
    assert np.mean(lengths[1]) == pytest.approx(np.mean(lengths[0]))
    assert {pair <= set(ring) for pair in changed_bonds(mol, defect.mol)} == {True}


@pytest.mark.parametrize("smiles", ["c1ccccc1", "C1CCCC1", "C1CC=CCC1", "C1CCC2CCCCC2C1"])
def test_other_rings_are_not_flattened(smiles):
    assert flattened_ring(embedded(smiles), 1, rng()) is None


def test_trans_amide_becomes_cis():
    mol = embedded("CCC(=O)NC")
    defect = cis_amide(mol, 180, rng())
    assert abs(torsion_degrees(coordinates(mol), *defect.atoms)) > 150
    assert abs(torsion_degrees(coordinates(defect.mol), *defect.atoms)) < 30
    only_turned_about(mol, defect.mol, defect.atoms[1:3])
    assert cis_amide(defect.mol, 180, rng()) is None


@pytest.mark.parametrize("smiles", ["CC(=O)N", "CC(=O)N(C)C", "O=C1CCCN1"])
def test_other_amides_stay(smiles):
    assert cis_amide(embedded(smiles), 180, rng()) is None


@pytest.mark.parametrize("fraction", [0.5, 1])
def test_staggered_carbons_are_turned_towards_eclipsed(fraction):
    mol = embedded("CCCC")
    defect = eclipsed_torsion(mol, fraction, rng())
    before = torsion_degrees(coordinates(mol), *defect.atoms)
    assert torsion_degrees(coordinates(defect.mol), *defect.atoms) == pytest.approx((1 - fraction) * before, abs=1e-6)
    only_turned_about(mol, defect.mol, defect.atoms[1:3])


def test_eclipsed_carbons_stay():
    mol = embedded("CC")
    assert eclipsed_torsion(eclipsed_torsion(mol, 1, rng()).mol, 1, rng()) is None


def test_contact_is_the_nearest_and_made_by_one_torsion():
    mol = embedded("CCCCC(C)O")
    table = Chem.GetPeriodicTable()
    radii = np.array([table.GetRvdw(a.GetAtomicNum()) for a in mol.GetAtoms()])
    far = np.argwhere(np.triu(Chem.GetDistanceMatrix(mol) >= CONTACT_BONDS))
    oxygen = [a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() == 8]
    for seed in range(8):
        defect = close_contact(mol, 0.7, rng(seed))
        ratio = distances(defect.mol) / (radii[:, None] + radii)
        assert ratio[defect.atoms] == pytest.approx(0.7)
        carbons = [tuple(p) for p in far if not set(p) & {*oxygen, mol.GetNumAtoms() - 1}]  # no hydrogen bonds
        assert min(ratio[p] for p in carbons) >= 0.7 - SMALL
        assert not changed_bonds(mol, defect.mol)
        assert not changed_angles(mol, defect.mol)
        assert len(changed_torsions(mol, defect.mol)) == 1


def test_no_contact_is_made_where_atoms_are_nearer_already():
    assert close_contact(embedded("CC(C)(C)C(C)(C)C"), 1, rng()) is None


def test_hydrogen_bond_is_no_contact():
    mol = embedded("OCCO")
    for seed in range(20):
        defect = close_contact(mol, 0.85, rng(seed))
        bearers = [mol.GetAtomWithIdx(i).GetNeighbors()[0].GetAtomicNum() for i in defect.atoms]
        elements = [mol.GetAtomWithIdx(i).GetAtomicNum() for i in defect.atoms]
        assert sorted(elements) != [1, 8] or bearers[elements.index(1)] != 8


def test_only_one_centre_is_inverted_and_its_tag_is_kept():
    mol = embedded("C[C@H](F)[C@@H](O)CC")
    assert stereo_mismatches(mol) == []
    chosen = set()
    for seed in range(10):
        defect = inverted_centre(mol, 1, rng(seed))
        chosen |= set(defect.atoms)
        (told,) = stereo_mismatches(defect.mol)
        assert told.startswith(f"stereo C{defect.atoms[0]}: declared")
        assert Chem.MolToSmiles(defect.mol) == Chem.MolToSmiles(mol)
        assert not changed_bonds(mol, defect.mol)
        assert {a[1] for a in changed_angles(mol, defect.mol)} <= set(defect.atoms)
    assert chosen == {1, 3}


def test_centre_in_a_ring_is_inverted_by_what_is_outside():
    mol = embedded("C[C@H]1CCCO1")
    defect = inverted_centre(mol, 1, rng())
    assert len(stereo_mismatches(defect.mol)) == 1
    ring = mol.GetRingInfo().AtomRings()[0]
    assert np.abs(distances(defect.mol) - distances(mol))[np.ix_(ring, ring)].max() < SMALL


def test_centre_whose_tag_does_not_matter_stays():
    mol = embedded("CC(C)O")
    mol.GetAtomWithIdx(1).SetChiralTag(Chem.ChiralType.CHI_TETRAHEDRAL_CW)
    assert inverted_centre(mol, 1, rng()) is None


def test_mirror_image_inverts_every_centre_and_keeps_every_distance():
    mol = embedded("C[C@H](F)[C@@H](O)CC")
    defect = mirror_image(mol, 1, rng())
    assert defect.atoms == (1, 3)
    assert len(stereo_mismatches(defect.mol)) == 2
    assert np.abs(distances(defect.mol) - distances(mol)).max() < SMALL


@pytest.mark.parametrize("smiles", ["CC(F)O", "C[C@H](O)[C@@H](C)O", "C[C@H]1CC[C@H](C)CC1"])
def test_molecule_that_is_its_mirror_image_has_none(smiles):
    assert mirror_image(embedded(smiles), 1, rng()) is None


@pytest.mark.parametrize(
    "smiles, order, product", [("CCO", 1, {"C=CO", "CC=O"}), ("CC=O", -1, {"CCO"}), ("CN=C", -1, {"CNC"})]
)
def test_bond_order_changes_in_the_graph_and_given_atoms_stay(smiles, order, product):
    mol = embedded(smiles)
    defect = wrong_bond_order(mol, order, rng())
    assert Chem.MolToSmiles(Chem.RemoveHs(defect.mol)) in product
    assert defect.mol.GetNumAtoms() == mol.GetNumAtoms() - 2 * order
    given = {tuple(place) for place in coordinates(mol)}
    kept = sum(tuple(place) in given for place in coordinates(defect.mol))
    assert kept == min(mol.GetNumAtoms(), defect.mol.GetNumAtoms())
    types = [m.GetBondBetweenAtoms(*defect.atoms).GetBondTypeAsDouble() for m in (mol, defect.mol)]
    assert types[1] - types[0] == order


def test_hydrogen_placed_for_a_lower_order_is_beside_its_atom():
    defect = wrong_bond_order(embedded("CC=O"), -1, rng())
    new = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in defect.mol.GetBonds()][-2:]
    assert all(0.8 < distances(defect.mol)[pair] < 1.2 for pair in new)


@pytest.mark.parametrize("order", [1, -1])
def test_hydrogen_is_removed_and_counted_as_implicit(order):
    mol = embedded("C[C@H](N)C(=O)O")
    mol = Chem.RenumberAtoms(mol, list(range(mol.GetNumAtoms()))[::order])
    for seed in range(10):
        defect = missing_hydrogen(mol, 2, rng(seed))
        assert defect.mol.GetNumAtoms() == mol.GetNumAtoms() - 2
        assert sum(defect.mol.GetAtomWithIdx(i).GetNumImplicitHs() for i in defect.atoms) == 2
        assert Chem.MolToSmiles(Chem.RemoveHs(defect.mol)) == Chem.MolToSmiles(Chem.RemoveHs(mol))
        assert stereo_mismatches(defect.mol) == []
        assert not any(a.GetNumRadicalElectrons() for a in defect.mol.GetAtoms())
    assert missing_hydrogen(mol, 7, rng()) is None
