import pytest
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers.batching import LARGEST_BATCH, LARGEST_UNIT, WINDOW, Unit, units
from molebm.conformers.settings import GenerationSettings

CPU = GenerationSettings()
GPU = GenerationSettings(device="cuda")


def records(*smiles: str | None) -> list[Record]:
    return [
        Record(n, f"m{n}", "", Chem.MolFromSmiles(one) if one else None, None if one else "bad")
        for n, one in enumerate(smiles)
    ]


def placed(unit: Unit) -> list[tuple[int, Record]]:
    return [pair for batch in unit.batches for pair in zip(batch.places, batch.records, strict=True)]


@pytest.mark.parametrize("settings", [CPU, GPU], ids=["cpu", "cuda"])
def test_every_record_is_in_one_batch_with_its_place(settings):
    given = records(*["CCCCCCCC", None, "C", "C" * 60] * 20)
    cut = [pair for unit in units(given, settings) for pair in placed(unit)]
    assert sorted(cut, key=lambda pair: pair[0]) == list(enumerate(given))


def test_on_a_cpu_each_molecule_is_computed_alone_and_sent_with_few_others():
    cut = list(units(records(*["C"] * 40, *["C" * 60] * 2), CPU))
    assert all(len(batch.records) == 1 for unit in cut for batch in unit.batches)
    assert max(unit.n_records for unit in cut) == LARGEST_UNIT
    assert [unit.n_records for unit in cut[-2:]] == [1, 1]


def test_on_a_gpu_molecules_of_like_size_are_computed_together():
    cut = list(units(records(*["C" * 30, "C"] * LARGEST_BATCH), GPU))
    sizes = [{record.mol.GetNumAtoms() for _, record in placed(unit)} for unit in cut]
    assert sizes[0] == {1}
    assert sizes[-1] == {30}


def test_batch_of_failures_is_bounded_too():
    cut = units(records(*[None] * (LARGEST_BATCH + 1)), GPU)
    assert [len(unit.batches[0].records) for unit in cut] == [LARGEST_BATCH, 1]


@pytest.mark.parametrize(("settings", "most"), [(CPU, LARGEST_UNIT + 1), (GPU, WINDOW)], ids=["cpu", "cuda"])
def test_no_more_is_read_than_is_cut_at_once(settings, most):
    (record,) = records("C")
    taken = []
    stream = (taken.append(n) or record for n in range(10**6))
    next(iter(units(stream, settings)))
    assert len(taken) <= most


def test_work_grows_with_the_input():
    work = [unit.work for unit in units(records(*["C" * 60] * 4), CPU)]
    assert work == pytest.approx([work[0] * (n + 1) for n in range(len(work))])
