"""MMFF94 through the kernel is RDKit's MMFF94: kind of term by kind of term, and in its gradient."""

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import ForceFieldParameterError, RequestError
from molebm.forcefield import kernel
from molebm.forcefield.kernel import TermEnergies
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import concatenate_parameters
from molebm.references.mmff import mmff_parameters
from molebm.references.rdkit_mmff import rdkit_mmff
from molebm.topology import concatenate

# What both sides lose to rounding: acos and asin within 1e-14 of ±1 are known to 1e-7 rad.
TOLERANCE = 1e-5  # kcal/mol
NOISE = (0.02, 0.05, 0.2)  # Å; embedding leaves some C-O-C straight, where torsions have no value to agree on
N_DRUGS = 12  # in the quick tests, spread over the list

ODD = [  # three- and four-membered rings, linear centres, charges, hypervalent and dative drawings, cages
    "C1CC1",
    "C1CC1=C=O",
    "C1C2CC1C2",
    "C#CC#N",
    "CN=[N+]=[N-]",
    "[C-]#[N+]C",
    "N#Cc1ccc(C=C=C)cc1",
    "CS(=O)(=O)N=S(C)(C)=O",
    "C[S+]([O-])c1ccccc1",
    "OP(=O)(O)OP(=O)(O)O",
    "C[N+](C)(C)CC(=O)[O-]",
    "c1cc[n+]([O-])cc1",
    "O=[N+]([O-])c1c[nH]cn1",
    "NC(N)=[NH2+]",
    "C1=CC=C[CH+]C=C1",
    "c1ccc2[nH]ccc2c1",
    "OO",
    "O",
    "[OH-]",
    "N#N",
    "[Cl-]",
    "C#N",
    "FC(Cl)(Br)I",
    "C[Si](C)(C)C",
]


def embedded(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if rdDistGeom.EmbedMolecule(mol, randomSeed=3) < 0:
        assert rdDistGeom.EmbedMolecule(mol, useRandomCoords=True, randomSeed=3) == 0
    return mol


def noisy_positions(mol: Chem.Mol) -> torch.Tensor:
    """Conformers with more and more Gaussian noise, (3, N, C)."""
    start = positions_from_mol(mol, torch.float64)
    generator = torch.Generator().manual_seed(mol.GetNumAtoms())
    noise = torch.randn(3, mol.GetNumAtoms(), len(NOISE), dtype=start.dtype, generator=generator)
    return start + noise * torch.tensor(NOISE, dtype=start.dtype)


def spread(drugs: dict[str, str]) -> list[str]:
    """Some SMILES from all over the list, for each of two tests."""
    return list(drugs.values())[:: max(1, len(drugs) // (2 * N_DRUGS))]


def assert_agreement(smiles: str, variant: str) -> None:
    mol = embedded(smiles)
    topology, x = topology_from_mol(mol), noisy_positions(mol)
    parameters = mmff_parameters(mol, topology, variant)
    terms = kernel.per_molecule(topology, kernel.per_term(topology, parameters, x))
    for name, ours in zip(TermEnergies._fields, terms, strict=True):
        theirs = rdkit_mmff(mol, variant, terms=[name])(x)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE, msg=lambda m, n=name: f"{smiles} {n}: {m}")
    ours = MechanicalEnergy(topology, parameters).energy_and_forces(x)
    theirs = rdkit_mmff(mol, variant).energy_and_forces(x)
    torch.testing.assert_close(ours.energy, theirs.energy, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(ours.forces, theirs.forces, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("variant", ["MMFF94", "MMFF94s"])
@pytest.mark.parametrize("smiles", ODD)
def test_every_kind_of_term_is_that_of_rdkit(smiles, variant):
    assert_agreement(smiles, variant)


@pytest.mark.parametrize("variant", ["MMFF94", "MMFF94s"])
def test_drugs_are_those_of_rdkit(drugs, variant):
    for smiles in spread(drugs)[variant == "MMFF94s" :: 2]:
        assert_agreement(smiles, variant)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["MMFF94", "MMFF94s"])
def test_all_drugs_are_those_of_rdkit(drugs, variant):
    for smiles in drugs.values():
        assert_agreement(smiles, variant)


def test_the_variants_differ_where_nitrogen_is_delocalised():
    """MMFF94s flattens anilines and amides, as crystals average them, and differs nowhere else."""
    aniline, butane = embedded("Nc1ccccc1"), embedded("CCCC")
    for mol, same in ((aniline, False), (butane, True)):
        x = noisy_positions(mol)
        assert torch.allclose(rdkit_mmff(mol, "MMFF94")(x), rdkit_mmff(mol, "MMFF94s")(x)) == same


def test_a_batch_of_drugs_in_single_precision_stays_within_a_thousandth_of_its_terms(drugs):
    """float32 carries 1e-7 of the sum of the magnitudes of the terms, and a few of that must do."""
    mols = [embedded(smiles) for smiles in spread(drugs)[:5]]
    topologies = [topology_from_mol(mol) for mol in mols]
    topology = concatenate(topologies)
    parameters = concatenate_parameters([mmff_parameters(m, t) for m, t in zip(mols, topologies, strict=True)])
    x = torch.cat([noisy_positions(mol) for mol in mols], dim=1)
    exact = kernel.energy(topology, parameters, x)
    single = kernel.energy(topology, parameters.to(dtype=torch.float32), x.float())
    magnitudes = TermEnergies(*(term.abs() for term in kernel.per_term(topology, parameters, x)))
    scale = torch.stack(kernel.per_molecule(topology, magnitudes)).sum(0)
    assert ((single - exact).abs() < 1e-5 * scale).all()


def test_untypable_molecule_says_what_to_do():
    mol = Chem.AddHs(Chem.MolFromSmiles("CB(O)O"))
    with pytest.raises(ForceFieldParameterError, match=r"CB\(O\)O.*learned model"):
        mmff_parameters(mol, topology_from_mol(mol))
    with pytest.raises(ForceFieldParameterError, match="learned model"):
        rdkit_mmff(mol)


def test_rdkit_needs_no_conformer_and_leaves_the_molecule_as_it_was():
    mol = embedded("CCO")
    x = noisy_positions(mol)
    bare = Chem.Mol(mol)
    bare.RemoveAllConformers()
    torch.testing.assert_close(rdkit_mmff(bare)(x), rdkit_mmff(mol)(x), rtol=0, atol=0)
    assert bare.GetNumConformers() == 0


def test_rdkit_cuts_no_pair_off():
    """Not those far apart in the positions, nor those far apart in the conformer it was built from."""
    mol = embedded("OCCO")
    topology = topology_from_mol(mol)
    x = 500 * noisy_positions(mol)
    mol.GetConformer().SetAtomPosition(0, (1e4, 0.0, 0.0))
    electrostatic = rdkit_mmff(mol, terms=["electrostatic"])(x)
    ours = kernel.per_term(topology, mmff_parameters(mol, topology), x).electrostatic.sum(0)
    torch.testing.assert_close(electrostatic[0], ours)
    assert (electrostatic != 0).all()


def test_rdkit_says_what_is_wrong_with_a_request():
    mol = embedded("CCO")
    with pytest.raises(RequestError, match=r"\['bonds'\].*bond.*angle"):
        rdkit_mmff(mol, terms=["bonds"])
    with pytest.raises(RequestError, match="9 atoms and the positions 4"):
        rdkit_mmff(mol)(torch.zeros(3, 4, 1))
