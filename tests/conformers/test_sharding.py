import pytest

from molebm.conformers.sharding import WHOLE, Shard, parse_shard
from molebm.errors import RequestError


@pytest.mark.parametrize(("total", "count"), [(0, 3), (2, 3), (10, 3), (12, 3), (5, 1)])
def test_every_record_is_in_one_shard(total, count):
    shards = [Shard(number, count) for number in range(1, count + 1)]
    assert [sum(shard.holds(index) for shard in shards) for index in range(total)] == [1] * total
    for shard in shards:
        assert shard.n_records(total) == sum(map(shard.holds, range(total)))


def test_shard_is_read_as_it_is_written():
    assert parse_shard("3/10") == Shard(3, 10)
    assert parse_shard(str(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    ("text", "said"),
    [("0/10", "add 1"), ("11/10", "from 1 to 10"), ("1/0", "no shard"), ("3", "3/10"), ("-1/2", "3/10")],
)
def test_shard_that_is_none_is_refused(text, said):
    with pytest.raises(RequestError, match=said):
        parse_shard(text)
