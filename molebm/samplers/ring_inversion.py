"""Turn a whole ring inside out: one chair of cyclohexane becomes the other in one step."""

from __future__ import annotations

from molebm.forcefield.energy import EnergyFn
from molebm.samplers.bond_graph import SINGLE, Graph, bond_graph, smallest_rings
from molebm.samplers.metropolis import MoveInfo
from molebm.samplers.ring_reflections import (
    Reflection,
    Reflections,
    Weights,
    frame_of_atom,
    frame_of_bond,
    hanging,
    mean_plane,
    reflected,
    tabulate,
)
from molebm.samplers.sampler import Sampler, State
from molebm.topology import Topology

_SMALLEST = 4  # three atoms are always in their plane


def ring_inversion(energy_fn: EnergyFn, topology: Topology) -> Sampler[State, MoveInfo]:
    r"""Reflect a random ring in its mean plane, substituents in tow, with a Metropolis test.

    Axial and equatorial substituents change places. The energy hardly changes where it need not: bonds and angles
    stay as they are and torsions within the ring change their sign. Nothing lies between the two ends, so the
    barrier does not matter. Exact, see `ring_reflections`; no stereocentre is inverted.

    A molecule without a flexible ring (see `find_inversions`) stays where it is. A ring has two ends only:
    join the move with dynamics by `cycle`.

    References
    ----------
    The mean plane: Cremer and Pople, J. Am. Chem. Soc. 97, 1354 (1975).
    """
    return reflected(energy_fn, topology, find_inversions(topology))


def find_inversions(topology: Topology) -> Reflections:
    """Find the rings of four or more atoms that can be inverted on their own.

    At least one ring atom has only single bonds. What hangs on the ring is joined to it at one atom, as a
    substituent or a spiro ring, or at two unsaturated neighbours, as a benzo ring. A bridge holds a ring as it
    is, and so does a saturated ring fused to it, unless both are inverted at once.
    """
    graph = bond_graph(topology)
    inversions = []
    for ring in smallest_rings(graph):
        bodies = _bodies(graph, ring)
        if len(ring) >= _SMALLEST and bodies and any(is_saturated(graph, atom) for atom in ring):
            inversions.append(Reflection(ring, mean_plane(len(ring)), range(len(ring)), bodies))
    return tabulate(topology, inversions)


def is_saturated(graph: Graph, atom: int) -> bool:
    """Tell whether all bonds of an atom are single."""
    return set(graph[atom].values()) == {SINGLE}


def _bodies(graph: Graph, ring: tuple[int, ...]) -> list[tuple[Weights, set[int]]]:
    """Take the molecule apart into what follows each ring atom or bond; nothing if that cannot be done."""
    size, bodies = len(ring), []
    for place, atoms in enumerate(hanging(graph, ring)):
        shared = {other for other in range(size) if ring[other] in atoms}
        after, before = (place + 1) % size, (place - 1) % size
        if shared == {place}:
            bodies.append((frame_of_atom(place, size), atoms))
        elif is_saturated(graph, ring[place]) or shared not in ({place, after}, {before, place}):
            return []
        elif after in shared:
            bodies.append((frame_of_bond(place, size), atoms))
    return bodies
