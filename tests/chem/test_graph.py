"""The topology of a molecule: how many terms known molecules have, and what declared stereo means in space."""

from math import comb

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem, rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import MoleculeError
from molebm.forcefield.geometry import cos_torsion, triple_product
from molebm.topology import concatenate


def with_hydrogens(smiles: str) -> Chem.Mol:
    return Chem.AddHs(Chem.MolFromSmiles(smiles))


def embedded(smiles: str, n_conformers: int = 2) -> Chem.Mol:
    mol = with_hydrogens(smiles)
    assert len(AllChem.EmbedMultipleConfs(mol, n_conformers, randomSeed=7)) == n_conformers
    return mol


COUNTS = {  # SMILES: atoms, bonds, angles, torsions, impropers, pairs, pairs three bonds apart
    "C": (5, 4, 6, 0, 0, 0, 0),
    "CCO": (9, 8, 6 + 6 + 1, 9 + 3, 0, 15, 12),
    "c1ccccc1": (12, 12, 6 * 3, 6 * 4, 6, 36, 3 + 12 + 6),
    "CC#N": (6, 5, 6 + 1, 0, 0, 3, 3),  # no torsion about a linear chain, yet its ends see each other
    "C1CC1": (9, 9, 3 * 6, 3 * (9 - 1), 0, 12, 12),  # the third carbon does not see itself about a bond
    "CC(N)=O": (9, 8, 6 + 3 + 3, 3 * 2 + 2 * 2, 2, 16, 10),
}


@pytest.mark.parametrize("smiles", COUNTS)
def test_known_molecules_have_the_terms_that_can_be_counted_by_hand(smiles):
    t = topology_from_mol(with_hydrogens(smiles))
    terms = (t.bonds, t.angles, t.torsions, t.impropers, t.pairs)
    assert (t.n_atoms, *(term.shape[1] for term in terms), int(t.pairs_14.sum())) == COUNTS[smiles]


def test_every_pair_of_atoms_is_bonded_or_shares_a_neighbour_or_interacts():
    """Without rings of three or four, each pair of atoms is in just one of the three lists."""
    t = topology_from_mol(with_hydrogens("CC(=O)Oc1ccccc1C(=O)O"))
    listed = torch.cat((t.bonds, t.angles[[0, 2]], t.pairs), dim=1).sort(dim=0).values
    assert listed.shape[1] == comb(t.n_atoms, 2)
    assert listed.unique(dim=1).shape[1] == comb(t.n_atoms, 2)


def test_angles_and_torsions_name_the_bonds_they_run_along():
    t = topology_from_mol(with_hydrogens("OC1CC1c1ccncc1"))
    for path, along in ((t.angles, t.angle_bonds), (t.torsions, t.torsion_bonds)):
        for step in range(len(along)):
            walked = path[[step, step + 1]].sort(dim=0).values
            assert torch.equal(t.bonds[:, along[step]].sort(dim=0).values, walked)


def test_one_atom_has_no_terms():
    t = topology_from_mol(Chem.MolFromSmiles("[Cl-]"))
    assert (t.n_atoms, t.formal_charges.tolist(), t.atoms_per_molecule().tolist()) == (1, [-1], [1])
    rows = {"bonds": 2, "angles": 3, "torsions": 4, "impropers": 4, "pairs": 2, "stereo_centres": 4, "stereo_bonds": 4}
    assert {name: tuple(getattr(t, name).shape) for name in rows} == {name: (n, 0) for name, n in rows.items()}


@pytest.mark.parametrize("smiles", ["", "CC.O"])
def test_a_topology_is_of_one_connected_molecule(smiles):
    with pytest.raises(MoleculeError):
        topology_from_mol(Chem.MolFromSmiles(smiles))


CENTRES = [
    "C[C@H](F)Cl",
    "C[C@@H](F)Cl",
    "N[C@@H](C)C(=O)O",
    "CC[S@](C)=O",  # a lone pair is the fourth neighbour
    "CC[S@@](C)=O",
    "C[P@](=O)(O)CC",
    "C[N@+](CC)(CCC)CCO",
    "C[C@H]1CCCC[C@@H]1O",
    "C[C@]12CCC(=O)C=C1CC[C@@H]1[C@@H]2CC[C@]2(C)[C@@H](O)CC[C@@H]12",
    "O[C@H](C(=O)O)[C@H](O)C(=O)O",
]
BONDS = ["C/C=C/C", "C/C=C\\C", "C/C(F)=C(/Cl)Br", "C/C=N/O", "[H]/N=C(\\C)CC", "C1CCCCC/C=C/1", "F/C=C/C=C\\Cl"]


@pytest.mark.parametrize("smiles", CENTRES)
def test_embedded_centres_have_the_signs_that_were_declared(smiles):
    mol = embedded(smiles)
    t, x = topology_from_mol(mol), positions_from_mol(mol)
    assert t.stereo_centres.shape[1] == smiles.replace("@@", "@").count("@")
    assert (triple_product(x, t.stereo_centres).sign() == t.stereo_signs[:, None]).all()


