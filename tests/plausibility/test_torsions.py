"""Rotors, rotamers and twists: what turning a bond would gain, and what its torsions cost."""

import pytest
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from molebm.plausibility.observations import ROTAMER, ROTOR, TWIST
from tests.plausibility.conftest import butane, embedded
from tests.plausibility.measuring import measured, observed, worst


def methylacetamide(degrees: float) -> Chem.Mol:
    mol = embedded("CC(=O)NC")
    rdMolTransforms.SetDihedralDeg(mol.GetConformer(), 0, 1, 3, 4, degrees)
    return mol


def test_staggered_rotor_has_nowhere_lower_to_turn():
    assert worst(measured(butane(180)), ROTOR) == ({0, 1, 2, 3}, pytest.approx(0, abs=0.01))


def test_gauche_is_a_valley_too_though_a_higher_one():
    found = measured(butane(65), with_strain=True)
    assert worst(found, ROTOR)[1] < ROTOR.least_scale
    assert 0.3 < float(found.strain) < 1.5


@pytest.mark.parametrize("degrees", [0, 120])
def test_eclipsed_butane_is_as_high_as_its_barrier(degrees):
    """About 5 kcal/mol where the methyls meet, and 3 where they meet hydrogens (Murcko et al., JACS 118, 1996)."""
    atoms, high = worst(measured(butane(degrees)), ROTOR)
    assert atoms == {0, 1, 2, 3}
    assert (3.5 < high < 7) if degrees == 0 else (2 < high < 4.5)


def test_twisted_amide_is_high(alanine):
    mol = Chem.Mol(alanine)
    rdMolTransforms.SetDihedralDeg(mol.GetConformer(), 0, 1, 3, 4, 90)
    atoms, high = worst(measured(mol), ROTOR)
    assert {1, 3} < atoms
    assert high > 3


@pytest.mark.parametrize("smiles", ["C", "CC", "CC#N", "CO", "c1ccccc1", "CC(F)(F)F"])
def test_methyls_and_what_turns_nothing_but_hydrogens_are_no_rotors(smiles):
    assert observed(measured(embedded(smiles)), ROTOR).deviation.shape == (0, 1)


def test_rotor_is_named_by_heavier_atoms():
    (torsion,) = observed(measured(embedded("CNC=O")), ROTOR).atoms.T.tolist()
    assert torsion in ([0, 1, 2, 3], [3, 2, 1, 0])


@pytest.mark.parametrize(("degrees", "low", "high"), [(180, 0, 0.2), (65, 0.3, 1.5)])
def test_rotamer_is_held_against_the_others(degrees, low, high):
    atoms, above = worst(measured(butane(degrees)), ROTAMER)
    assert atoms == {0, 1, 2, 3}
    assert low <= above <= high


def test_cis_amide_is_another_rotamer_of_a_trans_one():
    """By more than the 2.1 to 2.5 kcal/mol between the two once relaxed (Radzicka et al., JACS 110, 5951 (1988))."""
    cis, trans = (worst(measured(methylacetamide(degrees)), ROTAMER)[1] for degrees in (0, 180))
    assert trans < 0.2
    assert 1.5 < cis < 15
    assert worst(measured(methylacetamide(0)), ROTOR)[1] < cis


# --- twists


def test_staggered_bonds_cost_nothing_and_eclipsed_ones_their_barrier():
    """Of the torsions alone, about 3 kcal/mol."""
    assert worst(measured(butane(180)), TWIST) == ({0, 1, 2, 3}, pytest.approx(0, abs=0.3))
    assert 2 < worst(measured(butane(120)), TWIST)[1] < 4.5


def test_bridges_that_hold_rings_as_boats_are_twisted_and_no_bond_of_a_chair_is():
    chair = observed(measured(embedded("C1CCCCC1")), TWIST)
    assert float(chair.deviation.max()) < 0.5
    boats = observed(measured(embedded("C1CC2CCC1CC2")), TWIST)
    high = {frozenset(torsion[1:3]) for torsion in boats.atoms[:, boats.deviation[:, 0] > 1.5].T.tolist()}
    assert high == {frozenset((0, 1)), frozenset((3, 4)), frozenset((6, 7))}


def test_twisted_amide_costs_most_at_a_right_angle():
    costs = [worst(measured(methylacetamide(degrees)), TWIST)[1] for degrees in (180, 135, 90)]
    assert costs[0] < 0.5
    assert costs[0] + 2 < costs[1] < costs[2]
