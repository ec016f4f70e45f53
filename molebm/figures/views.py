"""Conformers in space, in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from rdkit import Chem
from rdkit.Chem import rdMolAlign

from molebm.errors import RequestError

COLUMNS: Final = 3  # of several molecules
MOST_MOLECULES: Final = 12
MOST_CONFORMERS: Final = 50


class HasMolecule(Protocol):
    """Such as `molebm.conformers.Ensemble`."""

    @property
    def mol(self) -> Chem.Mol: ...


Viewable: TypeAlias = "Chem.Mol | HasMolecule"


def view(
    found: Viewable | Iterable[Viewable],
    *,
    animated: bool = False,
    hydrogens: bool = True,
    size: tuple[int, int] = (480, 360),
) -> Any:
    """Show conformers in space, superposed by their heavy atoms; the last line of a cell of a notebook displays it.

    Needs py3Dmol, whose page loads JavaScript from the network: without one it is blank. `molebm report` makes a
    page that carries its viewer inside.

    Parameters
    ----------
    found
        A molecule or an ensemble, or several of them, of which the first 12 are shown side by side; of each the
        first 50 conformers.
    animated
        Show one conformer after the other in place of all at once.
    hydrogens
        Whether to show them.
    size
        Width and height in pixels, of each molecule.

    Raises
    ------
    RequestError
        If py3Dmol is not installed, or there is nothing to show.
    """
    try:
        import py3Dmol
    except ModuleNotFoundError as error:
        raise RequestError('views in a notebook need py3Dmol; pip install "molebm[viz]"') from error
    shown = [_superposed(mol, hydrogens) for mol in _molecules(found)[:MOST_MOLECULES]]
    if not shown:
        raise RequestError("there is no molecule with coordinates to show; generate conformers first")
    n_columns = min(COLUMNS, len(shown))
    n_rows = -(-len(shown) // n_columns)
    width, height = size[0] * n_columns, size[1] * n_rows
    viewer = py3Dmol.view(width=width, height=height, viewergrid=(n_rows, n_columns), linked=False)
    for place, mol in enumerate(shown):
        cell = divmod(place, n_columns)
        blocks = [Chem.MolToMolBlock(mol, confId=conformer.GetId()) for conformer in mol.GetConformers()]
        if animated:
            viewer.addModelsAsFrames("$$$$\n".join(blocks), "sdf", viewer=cell)
            viewer.animate({"loop": "forward", "interval": 400}, viewer=cell)
        else:
            for block in blocks:
                viewer.addModel(block, "sdf", viewer=cell)
        viewer.setStyle({"stick": {"radius": 0.12}, "sphere": {"scale": 0.2}}, viewer=cell)
        viewer.zoomTo(viewer=cell)
    return viewer


def _molecules(found: Viewable | Iterable[Viewable]) -> Sequence[Chem.Mol]:
    """Take the molecules out of whatever holds them, those with coordinates."""
    if isinstance(found, Chem.Mol):
        given = [found]
    elif hasattr(found, "mol"):
        given = [found.mol]
    else:
        given = [one if isinstance(one, Chem.Mol) else one.mol for one in found]
    return [mol for mol in given if mol is not None and mol.GetNumConformers()]


def _superposed(mol: Chem.Mol, hydrogens: bool) -> Chem.Mol:
    copy = Chem.Mol(mol)
    for conformer_id in [conformer.GetId() for conformer in copy.GetConformers()][MOST_CONFORMERS:]:
        copy.RemoveConformer(conformer_id)
    heavy = [atom.GetIdx() for atom in copy.GetAtoms() if atom.GetAtomicNum() > 1]
    if len(heavy) > 1 and copy.GetNumConformers() > 1:
        rdMolAlign.AlignMolConformers(copy, atomIds=heavy)
    return copy if hydrogens else Chem.RemoveHs(copy)
