"""How well energies of pictures of molecules find those of no molecule, beside outlier detectors of scikit-learn.

    python workflows/benchmarks/family_cnn.py SMILES.smi --cache FOLDER

Structures of molecules drawn from the file (ETKDGv3, then MMFF94) are pictured on the grid of `molebm featurise`. Some
train, and of others all kinds of wrong structures are made. The peers see the first principal components of the same
pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from defect_kinds import KINDS
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from torch import Tensor

from molebm.chem.density_grid import grid
from molebm.chem.reading import read_molecules
from molebm.errors import MoleculeError
from molebm.family.cnn_energy import CnnConfig, CnnEnergy
from molebm.family.config import checked, read_toml
from molebm.family.features import Features
from molebm.family.run import FamilyRun
from molebm.models.checkpoint import load_tensors, save_tensors

CONFIG: Final = Path(__file__).resolve().parents[1] / "family" / "cnn.toml"
LARGEST: Final = 80  # atoms
COMPONENTS: Final = 50
TREES: Final = 300
SOUND: Final = "sound"
Array = NDArray[np.float64]
Make = Callable[[Chem.Mol, np.random.Generator], Chem.Mol | None]


@click.command()
@click.argument("smiles", type=click.Path(exists=True, path_type=Path))
@click.option("--train", "n_train", default=1000, show_default=True, help="Molecules to learn from.")
@click.option("--test", "n_test", default=120, show_default=True, help="Molecules to make wrong structures of.")
@click.option("--crystals", multiple=True, type=click.Path(exists=True, path_type=Path), help="Also picture these.")
@click.option("--updates", default=1500, show_default=True)
@click.option("--batch-size", default=32, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for the pictures.")
@click.option("--seed", default=0, show_default=True)
def main(
    smiles: Path,
    n_train: int,
    n_test: int,
    crystals: Sequence[Path],
    updates: int,
    batch_size: int,
    cache: Path | None,
    seed: int,
) -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(1)
    with rdBase.BlockLogs():
        train, test = pictures(smiles, n_train, n_test, crystals, seed, cache)
    click.echo(f"{len(train['x'])} structures to learn from, {len(test[SOUND])} others to make wrong ones of\n")
    scores = {
        "CNN, NCE": cnn_scores(train, test, updates, seed, batch_size=batch_size),
        **peer_scores(train["x"], test, seed),
    }
    click.echo(f"| structures | n | {' | '.join(scores)} |\n| --- | --: |{' --: |' * len(scores)}")
    for kind, x in test.items():
        if kind != SOUND:
            found = [told_apart(score[SOUND], score[kind]) for score in scores.values()]
            click.echo(f"| {kind} | {len(x)} | {' | '.join(found)} |")


def pictures(
    smiles: Path, n_train: int, n_test: int, crystals: Sequence[Path], seed: int, cache: Path | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Picture structures to learn from, "x" and `SHIFTED`, and others by kind, or read what is kept of them."""
    path = None if cache is None else cache / f"pictures-{smiles.stem}-{n_train}-{n_test}-{seed}.safetensors"
    if path is not None and path.exists():
        kept = load_tensors(path)
    else:
        made = structures(smiles, n_train + n_test, seed)
        rows = [grid(shifted=True)(next(made)) for _ in range(n_train)]
        kept = {f"train/{name}": torch.stack([row[name] for row in rows]) for name in rows[0]}
        kept |= {f"test/{kind}": x for kind, x in wrong_pictures(list(made), crystals, seed).items()}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_tensors(path, kept)
    parts = [{n.partition("/")[2]: x for n, x in kept.items() if n.startswith(part)} for part in ("train/", "test/")]
    return parts[0], parts[1]


def structures(smiles: Path, number: int, seed: int) -> Iterator[Chem.Mol]:
    """Embed and relax molecules drawn from a file until there are enough."""
    read = [record.mol for record in read_molecules(smiles) if record.mol is not None]
    given = 0
    for place in np.random.default_rng(seed).permutation(len(read)):
        mol = Chem.AddHs(read[place])
        if given == number:
            return
        if len(Chem.GetMolFrags(mol)) > 1 or mol.GetNumAtoms() > LARGEST:
            continue
        settings = AllChem.ETKDGv3()
        settings.randomSeed, settings.maxIterations = 1, 5
        if AllChem.EmbedMolecule(mol, settings) != 0 or AllChem.MMFFOptimizeMolecule(mol, maxIters=1000) < 0:
            continue
        try:
            grid()(mol)
        except MoleculeError:
            continue
        given += 1
        yield mol


def wrong_pictures(mols: Sequence[Chem.Mol], crystals: Sequence[Path], seed: int) -> dict[str, Tensor]:
    """Picture structures as they are, and each kind of what is made of them."""
    picture = grid()
    found = {SOUND: torch.stack([picture(mol)["x"] for mol in mols])}
    for kind, make in WRONG.items():
        generator = np.random.default_rng(seed)
        made = [wrong for mol in mols if (wrong := make(mol, generator)) is not None]
        found[kind] = torch.stack([picture(mol)["x"] for mol in made])
    found["one molecule in another"] = (found[SOUND].float() + found[SOUND].roll(1, 0).float()).half()
    read = [record.mol for path in crystals for record in read_molecules(path) if record.mol is not None][: len(mols)]
    if read:
        found["crystals, which are sound"] = torch.stack([picture(mol)["x"] for mol in read])
    return found


