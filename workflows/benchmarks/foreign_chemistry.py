"""Molecules unlike those of a library: some of its own, changed at random within their valences, and other kinds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from rdkit import Chem

VALENCES: Final = {6: 4, 7: 3, 8: 2, 16: 2, 9: 1, 17: 1, 35: 1}
ELEMENTS: Final = (6,) * 14 + (7,) * 3 + (8,) * 3 + (16, 9, 17)  # of random graphs, about as often as in drugs
HEADS: Final = ("C(=O)O", "O", "N", "OP(=O)(O)O", "C(=O)OCC(O)CO", "", "S(=O)(=O)O")  # of lipids
TRIES: Final = 60
SILANES: Final = Path(__file__).resolve().parents[2] / "data" / "silanes.smi"

Sets = dict[str, list[Chem.Mol]]


def foreign_sets(mols: Sequence[Chem.Mol], seed: int) -> Sets:
    """Make a set each of mutants of the molecules given, random graphs of their sizes and lipids; silanes."""
    rng = random.Random(seed)
    flat = [Chem.MolFromSmiles(Chem.MolToSmiles(mol, isomericSmiles=False)) for mol in mols]
    sets: Sets = {f"mutated {n}×": _sound(mutant(mol, n, rng) for mol in flat) for n in (1, 3, 6)}
    sets["random graphs"] = _sound(random_graph(mol.GetNumHeavyAtoms(), rng) for mol in flat)
    sets["lipids"] = _sound(lipid(rng) for _ in flat)
    lines = (line.split() for line in SILANES.read_text(encoding="utf-8").splitlines())
    sets["silanes"] = _sound(Chem.MolFromSmiles(fields[0]) for fields in lines if fields and fields[0][0] != "#")
    return sets


def _sound(mols: Iterable[Chem.Mol | None]) -> list[Chem.Mol]:
    return [mol for mol in mols if mol is not None]


def mutant(mol: Chem.Mol, n_changes: int, rng: random.Random) -> Chem.Mol | None:
    """Change elements, bond orders and bonds at random, so that every valence is met and it stays one molecule."""
    done = 0
    for _ in range(TRIES):
        changed = _change(mol, rng)
        if changed is not None:
            mol, done = changed, done + 1
        if done == n_changes:
            return mol
    return None


def _change(mol: Chem.Mol, rng: random.Random) -> Chem.Mol | None:
    new = Chem.RWMol(mol)
    Chem.Kekulize(new, clearAromaticFlags=True)
    change: Callable[[Chem.RWMol, random.Random], bool] = rng.choice([_element, _order, _ring, _move])
    if not change(new, rng):
        return None
    for atom in new.GetAtoms():
        if atom.GetAtomicNum() in VALENCES and not atom.GetFormalCharge():
            atom.SetNumExplicitHs(0)
            atom.SetNoImplicit(False)
    return _read_again(new)


def _element(mol: Chem.RWMol, rng: random.Random) -> bool:
    atom = mol.GetAtomWithIdx(rng.randrange(mol.GetNumAtoms()))
    used = sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds())
    fit = [z for z, valence in VALENCES.items() if valence >= used and z != atom.GetAtomicNum()]
    if atom.GetFormalCharge() or not fit:
        return False
    atom.SetAtomicNum(rng.choice(fit))
    return True


def _order(mol: Chem.RWMol, rng: random.Random) -> bool:
    bond = mol.GetBondWithIdx(rng.randrange(mol.GetNumBonds()))
    single = bond.GetBondType() == Chem.BondType.SINGLE
    bond.SetBondType(Chem.BondType.DOUBLE if single else Chem.BondType.SINGLE)
    return True


def _ring(mol: Chem.RWMol, rng: random.Random) -> bool:
    i, j = rng.sample(range(mol.GetNumAtoms()), 2)
    if mol.GetBondBetweenAtoms(i, j):
        return False
    mol.AddBond(i, j, Chem.BondType.SINGLE)
    return True


def _move(mol: Chem.RWMol, rng: random.Random) -> bool:
    bond = mol.GetBondWithIdx(rng.randrange(mol.GetNumBonds()))
    i, j, k = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), rng.randrange(mol.GetNumAtoms())
    mol.RemoveBond(i, j)
    if k == i or mol.GetBondBetweenAtoms(i, k):
        return False
    mol.AddBond(i, k, Chem.BondType.SINGLE)
    return True


def random_graph(n_heavy: int, rng: random.Random) -> Chem.Mol | None:
    """Grow a tree of atoms within their valences, and close up to three rings."""
    mol = Chem.RWMol()
    mol.AddAtom(Chem.Atom(6))
    free = [VALENCES[6]]
    while mol.GetNumAtoms() < n_heavy:
        open_atoms = [atom for atom, left in enumerate(free) if left]
        if not open_atoms:
            return None
        i, element = rng.choice(open_atoms), rng.choice(ELEMENTS)
        order = min(rng.choice((1, 1, 1, 2)), free[i], VALENCES[element])
        j = mol.AddAtom(Chem.Atom(element))
        free.append(VALENCES[element] - order)
        free[i] -= order
        mol.AddBond(i, j, Chem.BondType.SINGLE if order == 1 else Chem.BondType.DOUBLE)
    for _ in range(rng.randrange(4)):
        open_atoms = [atom for atom, left in enumerate(free) if left]
        if len(open_atoms) < 2:
            break
        i, j = rng.sample(open_atoms, 2)
        if not mol.GetBondBetweenAtoms(i, j):
            mol.AddBond(i, j, Chem.BondType.SINGLE)
            free[i] -= 1
            free[j] -= 1
    return _read_again(mol)


def lipid(rng: random.Random) -> Chem.Mol | None:
    """A chain of 8 to 24 atoms, carbon and some oxygen, with a head."""
    tail = ["O" if k > 1 and rng.random() < 0.1 else "C" for k in range(rng.randint(8, 24))]
    return Chem.MolFromSmiles("".join(tail).replace("OO", "CO") + "CC" + rng.choice(HEADS))


def _read_again(mol: Chem.RWMol) -> Chem.Mol | None:
    try:
        Chem.SanitizeMol(mol)
    except (Chem.MolSanitizeException, ValueError):
        return None
    smiles = Chem.MolToSmiles(mol, isomericSmiles=False)
    return None if "." in smiles else Chem.MolFromSmiles(smiles)
