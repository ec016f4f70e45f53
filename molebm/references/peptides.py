"""Capped dipeptides, and OpenMM's own protein force field with an implicit solvent for them."""

from __future__ import annotations

import copy
from typing import Final

import openmm
from openmm import app
from rdkit import Chem

from molebm.errors import ForceFieldParameterError, RequestError

FORCE_FIELD: Final = "amber14-all.xml"
SOLVENTS: Final = ("obc2", "gbn2", "none")
SIDE_CHAINS: Final = {
    "ALA": "C",
    "ARG": "CCCNC(N)=[NH2+]",
    "ASN": "CC(N)=O",
    "ASP": "CC([O-])=O",
    "CYS": "CS",
    "GLN": "CCC(N)=O",
    "GLU": "CCC([O-])=O",
    "HIS": "Cc1c[nH]cn1",
    "ILE": "[C@@H](C)CC",
    "LEU": "CC(C)C",
    "LYS": "CCCC[NH3+]",
    "MET": "CCSC",
    "PHE": "Cc1ccccc1",
    "SER": "CO",
    "THR": "[C@H](O)C",
    "TRP": "Cc1c[nH]c2ccccc12",
    "TYR": "Cc1ccc(O)cc1",
    "VAL": "C(C)C",
}
"""What hangs on the alpha carbon, charged as in water at pH 7; histidine is neutral, its proton on Nε."""

_OFFSET: Final = 0.009  # nm, between the radii of OBC2 and those it integrates with
_WATER: Final = 78.5  # dielectric constant in OpenMM's implicit/*.xml
_BACKBONE: Final = {"GLY": "CC(=O)NCC(=O)NC", "PRO": "CC(=O)N1CCC[C@H]1C(=O)NC"}
RESIDUES: Final = tuple(sorted([*SIDE_CHAINS, *_BACKBONE]))


def capped_dipeptide(residue: str) -> Chem.Mol:
    """Build ACE-X-NME of an L amino acid with explicit hydrogens, each atom knowing its residue.

    Atoms are in the order of the residues, the heavy atoms of each before its hydrogens. No coordinates.

    Raises
    ------
    RequestError
        If the residue is not one of `RESIDUES`.
    """
    if residue not in RESIDUES:
        raise RequestError(f"no residue is called {residue!r}; choose from {', '.join(RESIDUES)}")
    smiles = _BACKBONE.get(residue) or f"CC(=O)N[C@@H]({SIDE_CHAINS[residue]})C(=O)NC"
    heavy = Chem.MolFromSmiles(smiles)
    mol = Chem.AddHs(heavy)
    last = heavy.GetNumAtoms() - 1  # ACE has the first three heavy atoms, NME the last two
    places = []
    for atom in mol.GetAtoms():
        carrier = atom.GetNeighbors()[0].GetIdx() if atom.GetAtomicNum() == 1 else atom.GetIdx()
        places.append(1 if carrier < 3 else 3 if carrier >= last - 1 else 2)
        name = f" {atom.GetSymbol()}{atom.GetIdx()}".ljust(4)
        label = ("ACE", residue, "NME")[places[-1] - 1]
        atom.SetMonomerInfo(Chem.AtomPDBResidueInfo(name, residueName=label, residueNumber=places[-1], chainId="A"))
    return Chem.RenumberAtoms(mol, sorted(range(mol.GetNumAtoms()), key=places.__getitem__))


def peptide_system(mol: Chem.Mol, solvent: str = "obc2") -> openmm.System:
    """Give a peptide the Amber ff14SB force field that OpenMM brings, in the atom order of the molecule.

    Nothing is constrained or cut off. Residues are recognised by their bonds and elements, so the names of
    the atoms do not matter, only that each atom has a residue (`AtomPDBResidueInfo`). OBC2 is written as
    OpenMM's dedicated force, which gives the same energy as its implicit/obc2.xml many times faster on a CPU.

    Parameters
    ----------
    solvent
        "obc2", "gbn2" or "none".

    Raises
    ------
    RequestError
        If the solvent is unknown.
    ForceFieldParameterError
        If an atom has no residue or a residue is none that the force field knows.

    References
    ----------
    Maier et al., J. Chem. Theory Comput. 11, 3696 (2015), ff14SB; Onufriev, Bashford and Case, Proteins 55,
    383 (2004), OBC2; Nguyen, Roe and Simmerling, J. Chem. Theory Comput. 9, 2020 (2013), GBn2.
    """
    if solvent not in SOLVENTS:
        raise RequestError(f"no solvent is called {solvent!r}; choose from {', '.join(SOLVENTS)}")
    files = [FORCE_FIELD] if solvent == "none" else [FORCE_FIELD, f"implicit/{solvent}.xml"]
    try:
        system = app.ForceField(*files).createSystem(
            _topology(mol), nonbondedMethod=app.NoCutoff, constraints=None, rigidWater=False, removeCMMotion=False
        )
    except ValueError as error:
        raise ForceFieldParameterError(f"Amber ff14SB does not fit {Chem.MolToSmiles(mol)!r}: {error}") from error
    return _with_dedicated_obc2(system) if solvent == "obc2" else system


def _topology(mol: Chem.Mol) -> app.Topology:
    topology = app.Topology()
    chain = topology.addChain()
    number, atoms = None, []
    for atom in mol.GetAtoms():
        info = atom.GetPDBResidueInfo()
        if info is None:
            raise ForceFieldParameterError(
                f"atom {atom.GetIdx()} ({atom.GetSymbol()}) belongs to no residue; read the peptide from PDB"
            )
        if info.GetResidueNumber() != number:
            number = info.GetResidueNumber()
            residue = topology.addResidue(info.GetResidueName().strip(), chain)
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        atoms.append(topology.addAtom(info.GetName().strip(), element, residue))
    for bond in mol.GetBonds():
        topology.addBond(atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()])
    return topology


def _with_dedicated_obc2(system: openmm.System) -> openmm.System:
    """Write the custom force of implicit/obc2.xml, which is interpreted, as the built-in force of that model."""
    place = next(i for i, force in enumerate(system.getForces()) if isinstance(force, openmm.CustomGBForce))
    custom = system.getForce(place)
    force = openmm.GBSAOBCForce()
    force.setNonbondedMethod(openmm.GBSAOBCForce.NoCutoff)
    force.setSolventDielectric(_WATER)
    for index in range(custom.getNumParticles()):
        charge, reduced, scaled = custom.getParticleParameters(index)  # charge, radius - offset, scale of that
        force.addParticle(charge, reduced + _OFFSET, scaled / reduced)
    written = copy.deepcopy(system)
    written.removeForce(place)
    written.addForce(force)
    return written
