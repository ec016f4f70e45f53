"""Processes may die, hang or finish in any order: each record gets its result, in the order of the input."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import Pipe

import pytest
import torch
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers import crew, generation, worker_process
from molebm.conformers.backends import devices_of
from molebm.conformers.batching import WINDOW, Batch, Unit
from molebm.conformers.computing import Job
from molebm.conformers.input_order import InputOrder
from molebm.conformers.outcomes import Outcomes
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.worker_process import WorkerProcess
from molebm.conformers.workers import in_processes, in_this_process
from molebm.errors import RequestError


def told(outcomes: Outcomes) -> str:
    return "; ".join(outcome.reason for outcome in outcomes)


CPU = Job(GenerationSettings(energy="mmff94"), told)
GPU = Job(GenerationSettings(energy="mmff94", device="cuda"), told)


class Actor(WorkerProcess):
    """Plays a process that does what the names of its records say; no process is started."""

    waiting: list[Callable[[], None]]  # answers that are held back
    never_start = False

    def __init__(self, job: Job) -> None:
        self.job = job
        self.connection, self.theirs = Pipe()
        self.batches = deque()
        self.work = 0.0
        self.ready = self.is_hanging = False
        if self.never_start:
            self.theirs.close()
        else:
            self.theirs.send(None)

    def give(self, unit: Unit) -> None:
        self.batches.extend(unit.batches)
        self.work = unit.work
        for batch in unit.batches:
            names = [record.name for record in batch.records]
            if "die" in names:
                return self.theirs.close()
            if "hang" in names:
                self.is_hanging = True
                return None
            if "wait" in names:
                self.waiting.append(lambda names=names: self.theirs.send(names))
            else:
                self.theirs.send(names)
            if "go" in names:
                self.waiting.pop()()
        return None

    def is_late(self, seconds: float) -> bool:
        return self.is_hanging

    def end(self) -> str:
        return "as was played"

    def kill(self) -> None:
        self.connection.close()


@pytest.fixture
def actors(monkeypatch) -> type[Actor]:
    monkeypatch.setattr(crew, "WorkerProcess", Actor)
    monkeypatch.setattr(crew, "_TICK", 0.01)
    monkeypatch.setattr(Actor, "waiting", [], raising=False)
    return Actor


@pytest.fixture
def three_gpus(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def record(index: int, name: str) -> Record:
    return Record(index, name, "C", None, f"{name} holds no molecule; give one")


def singles(*names: str, together: int = 1) -> Iterator[Unit]:
    """Units of so many batches of one record."""
    batches = [Batch((n,), (record(10 * n, name),)) for n, name in enumerate(names)]
    for start in range(0, len(batches), together):
        yield Unit(tuple(batches[start : start + together]), 0.0)


def run(units: Iterator[Unit], n_processes: int = 2, job: Job = CPU) -> list[str]:
    finished = list(in_processes(units, job, n_processes))
    assert [one.index for one in finished] == [10 * n for n in range(len(finished))]
    return [one.result for one in finished]


def test_order_is_that_of_the_places():
    order = InputOrder()
    for place in (2, 0, 3):
        order.put(Batch((place,), (record(place, ""),)), ["x"])
    assert [one.index for one in order.take()] == [0]
    order.put(Batch((1,), (record(1, ""),)), ["x"])
    assert [one.index for one in order.take()] == [1, 2, 3]


@pytest.mark.parametrize("n_processes", [2, 3])
def test_results_come_in_the_order_of_the_input_though_the_first_takes_longest(actors, n_processes):
    names = ["wait", *"abcdef", "go"]
    assert run(singles(*names), n_processes) == names


@pytest.mark.parametrize("n_processes", [1, 2])
@pytest.mark.parametrize("together", [1, 2, 5])
def test_death_costs_the_molecule_that_caused_it_and_no_other(actors, n_processes, together):
    results = run(singles(*"ab", "die", *"cd", "die", "e", together=together), n_processes)
    assert [*results[:2], *results[3:5], results[6]] == list("abcde")
    assert all("died twice" in result for result in (results[2], results[5]))


def test_molecule_that_hangs_is_ended_and_the_others_are_done(actors):
    results = run(singles("a", "hang", "b", together=3))
    assert (results[0], results[2]) == ("a", "b")
    assert "beyond the time limit" in results[1]


@pytest.mark.parametrize("how", ["die", "hang"])
def test_batch_that_is_lost_is_cut_in_halves_until_one_is_left_to_blame(actors, how):
    names = ["a", "b", how, "c", "d"]
    batch = Batch(tuple(range(5)), tuple(record(10 * n, name) for n, name in enumerate(names)))
    results = run(iter([Unit((batch,), 0.0)]), job=GPU)
    assert [result for result in results if len(result) == 1] == list("abcd")
    assert "died" in results[2] or "time limit" in results[2]


def test_processes_that_cannot_start_are_told(actors, monkeypatch):
    monkeypatch.setattr(actors, "never_start", True)
    with pytest.raises(RequestError, match="could start"):
        run(singles("a", "b"))


@pytest.mark.parametrize("first", ["a", "wait"])
def test_input_is_read_a_bounded_number_of_records_ahead(actors, first):
    """What waits for the first record, or is not asked for, holds back the reading of the rest."""
    n_taken = 0

    def endless() -> Iterator[Unit]:
        nonlocal n_taken
        for n in range(10**5):
            n_taken += 1
            name = first if n == 0 else "go" if n == 2 * crew.AHEAD - 1 and first == "wait" else "a"
            yield Unit((Batch((n,), (record(n, name),)),), 0.0)

    stream = in_processes(endless(), CPU, 2)
    for n in range(1000):
        assert next(stream).index == n
        assert n_taken <= n + 2 * crew.AHEAD + 2
    stream.close()


def test_a_whole_window_is_read_though_its_first_record_is_in_its_last_batch(actors):
    """On a GPU records are sorted by size; none may wait for one that is never given out."""
    places = range(3 * WINDOW)
    windows = [places[start : start + WINDOW][::-1] for start in range(0, len(places), WINDOW)]
    units = [
        Unit((Batch(tuple(part), tuple(record(10 * place, "a") for place in part)),), 0.0)
        for window in windows
        for part in (window[:500], window[500:1000], window[1000:])
    ]
    assert len(run(iter(units), job=GPU)) == 3 * WINDOW


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


def obey(outcomes: Outcomes) -> str:
    """Do in a real process what the name of the record says."""
    (outcome,) = outcomes
    if "holds no molecule" in outcome.reason:
        if outcome.name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if outcome.name == "fail":
            raise RuntimeError("a bug, for the test of what becomes of it")
        if outcome.name == "hang":
            time.sleep(600)
    return outcome.reason


@pytest.mark.slow
def test_real_processes_die_and_their_molecules_are_told(capfd):
    """An error that nobody foresaw ends a process like a signal, with its traceback for a report."""
    given = list(singles("a", "die", "fail", "b", together=4))
    results = [one.result for one in in_processes(given, Job(CPU.settings, obey), 1)]
    assert [results[0], results[3]] == ["a holds no molecule", "b holds no molecule"]
    assert "SIGKILL" in results[1] and "exit code 1" in results[2]
    assert "a bug, for the test" in capfd.readouterr().err
    here = [one.result for one in in_this_process(singles("a", "b"), Job(CPU.settings, obey))]
    assert here == [results[0], results[3]]


@pytest.mark.slow
def test_real_processes_end_when_they_hang_or_nobody_wants_their_results(monkeypatch):
    monkeypatch.setattr(worker_process, "_GRACE", 0.5)
    monkeypatch.setattr(worker_process, "_PATIENCE", 0.0)
    stream = in_processes(singles("hang", "a", "hang"), Job(CPU.settings, obey), 2)
    assert "beyond the time limit" in next(stream).result
    assert "a holds" in next(stream).result
    before = time.monotonic()
    stream.close()
    assert time.monotonic() - before < 300  # not the 600 s for which it hangs


def test_every_gpu_has_its_processes_and_keeps_as_many(actors, three_gpus, monkeypatch):
    """A process that dies is followed by one on the same GPU."""
    started = []

    class Noted(actors):
        def __init__(self, job: Job) -> None:
            super().__init__(job)
            started.append(job.settings.device)

    monkeypatch.setattr(crew, "WorkerProcess", Noted)
    run(singles("a", "die", "b", "c"), n_processes=4, job=GPU)
    assert started[:4] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]
    assert len(started) > 4 and set(started[4:]) <= {"cuda:0", "cuda:1", "cuda:2"}


@pytest.mark.parametrize(("threads", "n_processes"), [(2, 3), (4, 4), (16, 6)])
def test_no_gpu_of_a_node_is_idle_and_none_has_more_than_it_needs(three_gpus, monkeypatch, threads, n_processes):
    given = []
    monkeypatch.setattr(generation, "in_processes", lambda units, job, n: given.append(n) or iter(()))
    list(generation._generate(singles(*"abcdefghij"), GPU, threads, 1))
    assert given == [n_processes]


def test_named_device_is_the_only_one(three_gpus):
    assert devices_of("cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    assert devices_of("cuda:1") == ["cuda:1"]
    assert devices_of("cpu") == ["cpu"]


def test_several_gpus_that_are_none_are_left_to_pytorch_to_refuse(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices_of("cuda") == ["cuda"]
