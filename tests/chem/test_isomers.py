import pytest
from rdkit import Chem

from molebm.chem.isomers import is_strained, open_stereo, random_stereoisomer, stereoisomers
from molebm.errors import RequestError


def isomers(smiles: str, at_most: int = 100, seed: int = 0) -> list[str]:
    return [Chem.MolToSmiles(mol) for mol in stereoisomers(Chem.MolFromSmiles(smiles), at_most, seed=seed)]


@pytest.mark.parametrize(
    ("smiles", "centres", "double_bonds"),
    [
        ("CC(F)Cl", [1], []),
        ("C[C@H](F)Cl", [], []),
        ("FC=CF", [], [1]),
        ("F/C=C/F", [], []),
        ("CC(C)C=C", [], []),  # two equal ends each
        ("CC1CCC(C)CC1", [1, 4], []),  # cis and trans, though neither centre is handed
        ("C1CC=CCC1", [], []),  # a ring too small for trans
    ],
)
def test_what_is_open_is_found(smiles, centres, double_bonds):
    found = open_stereo(Chem.MolFromSmiles(smiles))
    assert (found.centres, found.double_bonds) == (centres, double_bonds)
    assert bool(found) == bool(centres or double_bonds)


@pytest.mark.parametrize(
    ("smiles", "count"),
    [
        ("CC(F)Cl", 2),
        ("CC=CC(F)Cl", 4),
        ("C/C=C/C(F)Cl", 2),
        ("OC(=O)C(O)C(O)C(=O)O", 3),  # tartaric acid: two handed ones and meso
        ("CC1CCC(C)CC1", 2),
        ("CCO", 1),
        ("C1CC[C@H]2CCCC[C@H]2C1", 1),
    ],
)
def test_isomers_are_all_different_and_declared_throughout(smiles, count):
    found = isomers(smiles)
    assert len(set(found)) == len(found) == count
    assert not any(open_stereo(Chem.MolFromSmiles(one)) for one in found)


def test_declared_stereo_stays():
    for one in stereoisomers(Chem.MolFromSmiles("C[C@H](F)C(Cl)Br"), 4):
        assert one.HasSubstructMatch(Chem.MolFromSmiles("C[C@H](F)C(Cl)Br"), useChirality=True)


def test_random_choice_repeats_by_its_seed():
    sugar_alcohol = "CC(O)C(O)C(O)C(O)C(O)C(O)C(O)C(F)C"  # 256 isomers
    assert len(isomers(sugar_alcohol, 10, seed=1)) == 10
    assert isomers(sugar_alcohol, 10, seed=1) == isomers(sugar_alcohol, 10, seed=1)
    assert isomers(sugar_alcohol, 10, seed=1) != isomers(sugar_alcohol, 10, seed=2)
    butanol = Chem.MolFromSmiles("CCC(C)O")
    drawn = {Chem.MolToSmiles(random_stereoisomer(butanol, seed)) for seed in range(20)}
    assert drawn == {"CC[C@H](C)O", "CC[C@@H](C)O"}  # 20 draws miss one by a chance of 2e-6


@pytest.mark.parametrize(
    ("smiles", "count"),
    [
        ("C1CC2CCC1C2", 1),  # norbornane
        ("CC1(C)C2CCC1(C)C(=O)C2", 2),  # camphor
        ("CN1C2CCC1CC(O)C2", 2),  # tropine and pseudotropine
        ("OC1C2CC3CC(C2)CC1C3", 1),  # adamantanol
        ("C1CCC2CCCCC2C1", 2),  # decalin, cis and trans
        ("C1CC2CC2C1", 1),  # bicyclo[3.1.0]hexane
    ],
)
def test_bridgeheads_of_small_rings_point_one_way(smiles, count):
    assert len(isomers(smiles)) == count


@pytest.mark.parametrize("smiles", ["C1C[C@H]2CC[C@@H]1C2", "C1[C@H]2CC[C@@H]1CC2", "C[C@]12CC[C@](C)(CC1)C2"])
def test_strain_is_the_same_however_the_molecule_is_written(smiles):
    mol = Chem.MolFromSmiles(smiles)
    answers = {is_strained(mol)}
    for seed in range(5):
        order = list(range(mol.GetNumAtoms()))
        order = order[seed:] + order[:seed]
        answers.add(is_strained(Chem.RenumberAtoms(mol, order[::-1])))
    assert answers == {False}


def test_molecule_declared_with_strain_comes_back():
    trans = "C1C[C@H]2CC[C@H]1C2"
    assert is_strained(Chem.MolFromSmiles(trans))
    assert isomers(trans) == [Chem.CanonSmiles(trans)]


def test_fewer_than_one_are_refused():
    with pytest.raises(RequestError, match="at least 1"):
        stereoisomers(Chem.MolFromSmiles("CC"), 0)
