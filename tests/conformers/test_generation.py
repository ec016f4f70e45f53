import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolTransforms

import molebm
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import Record
from molebm.conformers import Ensemble, Failure, backends, batching, generate_ensembles
from molebm.conformers.batch import generate_batch
from molebm.conformers.generation import generate_records
from molebm.conformers.molecule_search import conformers_of, start_of
from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.search import Effort
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.sharding import WHOLE, Shard
from molebm.conformers.symmetry import symmetry
from molebm.conformers.vibrations import vibrational_free_energies
from molebm.errors import MoleculeError, RequestError
from molebm.forcefield import native
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import in_medium
from molebm.models.checkpoint import load_model
from molebm.parametrise import mmff
from molebm.samplers.minimise import minimise
from molebm.units import thermal_energy

SEVERAL_STEREO = [
    "C[C@@H]1CC[C@H]([C@@H](C1)O)C(C)C",  # menthol
    "C[C@H](N)C(=O)N[C@@H](C)C(=O)O",  # L-Ala-L-Ala
    "C/C(=C\\C=C/O)/F",
    "C[S@@](=O)c1ccccc1",
    "O[C@H]1[C@H](O)[C@@H](O)[C@@H](O)O[C@@H]1CO",  # glucose
    "C[C@]12CC[C@H](C1)C(C)(C)C2=O",  # fenchone
    "F/C=C/C(=N\\O)/C",
]
IMPOSSIBLE = "C1C[C@@H]2CC[C@@H]1C2"  # norbornane with one bridgehead turned inwards
ONE_LEFT_OPEN = ["CC(O)C(F)Cl", "C[C@H](O)C(F)Br"]


def generate(source, *, threads: int = 1, shard: Shard = WHOLE, **settings) -> list[Ensemble | Failure]:
    minima = {"choose": "lowest", "environment": "vacuum"}
    arguments = {"energy": "mmff94", "n_conformers": 8, "device": "cpu", "seed": 7, **minima, **settings}
    return list(generate_ensembles(source, GenerationSettings(**arguments), threads=threads, shard=shard))


def frames(found: Ensemble) -> np.ndarray:
    return np.stack([conformer.GetPositions() for conformer in found.mol.GetConformers()])


def stereoisomers(found: Ensemble) -> set[str]:
    """Canonical SMILES as the coordinates of each conformer have it."""
    smiles = set()
    for conformer in found.mol.GetConformers():
        mol = Chem.Mol(found.mol)
        Chem.AssignStereochemistryFrom3D(mol, conformer.GetId())
        smiles.add(Chem.MolToSmiles(Chem.RemoveHs(mol)))
    return smiles


@pytest.fixture(scope="module")
def butane() -> Ensemble:
    (found,) = generate("CCCC butane", rmsd=0.1, n_conformers=20)
    return found


@pytest.fixture(scope="module")
def isomers() -> list[Ensemble | Failure]:
    return generate(SEVERAL_STEREO + ONE_LEFT_OPEN, n_conformers=4)


def test_butane_is_anti_and_gauche_twice(butane):
    """Halgren, J. Comput. Chem. 17, 587 (1996): MMFF94 puts gauche 0.78 kcal/mol above anti."""
    angles = [abs(rdMolTransforms.GetDihedralDeg(c, 0, 1, 2, 3)) for c in butane.mol.GetConformers()]
    assert angles == pytest.approx([180, 65, 65], abs=1)
    assert butane.energies - butane.energies[0] == pytest.approx([0, 0.78, 0.78], abs=0.01)


def test_mirror_images_nearer_than_the_threshold_count_as_one():
    (found,) = generate("CCCC", rmsd=0.5)
    assert found.energies - found.energies[0] == pytest.approx([0, 0.78], abs=0.01)


def test_ethanol_has_one_conformer_by_its_heavy_atoms():
    (found,) = generate("CCO")
    assert len(found.energies) == 1
    oxygen_turn = rdMolTransforms.GetDihedralDeg(found.mol.GetConformer(), 0, 1, 2, 8)
    assert abs(oxygen_turn) == pytest.approx(180, abs=1)  # trans, the lowest


def test_weights_are_those_of_boltzmann_at_the_temperature(butane):
    assert butane.weights.sum() == pytest.approx(1)
    expected = np.exp((butane.energies[0] - butane.energies) / thermal_energy(300))
    assert butane.weights / butane.weights[0] == pytest.approx(expected)


