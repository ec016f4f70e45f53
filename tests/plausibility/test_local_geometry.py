"""Bonds, angles, planes, rings, contacts and hydrogens: each fault is seen, where it is and nowhere else."""

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdMolTransforms
from scipy.spatial.transform import Rotation

from molebm.parametrise import named_energy
from molebm.plausibility.measurement import TETHER
from molebm.plausibility.observations import (
    ANGLE,
    BOND,
    CONJUGATED,
    CONTACT,
    FLAT,
    HYDROGEN_LENGTH,
    HYDROGEN_PLACE,
    KINDS,
    PLANE,
    RING,
    RING_ANGLE,
    RING_BOND,
    ROTOR,
    STIFF,
)
from molebm.plausibility.statistics import STRAIN, learn_norms, standardised, statistics
from tests.plausibility.conftest import butane, embedded, mirrored, moved, stretched
from tests.plausibility.measuring import measured, observed, term, worst

STIFFNESS = 600.0  # kcal/mol/Å², of a single bond of carbons at least


def with_lengths(mol: Chem.Mol, length: dict[int, float] | float) -> Chem.Mol:
    """Move hydrogens along their bonds: all to one length, or some, by their number, by so much."""

    def change(x: np.ndarray) -> np.ndarray:
        for atom in mol.GetAtoms():
            if atom.GetAtomicNum() == 1:
                bearer, hydrogen = atom.GetNeighbors()[0].GetIdx(), atom.GetIdx()
                arm = x[hydrogen] - x[bearer]
                now = np.linalg.norm(arm)
                wanted = now + length.get(hydrogen, 0.0) if isinstance(length, dict) else length
                x[hydrogen] = x[bearer] + arm * wanted / now
        return x

    return moved(mol, change)


@pytest.fixture(scope="module")
def shaken(alanine) -> Chem.Mol:
    generator = np.random.default_rng(3)
    return moved(alanine, lambda x: x + generator.normal(0, 0.08, x.shape))


# --- bonds, angles, planes and rings


@pytest.mark.parametrize("by", [0.2, -0.2])
def test_bond_is_off_by_what_it_was_stretched_but_for_what_the_tether_keeps(alanine, by):
    springs = TETHER * alanine.GetNumHeavyAtoms()
    kept = abs(by) * springs / (springs + STIFFNESS)
    found = measured(stretched(alanine, 4, 6, by))
    assert term(found, BOND, 4, 6) - term(measured(alanine), BOND, 4, 6) == pytest.approx(by, abs=kept)
    assert worst(found, BOND)[0] == {4, 6}


def test_stretched_bond_is_told_with_both_lengths(alanine):
    mol = stretched(alanine, 4, 6, 0.2)
    found = observed(measured(mol), BOND)
    row = int(found.deviation[:, 0].argmax())
    given = rdMolTransforms.GetBondLength(mol.GetConformer(), 4, 6)
    assert float(found.given[row, 0]) == pytest.approx(given, abs=1e-6)
    assert float(found.given[row, 0] - found.expected[row, 0]) == pytest.approx(float(found.deviation[row, 0]))


def test_bent_angle_is_off_most():
    mol = embedded("CC(C)CCC")
    straight = rdMolTransforms.GetAngleDeg(mol.GetConformer(), 3, 4, 5)
    rdMolTransforms.SetAngleDeg(mol.GetConformer(), 3, 4, 5, straight + 20)
    found = measured(mol)
    assert worst(found, ANGLE)[0] == {3, 4, 5}
    assert term(found, ANGLE, 3, 4, 5) == pytest.approx(20, abs=3)


def test_pyramidal_carbonyl_is_out_of_its_plane():
    mol = embedded("CC(C)=O")
    normal = np.cross(*np.diff(mol.GetConformer().GetPositions()[[0, 1, 3]], axis=0))
    up = 0.3 * normal / np.linalg.norm(normal)
    flat, found = measured(mol), measured(moved(mol, lambda x: x + np.eye(len(x))[1][:, None] * up))
    assert worst(flat, PLANE)[1] < PLANE.least_scale
    length = 1.4  # Å, about; each bond is held against the plane of the other two, as if all angles were equal
    out = np.degrees(np.arcsin(0.3 / length) + np.arctan(0.3 / (length / 2)))
    assert worst(found, PLANE) == ({0, 1, 2, 3}, pytest.approx(out, rel=0.15))


