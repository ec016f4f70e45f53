"""What the tests of both networks share."""

import pytest
import torch


def _randomised(network):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.5, generator=generator)
    return network.requires_grad_(False)


@pytest.fixture(scope="session")
def randomised():
    """Give a network large random weights, so that nothing holds by being near zero."""
    return _randomised