def test_conformers_carry_their_numbers(butane):
    properties = [conformer.GetPropsAsDict() for conformer in butane.mol.GetConformers()]
    assert [p["energy_kcal_mol"] for p in properties] == butane.energies.tolist()
    assert [p["relative_energy_kcal_mol"] for p in properties] == (butane.energies - butane.energies[0]).tolist()
    assert [p["boltzmann_weight"] for p in properties] == butane.weights.tolist()


def test_copies_and_other_processes_see_the_same(butane):
    other = copy.deepcopy(butane)
    assert (frames(other) == frames(butane)).all()
    assert other.mol.GetConformer(1).GetPropsAsDict() == butane.mol.GetConformer(1).GetPropsAsDict()
    assert other.mol.GetProp("_Name") == "butane"


def test_energy_is_that_of_the_coordinates(isomers):
    for found in isomers:
        topology = topology_from_mol(found.mol)
        energy = MechanicalEnergy(topology, mmff()([found.mol], topology))(positions_from_mol(found.mol))[0]
        assert energy.numpy() == pytest.approx(found.energies, abs=1e-5 * abs(found.energies).max() + 1e-4)


def test_conformers_are_minima(isomers):
    for found in isomers:
        topology = topology_from_mol(found.mol)
        energy = MechanicalEnergy(topology, mmff()([found.mol], topology))
        forces = energy.energy_and_forces(positions_from_mol(found.mol)).forces
        assert forces.square().sum(0).sqrt().max() < 0.5  # kcal/mol/Å


@pytest.mark.parametrize("place", range(len(SEVERAL_STEREO)), ids=lambda place: SEVERAL_STEREO[place])
def test_every_conformer_has_the_declared_stereo(isomers, place):
    declared = Chem.CanonSmiles(SEVERAL_STEREO[place])
    assert stereoisomers(isomers[place]) == {declared}


@pytest.mark.parametrize("place", range(len(ONE_LEFT_OPEN)), ids=lambda place: ONE_LEFT_OPEN[place])
def test_what_the_input_left_open_is_one_isomer_in_all_conformers(isomers, place):
    found = isomers[len(SEVERAL_STEREO) + place]
    assert len(stereoisomers(found)) == 1
    declared = Chem.MolFromSmiles(ONE_LEFT_OPEN[place])
    assert found.mol.HasSubstructMatch(declared, useChirality=True)


def test_energy_of_a_bound_conformer_is_that_in_its_medium():
    (found,) = generate("NCC(=O)O", environment="bound", choose="diverse")
    topology = topology_from_mol(found.mol)
    parameters = in_medium(mmff()([found.mol], topology))
    energy = MechanicalEnergy(topology, parameters)(positions_from_mol(found.mol))[0]
    assert energy.numpy() == pytest.approx(found.energies, abs=1e-3)


def test_conformers_that_stand_for_all_are_as_many_as_asked_and_apart():
    (found,) = generate("CCCCCCO", choose="diverse", environment="bound", n_conformers=12, rmsd=0.3)
    assert len(found.energies) == 12
    apart = rmsd_matrix(frames(found), symmetry(found.mol))
    assert (apart[~np.eye(12, dtype=bool)] > 0.3).all()
    (lowest,) = generate("CCCCCCO", choose="diverse", environment="bound", n_conformers=1)
    assert lowest.energies[0] <= found.energies[0] + 0.5  # another search, for fewer


def test_coordinates_of_rdkit_lead_to_the_same_minima(butane):
    (found,) = generate("CCCC", rmsd=0.1, start="etkdg")
    assert found.energies == pytest.approx(butane.energies, abs=1e-3)


def test_open_stereo_is_enumerated_when_asked():
    made = list(generate(["CC(O)(F)Cl", "CCO"], stereo="enumerate", n_conformers=1))
    assert [outcome.name for outcome in made] == ["mol-1_1", "mol-1_2", "mol-2"]
    smiles = [found.mol.GetConformer().GetProp("stereoisomer") for found in made[:2]]
    assert set(smiles) == {Chem.CanonSmiles("C[C@@](O)(F)Cl"), Chem.CanonSmiles("C[C@](O)(F)Cl")}
    assert [stereoisomers(found) for found in made[:2]] == [{one} for one in smiles]


