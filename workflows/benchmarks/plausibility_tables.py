"""Tables in Markdown of how scores tell defects from the structures that they are made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from conformer_measures import table
from defect_kinds import ALL, Kind, level
from numpy.typing import ArrayLike, NDArray
from plausibility_measures import Array, Interval, auroc, false_discovery, rank_correlation, share
from structure_scores import StructureScore

MOLEBM: Final = "molebm"
ALPHA: Final = 0.05
CONTAMINATIONS: Final = (0.01, 0.05, 0.2)
RATES: Final = (0.05, 0.1, 0.2)  # nominal shares of false discoveries
TOP: Final = 3  # atoms that should hold one of the defect's
_BY_NAME: Final = {kind.name: kind for kind in ALL}


class Case(NamedTuple):
    """Which defect of which parent a structure is."""

    parent: int
    kind: str
    severity: float
    atoms: tuple[int, ...]


class Scores(NamedTuple):
    """One method's scores of the parents, NaN where it has none, and of the defects, infinite where it has none."""

    clean: Array  # (P,)
    defects: Array  # (D,)


def scores_of(clean: ArrayLike, defects: ArrayLike) -> Scores:
    """A defect that is refused where its parent is not has been found."""
    found = np.array(defects, dtype=float)
    return Scores(np.array(clean, dtype=float), np.where(np.isnan(found), np.inf, found))


def auroc_table(methods: Mapping[str, Scores], cases: Sequence[Case], counted: str | None, seed: int) -> str:
    """One row for each kind and size of severity; `counted` names the method whose scores count failed tests."""
    generator = np.random.default_rng(seed)
    rows = [
        _auroc_row(label, methods, cases, chosen, counted, generator)
        for label, chosen in [*_groups(cases), ("all", np.ones(len(cases), dtype=bool))]
    ]
    difference = ["molebm - best other"] if _has_peers(methods) else []
    return table(("defect", "n", *methods, *difference, *([f"{counted} fails, %"] if counted else [])), rows)


def variant_table(variants: Mapping[str, Scores], cases: Sequence[Case]) -> tuple[str, str]:
    """One row for each kind and severity, and the name of the variant with the largest mean."""
    generator = np.random.default_rng(0)
    groups = list(_groups(cases))
    found = {
        name: [_auroc(scores, cases, chosen, generator).value for _, chosen in groups]
        for name, scores in variants.items()
    }
    means = {name: float(np.nanmean(values)) for name, values in found.items()}
    rows = [[label, *(f"{found[name][i]:.3f}" for name in found)] for i, (label, _) in enumerate(groups)]
    rows.append(["mean", *(f"{mean:.3f}" for mean in means.values())])
    return table(("defect", *found), rows), max(means, key=means.__getitem__)


def detail_table(clean: Sequence[StructureScore], defects: Sequence[StructureScore], cases: Sequence[Case]) -> str:
    """What is flagged, where it is seen, and whether scores rise with severity, of each kind."""
    rows = []
    for label, chosen in _groups(cases):
        flagged = [defects[i].flagged or not defects[i].scored for i in np.flatnonzero(chosen)]
        rows.append([label, str(chosen.sum()), percent(share(flagged)), _located(defects, cases, chosen)])
    head = ("defect", "n", "flagged, %", f"an atom of it among the {TOP} first, %")
    levels = [[kind.name, _severity_cell(kind, clean, defects, cases)] for kind in ALL if len(kind.severities) > 1]
    return table(head, rows) + "\n\n" + table(("defect", "Spearman of severity and score"), levels)


def alarm_table(clean: Sequence[StructureScore], sources: Sequence[str]) -> str:
    """Good structures with a small p-value, of each file, each half calibrated on the other."""
    rows = []
    for source in sorted(set(sources)):
        found = [each for each, where in zip(clean, sources, strict=True) if where == source]
        scored = [each for each in found if each.scored]
        cells = ([each.p_value <= ALPHA for each in scored], [each.flagged for each in scored])
        rows.append([source, str(len(found)), str(len(found) - len(scored)), *(percent(share(c)) for c in cells)])
    head = ("file", "n", "not scored", "p ≤ 0.05, %", "flagged, %")
    return table(head, rows)


