"""Processes may die, hang or finish in any order: each record gets its result, in the order of the input."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers import crew, worker_process
from molebm.conformers.batching import Batch, Unit
from molebm.conformers.computing import Job
from molebm.conformers.input_order import InputOrder
from molebm.conformers.outcomes import Outcomes
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.workers import in_processes, in_this_process
from molebm.errors import RequestError

SETTINGS = GenerationSettings(energy="mmff94", n_conformers=1)


def record(index: int, name: str) -> Record:
    return Record(index, name, "C", None, "no molecule; give one")


def obey_names(outcomes: Outcomes) -> str:
    """Do in the worker what the name of the record says."""
    (name,) = (outcome.name for outcome in outcomes)
    (reason,) = (outcome.reason for outcome in outcomes)
    here = "process that computed" not in reason and "beyond the time limit" not in reason
    if here and name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if here and name == "fail":
        raise RuntimeError("a bug, for the test of what becomes of it")
    if here and name == "hang":
        time.sleep(600)
    if here and name == "wait":
        time.sleep(0.5)
    return f"{name}: {reason}"


def singles(*names: str, together: int = 1) -> Iterator[Unit]:
    """Units of so many batches of one record."""
    batches = [Batch((n,), (record(10 * n, name),)) for n, name in enumerate(names)]
    for start in range(0, len(batches), together):
        yield Unit(tuple(batches[start : start + together]), 0.0)


def run(units: Iterator[Unit], n_processes: int = 2) -> list[str]:
    finished = list(in_processes(units, Job(SETTINGS, obey_names), n_processes))
    assert [one.index for one in finished] == [10 * n for n in range(len(finished))]
    return [one.result for one in finished]


def test_order_is_that_of_the_places():
    order = InputOrder()
    for place in (2, 0, 3):
        order.put(Batch((place,), (record(place, ""),)), ["x"])
    assert [one.index for one in order.take()] == [0]
    order.put(Batch((1,), (record(1, ""),)), ["x"])
    assert [one.index for one in order.take()] == [1, 2, 3]


def test_results_come_in_the_order_of_the_input_though_the_first_takes_longest():
    names = ["wait", *"abcdef"]
    assert [result.partition(":")[0] for result in run(singles(*names))] == names


def test_death_costs_the_molecule_that_caused_it_and_no_other(capfd):
    first, died, last, failed, after = run(singles("a", "die", "b", "fail", "c", together=5), n_processes=1)
    assert "SIGKILL" in died and "died twice" in died
    assert "exit code 1" in failed
    assert "a bug, for the test" in capfd.readouterr().err  # which is told, for a report
    assert [one.partition(":")[2] for one in (first, last, after)] == [" no molecule"] * 3


def test_molecule_that_hangs_is_ended_and_the_others_are_done(monkeypatch):
    monkeypatch.setattr(worker_process, "_GRACE", 0.5)
    monkeypatch.setattr(worker_process, "_PATIENCE", 0.0)
    hung, other = run(singles("hang", "a"))
    assert "beyond the time limit" in hung
    assert "no molecule" in other


def test_batch_that_dies_is_cut_in_halves_until_one_is_left_to_blame():
    names = ["a", "b", "die", "c"]
    batch = Batch((0, 1, 2, 3), tuple(record(10 * n, name) for n, name in enumerate(names)))
    results = run(iter([Unit((batch,), 0.0)]), n_processes=1)
    assert ["died" in result for result in results] == [False, False, True, False]


def test_processes_that_cannot_start_are_told(monkeypatch):
    monkeypatch.setattr(worker_process, "serve", os.abort)
    with pytest.raises(RequestError, match="could start"):
        run(singles("a", "b"))


def test_input_is_read_a_bounded_number_of_records_ahead():
    """A process that sleeps on the first record holds back the rest, and the reading of them."""
    taken = []

    def endless() -> Iterator[Unit]:
        for n in range(10**6):
            taken.append(n)
            yield Unit((Batch((n,), (record(n, "wait" if n == 0 else "a"),)),), 0.0)

    stream = in_processes(endless(), Job(SETTINGS, obey_names), 2)
    next(stream)
    stream.close()
    assert len(taken) <= 2 * crew.AHEAD + 2


def test_no_process_is_left_when_the_stream_is_closed():
    stream = in_processes(singles("a", "hang", "b"), Job(SETTINGS, obey_names), 2)
    next(stream)
    before = time.monotonic()
    stream.close()
    assert time.monotonic() - before < 300  # not the 600 s for which it hangs


def test_the_same_is_done_without_other_processes():
    given = list(singles("a", "b", together=2))
    here = [one.result for one in in_this_process(given, Job(SETTINGS, obey_names))]
    assert here == run(iter(given))


def test_molecules_travel_with_names_and_coordinates():
    mol = Chem.MolFromSmiles("C")
    mol.SetProp("_Name", "methane")
    conformer = Chem.Conformer(1)
    conformer.SetAtomPosition(0, (1 / 3, 0, 0))
    mol.AddConformer(conformer)
    packed = worker_process.packed(Batch((0,), (Record(0, "m", "C", mol, None),)))
    back = worker_process.unpacked(packed)[0].mol
    assert back.GetProp("_Name") == "methane"
    assert back.GetConformer().GetAtomPosition(0).x == 1 / 3
