"""Every frame of a trajectory is a record of the molecule that was meant, whole and with its own coordinates."""

import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import Record
from molebm.chem.trajectory import read_trajectory
from molebm.errors import RequestError
from molebm.forcefield.geometry import cos_torsion, triple_product

md = pytest.importorskip("mdtraj")

DRUG = "C[C@H](Cl)C(=O)Nc1ccc(C[NH3+])cc1/C=C/C(=O)[O-]"
SATURATED = "C[C@H](O)[C@@H](F)CO"
BOX = 30.0  # Å
FLOAT32 = 2e-5  # Å, of coordinates below 100 Å that were nm in float32


def embedded(smiles: str, n_frames: int = 3) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMultipleConfs(mol, n_frames, randomSeed=3)
    return mol


def coordinates(mol: Chem.Mol) -> np.ndarray:
    """(F, N, 3) Å"""
    return np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])


def add_residue(topology, name: str, symbols: list[str], bonds=()) -> None:
    residue = topology.add_residue(name, topology.add_chain())
    atoms = [topology.add_atom(f"{s}{i}", md.element.get_by_symbol(s), residue) for i, s in enumerate(symbols, 1)]
    for a, b in bonds:
        topology.add_bond(atoms[a], atoms[b])


def ligand_alone(mol: Chem.Mol, name: str = "LIG"):
    topology = md.Topology()
    add_residue(topology, name, [atom.GetSymbol() for atom in mol.GetAtoms()])
    return topology