@pytest.mark.parametrize("smiles", CENTRES)
def test_the_mirror_image_has_every_centre_wrong(smiles):
    mol = embedded(smiles)
    t, x = topology_from_mol(mol), positions_from_mol(mol)
    mirrored = x * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    assert (triple_product(mirrored, t.stereo_centres).sign() == -t.stereo_signs[:, None]).all()


@pytest.mark.parametrize("smiles", BONDS)
def test_embedded_double_bonds_lie_on_the_side_that_was_declared(smiles):
    mol = embedded(smiles)
    t, x = topology_from_mol(mol), positions_from_mol(mol)
    assert t.stereo_bonds.shape[1] == (2 if smiles.count("=") == 2 else 1)
    assert ((cos_torsion(x, t.stereo_bonds) > 0) == t.stereo_cis[:, None]).all()


@pytest.mark.parametrize("smiles", ["CC(F)Cl", "CC=CC", "CCO"])
def test_stereo_that_is_not_declared_is_not_asked_for(smiles):
    t = topology_from_mol(with_hydrogens(smiles))
    assert t.stereo_centres.shape[1] == t.stereo_bonds.shape[1] == 0


def test_the_order_of_atoms_does_not_change_the_declared_stereo():
    mol = embedded("C/C=C/[C@H](F)Cl")
    for seed in range(5):
        order = torch.randperm(mol.GetNumAtoms(), generator=torch.Generator().manual_seed(seed)).tolist()
        shuffled = Chem.RenumberAtoms(mol, order)
        t, x = topology_from_mol(shuffled), positions_from_mol(shuffled)
        assert (triple_product(x, t.stereo_centres).sign() == t.stereo_signs[:, None]).all()
        assert ((cos_torsion(x, t.stereo_bonds) > 0) == t.stereo_cis[:, None]).all()


def test_positions_are_the_coordinates_with_conformers_trailing():
    mol = embedded("CCO", n_conformers=3)
    x = positions_from_mol(mol, torch.float64)
    assert x.shape == (3, 9, 3)
    for c, conformer in enumerate(mol.GetConformers()):
        assert torch.equal(x[:, :, c].T, torch.from_numpy(conformer.GetPositions()))


def test_positions_of_a_molecule_without_conformers_are_none():
    assert positions_from_mol(with_hydrogens("CCO")).shape == (3, 9, 0)


TOGETHER = ["C/C=C/[C@H](F)Cl", "[Cl-]", "c1ccncc1", "CC(N)=O"]


def test_concatenated_molecules_keep_their_own_terms():
    """Each index, shifted back by the atoms or bonds before its molecule, is the one it was."""
    alone = [topology_from_mol(with_hydrogens(smiles)) for smiles in TOGETHER]
    joined = concatenate(alone)
    assert joined.n_molecules == len(alone)
    assert joined.atoms_per_molecule().tolist() == [t.n_atoms for t in alone]
    for name in joined.tensors():
        parts = getattr(joined, name).split([getattr(t, name).shape[-1] for t in alone], dim=-1)
        atoms = bonds = 0
        for g, (t, part) in enumerate(zip(alone, parts, strict=True)):
            shift = {"molecule": g, "angle_bonds": bonds, "torsion_bonds": bonds}.get(name, atoms)
            fixed = name.endswith(("features", "charges", "numbers", "signs", "cis", "14"))
            assert torch.equal(part, getattr(t, name) if fixed else getattr(t, name) + shift)
            atoms, bonds = atoms + t.n_atoms, bonds + t.bonds.shape[1]


def test_concatenation_is_associative():
    a, b, c, d = (topology_from_mol(with_hydrogens(smiles)) for smiles in TOGETHER)
    once, twice = concatenate([a, b, c, d]), concatenate([concatenate([a, b]), concatenate([c, d])])
    assert once.n_molecules == twice.n_molecules
    assert all(torch.equal(tensor, twice.tensors()[name]) for name, tensor in once.tensors().items())


@pytest.mark.parametrize(
    "smiles", ["CC(=O)Nc1ccc(O)cc1", "C[C@H]([NH3+])C(=O)[O-]", "C/C=C/C#N", "CS(=O)(=O)c1nnc[nH]1"]
)
def test_a_molecule_is_the_same_from_smiles_and_from_sdf(smiles):
    """Hydrogens that were added and hydrogens that were read must not look different to the network."""
    from_smiles = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(from_smiles, randomSeed=1)
    from_sdf = Chem.MolFromMolBlock(Chem.MolToMolBlock(from_smiles), removeHs=False)
    expected, found = (topology_from_mol(mol).tensors() for mol in (from_smiles, from_sdf))
    for name in ("atomic_numbers", "formal_charges", "atom_features", "bonds", "bond_features", "torsions", "pairs"):
        assert torch.equal(found[name], expected[name]), name
