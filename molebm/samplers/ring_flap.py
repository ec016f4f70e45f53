"""Flap a corner or an edge of a ring from one side to the other, as rings of five, seven and more atoms pucker."""

from __future__ import annotations

from collections.abc import Iterator

from molebm.forcefield.energy import EnergyFn
from molebm.samplers.bond_graph import SINGLE, Graph, bond_graph, smallest_rings
from molebm.samplers.metropolis import MoveInfo
from molebm.samplers.ring_inversion import is_saturated
from molebm.samplers.ring_reflections import (
    Reflection,
    Reflections,
    Weights,
    frame_of_atom,
    hanging,
    reflected,
    tabulate,
    weights,
)
from molebm.samplers.sampler import Sampler, State
from molebm.topology import Topology

_LONGEST_FLAP = 2  # atoms


def ring_flap(energy_fn: EnergyFn, topology: Topology) -> Sampler[State, MoveInfo]:
    r"""Reflect one or two neighbouring atoms of a random ring in the plane of their surroundings, and test.

    The plane holds the two atoms between which the flap hangs and the middle of the two beyond them; the
    substituents of the flap and of the atoms it hangs between are carried along. Bond lengths stay as they are;
    angles do where the surroundings are flat, as in an envelope or half-chair, and change a little elsewhere.
    Exact, see `ring_reflections`; no stereocentre is inverted.

    A molecule without a flexible ring (see `find_flaps`) stays where it is. Join the move with dynamics by
    `cycle`; for six-membered rings `ring_inversion` is the better one, since a flapped chair is a boat.

    References
    ----------
    Corner flapping: Goto and Osawa, J. Am. Chem. Soc. 111, 8950 (1989), who minimise after it.
    """
    return reflected(energy_fn, topology, find_flaps(topology))


def find_flaps(topology: Topology) -> Reflections:
    """Find the corners and edges of rings that can be flapped on their own.

    A flap has an atom with only single bonds, hangs on single bonds between single bonds, so that no double
    bond is ever twisted, and neither it nor the atoms it hangs between belong to another ring fused to it.
    """
    graph = bond_graph(topology)
    return tabulate(topology, [flap for ring in smallest_rings(graph) for flap in _flaps(graph, ring)])


def _flaps(graph: Graph, ring: tuple[int, ...]) -> Iterator[Reflection]:
    size, substituents = len(ring), hanging(graph, ring)
    for length in range(1, min(_LONGEST_FLAP, size - 3) + 1):
        for start in range(size):
            # one beyond the hinge, hinge, flap, hinge, one beyond
            places = [(start + step) % size for step in range(-2, length + 2)]
            moving, flap = places[1:-1], places[2:-2]
            alone = all(len(substituents[place] & set(ring)) == 1 for place in moving)
            hinges = [places[:2], places[1:3], places[-3:-1], places[-2:]]
            single = all(graph[ring[i]][ring[j]] == SINGLE for i, j in hinges)
            if alone and single and any(is_saturated(graph, ring[place]) for place in flap):
                bodies = [(frame_of_atom(place, size), substituents[place]) for place in moving]
                yield Reflection(ring, _surroundings(places, size), flap, bodies)


def _surroundings(places: list[int], size: int) -> Weights:
    """Span the plane through the hinges and the middle of the atoms beyond them, which may be one atom."""
    beyond, first, *_, second, beyond_too = places
    ends = {beyond: 1.0, first: -1.0} if beyond == beyond_too else {beyond: 0.5, beyond_too: 0.5, first: -1.0}
    return [weights(size, {first: 1}), weights(size, {first: -1, second: 1}), weights(size, ends)]