def defect(name: str, severity: float) -> Make:
    """Make a defect of `defect_kinds`."""
    kind = next(kind for kind in KINDS if kind.name == name)

    def make(mol: Chem.Mol, generator: np.random.Generator) -> Chem.Mol | None:
        found = kind.make(mol, severity, generator)
        return None if found is None else found.mol

    return make


def squeezed(mol: Chem.Mol, generator: np.random.Generator) -> Chem.Mol:
    """Halve one coordinate, as a wrong unit cell or column does."""
    return _with(mol, mol.GetConformer().GetPositions() * np.where(np.arange(3) == generator.integers(3), 0.5, 1.0))


def drawing(mol: Chem.Mol, generator: np.random.Generator) -> Chem.Mol:
    """Draw the molecule in two dimensions, and call it three."""
    flat = Chem.RemoveHs(mol)
    AllChem.Compute2DCoords(flat)
    flat.GetConformer().Set3D(True)
    return flat


def elements_shuffled(mol: Chem.Mol, generator: np.random.Generator) -> Chem.Mol:
    """Deal the elements of the heavier atoms out again."""
    copy = Chem.RWMol(mol)
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    numbers = generator.permutation([mol.GetAtomWithIdx(i).GetAtomicNum() for i in heavy])
    for i, number in zip(heavy, numbers.tolist(), strict=True):
        copy.GetAtomWithIdx(i).SetAtomicNum(number)
    return copy.GetMol()


def cut_off(mol: Chem.Mol, generator: np.random.Generator) -> Chem.Mol:
    """Lose the atoms of the second half of the record."""
    copy = Chem.RWMol(Chem.RemoveHs(mol, sanitize=False))
    copy.BeginBatchEdit()
    for i in range(copy.GetNumAtoms() // 2, copy.GetNumAtoms()):
        copy.RemoveAtom(i)
    copy.CommitBatchEdit()
    return copy.GetMol()


WRONG: Final[dict[str, Make]] = {
    "noise 0.1 Å": defect("noise", 0.1),
    "noise 0.3 Å": defect("noise", 0.3),
    "noise 0.6 Å": defect("noise", 0.6),
    "bond 0.5 Å longer": defect("bond", 0.5),
    "contact of 1.5 to 2.2 Å": defect("contact", 1.5),
    "5 % larger": defect("scaled", 0.05),
    "15 % larger": defect("scaled", 0.15),
    "15 % smaller": defect("scaled", -0.15),
    "one coordinate halved": squeezed,
    "drawing in two dimensions": drawing,
    "elements shuffled": elements_shuffled,
    "half of the atoms lost": cut_off,
}


def cnn_scores(
    train: dict[str, Tensor], test: dict[str, Tensor], updates: int, seed: int, **keys: object
) -> dict[str, Array]:
    """Train as the example does, and give the energies of all kinds."""
    facts = {"features": {"name": "grid", "settings": {"shifted": True}}}
    data = Features(train, ["train"] * len(train["x"]), ["mol"] * len(train["x"]), facts)
    settings = checked(CnnConfig, {**read_toml(CONFIG), "updates": updates, "seed": seed, **keys}, CONFIG)
    run = FamilyRun(CnnEnergy, settings, data, torch.device("cpu"))
    for _ in range(updates):
        run.advance()
    model = run.average.eval()
    with torch.no_grad():
        return {
            kind: torch.cat([model.energy(part.float()) for part in x.split(64)]).double().numpy()
            for kind, x in test.items()
        }


def peer_scores(x: Tensor, test: dict[str, Tensor], seed: int) -> dict[str, dict[str, Array]]:
    """Fit scikit-learn's detectors to the first principal components."""
    components = PCA(COMPONENTS, random_state=seed).fit(_flat(x))
    seen = components.transform(_flat(x))
    forest = IsolationForest(n_estimators=TREES, random_state=seed).fit(seen)
    envelope = EllipticEnvelope(random_state=seed, support_fraction=0.9).fit(seen)
    projected = {kind: components.transform(_flat(of_kind)) for kind, of_kind in test.items()}
    residual = {
        kind: np.square(_flat(of_kind) - components.inverse_transform(projected[kind])).sum(1)
        for kind, of_kind in test.items()
    }
    return {
        "IsolationForest": {kind: -forest.score_samples(z) for kind, z in projected.items()},
        "EllipticEnvelope": {kind: envelope.mahalanobis(z) for kind, z in projected.items()},
        "PCA, what is left": residual,
    }


def told_apart(sound: Array, wrong: Array) -> str:
    """AUROC: chance that the wrong ones score higher."""
    truth = np.concatenate([np.zeros(len(sound)), np.ones(len(wrong))])
    return f"{roc_auc_score(truth, np.concatenate([sound, wrong])):.3f}"


def _flat(x: Tensor) -> NDArray[np.float32]:
    return x.float().flatten(1).numpy()


def _with(mol: Chem.Mol, positions: Array) -> Chem.Mol:
    copy = Chem.Mol(mol)
    copy.GetConformer().SetPositions(np.ascontiguousarray(positions))
    return copy


if __name__ == "__main__":
    main()