def test_twisted_double_bond_is_off_by_its_twist():
    mol = embedded("C/C=C/C")
    rdMolTransforms.SetDihedralDeg(mol.GetConformer(), 0, 1, 2, 3, 150)
    assert worst(measured(mol), STIFF) == ({0, 1, 2, 3}, pytest.approx(30, abs=5))
    assert worst(measured(embedded("C/C=C/C")), STIFF)[1] < STIFF.least_scale


def test_twisted_amide_is_off_by_its_twist():
    mol = embedded("CC(=O)NC")
    rdMolTransforms.SetDihedralDeg(mol.GetConformer(), 0, 1, 3, 4, 150)
    found = measured(mol)
    assert term(found, CONJUGATED, 0, 1, 3, 4) == pytest.approx(-30, abs=1)
    assert {1, 3} < worst(found, CONJUGATED)[0]
    assert worst(measured(embedded("CC(=O)NC")), CONJUGATED)[1] < 10
    assert len(observed(measured(embedded("CCNC")), CONJUGATED).deviation) == 0


def test_torsions_about_one_bond_count_as_one_and_terms_that_are_not_there_as_none():
    found = measured(embedded("CC=C(C)CC(C)=CC", relaxed=False))
    norms = learn_norms([found])
    (double,) = (t for t in standardised(found, norms) if t.observations.kind is STIFF)
    middle = [frozenset(pair) for pair in double.observations.atoms[1:3].T.tolist()]
    squares = {bond: [] for bond in middle}
    for bond, sharp in zip(middle, double.sharp[:, 0].tolist(), strict=True):
        squares[bond].append(sharp**2)
    of_bonds = sorted((float(np.mean(values)) ** 0.5 for values in squares.values()), reverse=True)
    assert len(of_bonds) == 2
    assert [each.item() for each in double.worst(1, 3)] == pytest.approx([*of_bonds, 0])


def test_ring_has_bonds_and_angles_of_its_own():
    found = measured(embedded("CC1CC1C#N"))
    bonds, in_ring = (observed(found, kind).atoms.T.tolist() for kind in (BOND, RING_BOND))
    assert sorted(map(sorted, bonds)) == [[0, 1], [3, 4], [4, 5]]
    assert sorted(map(sorted, in_ring)) == [[1, 2], [1, 3], [2, 3]]
    assert {centre for _, centre, _ in observed(found, RING_ANGLE).atoms.T.tolist()} == {1, 2, 3}
    assert len(observed(found, RING_ANGLE).deviation) == 3
    assert len(observed(found, ANGLE).deviation) == 5


def test_twisted_benzene_is_no_double_bond():
    found = measured(embedded("c1ccccc1C=C"))
    assert len(observed(found, FLAT).deviation) > 6
    assert len(observed(found, STIFF).deviation) == 0  # the vinyl ends in hydrogens


def test_chair_is_as_expected_and_a_flattened_one_is_not():
    chair = embedded("C1CCCCC1")
    assert worst(measured(chair), RING)[1] < RING.least_scale
    ring = chair.GetConformer().GetPositions()[:6]
    normal = np.linalg.svd(ring - ring.mean(axis=0))[2][2]
    flat = moved(chair, lambda x: x - 0.6 * np.outer(x @ normal, normal))
    assert worst(measured(flat), RING)[1] > 5 * RING.least_scale


def test_whole_structure_that_is_relaxed_is_as_expected():
    for mol in (embedded("C1CCCCC1"), butane(180), embedded("c1ccccc1C")):
        for kind in KINDS:
            assert worst(measured(mol), kind)[1] < 2 * kind.least_scale, kind.name


# --- contacts


