"""What a molecule shows to force-field water: charges and Lennard-Jones parameters, as a template of OpenMM."""

from __future__ import annotations

from typing import Final, NamedTuple
from xml.etree import ElementTree

from rdkit import Chem

from molebm.interop.openmm_molecules import LIGAND, openmm_topology
from molebm.references.mmff import mmff_properties
from molebm.samplers.masses import STANDARD_ATOMIC_WEIGHTS
from molebm.units import KCAL_PER_KJ

TIP3P_RADIUS: Final = 3.1507524065751241 * 2 ** (1 / 6)  # Å, distance of the minimum between two oxygens of TIP3P
TIP3P_DEPTH: Final = 0.635968 * KCAL_PER_KJ  # kcal/mol
AMBER_SCALES: Final = {"coulomb14scale": "0.833333", "lj14scale": "0.5"}  # not used within the molecule


class Contact(NamedTuple):
    """What water sees of an atom."""

    charge: float  # e
    radius: float  # Å, distance of the van der Waals minimum from the oxygen of water
    depth: float  # kcal/mol, of that minimum


def water_contacts(mol: Chem.Mol) -> list[Contact]:
    """Look up the charge of each atom in MMFF94, and its van der Waals minimum with the oxygen of a water molecule.

    MMFF94's charges are made for a condensed phase, and its rules bring donors and acceptors of hydrogen bonds
    closer. The learned model is not asked: it has never seen two molecules together.

    Raises
    ------
    ForceFieldParameterError
        If MMFF94 cannot type every atom.

    References
    ----------
    Halgren, J. Comput. Chem. 17, 520 (1996), for the van der Waals and electrostatic parameters.
    """
    both = Chem.CombineMols(mol, Chem.AddHs(Chem.MolFromSmiles("O")))
    Chem.SanitizeMol(both)
    properties, oxygen = mmff_properties(both), mol.GetNumAtoms()
    contacts = []
    for atom in range(oxygen):
        _, _, radius, depth = properties.GetMMFFVdWParams(atom, oxygen)
        contacts.append(Contact(properties.GetMMFFPartialCharge(atom), radius, depth))
    return contacts


def lennard_jones(contact: Contact) -> tuple[float, float]:
    """Give σ (Å) and ε (kcal/mol) whose Lorentz-Berthelot mean with TIP3P's oxygen has the minimum of the contact.

    Where and how deep the minimum is are exactly those of MMFF94; around it the 12-6 form is the steeper one.
    """
    radius = 2 * contact.radius - TIP3P_RADIUS
    return radius / 2 ** (1 / 6), contact.depth**2 / TIP3P_DEPTH


def ligand_template(mol: Chem.Mol, residue: str = LIGAND) -> str:
    """Write the force-field file of a molecule with explicit hydrogens, for `openmm.app.ForceField.loadFile`.

    It has charges and Lennard-Jones parameters and no bonded terms: those are left to an energy. OpenMM matches the
    residue by its elements and bonds. The parameters are made for water: what they give with other solutes is untested.

    Raises
    ------
    ForceFieldParameterError
        As `water_contacts`.
    """
    contacts = water_contacts(mol)
    root = ElementTree.Element("ForceField")
    types, residues = (ElementTree.SubElement(root, name) for name in ("AtomTypes", "Residues"))
    template = ElementTree.SubElement(residues, "Residue", name=residue)
    nonbonded = ElementTree.SubElement(root, "NonbondedForce", AMBER_SCALES)
    topology = openmm_topology(mol, residue)
    for atom, contact in zip(topology.atoms(), contacts, strict=True):
        kind, symbol = f"{residue}-{atom.name}", atom.element.symbol
        mass = STANDARD_ATOMIC_WEIGHTS[atom.element.atomic_number - 1]
        ElementTree.SubElement(types, "Type", {"name": kind, "class": kind, "element": symbol, "mass": str(mass)})
        ElementTree.SubElement(template, "Atom", name=atom.name, type=kind)
        sigma, epsilon = lennard_jones(contact)
        numbers = {"charge": contact.charge, "sigma": sigma / 10, "epsilon": epsilon / KCAL_PER_KJ}
        ElementTree.SubElement(nonbonded, "Atom", {"type": kind, **{key: repr(x) for key, x in numbers.items()}})
    for first, second in topology.bonds():
        ElementTree.SubElement(template, "Bond", atomName1=first.name, atomName2=second.name)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
