"""The pool keeps few molecules in memory, gives each its turn, and each its own chains."""

import pytest
import torch

from molebm.training.pool import MoleculePool, Shards, draw_columns, draw_starts
from molebm.training.shards import write_shard

TEMPERATURES = torch.tensor([300.0, 300.0, 500.0, 500.0, 800.0, 800.0])


@pytest.fixture(scope="module")
def shards(tmp_path_factory, references):
    folder = tmp_path_factory.mktemp("pool")
    for index, reference in enumerate(references):
        write_shard(folder / f"shard-{index}.safetensors", [reference])
    return Shards(sorted(folder.iterdir()), "train", 0)


def pool_of(shards, size=2, visits=3.0):
    generator = torch.Generator().manual_seed(0)
    return MoleculePool(shards, TEMPERATURES, size=size, visits=visits, generator=generator)


def test_memory_holds_no_more_than_the_window_and_every_molecule_has_its_turn(shards):
    pool = pool_of(shards)
    seen = set()
    for _ in range(40):
        assert len(pool.members) == 2
        seen |= {member.reference.name for member in pool.draw(1).members}
    assert len(seen) == 4


def test_a_molecule_stays_for_as_many_visits_as_asked_on_average(shards):
    pool = pool_of(shards, visits=5.0)
    draws = [pool.draw(1).members[0].reference.name for _ in range(200)]
    changes = pool.turn - pool.size
    assert len(draws) / changes == pytest.approx(5.0, abs=0.5)  # of 2 molecules, each in for two changes


def test_a_pool_that_holds_everything_never_changes(shards):
    pool = pool_of(shards, size=99)
    members = pool.members
    for _ in range(50):
        pool.draw(3)
    assert all(a is b for a, b in zip(pool.members, members, strict=True))


def test_a_restored_pool_draws_the_same(shards):
    pool, other = pool_of(shards), pool_of(shards)
    for _ in range(9):
        batch = pool.draw(2)
        batch.keep(batch.chains + 1)
    other.restore(pool.state())
    other.generator.set_state(pool.generator.get_state())
    for _ in range(20):
        expected, found = pool.draw(2), other.draw(2)
        assert torch.equal(expected.positions, found.positions)
        assert torch.equal(expected.chains, found.chains)


def test_a_column_keeps_its_temperature_and_no_sample_is_drawn_twice_in_vain(references):
    generator = torch.Generator().manual_seed(0)
    picked = draw_columns(references[0], TEMPERATURES, generator)
    assert torch.equal(references[0].temperatures[picked], TEMPERATURES)
    assert len(picked.unique()) == len(picked)


def test_chains_are_kept_for_the_molecule_they_belong_to(shards):
    pool = pool_of(shards, size=4)
    batch = pool.draw(3)
    batch.keep(torch.arange(batch.topology.n_atoms).float().expand(3, 6, -1).transpose(1, 2))
    first = 0
    for member in batch.members:
        assert member.chains[0, 0, 0] == first
        first += member.reference.topology.n_atoms


def test_starts_are_those_of_the_embedding(shards, references):
    batch = pool_of(shards, size=4).draw(4)
    starts = draw_starts(batch, torch.Generator().manual_seed(0))
    embedded = batch.members[0].reference.starts
    for column in range(6):
        start = starts[:, : embedded.shape[1], column : column + 1]
        assert (start == embedded).all(0).all(0).any()