def test_contact_appears_where_two_atoms_are_pushed_together():
    curled = embedded("C" * 7)
    for torsion, angle in [((0, 1, 2, 3), 180), ((1, 2, 3, 4), 60), ((2, 3, 4, 5), -60), ((3, 4, 5, 6), 180)]:
        rdMolTransforms.SetDihedralDeg(curled.GetConformer(), *torsion, angle)  # the syn-pentane clash
    found = measured(curled)
    atoms, repulsion = worst(found, CONTACT)
    assert repulsion > 0.5
    x = curled.GetConformer().GetPositions()
    apart = np.argwhere(np.triu(Chem.GetDistanceMatrix(curled) > 3))
    distances = np.linalg.norm(x[apart[:, 0]] - x[apart[:, 1]], axis=1)
    assert atoms == set(apart[distances.argmin()].tolist())
    assert distances.min() < 2.0


def test_extended_chain_has_no_contacts():
    chain = embedded("C" * 7)
    for first in range(4):
        rdMolTransforms.SetDihedralDeg(chain.GetConformer(), first, first + 1, first + 2, first + 3, 180)
    assert worst(measured(chain), CONTACT)[1] < CONTACT.least_scale


# --- hydrogens


def test_hydrogen_that_is_too_far_is_found():
    mol = embedded("CCC")
    found = measured(with_lengths(mol, {4: 0.3}))
    assert worst(found, HYDROGEN_LENGTH) == ({0, 4}, pytest.approx(0.3, abs=0.06))  # what conventions may differ by
    lengths = observed(found, HYDROGEN_LENGTH)
    others = lengths.atoms[1] != 4
    assert float(lengths.deviation[others].abs().max()) < HYDROGEN_LENGTH.least_scale


@pytest.mark.parametrize("length", [0.95, 1.0, 1.09])
def test_hydrogens_all_of_one_length_are_a_convention(alanine, length):
    assert worst(measured(with_lengths(alanine, length)), HYDROGEN_LENGTH)[1] < HYDROGEN_LENGTH.least_scale


@pytest.mark.parametrize("length", [0.5, 0.8, 1.3])
def test_no_convention_goes_that_far(alanine, length):
    assert worst(measured(with_lengths(alanine, length)), HYDROGEN_LENGTH)[1] > HYDROGEN_LENGTH.least_scale


def test_lengths_of_hydrogens_say_nothing_of_the_other_atoms(alanine):
    short, usual = measured(with_lengths(alanine, 0.8)), measured(alanine)
    for kind in (BOND, ANGLE, PLANE, ROTOR, CONTACT, HYDROGEN_PLACE):
        off = observed(short, kind).deviation - observed(usual, kind).deviation
        assert float(off.abs().max()) < kind.least_scale


def test_hydrogen_on_the_wrong_side_is_out_of_place():
    mol = embedded("c1ccccc1")
    normal = np.cross(*np.diff(mol.GetConformer().GetPositions()[:3], axis=0))
    up = 0.8 * normal / np.linalg.norm(normal)
    atoms, away = worst(measured(moved(mol, lambda x: x + np.eye(len(x))[8][:, None] * up)), HYDROGEN_PLACE)
    assert atoms == {2, 8}
    assert away > 3 * HYDROGEN_PLACE.least_scale


def test_hydrogen_of_an_imine_is_out_of_place_where_it_is_turned():
    """It is on one atom, as that of an alcohol, but about a double bond."""
    imine, alcohol = embedded("CC(C)=N"), embedded("CCO")
    rdMolTransforms.SetDihedralDeg(imine.GetConformer(), 0, 1, 3, 10, 60)
    rdMolTransforms.SetDihedralDeg(alcohol.GetConformer(), 0, 1, 2, 8, 120)
    assert worst(measured(imine), HYDROGEN_PLACE) == ({3, 10}, pytest.approx(0.9, abs=0.2))
    assert worst(measured(alcohol), HYDROGEN_PLACE)[1] < HYDROGEN_PLACE.least_scale


def test_hydrogens_that_were_added_are_left_out(alanine):
    bare = Chem.RemoveHs(alanine)
    found = measured(bare)
    for kind in (HYDROGEN_LENGTH, HYDROGEN_PLACE):
        assert observed(found, kind).deviation.shape == (0, 1)
    polar = Chem.AddHs(bare, addCoords=True, onlyOnAtoms=[3, 8])
    for kind in (HYDROGEN_LENGTH, HYDROGEN_PLACE):
        assert {bearer for bearer, _ in observed(measured(polar), kind).atoms.T.tolist()} == {3, 8}