@pytest.mark.parametrize("cage", ["C12C3C4C1C5C2C3C45", "C1CC2CC3CCC2C1C3"])
def test_open_stereo_of_a_cage_is_declared_as_it_folds(cage):
    """Cubane and twistane: of the ways to declare them most cannot exist, or only as wrecks."""
    (found,) = generate(cage, energy="learned", n_conformers=1)
    stiff = rdDistGeom.ETKDGv3()
    stiff.randomSeed = 1
    mol = Chem.AddHs(Chem.MolFromSmiles(cage))
    rdDistGeom.EmbedMolecule(mol, stiff)
    topology = topology_from_mol(mol)
    energy = MechanicalEnergy(topology, load_model().parameters(topology))
    assert found.energies[0] <= minimise(energy, topology, positions_from_mol(mol)).energy[0, 0] + 1.0


def test_weights_may_count_vibrations(butane):
    (found,) = generate("CCCC", rmsd=0.1, vibrations=True)
    assert found.energies == pytest.approx(butane.energies, abs=1e-3)
    topology = topology_from_mol(found.mol)
    energy = MechanicalEnergy(topology, mmff()([found.mol], topology).to(dtype=torch.float64), "torch")
    positions = positions_from_mol(found.mol, torch.float64)
    free = found.energies + vibrational_free_energies(energy, topology, positions, 300.0)[0].numpy()
    expected = np.exp((free[0] - free) / thermal_energy(300))
    assert found.weights / found.weights[0] == pytest.approx(expected, rel=1e-3)
    assert found.weights != pytest.approx(butane.weights, rel=0.05)


def test_without_the_extension_the_same_minima_are_found(butane, monkeypatch):
    monkeypatch.setattr(native, "_load", lambda: None)
    monkeypatch.setattr(backends, "SHORT", Effort(most_turns=10, annealing=10, relax_steps=80))
    (found,) = generate("CCCC", rmsd=0.1, n_conformers=3, compile="off")
    assert found.energies == pytest.approx(butane.energies, abs=0.01)
    first, second = generate(["C1CCCCCCC1", "C[C@H](F)Cl"], n_conformers=2, compile="off", choose="diverse")
    assert len(first.energies) == 2  # a large ring, by dynamics
    assert stereoisomers(second) == {Chem.CanonSmiles("C[C@H](F)Cl")}


def test_molecules_that_are_searched_together_all_find_their_minima(butane):
    """As on a GPU."""
    settings = GenerationSettings(
        n_conformers=8, energy="mmff94", choose="lowest", environment="vacuum", rmsd=0.1, compile="off"
    )
    mols = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in ("CCCC", "C[C@H](F)Cl")]
    starts = [start_of(mol, 1, settings, mmff()) for mol in mols]
    for backend in ("native", "torch"):
        found, handed = conformers_of(starts, backend, settings)
        assert found.energies == pytest.approx(butane.energies, abs=0.01)
        assert len(handed.energies) == 1


def test_bad_molecules_say_why_and_the_others_are_done():
    given = ["CC", "C1CC", "[Na+].[Cl-]", "", "C[Fe]", "CI(=O)=O", IMPOSSIBLE, Chem.Mol(), "CO"]
    found = generate(given, n_conformers=1)
    assert [isinstance(outcome, Ensemble) for outcome in found] == [True, *[False] * 7, True]
    assert [outcome.name for outcome in found] == [f"mol-{n}" for n in range(1, 10)]
    reasons = ["unclosed ring", "not known", "empty", "not known", "MMFF94 cannot type", "declared stereo", "no atoms"]
    for failed, reason in zip(found[1:-1], reasons, strict=True):
        assert reason in failed.reason
        assert failed.cure


def test_molecules_come_as_rdkit_has_them():
    (mol,) = molebm.generate(Chem.MolFromSmiles("CCC"), n_conformers=2, energy="mmff94")
    assert (mol.GetNumAtoms(), mol.GetNumConformers()) == (11, 1)
    assert mol.GetConformer().HasProp("energy_kcal_mol")


def test_a_molecule_without_conformers_is_told_and_the_rest_returned():
    with pytest.warns(UserWarning, match=r"\[Na\].*leave this molecule out"):
        (mol,) = molebm.generate(["[Na]", "CO"], n_conformers=1, energy="mmff94")
    assert Chem.MolToSmiles(Chem.RemoveHs(mol)) == "CO"
    with pytest.raises(MoleculeError, match=r"\[Na\].*leave this molecule out"):
        molebm.generate(["[Na]"], energy="mmff94")


def test_molecule_keeps_its_name_and_order_of_atoms():
    mol = Chem.MolFromSmiles("OCC")
    mol.SetProp("_Name", "alcohol")
    (found,) = generate(mol, n_conformers=1)
    assert found.name == "alcohol"
    assert [atom.GetSymbol() for atom in found.mol.GetAtoms()][:3] == ["O", "C", "C"]


