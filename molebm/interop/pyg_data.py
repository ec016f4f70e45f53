"""Molecules as `torch_geometric.data.Data`, for graph networks of one's own."""

from __future__ import annotations

import torch
from rdkit import Chem
from torch_geometric.data import Data

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import RequestError
from molebm.topology import Topology, separate


def to_pyg(mol: Chem.Mol) -> Data:
    """Return one molecule with explicit hydrogens as a graph, its first conformer as `pos` (N, 3) Å if it has one.

    Raises
    ------
    MoleculeError
        As `topology_from_mol`.
    """
    positions = positions_from_mol(mol)[:, :, :1]
    return data_from_topology(topology_from_mol(mol), positions if positions.numel() else None)


def data_from_topology(topology: Topology, positions: torch.Tensor | None = None) -> Data:
    """Return the graph of one molecule as its categories, which `CategoryEmbedding` takes by row.

    `x` (N, 8) int64 and `edge_attr` (2B, 3) int64 are the features of atoms and bonds, see `ATOM_FEATURE_SIZES` and
    `BOND_FEATURE_SIZES`; `edge_index` (2, 2B) has every bond both ways, those of the topology first; `z` (N,) are
    atomic numbers, `formal_charge` (N,) is in e. The index lists of the terms come too, in PyG's convention that what
    ends in index counts atoms: `angle_index` (3, A), `torsion_index` (4, T), `improper_index` (4, O) and
    `pair_index` (2, P). They are shifted in a PyG batch.

    Parameters
    ----------
    positions
        (3, N, 1) Å.

    Raises
    ------
    RequestError
        If the topology is of several molecules, or the positions of several conformers.
    """
    if topology.n_molecules != 1:
        raise RequestError(
            f"the topology is of {topology.n_molecules} molecules; give them one by one, as `topologies_to_pyg` does"
        )
    data = Data(
        x=topology.atom_features.T.contiguous(),
        edge_index=torch.cat([topology.bonds, topology.bonds.flip(0)], dim=1),
        edge_attr=topology.bond_features.T.repeat(2, 1),
        z=topology.atomic_numbers,
        formal_charge=topology.formal_charges,
        angle_index=topology.angles,
        torsion_index=topology.torsions,
        improper_index=topology.impropers,
        pair_index=topology.pairs,
    )
    if positions is not None:
        if positions.shape != (3, topology.n_atoms, 1):
            raise RequestError(
                f"the positions are {tuple(positions.shape)}; a graph has one conformer, (3, {topology.n_atoms}, 1)"
            )
        data.pos = positions[:, :, 0].T.contiguous()
    return data


def topologies_to_pyg(topology: Topology) -> list[Data]:
    """Return the graph of each molecule of a concatenated topology, in order."""
    return [data_from_topology(one) for one in separate(topology)]
