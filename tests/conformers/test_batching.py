import pytest
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers.batching import LARGEST_BATCH, batches, number_of_chains
from molebm.conformers.settings import GenerationSettings


def records(*smiles: str | None) -> list[Record]:
    return [
        Record(n, f"m{n}", "", Chem.MolFromSmiles(one) if one else None, None if one else "bad")
        for n, one in enumerate(smiles)
    ]


def test_every_record_is_in_one_batch_in_order():
    given = records(*["CCCCCCCC", None, "C", "C" * 60] * 20)
    cut = list(batches(given, GenerationSettings()))
    assert [record for batch in cut for record in batch.records] == given
    assert len(cut) > 1


def test_large_molecules_are_alone():
    cut = list(batches(records("C" * 200, "C" * 200), GenerationSettings()))
    assert [len(batch.records) for batch in cut] == [1, 1]


def test_batch_of_failures_is_bounded_too():
    cut = batches(records(*[None] * (LARGEST_BATCH + 1)), GenerationSettings())
    assert [len(batch.records) for batch in cut] == [LARGEST_BATCH, 1]


def test_work_grows_with_the_input():
    work = [batch.work for batch in batches(records(*["C" * 60] * 4), GenerationSettings())]
    assert work == pytest.approx([work[0] * (n + 1) for n in range(len(work))])


@pytest.mark.parametrize(("wanted", "chains"), [(1, 16), (10, 16), (20, 32), (100, 160)])
def test_chains_fill_vector_registers(wanted, chains):
    assert number_of_chains(wanted) == chains