def test_exploding_molecule_does_not_touch_its_neighbours():
    mols = [Chem.MolFromSmiles(smiles) for smiles in ("CCO", "CCN", "CCC")]
    records = [Record(n, f"m{n}", "", mol, None) for n, mol in enumerate(mols)]
    settings = GenerationSettings(n_conformers=1, energy="mmff94")

    def broken(molecules, topology):
        parameters = mmff()(molecules, topology)
        is_amine = any(atom.GetSymbol() == "N" for atom in molecules[0].GetAtoms())
        return parameters.map(lambda value: value * math.nan) if is_amine else parameters

    whole, partly = (generate_batch(records, "auto", settings, energy) for energy in (mmff(), broken))
    assert isinstance(partly[1][0], Failure)
    assert "kept its bonds" in partly[1][0].reason
    for place in (0, 2):
        assert (frames(partly[place][0]) == frames(whole[place][0])).all()


def test_molecule_that_takes_too_long_is_a_failure():
    (failed,) = generate("CCO", time_limit=1e-9)
    assert isinstance(failed, Failure)
    assert "time limit" in failed.reason
    assert "--time-limit" in failed.cure


def test_same_seed_same_bits_other_seed_others():
    first, again, other = (frames(generate("CO", n_conformers=1, seed=seed)[0]) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_result_does_not_depend_on_the_number_of_processes(monkeypatch):
    monkeypatch.setattr(batching, "CPU_BUDGET", 1.0)  # a unit for each molecule
    given = ["CO", "C1CC", "C[C@H](F)Cl"]
    alone, shared = (generate(given, n_conformers=2, threads=n) for n in (1, 2))
    for one, other in zip(alone, shared, strict=True):
        assert one.name == other.name
        if isinstance(one, Failure):
            assert one == other
            continue
        assert (frames(one) == frames(other)).all()
        assert (one.energies == other.energies).all()


def test_input_is_read_as_the_output_is_taken():
    taken = []

    def molecules():
        for n in range(10**6):
            taken.append(n)
            yield "CI(=O)=O"  # which MMFF94 cannot type, so that nothing is computed

    stream = generate_ensembles(molecules(), GenerationSettings(energy="mmff94"))
    for n in range(100):
        next(stream)
        assert len(taken) <= n + 2 * batching.LARGEST_UNIT + 2


def test_molecule_has_the_same_conformers_in_every_shard():
    given = ["CO", "CCO", "C1CC", "CCN", "CF"]
    whole = generate(given, n_conformers=2)
    parts = [generate(given, n_conformers=2, shard=Shard(number, 2)) for number in (1, 2)]
    for index, one in enumerate(whole):
        other = parts[index % 2][index // 2]
        assert (one.name, type(one)) == (other.name, type(other))
        if isinstance(one, Ensemble):
            assert (frames(one) == frames(other)).all()


def test_records_before_the_first_wanted_are_not_parsed(tmp_path):
    (tmp_path / "in.smi").write_text("C(\nC(\nCI(=O)=O\n")
    (last,) = generate_records(tmp_path / "in.smi", GenerationSettings(energy="mmff94"), first=2)
    assert last.index == 2
    assert "cannot type" in last.result[0].reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_conformers": 0},
        {"energy_window": -1.0},
        {"rmsd": -0.1},
        {"temperature": 0.0},
        {"temperature": math.nan},
        {"seed": -1},
        {"time_limit": 0.0},
        {"compile": "maybe"},
        {"start": "nowhere"},
        {"stereo": "guess"},
        {"choose": "best"},
        {"environment": "water"},
        {"energy": "amber"},
        {"threads": 0},
    ],
)
def test_request_that_makes_no_sense_is_refused_at_once(wrong):
    with pytest.raises(RequestError, match=str(next(iter(wrong.values())))):
        molebm.generate("CC", **wrong)


def test_missing_file_is_refused_at_once(tmp_path: Path):
    with pytest.raises(RequestError, match="does not exist"):
        molebm.generate(tmp_path / "none.smi")


def test_shipped_energy_generates_too():
    (found,) = generate("CO", n_conformers=1, energy="learned")
    assert isinstance(found, Ensemble)


@pytest.mark.gpu
def test_gpu_finds_the_same_minima(butane):
    (found,) = generate("CCCC", rmsd=0.1, device="cuda")
    assert found.energies == pytest.approx(butane.energies, abs=1e-3)
