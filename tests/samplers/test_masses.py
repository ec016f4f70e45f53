import pytest
from rdkit import Chem

from molebm.errors import MoleculeError, RequestError
from molebm.samplers.masses import STANDARD_ATOMIC_WEIGHTS, atomic_masses, repartition_hydrogen_mass

METHANE = {"atomic_numbers": [6, 1, 1, 1, 1], "bonds": [(0, 1), (0, 2), (3, 0), (4, 0)]}


def test_atomic_weights_are_those_of_the_periodic_table():
    table = Chem.GetPeriodicTable()
    unstable = 43  # technetium has no standard weight, and every table its own isotope
    for z, weight in enumerate(STANDARD_ATOMIC_WEIGHTS, start=1):
        assert weight == pytest.approx(table.GetAtomicWeight(z), abs=1.1 if z == unstable else 0.02), z
    assert len(STANDARD_ATOMIC_WEIGHTS) == 53


def test_mass_of_each_atom_is_that_of_its_element(make_topology):
    topology = make_topology(3, 1, atomic_numbers=[1, 6, 53, 17])
    assert atomic_masses(topology).tolist() == pytest.approx([1.008, 12.011, 126.90, 35.45])


@pytest.mark.parametrize("atomic_number", [0, 54])
def test_element_without_a_mass_is_named_with_its_atom(make_topology, atomic_number):
    with pytest.raises(MoleculeError, match=f"atom 1 has atomic number {atomic_number}"):
        atomic_masses(make_topology(2, atomic_numbers=[6, atomic_number]))


def test_repartitioning_moves_mass_and_creates_none(make_topology):
    topology = make_topology(5, **METHANE)
    masses = repartition_hydrogen_mass(topology, 3.0)
    assert masses.tolist() == pytest.approx([12.011 - 4 * 1.992, 3.0, 3.0, 3.0, 3.0], rel=1e-5)
    assert masses.sum() == pytest.approx(atomic_masses(topology).sum().item())


def test_hydrogen_between_two_heavy_atoms_takes_half_from_each(make_topology):
    topology = make_topology(3, atomic_numbers=[5, 1, 5], bonds=[(0, 1), (1, 2)])
    assert repartition_hydrogen_mass(topology, 3.0).tolist() == pytest.approx([9.814, 3.0, 9.814], rel=1e-5)


def test_hydrogen_molecule_and_lone_proton_keep_their_mass(make_topology):
    topology = make_topology(2, 1, atomic_numbers=[1, 1, 1], bonds=[(0, 1)])
    assert repartition_hydrogen_mass(topology, 3.0).tolist() == pytest.approx([1.008] * 3)


def test_hydrogen_takes_nothing_from_another_hydrogen(make_topology):
    topology = make_topology(3, atomic_numbers=[1, 1, 6], bonds=[(0, 1), (1, 2)])
    assert repartition_hydrogen_mass(topology, 3.0).tolist() == pytest.approx([1.008, 3.0, 10.019], rel=1e-5)


def test_hydrogens_heavier_than_their_carbon_can_afford_are_refused(make_topology):
    with pytest.raises(RequestError, match=r"atom 0 \(atomic number 6\) with 0\.04 amu"):
        repartition_hydrogen_mass(make_topology(5, **METHANE), 4.0)
