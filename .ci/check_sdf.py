"""Check that an SDF holds conformers in three dimensions of every molecule of a SMILES file: OUT.sdf IN.smi."""

import sys
from collections import Counter

from rdkit import Chem

CLOSEST = 0.6  # Å, between any two atoms


def main(sdf: str, smiles_file: str) -> None:
    with open(smiles_file, encoding="utf-8") as lines:
        wanted = {line.split()[1]: line.split()[0] for line in lines if line.strip()}
    conformers: Counter[str] = Counter()
    for record, molecule in enumerate(Chem.SDMolSupplier(sdf, removeHs=False), start=1):
        if molecule is None:
            sys.exit(f"{sdf}: RDKit cannot read record {record}")
        name = molecule.GetProp("_Name")
        distances = Chem.Get3DDistanceMatrix(molecule)
        n_atoms = molecule.GetNumAtoms()
        closest = min((distances[i, j] for i in range(n_atoms) for j in range(i)), default=CLOSEST)
        if not (molecule.GetConformer().Is3D() and closest >= CLOSEST):
            sys.exit(f"{sdf}: record {record} ({name}) is flat, or has two atoms {closest:.2f} Å apart")
        if name in wanted and canonical(molecule) != canonical(Chem.MolFromSmiles(wanted[name])):
            sys.exit(f"{sdf}: record {record} ({name}) is another molecule than {wanted[name]}")
        conformers[name] += 1
    if missing := wanted.keys() - conformers.keys():
        sys.exit(f"{sdf}: no conformer of {', '.join(sorted(missing))}")
    sys.stdout.write(f"{sdf}: {conformers.total()} conformers of {len(conformers)} molecules\n")


def canonical(molecule: Chem.Mol) -> str:
    """SMILES without hydrogens and without stereo, which the tests check."""
    return Chem.MolToSmiles(Chem.RemoveAllHs(molecule), isomericSmiles=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
