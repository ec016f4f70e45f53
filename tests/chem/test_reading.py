"""Every molecule of the input arrives, in order, as a molecule or as the reason why not."""

import gzip
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Geometry import Point3D

from molebm.chem.cleaning import check_molecule, prepare_molecule
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import Record, count_molecules, read_molecules
from molebm.chem.writing import pdb_writer, sdf_writer
from molebm.errors import RequestError
from molebm.forcefield.geometry import cos_torsion, triple_product

STEREO = "C/C=C/[C@H](F)Cl"
SPENT_VALENCE = "CC(C)(C)(C)C"


def embedded(smiles: str, n_conformers: int = 1) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMultipleConfs(mol, n_conformers, randomSeed=3)
    return mol


def written(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def sdf_record(smiles: str, name: str = "") -> str:
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    mol.SetProp("_Name", name)
    return Chem.MolToMolBlock(mol, kekulize=False) + "$$$$\n"


def outcome(record: Record) -> str:
    """SMILES or error: a record has just one of them."""
    assert (record.mol is None) != (record.error is None)
    return record.error or Chem.MolToSmiles(Chem.RemoveHs(record.mol))


def test_a_bad_line_is_reported_where_it_stands_and_the_rest_arrive(tmp_path):
    path = written(tmp_path / "in.smi", f"CCO ethanol\nC(C broken\nc1cccc1\n{SPENT_VALENCE}\nO water\n")
    records = list(read_molecules(path))
    assert [(r.index, r.name, r.source) for r in records] == [
        (0, "ethanol", "CCO"),
        (1, "broken", "C(C"),
        (2, "mol-3", "c1cccc1"),
        (3, "mol-4", SPENT_VALENCE),
        (4, "water", "O"),
    ]
    first, broken, kekule, valence, last = map(outcome, records)
    assert (first, last) == ("CCO", "O")
    assert broken == "in.smi line 2: 'C(C' is not a valid SMILES: extra open parentheses while parsing: C(C; correct it"
    assert kekule.startswith("in.smi line 3:")
    assert "kekulize" in kekule and "[nH]" in kekule
    assert valence.startswith("in.smi line 4:")
    assert "valence for atom # 1 C, 5" in valence and "correct the bonds" in valence


def test_rdkit_writes_nothing_to_the_log(tmp_path, capfd):
    list(read_molecules(written(tmp_path / "in.smi", f"C(C\n{SPENT_VALENCE}\n[H]\n[HH]\nC")))
    list(read_molecules(written(tmp_path / "in.sdf", "x\n\n\ngarbage\n$$$$\n" + sdf_record(SPENT_VALENCE))))
    assert capfd.readouterr() == ("", "")


def test_comments_blank_lines_and_the_header_are_no_molecules(tmp_path):
    path = written(tmp_path / "in.smi", "# made by hand\n\nSMILES Name\nCCO\tethyl  alcohol\n  \n#C\nC methane\n")
    assert [(r.index, r.name, outcome(r)) for r in read_molecules(path)] == [
        (0, "ethyl  alcohol", "CCO"),
        (1, "methane", "C"),
    ]


def test_only_the_first_line_can_be_the_header(tmp_path):
    first, second = read_molecules(written(tmp_path / "in.smi", "smiles name\nCCO ethanol\nsmiles name\n"))
    assert outcome(first) == "CCO"
    assert outcome(second).startswith("in.smi line 3: 'smiles' is not a valid SMILES")


def test_extension_of_the_smiles_is_not_its_name(tmp_path):
    path = written(tmp_path / "in.smi", "CCO |$a;b;c$| ethanol\nCC |^1:0|\n")
    assert [(r.name, r.source) for r in read_molecules(path)] == [
        ("ethanol", "CCO |$a;b;c$|"),
        ("mol-2", "CC |^1:0|"),
    ]


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.csv.gz"])
def test_tables_are_read_by_column(tmp_path, name):
    mark = "\t" if "tsv" in name else ","
    rows = [["ID", "Charge", "SMILES"], ["a", "0", "CCO"], ["b", "0", ""], ["", "0", "C"], ["d", "0"]]
    text = "\ufeff" + "\r\n".join(mark.join(row) for row in rows)
    records = list(read_molecules(written(tmp_path / name, text)))
    assert [r.name for r in records] == ["a", "b", "mol-3", "d"]
    empty = "the SMILES is empty; give one"
    assert list(map(outcome, records)) == ["CCO", f"{name} line 3: {empty}", "C", f"{name} line 5: {empty}"]


def test_semicolons_and_longer_column_names_are_understood(tmp_path):
    path = written(tmp_path / "in.csv", '"ChEMBL ID";"Canonical Smiles"\n"x";"CCO"\n')
    assert [outcome(r) for r in read_molecules(path)] == ["CCO"]


def test_table_without_smiles_names_the_columns_it_has(tmp_path):
    for header, found in (("id,structure", "id, structure"), ("smiles_a,smiles_b", "smiles_a, smiles_b")):
        with pytest.raises(RequestError, match=f"one column called smiles; its columns are: {found}"):
            next(read_molecules(written(tmp_path / "in.csv", f"{header}\n1,CCO\n")))


def test_an_open_quotation_mark_does_not_swallow_molecules_in_silence(tmp_path):
    path = written(tmp_path / "in.csv", 'smiles,name\nCCO,a\nCC,"b"c\nC,d\nN,"e\nO,f\n')
    records = list(read_molecules(path))
    assert [r.source for r in records] == ["CCO", "in.csv line 3", "C", "in.csv line 6"]
    assert "unexpected end of data; correct the quotation marks" in outcome(records[3])


@pytest.mark.parametrize("name", ["in.sdf", "in.sdf.gz", "in.sd"])
def test_a_bad_record_is_reported_where_it_stands_and_the_rest_arrive(tmp_path, name):
    short = "short\n\n\n  9  9  0  0  0  0  0  0  0  0999 V2000\n    0.0\n$$$$\n"
    text = sdf_record("CCO", "one") + short + sdf_record(SPENT_VALENCE, "wrong") + sdf_record("C") + "\n\n"
    records = list(read_molecules(written(tmp_path / name, text)))
    assert [r.name for r in records] == ["one", "short", "wrong", "mol-4"]
    assert [r.source for r in records] == [f"{name} record {n}" for n in (1, 2, 3, 4)]
    assert (outcome(records[0]), outcome(records[3])) == ("CCO", "C")
    assert "Atom line too short" in outcome(records[1])
    assert "valence for atom # 1 C, 5" in outcome(records[2])


def test_truncated_sdf_tells_of_its_last_record(tmp_path):
    whole = sdf_record("CCO")
    first, second = map(outcome, read_molecules(written(tmp_path / "in.sdf", whole + whole[: len(whole) // 2])))
    assert first == "CCO"
    assert "not a readable SDF record" in second


@pytest.mark.parametrize("text", ["$$$$", "a\n$$$$\nb", "\n\n> <x>\n1"])
def test_no_name_or_property_can_break_its_record(tmp_path, text):
    with sdf_writer(tmp_path / "out.sdf") as write:
        for _ in range(2):
            write(embedded("CCO"), 0, text, {"note": text, "energy": 1.5})
    records = list(read_molecules(tmp_path / "out.sdf"))
    assert [outcome(record) for record in records] == ["CCO", "CCO"]
    for record in records:
        assert sorted(record.mol.GetPropNames()) == ["energy", "note"]
        assert record.mol.GetDoubleProp("energy") == 1.5


@pytest.mark.parametrize("name", ["out.sdf", "out.sdf.gz"])
def test_sdf_keeps_stereo_hydrogens_and_coordinates(tmp_path, name):
    """SDF has four decimals, so a coordinate moves by at most half of the last."""
    mol = embedded(STEREO, 3)
    with sdf_writer(tmp_path / name) as write:
        for conformer in mol.GetConformers():
            write(mol, conformer.GetId(), "one", {"energy": 1.5})
    records = list(read_molecules(tmp_path / name))
    assert len(records) == 3
    for record, conformer in zip(records, mol.GetConformers(), strict=True):
        assert (record.name, outcome(record)) == ("one", STEREO)
        assert record.mol.GetDoubleProp("energy") == 1.5
        assert [a.GetSymbol() for a in record.mol.GetAtoms()] == [a.GetSymbol() for a in mol.GetAtoms()]
        assert np.abs(record.mol.GetConformer().GetPositions() - conformer.GetPositions()).max() <= 0.5e-4 + 1e-9


def test_coordinates_decide_the_stereo_of_an_sdf(tmp_path):
    """The mirror image is the other enantiomer, whatever wedges the record may have."""
    mol = embedded(STEREO)
    conformer = mol.GetConformer()
    conformer.SetPositions(conformer.GetPositions() * [-1.0, 1.0, 1.0])
    with sdf_writer(tmp_path / "out.sdf") as write:
        write(mol, 0, "mirror", {})
    (record,) = read_molecules(tmp_path / "out.sdf")
    assert outcome(record) == Chem.CanonSmiles(STEREO.replace("@", "@@"))


def test_a_drawing_keeps_the_stereo_of_its_wedges(tmp_path):
    mol = Chem.MolFromSmiles(STEREO)
    AllChem.Compute2DCoords(mol)
    path = written(tmp_path / "in.mol", Chem.MolToMolBlock(mol))
    (record,) = read_molecules(path)
    assert outcome(record) == STEREO
    assert prepare_molecule(record.mol).GetNumConformers() == 0


def test_hydrogen_counts_of_an_sdf_make_no_query_atoms(tmp_path):
    lines = sdf_record("CCO").split("\n")
    for row in (4, 5, 6):
        lines[row] = f"{lines[row][:42]}  1{lines[row][45:]}"
    assert Chem.MolFromMolBlock("\n".join(lines)).GetAtomWithIdx(0).HasQuery()  # the trap is there
    (record,) = read_molecules(written(tmp_path / "in.sdf", "\n".join(lines)))
    assert not any(atom.HasQuery() for atom in record.mol.GetAtoms())
    check_molecule(record.mol)


def test_bond_counts_of_an_sdf_without_its_hydrogens_make_no_radicals(tmp_path):
    """Docking programs keep polar hydrogens alone, and their converters count the bonds that are left."""
    lines = sdf_record("CCO").split("\n")
    lines[4] = f"{lines[4][:48]}  1{lines[4][51:]}"
    assert Chem.MolFromMolBlock("\n".join(lines)).GetAtomWithIdx(0).GetNumRadicalElectrons()  # the trap is there
    (record,) = read_molecules(written(tmp_path / "in.sdf", "\n".join(lines)))
    check_molecule(record.mol)
    assert Chem.MolToSmiles(Chem.RemoveHs(record.mol)) == "CCO"


METHANOL_MOL2 = """@<TRIPOS>MOLECULE
methanol
6 5 1 0 0
SMALL
NO_CHARGES

@<TRIPOS>ATOM
1 C1 -0.3722 0.0102 0.0101 C.3 1 LIG 0.0
2 O1 0.8814 -0.5900 -0.2040 O.3 1 LIG 0.0
3 H1 -0.4505 0.3325 1.0602 H 1 LIG 0.0
4 H2 -1.1580 -0.7274 -0.2091 H 1 LIG 0.0
5 H3 -0.5020 0.8830 -0.6411 H 1 LIG 0.0
6 H4 1.6013 0.0917 -0.0161 H 1 LIG 0.0
@<TRIPOS>BOND
1 1 2 1
2 1 3 1
3 1 4 1
4 1 5 1
5 2 6 1
"""


def test_mol2_keeps_names_hydrogens_and_coordinates(tmp_path):
    path = written(tmp_path / "in.mol2", f"# made by hand\n{METHANOL_MOL2}\n@<TRIPOS>MOLECULE\nbad\n\n{METHANOL_MOL2}")
    first, bad, last = read_molecules(path)
    assert [(r.index, r.name, r.source) for r in (first, bad, last)] == [
        (0, "methanol", "in.mol2 record 1"),
        (1, "bad", "in.mol2 record 2"),
        (2, "methanol", "in.mol2 record 3"),
    ]
    assert outcome(first) == outcome(last) == "CO"
    assert first.mol.GetNumAtoms() == 6
    assert first.mol.GetConformer().GetPositions()[1].tolist() == [0.8814, -0.5900, -0.2040]
    assert "not a readable MOL2 block" in outcome(bad) and "convert the file to SDF" in outcome(bad)


CHARGED = "C[C@H]([NH3+])C(=O)[O-]"


def pdb_of(tmp_path: Path, mol: Chem.Mol) -> Path:
    with pdb_writer(tmp_path / "in.pdb", force=True) as write:
        for conformer in mol.GetConformers():
            write(mol, conformer.GetId(), "one", {})
    return tmp_path / "in.pdb"


HALVES_ALIKE = ["O[C@H](C(=O)O)[C@@H](O)C(=O)O", "O[C@H](C(=O)O)[C@H](O)C(=O)O", "F/C=C/C=C\\F"]


@pytest.mark.parametrize("smiles", [CHARGED, STEREO, "Cc1ccncc1", *HALVES_ALIKE])
def test_pdb_has_the_chemistry_of_its_template_and_the_order_of_its_own(tmp_path, smiles):
    mol = embedded(smiles, 2)
    shuffled = Chem.RenumberAtoms(mol, list(np.random.default_rng(0).permutation(mol.GetNumAtoms()).tolist()))
    (record,) = read_molecules(pdb_of(tmp_path, shuffled), template=smiles, models="together")
    assert outcome(record) == Chem.CanonSmiles(smiles)
    assert [a.GetSymbol() for a in record.mol.GetAtoms()] == [a.GetSymbol() for a in shuffled.GetAtoms()]
    for ours, theirs in zip(shuffled.GetConformers(), record.mol.GetConformers(), strict=True):
        assert np.abs(ours.GetPositions() - theirs.GetPositions()).max() <= 0.5e-3 + 1e-9
    t, x = topology_from_mol(record.mol), positions_from_mol(record.mol)  # the declared stereo is met, atom by atom
    assert (triple_product(x, t.stereo_centres).sign() == t.stereo_signs[:, None]).all()
    assert ((cos_torsion(x, t.stereo_bonds) > 0) == t.stereo_cis[:, None]).all()


def test_template_declares_the_stereo_even_where_the_pdb_has_the_other(tmp_path):
    mirrored = CHARGED.replace("@", "@@")
    (record,) = read_molecules(pdb_of(tmp_path, embedded(mirrored)), template=CHARGED)
    assert outcome(record) == Chem.CanonSmiles(CHARGED)


def test_pdb_without_hydrogens_takes_them_from_its_template(tmp_path):
    (record,) = read_molecules(pdb_of(tmp_path, Chem.RemoveHs(embedded(CHARGED))), template=CHARGED)
    assert outcome(record) == Chem.CanonSmiles(CHARGED)
    assert prepare_molecule(record.mol).GetNumAtoms() == 13


def test_pdb_that_states_its_bonds_needs_no_template(tmp_path):
    (record,) = read_molecules(pdb_of(tmp_path, embedded(STEREO, 2)), models="together")
    assert (record.name, outcome(record)) == ("one", STEREO)
    assert record.mol.GetNumConformers() == 2


@pytest.mark.parametrize("name", ["in.pdb", "in.pdb.gz"])
@pytest.mark.parametrize("template", [STEREO, None])
def test_models_of_a_pdb_structure_are_records_of_one_molecule(tmp_path, name, template):
    mol, other = embedded(STEREO, 3), embedded(STEREO)
    with pdb_writer(tmp_path / name) as write:
        for n, (which, conformer, title) in enumerate([(other, 0, "a"), (mol, 0, "b"), (mol, 1, "b"), (mol, 2, "b")]):
            write(which, conformer, title, {"energy": float(n)})
    records = list(read_molecules(tmp_path / name, template=template))
    assert [(r.index, r.name, r.source) for r in records] == [
        (0, "a", f"{name} record 1"),
        *((n, f"b model {n}", f"{name} record 2 model {n}") for n in (1, 2, 3)),
    ]
    assert [outcome(r) for r in records] == [STEREO] * 4
    assert all(r.mol.GetNumConformers() == 1 for r in records)
    for record, conformer in zip(records[1:], mol.GetConformers(), strict=True):
        assert np.abs(record.mol.GetConformer().GetPositions() - conformer.GetPositions()).max() <= 0.5e-3 + 1e-9
    second = list(read_molecules(tmp_path / name, template=template, wanted=lambda index: index == 2))
    assert [(r.index, r.name, outcome(r)) for r in second] == [(2, "b model 2", STEREO)]
    assert (second[0].mol.GetConformer().GetPositions() == records[2].mol.GetConformer().GetPositions()).all()
    assert count_molecules(tmp_path / name) == 2 == len(list(read_molecules(tmp_path / name, models="together")))
    assert count_molecules(tmp_path / name, models="apart") == 4


def test_models_keep_the_bonds_of_the_first_where_atoms_clash(tmp_path):
    """By distance the ends of the chain would be bonded in the second, which matches no template then."""
    mol = embedded("CCCCCC", 2)
    mol.GetConformer(1).SetAtomPosition(5, mol.GetConformer(1).GetAtomPosition(0) + Point3D(0.7, 0.7, 0.7))
    path = pdb_of(tmp_path, mol)
    path.write_text(re.sub("^CONECT.*\n", "", path.read_text(), flags=re.MULTILINE))
    assert [outcome(r) for r in read_molecules(path, template="CCCCCC")] == ["CCCCCC"] * 2


def test_a_model_of_other_atoms_or_no_coordinates_is_told_where_it_stands(tmp_path):
    path = pdb_of(tmp_path, embedded("CCO", 4))
    _, first, second, third, fourth = path.read_text().split("MODEL ")
    lacking = second.replace(second.splitlines(keepends=True)[1], "")  # an atom less
    broken = re.sub(r"(ATOM +2 .{20})(.{8})", r"\1********", third.replace("HETATM", "ATOM  "))
    path.write_text("MODEL ".join(["COMPND    x\n", first, lacking, broken.replace("ATOM  ", "HETATM"), fourth]))
    records = list(read_molecules(path, template="CCO"))
    assert [r.name for r in records] == [f"x model {n}" for n in (1, 2, 3, 4)]
    whole, other, infinite, last = map(outcome, records)
    assert whole == last == "CCO"
    assert "does not match the template" in other
    assert infinite == "a coordinate of atom 1 is not a finite number; write the model again"


def test_a_first_model_that_cannot_be_read_does_not_take_the_others_down(tmp_path):
    path = pdb_of(tmp_path, embedded("CCO", 3))
    header, first, *others = path.read_text().split("MODEL ")
    path.write_text("MODEL ".join([header, first.replace(first.splitlines(keepends=True)[1], ""), *others]))
    first, *others = map(outcome, read_molecules(path, template="CCO"))
    assert "does not match the template" in first
    assert others == ["CCO", "CCO"]


def test_models_of_a_damaged_gz_arrive_up_to_where_it_breaks_off(tmp_path):
    packed = gzip.compress(pdb_of(tmp_path, embedded("CCO", 40)).read_bytes(), compresslevel=0)
    (tmp_path / "in.pdb.gz").write_bytes(packed[: len(packed) // 2])
    *whole, last = read_molecules(tmp_path / "in.pdb.gz", template="CCO")
    assert 15 <= len(whole) <= 20 and {outcome(r) for r in whole} == {"CCO"}
    assert "reading stopped here, the rest is lost" in last.error


def test_memory_does_not_grow_with_the_models(tmp_path):
    mol = embedded("CCO")
    path = pdb_of(tmp_path, mol)
    _, model = path.read_text().split("MODEL ")
    model = "MODEL " + model.partition("CONECT")[0]
    path.write_text(model * (2_000_000 // len(model)) + "END\n")
    records = read_molecules(path, template="CCO")
    next(records)
    tracemalloc.start()
    try:
        for _ in zip(range(200), records, strict=False):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        records.close()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def test_pdb_that_lacks_hydrogens_or_bond_orders_asks_for_a_template(tmp_path):
    bare = pdb_of(tmp_path, Chem.RemoveHs(embedded("CCO")))
    assert "give its SMILES as the template" in outcome(next(read_molecules(bare)))
    path = pdb_of(tmp_path, embedded("C=C"))
    path.write_text(re.sub("^CONECT.*\n", "", path.read_text(), flags=re.MULTILINE))
    assert "give its SMILES as the template" in outcome(next(read_molecules(path)))


@pytest.mark.parametrize("template", ["CCC", "CCCO", "COC", "CC"])
def test_pdb_of_another_molecule_than_its_template_is_an_error(tmp_path, template):
    (record,) = read_molecules(pdb_of(tmp_path, embedded("CCO")), template=template)
    assert "does not match the template" in outcome(record)


def test_template_must_be_smiles_and_is_for_pdb_alone(tmp_path):
    with pytest.raises(RequestError, match="template: 'C\\(' is not a valid SMILES"):
        read_molecules(pdb_of(tmp_path, embedded("CCO")), template="C(")
    with pytest.raises(RequestError, match="leave the template out"):
        read_molecules("CCO", template="CCO")


def test_smiles_may_be_given_in_place_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C").mkdir()  # nor does a folder of that name get in its way
    for given, name in (("F/C=C/F", "mol-1"), ("CCO ethyl alcohol", "ethyl alcohol"), ("C", "mol-1")):
        (record,) = read_molecules(given)
        assert (record.index, record.name, record.source) == (0, name, given.split()[0])
        assert outcome(record) == given.split()[0]


@pytest.mark.parametrize(
    "given, message",
    [
        ("absent.sdf", "'absent.sdf' does not exist"),
        ("absent.smi.gz", "does not exist"),
        ("drugs", "neither a file nor SMILES: 'drugs' is not a valid SMILES: syntax error"),
        ("", "neither a file nor SMILES: the SMILES is empty"),
        ("notes.docx", r"unknown kind; known are \.smi .* \.pdb, also with \.gz"),
        ("folder.sdf", "not a file that can be read"),
        ("empty.smi", "holds no molecules"),
    ],
)
def test_request_that_cannot_be_met_says_why(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.docx").touch()
    (tmp_path / "folder.sdf").mkdir()
    (tmp_path / "empty.smi").write_text("# nothing\n")
    with pytest.raises(RequestError, match=message):
        list(read_molecules(given))


def test_damaged_gz_gives_what_it_can_and_says_that_there_was_more(tmp_path):
    names = np.random.default_rng(0).integers(10**9, size=3000)  # random, so that they fill several blocks
    packed = gzip.compress("".join(f"C {name}\n" for name in names).encode())
    (tmp_path / "in.smi.gz").write_bytes(packed[: len(packed) // 2])
    *whole, last = read_molecules(tmp_path / "in.smi.gz")
    assert 100 < len(whole) < len(names)
    assert [r.name for r in whole] == [str(name) for name in names[: len(whole)]]
    assert (last.index, last.mol) == (len(whole), None)
    assert "reading stopped here, the rest is lost" in last.error


def test_bytes_that_are_not_utf8_do_not_stop_the_stream(tmp_path):
    text = "CCO éthanol\nC méthane\n".encode("latin-1")
    (tmp_path / "in.smi").write_bytes(text)
    (tmp_path / "in.smi.gz").write_bytes(gzip.compress(text))
    for name in ("in.smi", "in.smi.gz"):
        assert [outcome(r) for r in read_molecules(tmp_path / name)] == ["CCO", "C"]


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Reading 2 MB takes less than a tenth of that at its peak: no more than a few records."""
    record = sdf_record("CC(C)Cc1ccc(cc1)C(C)C(=O)O")
    path = written(tmp_path / "in.sdf", record * (2_000_000 // len(record)))
    tracemalloc.start()
    try:
        records = read_molecules(path)
        for _ in zip(range(200), records, strict=False):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        records.close()
    finally:
        tracemalloc.stop()
    assert peak < 200_000