def written(path: Path, topology, frames: np.ndarray, box: float | None = None) -> Path:
    lengths = None if box is None else np.full((len(frames), 3), box / 10)
    angles = None if box is None else np.full((len(frames), 3), 90.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NetCDF would be faster with another package
        md.Trajectory(frames / 10, topology, unitcell_lengths=lengths, unitcell_angles=angles).save(str(path))
    return path


def alone(tmp_path: Path, mol: Chem.Mol, name: str) -> tuple[Path, Path]:
    """A trajectory of the molecule alone, and its topology."""
    topology = ligand_alone(mol)
    top = written(tmp_path / "top.pdb", topology, coordinates(mol)[:1])
    return written(tmp_path / name, topology, coordinates(mol)), top


def solvated(mol: Chem.Mol) -> tuple[object, np.ndarray]:
    """The molecule after an amino acid and before water and ions; its atoms begin at 10."""
    topology = md.Topology()
    add_residue(topology, "ALA", ["N", "C", "C", "O", "C", "H", "H", "H", "H", "H"])
    add_residue(topology, "LIG", [atom.GetSymbol() for atom in mol.GetAtoms()])
    for _ in range(5):
        add_residue(topology, "HOH", ["O", "H", "H"])
    add_residue(topology, "NA", ["Na"])
    frames = np.random.default_rng(0).uniform(0, BOX, (mol.GetNumConformers(), topology.n_atoms, 3))
    frames[:, 10 : 10 + mol.GetNumAtoms()] = coordinates(mol)
    return topology, frames


def positions(record: Record) -> np.ndarray:
    assert record.error is None
    (conformer,) = record.mol.GetConformers()
    assert conformer.Is3D()
    return conformer.GetPositions()


def meets_its_stereo(mol: Chem.Mol) -> bool:
    t, x = topology_from_mol(mol), positions_from_mol(mol)
    centres = (triple_product(x, t.stereo_centres).sign() == t.stereo_signs[:, None]).all()
    return bool(centres and ((cos_torsion(x, t.stereo_bonds) > 0) == t.stereo_cis[:, None]).all())


@pytest.mark.parametrize(
    "name", ["in.xtc", "in.trr", "in.dcd", "in.nc", "in.xyz", "in.gro", "in.pdb", "in.pdb.gz", "in.xyz.gz", "in.mdcrd"]
)
def test_frames_are_records_of_one_molecule_with_their_own_coordinates(tmp_path, name):
    mol = embedded(DRUG)
    path, top = alone(tmp_path, mol, name)
    records = list(read_trajectory(path, topology=top, template=DRUG))
    assert [(r.index, r.name, r.source) for r in records] == [
        (n, f"frame {n}", f"{name} frame {n}") for n in range(mol.GetNumConformers())
    ]
    precision = 0.0051 if name.endswith((".xtc", ".gro")) else 0.51e-3  # Å as the formats round, or less
    for record, frame in zip(records, coordinates(mol), strict=True):
        assert np.abs(positions(record) - frame).max() <= precision
        assert Chem.MolToSmiles(Chem.RemoveHs(record.mol)) == Chem.CanonSmiles(DRUG)
        assert [a.GetSymbol() for a in record.mol.GetAtoms()] == [a.GetSymbol() for a in mol.GetAtoms()]
        assert meets_its_stereo(record.mol)


@pytest.mark.parametrize("name", ["in.h5", "in.lh5"])
def test_hdf5_is_read_with_pytables_or_asks_for_it(tmp_path, name, monkeypatch):
    mol = embedded(SATURATED)
    written(tmp_path / "top.pdb", ligand_alone(mol), coordinates(mol)[:1])
    monkeypatch.setattr("molebm.chem.frames.find_spec", lambda package: None)
    (tmp_path / name).touch()
    with pytest.raises(RequestError, match="PyTables, which is not installed: pip install tables"):
        read_trajectory(tmp_path / name, topology=tmp_path / "top.pdb")
    monkeypatch.undo()
    pytest.importorskip("tables")
    if name == "in.lh5":
        return  # MDTraj reads it, and cannot write it with pandas 3
    (tmp_path / name).unlink()
    path, top = alone(tmp_path, mol, name)
    for record, frame in zip(read_trajectory(path, topology=top), coordinates(mol), strict=True):
        assert np.abs(positions(record) - frame).max() <= FLOAT32


def test_stride_leaves_out_frames_across_chunks_and_keeps_their_numbers(tmp_path):
    mol = embedded("CO", 1)
    frames = coordinates(mol) + np.arange(250)[:, None, None] * 0.1
    for name in ("in.xtc", "in.dcd", "in.xyz"):
        path = written(tmp_path / name, ligand_alone(mol), frames)
        top = written(tmp_path / "top.pdb", ligand_alone(mol), frames[:1])
        records = list(read_trajectory(path, topology=top, stride=7))
        assert [(r.index, r.name) for r in records] == [(i, f"frame {7 * i}") for i in range(36)]
        assert all(np.abs(positions(r) - frames[7 * r.index]).max() <= 0.0051 for r in records)


def test_chemistry_may_be_that_of_an_sdf(tmp_path):
    mol = embedded(DRUG)
    path, _ = alone(tmp_path, mol, "in.dcd")
    Chem.MolToMolFile(mol, str(tmp_path / "top.sdf"))
    for record, frame in zip(read_trajectory(path, topology=tmp_path / "top.sdf"), coordinates(mol), strict=True):
        assert np.abs(positions(record) - frame).max() <= FLOAT32
        assert Chem.MolToSmiles(Chem.RemoveHs(record.mol)) == Chem.CanonSmiles(DRUG)
        assert meets_its_stereo(record.mol)
    with pytest.raises(RequestError, match="leave the template out"):
        read_trajectory(path, topology=tmp_path / "top.sdf", template=DRUG)
    with pytest.raises(RequestError, match="leave the selection out"):
        read_trajectory(path, topology=tmp_path / "top.sdf", selection="all")


def test_stereo_is_that_of_the_template_or_else_of_the_first_frame(tmp_path):
    mol = embedded(SATURATED, 2)
    mirrored = coordinates(mol) * np.array([[[1.0]], [[-1.0]]])  # the second frame is the mirror image
    topology = ligand_alone(mol)
    top = written(tmp_path / "top.pdb", topology, -mirrored[:1])  # nor does the topology's matter
    path = written(tmp_path / "in.dcd", topology, mirrored)
    for records in (
        list(read_trajectory(path, topology=top)),
        list(read_trajectory(path, topology=top, template=SATURATED)),
    ):
        assert [Chem.MolToSmiles(Chem.RemoveHs(r.mol)) for r in records] == [Chem.CanonSmiles(SATURATED)] * 2
        assert [meets_its_stereo(r.mol) for r in records] == [True, False]


def test_the_one_residue_that_is_a_ligand_is_found_and_a_selection_says_the_same(tmp_path):
    mol = embedded(DRUG)
    topology, frames = solvated(mol)
    path, top = written(tmp_path / "in.dcd", topology, frames), written(tmp_path / "top.pdb", topology, frames[:1])
    for selection in (None, "resname LIG", "index 10 to 45 and not water and not resname ALA and not resname NA"):
        records = list(read_trajectory(path, topology=top, template=DRUG, selection=selection))
        for record, frame in zip(records, coordinates(mol), strict=True):
            assert np.abs(positions(record) - frame).max() <= FLOAT32


@pytest.mark.parametrize("shape", ["cubic", "octahedron"])
def test_molecule_cut_by_the_box_is_made_whole(tmp_path, shape):
    mol = embedded(DRUG)
    topology, frames = solvated(mol)
    angle = 90.0 if shape == "cubic" else 109.4712206
    x = frames[:1] / 10
    whole = md.Trajectory(x, topology, unitcell_lengths=[[BOX / 10] * 3], unitcell_angles=[[angle] * 3])
    cell = whole.unitcell_vectors[0].astype(float) * 10
    images = np.random.default_rng(1).integers(-2, 3, frames.shape)  # every atom anywhere in space
    cut = frames + images @ cell
    lengths, angles = np.full((3, 3), BOX / 10), np.full((3, 3), angle)
    md.Trajectory(cut / 10, topology, unitcell_lengths=lengths, unitcell_angles=angles).save(str(tmp_path / "in.dcd"))
    md.Trajectory(cut[:1] / 10, topology, unitcell_lengths=lengths[:1], unitcell_angles=angles[:1]).save(
        str(tmp_path / "top.pdb")
    )
    records = list(read_trajectory(tmp_path / "in.dcd", topology=tmp_path / "top.pdb", template=DRUG))
    for record, frame in zip(records, coordinates(mol), strict=True):
        shift = positions(record) - frame
        assert np.abs(shift - shift[0]).max() <= 5e-4  # Å; the cell has its rounding too
        assert meets_its_stereo(record.mol)


def test_frames_that_no_box_cuts_are_given_to_the_bit(tmp_path):
    mol = embedded(SATURATED)
    path, top = alone(tmp_path, mol, "in.dcd")
    inside = written(tmp_path / "boxed.dcd", ligand_alone(mol), coordinates(mol), box=BOX)
    for free, boxed in zip(read_trajectory(path, topology=top), read_trajectory(inside, topology=top), strict=True):
        assert (positions(free) == positions(boxed)).all()


def test_a_frame_that_is_not_finite_is_given_as_it_is(tmp_path):
    mol = embedded(SATURATED)
    frames = coordinates(mol)
    frames[0], frames[1, 3, 2] = np.nan, np.inf
    topology = ligand_alone(mol)
    path, top = written(tmp_path / "in.dcd", topology, frames, BOX), written(tmp_path / "top.pdb", topology, frames[2:])
    records = list(read_trajectory(path, topology=top, template=SATURATED))
    assert [int((~np.isfinite(positions(r))).sum()) for r in records] == [3 * mol.GetNumAtoms(), 1, 0]


def test_no_frame_need_be_finite_where_the_topology_is(tmp_path):
    mol = embedded(SATURATED)
    topology = ligand_alone(mol)
    top = written(tmp_path / "top.pdb", topology, coordinates(mol)[:1])
    path = written(tmp_path / "in.dcd", topology, np.full_like(coordinates(mol), np.nan))
    records = list(read_trajectory(path, topology=top, template=SATURATED))
    assert [Chem.MolToSmiles(Chem.RemoveHs(r.mol)) for r in records] == [Chem.CanonSmiles(SATURATED)] * 3


@pytest.mark.parametrize("name", ["in.xtc", "in.trr", "in.dcd", "in.xyz", "in.gro", "in.pdb"])
def test_truncated_trajectory_gives_its_whole_frames_and_says_that_there_was_more(tmp_path, name):
    mol = embedded(DRUG, 1)
    topology = ligand_alone(mol)
    top = written(tmp_path / "top.pdb", topology, coordinates(mol))
    path = written(tmp_path / name, topology, np.repeat(coordinates(mol), 150, axis=0))
    packed = path.read_bytes()
    path.write_bytes(packed[: int(len(packed) * 134.5 / 150)])
    *whole, last = read_trajectory(path, topology=top, template=DRUG)
    assert len(whole) == 134
    assert all(r.mol is not None for r in whole)
    assert (last.index, last.name, last.mol) == (len(whole), f"frame {len(whole)}", None)
    assert "reading stopped here, the rest is lost" in last.error


def test_atoms_without_hydrogens_take_them_from_the_template_later(tmp_path):
    mol = embedded(DRUG)
    polar = Chem.RemoveHs(mol, Chem.RemoveHsParameters())
    partly = [a.GetIdx() for a in mol.GetAtoms() if a.GetSymbol() != "H" or a.GetNeighbors()[0].GetSymbol() != "C"]
    for kept in (list(range(polar.GetNumAtoms())), partly):  # heavy atoms come first
        topology = md.Topology()
        add_residue(topology, "LIG", [mol.GetAtomWithIdx(i).GetSymbol() for i in kept])
        frames = coordinates(mol)[:, kept]
        path, top = written(tmp_path / "in.dcd", topology, frames), written(tmp_path / "top.pdb", topology, frames[:1])
        for record, frame in zip(read_trajectory(path, topology=top, template=DRUG), frames, strict=True):
            assert np.abs(positions(record) - frame[: polar.GetNumAtoms()]).max() <= FLOAT32
            assert Chem.MolToSmiles(record.mol) == Chem.CanonSmiles(DRUG)


def test_chlorine_of_a_gro_file_is_not_taken_for_carbon(tmp_path):
    mol = embedded("C[C@H](Cl)Br")
    topology = ligand_alone(mol)
    for atom in topology.atoms:
        atom.name = atom.name.upper()  # CL3, as GROMACS writes it
    top = written(tmp_path / "top.gro", topology, coordinates(mol)[:1])
    path = written(tmp_path / "in.xtc", topology, coordinates(mol))
    records = list(read_trajectory(path, topology=top, template="C[C@H](Cl)Br"))
    assert [Chem.MolToSmiles(Chem.RemoveHs(r.mol)) for r in records] == ["C[C@H](Cl)Br"] * 3


def test_bonds_that_the_topology_states_hold_where_atoms_clash(tmp_path):
    """Ring atoms at 1.2 Å across are not bonded; by distance alone they would be, and match no template."""
    mol = embedded("CCCCCC", 1)
    frames = coordinates(mol)
    frames[0, 5] = frames[0, 0] + [0.7, 0.7, 0.7]
    topology = md.Topology()
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
    add_residue(topology, "LIG", [a.GetSymbol() for a in mol.GetAtoms()], bonds)
    path, top = written(tmp_path / "in.dcd", topology, frames), written(tmp_path / "top.pdb", topology, frames)
    for template in ("CCCCCC", None):
        (record,) = read_trajectory(path, topology=top, template=template)
        assert Chem.MolToSmiles(Chem.RemoveHs(record.mol)) == "CCCCCC"


def test_memory_does_not_grow_with_the_trajectory(tmp_path):
    """Reading 6 MB takes less than a tenth of that at its peak."""
    mol = embedded("CCO", 1)
    top = written(tmp_path / "top.pdb", ligand_alone(mol), coordinates(mol))
    path = written(tmp_path / "in.xyz", ligand_alone(mol), np.repeat(coordinates(mol), 20_000, axis=0))
    records = read_trajectory(path, topology=top)
    next(records)
    tracemalloc.start()
    try:
        for _ in zip(range(1000), records, strict=False):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        records.close()
    assert peak < 600_000 < 0.1 * path.stat().st_size


def test_request_that_cannot_be_met_says_why(tmp_path):
    mol = embedded(DRUG)
    topology, frames = solvated(mol)
    path, top = written(tmp_path / "in.dcd", topology, frames), written(tmp_path / "top.pdb", topology, frames[:1])
    (tmp_path / "in.zip").touch()
    (tmp_path / "empty.xyz").touch()
    (tmp_path / "bad.pdb").write_text("ATOM      1  C1  LIG A   1     nonsense\nEND\n")

    def fails(message: str, trajectory: Path = path, **options) -> None:
        with pytest.raises(RequestError, match=message):
            next(read_trajectory(trajectory, **{"topology": top, "template": DRUG} | options))

    fails("'.*absent.xtc' does not exist", tmp_path / "absent.xtc")
    fails(r"unknown kind; known are \.xtc", tmp_path / "in.zip")
    fails("topology '.*absent.pdb' does not exist", topology=tmp_path / "absent.pdb")
    fails("topology '.*bad.pdb' cannot be read", topology=tmp_path / "bad.pdb")
    fails("topology '.*in.zip' cannot be read", topology=tmp_path / "in.zip")
    fails("holds no frames", tmp_path / "empty.xyz")
    fails("the stride is 0", stride=0)
    fails("template: 'C\\(' is not a valid SMILES", template="C(")
    fails("does not match the template 'CCO'", template="CCO")
    fails("C13Cl1H15N2O3 of LIG1: .*lacks hydrogens or bond orders; give its SMILES as the template", template=None)
    fails("'resname LIG and' is no selection of MDTraj", selection="resname LIG and")
    fails("selects no atoms; the topology has the residues NA, LIG, ALA, HOH \\(5\\)", selection="resname XYZ")
    fails("does not match the template", selection="resname LIG or resname NA")


def test_trajectory_of_another_topology_is_told(tmp_path):
    mol = embedded(DRUG)
    other = written(tmp_path / "other.pdb", ligand_alone(embedded("CCO")), coordinates(embedded("CCO"))[:1])
    for name in ("in.xtc", "in.dcd", "in.trr", "in.nc", "in.xyz", "in.pdb"):
        path, _ = alone(tmp_path, mol, name)
        with pytest.raises(RequestError, match="is not of its topology: .*give the topology of all its atoms"):
            next(read_trajectory(path, topology=other, template="CCO"))


def test_several_molecules_that_may_be_meant_are_named(tmp_path):
    mol = embedded("CCO", 1)
    topology = md.Topology()
    for name in ("AAA", "BBB", "AAA"):
        add_residue(topology, name, [atom.GetSymbol() for atom in mol.GetAtoms()])
    frames = np.concatenate([coordinates(mol) + 8.0 * n for n in range(3)], axis=1)
    top = written(tmp_path / "top.pdb", topology, frames)
    with pytest.raises(RequestError, match=r"several residues may be meant: BBB, AAA \(2\); give the selection"):
        read_trajectory(top, topology=top)
    (record,) = read_trajectory(top, topology=top, selection="resname BBB")
    assert np.abs(positions(record) - coordinates(mol)[0] - 8.0).max() <= 0.51e-3


def test_a_selection_that_cuts_a_bond_is_refused(tmp_path):
    mol = embedded("CCO", 1)
    topology = md.Topology()
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
    add_residue(topology, "LIG", [a.GetSymbol() for a in mol.GetAtoms()], bonds)
    top = written(tmp_path / "top.pdb", topology, coordinates(mol))
    with pytest.raises(RequestError, match="ends at the bond .*select whole molecules"):
        read_trajectory(top, topology=top, selection="element C or element O")


def test_mdtraj_that_is_not_installed_is_asked_for(tmp_path, monkeypatch):
    path, top = alone(tmp_path, embedded("CO"), "in.xtc")
    monkeypatch.setitem(sys.modules, "mdtraj", None)
    with pytest.raises(RequestError, match="not installed: pip install mdtraj"):
        read_trajectory(path, topology=top)