def discovery_table(clean: Array, defects: Array, seed: int) -> str:
    """Realised shares of false discoveries, from p-values calibrated on the other half of the structures."""
    generator = np.random.default_rng(seed)
    rows = []
    for contamination in CONTAMINATIONS:
        cells = [
            false_discovery(clean, defects, contamination=contamination, rate=rate, generator=generator)
            for rate in RATES
        ]
        rows.append([f"{contamination:.0%}", *(f"{100 * false:.1f} ({100 * found:.0f})" for false, found in cells)])
    return table(("contamination", *(f"at {rate:.0%}: false (defects found), %" for rate in RATES)), rows)


def _auroc_row(
    label: str,
    methods: Mapping[str, Scores],
    cases: Sequence[Case],
    chosen: NDArray[np.bool_],
    counted: str | None,
    generator: np.random.Generator,
) -> list[str]:
    found = {name: _auroc(scores, cases, chosen, generator) for name, scores in methods.items()}
    cells = [_interval(each) for each in found.values()]
    if _has_peers(methods):
        best = max(each.value for name, each in found.items() if name != MOLEBM and not np.isnan(each.value))
        cells.append(f"{found[MOLEBM].value - best:+.3f}")
    if counted:
        scores = methods[counted]
        failed = scores.defects[chosen & ~np.isnan(scores.clean[_parents(cases)])]
        cells.append(percent(share(failed > 0)))
    return [label, str(chosen.sum()), *cells]


def _auroc(
    scores: Scores, cases: Sequence[Case], chosen: NDArray[np.bool_], generator: np.random.Generator
) -> Interval:
    scored = ~np.isnan(scores.clean)
    parents = _parents(cases)
    taken = chosen & scored[parents]
    places = np.cumsum(scored) - 1  # among the parents that are scored
    return auroc(scores.clean[scored], scores.defects[taken], places[parents[taken]], generator)


def _has_peers(methods: Mapping[str, Scores]) -> bool:
    return MOLEBM in methods and len(methods) > 1


def _groups(cases: Sequence[Case]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Label and choice of the cases of each kind and size of severity, both signs of it together."""
    kinds, sizes = np.array([case.kind for case in cases]), np.abs([case.severity for case in cases])
    for kind in ALL:
        for size in dict.fromkeys(abs(severity) for severity in kind.severities):
            chosen = (kinds == kind.name) & (sizes == size)
            both = "±" if {size, -size} <= set(kind.severities) else ""
            if chosen.any():
                yield f"{kind.name} {both}{size:g} {kind.unit}" if kind.unit else kind.name, chosen


def _located(defects: Sequence[StructureScore], cases: Sequence[Case], chosen: NDArray[np.bool_]) -> str:
    hits = []
    for i in np.flatnonzero(chosen):
        if _BY_NAME[cases[i].kind].at_one_site and defects[i].scored:
            first = np.argsort(-defects[i].atoms, kind="stable")[:TOP]
            hits.append(bool(set(first.tolist()) & set(cases[i].atoms)))
    return percent(share(hits)) if hits else "-"


def _severity_cell(
    kind: Kind, clean: Sequence[StructureScore], defects: Sequence[StructureScore], cases: Sequence[Case]
) -> str:
    """Mean over parents, places and signs of the coefficient; the parent itself is at level 0."""
    series: dict[tuple, list[tuple[int, float]]] = defaultdict(list)
    for case, found in zip(cases, defects, strict=True):
        if case.kind == kind.name and clean[case.parent].scored:
            score = found.score if found.scored else np.inf
            place = case.atoms if kind.at_one_site else ()
            series[case.parent, case.severity > 0, place].append((level(kind, case.severity), score))
    found = [
        rank_correlation([0, *(rank for rank, _ in points)], [clean[key[0]].score, *(score for _, score in points)])
        for key, points in series.items()
        if len(points) > 1
    ]
    return f"{np.mean(found):.3f} ({len(found)} series)" if found else "-"


def _parents(cases: Sequence[Case]) -> NDArray[np.int64]:
    return np.array([case.parent for case in cases], dtype=np.int64)


def _interval(found: Interval) -> str:
    return "-" if np.isnan(found.value) else f"{found.value:.3f} ({found.low:.2f}-{found.high:.2f})"


def percent(found: Interval) -> str:
    """Write a share with its interval; a dash where there is none."""
    return "-" if np.isnan(found.value) else f"{100 * found.value:.1f} ({100 * found.low:.0f}-{100 * found.high:.0f})"
