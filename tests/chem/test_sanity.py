"""What no molecule is, and what hardly one is, named by its atoms; and that drawings of true molecules pass."""

import pickle

import pytest
from rdkit import Chem

from molebm.chem.cleaning import check_molecule
from molebm.chem.parsing import mol_from_mol2, mol_from_pdb, mol_from_sdf, mol_from_smiles
from molebm.chem.reading import read_molecules
from molebm.chem.sanity import graph_faults
from molebm.errors import Fault, GraphError, MoleculeError


def sdf_without(smiles: str, *hydrogens: int) -> Chem.Mol:
    """Write the molecule with all hydrogens but those numbered, and read it."""
    mol = Chem.RWMol(Chem.AddHs(Chem.MolFromSmiles(smiles)))
    Chem.Kekulize(mol, clearAromaticFlags=True)
    for atom in sorted(hydrogens, reverse=True):
        assert mol.GetAtomWithIdx(atom).GetAtomicNum() == 1
        mol.GetAtomWithIdx(atom).GetNeighbors()[0].SetNoImplicit(False)
        mol.RemoveAtom(atom)
    return mol_from_sdf(Chem.MolToMolBlock(mol))


def hydrogens(smiles: str, bearers: str) -> list[int]:
    """Number the hydrogens of the atoms that match."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    pattern = Chem.MolFromSmarts(f"[#1][{bearers}]")
    return [hydrogen for hydrogen, _ in mol.GetSubstructMatches(pattern)]


def words(mol: Chem.Mol) -> list[str]:
    return [fault.words for fault in graph_faults(mol)]


NO_MOLECULE = {  # SMILES: its faults
    "CC(C)(C)(C)C": [Fault("C1 has valence 5, more than it can have without a charge", (1,))],
    "C[NH2](C)C": [Fault("N1 has valence 5, more than it can have without a charge", (1,))],
    "CC#[O+]C": [Fault("O2 has valence 4, more than it can have with charge +1", (2,))],
    "c1cccc1": [Fault("no double bonds can be placed among aromatic C0, C1, C2, C3 and C4", (0, 1, 2, 3, 4))],
    "cC": [Fault("C0 is marked aromatic and in no ring", (0,))],
    "FC(F)(F)(F)FC": [
        Fault("C1 has valence 5, more than it can have without a charge", (1,)),
        Fault("F5 has valence 2, more than it can have without a charge", (5,)),
    ],
}


@pytest.mark.parametrize("smiles", NO_MOLECULE)
def test_all_faults_of_what_is_read_but_no_molecule_are_told(smiles):
    with pytest.raises(GraphError, match="no molecule has such bonds") as told:
        mol_from_smiles(smiles)
    assert list(told.value.faults) == NO_MOLECULE[smiles]


@pytest.mark.parametrize("smiles", ["CC(C)(C)(C)C", "CN(C)(C)C", "c1cccc1"])
def test_every_format_tells_a_graph_from_an_unreadable_text(smiles):
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    with pytest.raises(GraphError):
        mol_from_sdf(Chem.MolToMolBlock(mol, kekulize=False))
    if smiles == "CC(C)(C)(C)C":
        with pytest.raises(GraphError, match="correct the bonds"):
            mol_from_mol2(mol2(mol))
        with pytest.raises(GraphError, match="correct the bonds"):
            mol_from_pdb(Chem.MolToPDBBlock(mol), None)
    for parse in (mol_from_smiles, mol_from_sdf, mol_from_mol2):
        with pytest.raises(MoleculeError) as told:
            parse("nonsense(")
        assert not isinstance(told.value, GraphError)


def mol2(mol: Chem.Mol) -> str:
    atoms = [f"{a.GetIdx() + 1} C{a.GetIdx()} 0.0 0.0 0.0 C.3 1 LIG 0.0" for a in mol.GetAtoms()]
    bonds = [f"{b.GetIdx() + 1} {b.GetBeginAtomIdx() + 1} {b.GetEndAtomIdx() + 1} 1" for b in mol.GetBonds()]
    head = ["@<TRIPOS>MOLECULE", "name", f"{len(atoms)} {len(bonds)} 1 0 0", "SMALL", "NO_CHARGES", ""]
    return "\n".join([*head, "@<TRIPOS>ATOM", *atoms, "@<TRIPOS>BOND", *bonds, ""])


def test_valence_of_an_element_outside_the_domain_is_not_judged():
    for smiles in ("CB(C)(C)(C)C", "C[Se](C)(C)(C)(C)(C)C", "*C(C)(C)(C)C"):
        with pytest.raises(MoleculeError) as told:
            check_molecule(mol_from_smiles(smiles))
        assert not isinstance(told.value, GraphError)


def test_radicals_and_fragments_are_faults_of_the_graph():
    with pytest.raises(GraphError) as told:
        check_molecule(Chem.MolFromSmiles("C[C]C.[CH3].O"))
    assert [(fault.words, fault.atoms) for fault in told.value.faults] == [
        ("C1 has 2 unpaired electrons", (1,)),
        ("C3 has an unpaired electron", (3,)),
        ("C3 is not bonded to the rest", (3,)),
        ("O4 is not bonded to the rest", (4,)),
    ]


def test_record_has_the_faults_of_what_was_read_and_none_of_what_was_not(tmp_path):
    (tmp_path / "in.smi").write_text("CC(C)(C)(C)C\nC(C\nCCO\n")
    exceeded, unreadable, ethanol = read_molecules(tmp_path / "in.smi")
    assert [fault.atoms for fault in exceeded.faults] == [(1,)]
    assert exceeded.mol is None and exceeded.error.startswith("in.smi line 1: no molecule has such bonds")
    assert unreadable.error and unreadable.faults == ethanol.faults == ()


def test_faults_travel_between_processes():
    error = GraphError("no", (Fault("C1 is wrong", (1,)),))
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.faults) == ("no", error.faults)


def test_missing_hydrogen_is_told_at_its_bearer():
    smiles = "CC(N)c1ccccc1O"
    whole = Chem.AddHs(Chem.MolFromSmiles(smiles))
    for hydrogen in hydrogens(smiles, "*"):
        bearer = whole.GetAtomWithIdx(hydrogen).GetNeighbors()[0]
        named = f"{bearer.GetSymbol()}{bearer.GetIdx()}"
        (fault,) = graph_faults(sdf_without(smiles, hydrogen))
        assert fault == Fault(f"{named} lacks a hydrogen, while others are there", (bearer.GetIdx(),))


def test_hydrogens_that_are_there_weigh_more_than_those_that_are_not():
    """With two of five there, no program left the others out; nor where a methyl group has one of three."""
    smiles = "CC(=O)NO"
    gone = [*hydrogens(smiles, "CX4")[:1], *hydrogens(smiles, "N,O")]
    assert [fault.atoms for fault in graph_faults(sdf_without(smiles, *gone))] == [(0,), (3,), (4,)]
    toluene = "Cc1ccccc1"
    assert words(sdf_without(toluene, *hydrogens(toluene, "CX4")[:2])) == [
        "C0 lacks 2 hydrogens, while others are there"
    ]


@pytest.mark.parametrize("left_out", ["*", "#6", "CX4"])
@pytest.mark.parametrize("smiles", ["CC(N)c1ccccc1O", "NCC(=O)O", "C[C@H]([NH3+])C(=O)[O-]"])
def test_whole_kinds_of_hydrogens_may_be_left_out(smiles, left_out):
    """As united-atom force fields and docking programs do."""
    assert graph_faults(sdf_without(smiles, *hydrogens(smiles, left_out))) == []


def test_charge_of_a_protonated_atom_may_come_without_its_hydrogen_but_not_without_two():
    smiles = "CC[NH3+]"
    ammonium = hydrogens(smiles, "N")
    assert graph_faults(sdf_without(smiles, ammonium[0])) == []
    assert words(sdf_without(smiles, *ammonium[:2])) == ["N2 lacks a hydrogen, while others are there"]


def test_hydrogens_that_readers_keep_are_no_reason_for_others():
    for smiles in ("[H]/N=C(\\C)CO", "[2H]C([2H])([2H])O", "[2H]OCC"):
        assert graph_faults(Chem.MolFromSmiles(smiles)) == []


def test_a_lone_hydrogen_is_bonded_to_nothing():
    atom = "\n\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    0.0       0.0       0.0    H   0  0\nM  END\n"
    assert words(mol_from_sdf(atom)) == ["H0 is bonded to nothing"]
    assert graph_faults(Chem.MolFromSmiles("[H][H]")) == []


IMPROBABLE = {
    "CS(C)C": "S1 has 4 neighbours, hydrogens with them, and no charge",
    "CS(C)(C)=O": "S1 has 5 neighbours, hydrogens with them, and no charge",
    "CIC": "I1 has 3 neighbours, hydrogens with them, and no charge",
    "C[PH](C)(C)C": "P1 has 5 neighbours, hydrogens with them, and no charge",
    "C[CH-]C": "C1 is a carbanion that nothing stabilises",
    "C[C+](C)C": "C1 is a carbocation that nothing stabilises",
    "CC[N-]CC": "N2 is an anion of an amine",
    "C[N+](C)(C)[N+](C)(C)C": "N1 and N4 are bonded and both positive",
    "C[F+]C": "F1 has charge +1",
    "C[CH+2]": "C1 has charge +2",
    "[O-]C([O-])([O-])C([O-])([O-])[O-]": "the charge is -6 on 8 heavy atoms",
    "C1CCC#CC1": "C3#C4 is a triple bond in a ring of 6 atoms",
    "C1CC=C=CC1": "C3 has two double bonds in a ring of 6 atoms",
    "C1CC2CCC1=C2": "C5=C6 is a double bond at a bridgehead",
    "C1CC2CCC1=N2": "C5=N6 is a double bond at a bridgehead",
    "C12=CC3CC(C1)CC(C2)C3": "C0=C1 is a double bond at a bridgehead",
}


@pytest.mark.parametrize("smiles", IMPROBABLE)
def test_improbable_graph_is_told_whether_hydrogens_are_written_or_not(smiles):
    mol = Chem.MolFromSmiles(smiles)
    assert words(mol) == words(Chem.AddHs(mol)) == [IMPROBABLE[smiles]]


@pytest.mark.parametrize(
    "smiles",
    [
        "C[N+](=O)[O-]",
        "O=[N+]([O-])[N+](=O)[O-]",  # like charges side by side, each with its counter charge
        "CN=[N+]=[N-]",
        "C[N+]#[C-]",
        "C=[N+]=[N-]",
        "C[S+2]([O-])([O-])C",
        "[O-][Cl+3]([O-])([O-])[O-]",
        "C[P+](C)(C)[CH-]C",
        "CC(=O)[CH-]C(C)=O",
        "[CH2+]C=C",
        "[CH+]1C=CC=CC=C1",
        "[CH-]1C=CC=C1",
        "CS(=O)(=O)[N-]c1ccccc1",
        "c1nn[n-]n1",
        "CC(C)(C)OC(=N)[NH-]",
        "O=[PH](C)O",
        "C[SH](=O)=O",
        "CS(C)(=O)=NC",
        "FS(F)(F)(F)(F)F",
        "c1ccc([I+]c2ccccc2)cc1",
        "[NH3+]CCC[NH2+]CCCC[NH2+]CCC[NH3+]",  # spermine
        "O=P([O-])([O-])OC1C(OP(=O)([O-])[O-])C(OP(=O)([O-])[O-])C(OP(=O)([O-])[O-])C(OP(=O)([O-])[O-])C1OP(=O)([O-])[O-]",
        "C1CCCC#CCC1",  # cyclooctyne
        "C1CC2CCC1C=C2",  # a double bond in a bridge, not at its end
        "C1CCC2=CCCC(C1)C2",  # a bridgehead double bond with room for it
        "C1CC2CC2=C1",
        "C1=C2CCCCC(CC1)C2",  # as in taxanes
    ],
)
def test_unusual_drawings_of_true_molecules_pass(smiles):
    mol = Chem.MolFromSmiles(smiles)
    assert graph_faults(mol) == graph_faults(Chem.AddHs(mol)) == []
