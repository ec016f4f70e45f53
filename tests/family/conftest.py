import pytest
import torch

from molebm.family.features import Features


def random_bits(n: int, n_bits: int, seed: int = 0) -> torch.Tensor:
    """Bits of two kinds of molecule: the first half of the bits set more often, or the second."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(2, (n, 1), generator=generator)
    halves = (torch.arange(n_bits) < n_bits // 2).long()
    likely = torch.where(kinds == halves, 0.9, 0.1)
    return torch.bernoulli(likely, generator=generator).to(torch.uint8)


@pytest.fixture
def bits() -> Features:
    """Bits of 120 molecules, three quarters of them to learn from."""
    splits = ["train", "train", "train", "validation"] * 30
    facts = {"features": {"name": "maccs", "settings": {}}}
    return Features({"x": random_bits(120, 12)}, splits, [f"m{i}" for i in range(120)], facts)
