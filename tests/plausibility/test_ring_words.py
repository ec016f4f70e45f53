from molebm.plausibility.findings import Finding
from molebm.plausibility.ring_words import told_by_ring

SYMBOLS = ["C"] * 7
RING = (0, 1, 2, 3, 4, 5)


def torsion(first: int, given: float = 4.0, expected: float = 55.0, score: float = 3.0) -> Finding:
    atoms = tuple((first + place) % 6 for place in range(4))
    return Finding("torsions", "ring torsion", atoms, score, given, expected, f"torsion {first}")


def test_ring_that_should_be_a_chair_and_is_flat_is_told_once():
    bond = Finding("geometry", "bond", (5, 6), 4.0, 1.8, 1.5, "a bond")
    told = told_by_ring([bond, *(torsion(first) for first in range(6))], [RING], SYMBOLS)
    assert [finding.words for finding in told] == [
        "a bond",
        "ring C0–C1–C2–C3–C4–C5 flat: torsions of 4° on average, expected chair",
    ]
    assert told[1].atoms == RING


def test_one_torsion_or_two_stay_what_they_are():
    listed = [torsion(0), torsion(1)]
    assert told_by_ring(listed, [RING], SYMBOLS) == listed


def test_ring_that_should_be_flat_is_too_puckered():
    told = told_by_ring([torsion(first, given=30.0, expected=2.0) for first in range(4)], [RING], SYMBOLS)
    assert [finding.words.split(": ")[1] for finding in told] == ["torsions of 30° on average, expected 2"]
    assert "too puckered" in told[0].words


def test_flat_ring_that_is_twisted_is_told_once_with_the_torsions_of_what_it_bears():
    twisted = [
        Finding("geometry", "flat ring", atoms, 3.0, given, expected, "one")
        for atoms, given, expected in [
            ((0, 1, 2, 3), -20.0, 0.0),
            ((6, 1, 2, 3), 170.0, -178.0),
            ((1, 2, 3, 4), 9.0, 0.0),
        ]
    ]
    (told,) = told_by_ring(twisted, [RING], SYMBOLS)
    assert told.words == "ring C0–C1–C2–C3–C4–C5 not flat: torsions off by up to 20°"
    assert told.atoms == RING