# --- what a measurement does not depend on


def test_deviations_do_not_change_where_the_structure_moves_as_a_whole(shaken):
    turn = Rotation.random(random_state=5).as_matrix()
    there = moved(shaken, lambda x: x @ turn.T + [900, -900, 500])
    one, other = measured(shaken), measured(there)
    for a, b in zip(one.observations, other.observations, strict=True):
        torch.testing.assert_close(a.deviation, b.deviation, rtol=0, atol=a.kind.least_scale / 4)
    torch.testing.assert_close(one.energy, other.energy, rtol=0, atol=1e-3)


def test_mirror_image_and_another_order_of_atoms_have_the_same_statistics(shaken):
    """With what is usual learned from molecules whose own mirror images and orders were never seen."""
    norms = learn_norms([measured(embedded(s, relaxed=False)) for s in ("CC(=O)NC", "CC(N)C(=O)O", "CC=CC1CCN1")])
    order = np.random.default_rng(1).permutation(shaken.GetNumAtoms()).tolist()
    here, *others = (measured(mol) for mol in (shaken, mirrored(shaken), Chem.RenumberAtoms(shaken, order)))
    expected = statistics(here, standardised(here, norms))
    for other in others:
        for name, values in statistics(other, standardised(other, norms)).items():
            assert float(values) == pytest.approx(float(expected[name]), rel=0.05, abs=0.05), name


def test_structure_is_measured_alike_whatever_is_beside_it(shaken, alanine):
    """As one of two poses, and beside another molecule; chance decides the search for the strain, by its seed."""
    amine = embedded("OCC(N)C(=O)O", relaxed=False)
    alone = [measured(mol, with_strain=True) for mol in (amine, alanine, shaken)]
    together = [measured(amine, with_strain=True), measured(alanine, shaken, with_strain=True)]
    strains = torch.cat([one.strain.flatten() for one in together])
    torch.testing.assert_close(strains, torch.cat([one.strain.flatten() for one in alone]), rtol=0, atol=1e-2)
    mixed = measured(embedded("CCO"), amine, with_strain=True)
    torch.testing.assert_close(mixed.strain[1], alone[0].strain[0], rtol=0, atol=1e-2)
    torch.testing.assert_close(mixed.energy[1], alone[0].energy[0], rtol=0, atol=1e-3)


def test_eclipsed_structure_is_strained_and_the_lowest_is_not():
    assert float(measured(butane(0), with_strain=True).strain) > 3
    assert float(measured(butane(180), with_strain=True).strain) < 0.5


def test_each_statistic_rises_with_its_fault(alanine):
    learned_from = [measured(embedded(s, relaxed=False)) for s in ("CC(=O)NC", "CC(N)C(=O)O", "CCCC", "CC(C)C=O")]
    norms = learn_norms(learned_from)

    def summed(mol: Chem.Mol) -> dict[str, float]:
        found = measured(mol, with_strain=True)
        return {name: float(value) for name, value in statistics(found, standardised(found, norms)).items()}

    usual, long = summed(alanine), summed(stretched(alanine, 4, 6, 0.3))
    assert long["bond"] > usual["bond"] + 3
    assert long["ring torsion"] == usual["ring torsion"] == 0
    turned = Chem.Mol(alanine)
    rdMolTransforms.SetDihedralDeg(turned.GetConformer(), 0, 1, 3, 4, 90)
    found = summed(turned)
    assert found["rotor"] > usual["rotor"]
    assert found[STRAIN] > usual[STRAIN] + 1


def test_learned_energy_sees_the_same_faults(alanine):
    energy = named_energy("learned").parametrise
    assert worst(measured(stretched(alanine, 4, 6, 0.2), energy=energy), BOND) == ({4, 6}, pytest.approx(0.2, abs=0.05))
    assert worst(measured(butane(0), energy=energy), ROTOR)[1] > 3


@pytest.mark.parametrize("smiles", ["C", "O", "[NH4+]", "[H][H]", "C#C"])
def test_smallest_molecules_are_measured(smiles):
    found = measured(embedded(smiles, relaxed=False), energy=named_energy("learned").parametrise, with_strain=True)
    assert found.energy.isfinite().all()
    assert found.strain.shape == (1, 1)
