"""A report is one page that needs no network, tells what it leaves out, and works in a browser."""

import base64
import json
import re
import subprocess
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.rdMolTransforms import GetDihedralDeg

from molebm.figures.colours import COLOUR_STOPS, colour
from molebm.figures.depiction import _bare, depiction
from molebm.figures.page import LONGEST_TEXT
from molebm.figures.scene import scene
from molebm.plausibility.report import STATUSES, ReportCollector
from molebm.plausibility.report_figures import N_BINS
from tests.chromium import CHROMIUM, FLAGS, Browser, in_chromium, opened, requested_outside
from tests.plausibility.conftest import embedded

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)></td></script>{{ 7*7 }}"""


@dataclass(frozen=True, slots=True)
class Found:
    record: int
    name: str = ""
    source: str = "poses.sdf record 1"
    status: str = "ok"
    energy: float | None = None
    score: float | None = None
    p_value: float | None = None
    flagged: bool | None = None
    reasons: tuple[str, ...] = ()
    channels: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    atom_scores: tuple[float, ...] = ()
    mol: Chem.Mol | None = None


def scored(record: int, score: float, p_value: float | None = 0.5, **rest) -> Found:
    rest.setdefault("flagged", p_value is not None and p_value <= 0.05)
    return Found(record, rest.pop("name", f"mol-{record}"), energy=-1.0, score=score, p_value=p_value, **rest)


class Page(HTMLParser):
    """The tags, the texts of the table's rows and the scenes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.scenes: list[dict] = []
        self._in_table = self._in_scenes = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self._in_table = found.get("id") == "table" if tag == "table" else self._in_table
        self._in_scenes = found.get("id") == "scenes"
        if self._in_table and tag == "tr":
            self.rows.append([])
        elif self._in_table and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._in_table &= tag != "table"

    def handle_data(self, data):
        if self._in_table and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()
        if self._in_scenes:
            self.scenes = json.loads(data)
            self._in_scenes = False

    def records(self) -> list[int]:
        return [int(row[0]) for row in self.rows[1:]]


def rendered(*found: Found, **settings) -> str:
    collector = ReportCollector("poses.sdf", **settings)
    for one in found:
        collector.add(one)
    return collector.render()


def number(html: str, what: str) -> int:
    return int(re.search(rf'id="n-{what}">(\d+)<', html)[1])


@pytest.fixture(scope="module")
def html(alanine) -> str:
    """Forty scored records, one of them hostile and worst, and three without a score."""
    caffeine = embedded("Cn1c(=O)c2c(ncn2C)n(C)c1=O")
    found = [Found(7, "broken", status="there are no coordinates"), Found(8, HOSTILE, status=HOSTILE)]
    for record in range(10, 50):
        mol = caffeine if record % 2 else alanine
        atoms = tuple(float(atom == record % 7) * record for atom in range(mol.GetNumAtoms()))
        channels = {"geometry": (1.0, 1 / record), "torsions": (0.1, None)}
        p_value = 0.01 if record < 14 else record / 50
        found.append(scored(record, 50 - record, p_value, channels=channels, atom_scores=atoms, mol=mol))
    hostile = Chem.Mol(alanine)
    hostile.SetProp("_Name", HOSTILE)
    for atom in hostile.GetAtoms():
        for key in ("atomNote", "atomLabel", "_displayLabel", "molFileAlias"):
            atom.SetProp(key, "HOSTILE")
    found.append(scored(60, 1e6, 0.001, name=HOSTILE, source=HOSTILE, reasons=(HOSTILE, "bond C1-C2"), mol=hostile))
    return rendered(*found, Found(61, status="there are no coordinates"), facts={"energy": HOSTILE})


def test_every_record_is_counted(html):
    counts = {what: number(html, what) for what in ("records", "scored", "flagged", "unscored")}
    assert counts == {"records": 44, "scored": 41, "flagged": 5, "unscored": 3}


def test_flagged_and_worst_come_first_and_those_without_a_score_last():
    found = [scored(0, 1.0), scored(1, 9.0), scored(2, 0.5, 0.01), scored(3, 9.0), Found(4), scored(5, float("nan"))]
    assert Page(rendered(*found)).records() == [2, 5, 1, 3, 0, 4]


def test_what_is_left_out_of_the_table_is_told_and_counted():
    found = [scored(record, float(record % 10)) for record in range(40)]
    html = rendered(*found, n_rows=4)
    assert Page(html).records() == [9, 19, 29, 39]
    assert "The 4 worst of 40 scored records are here; 36 that score better are left out." in html
    assert number(html, "scored") == 40


def test_only_the_worst_keep_their_molecules(alanine):
    collector = ReportCollector(n_structures=2)
    mols = [Chem.Mol(alanine) for _ in range(5)]
    for record, mol in enumerate(mols):
        collector.add(scored(record, float(record), mol=mol))
    assert [found.record for _, found, _ in collector._structures.ranked()] == [4, 3]


def test_memory_does_not_grow_with_the_file():
    """A hundred times the cap is added, with a name and a failure of its own for each, in the room of the cap."""

    def peak(n: int) -> int:
        collector = ReportCollector(n_rows=50)
        tracemalloc.start()
        for record in range(n):
            collector.add(scored(record, float(record), name=f"{record:0100d}"))
            collector.add(Found(record, status=f"{record:0100d} cannot be read"))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(5000) < 1.5 * peak(1000)


def test_statuses_that_name_their_records_are_told_together():
    html = rendered(*(Found(record, status=f"atom {record} is wrong") for record in range(STATUSES + 30)))
    assert html.count("other reasons") == 1
    assert '<td>other reasons</td><td class="n">30</td>' in html


def test_p_values_up_to_alpha_fill_the_first_bins():
    collector = ReportCollector()
    for k in range(N_BINS + 1):
        collector.add(scored(k, 1.0, k / N_BINS))
    assert collector.p_values == [2] + [1] * (N_BINS - 1)  # 0 stands with those up to 1/20


@pytest.mark.parametrize("found", [[], [Found(0, status="empty")], [scored(0, 1.0, None, flagged=False)]])
def test_a_page_is_made_of_whatever_there_is(found):
    page = rendered(*found)
    assert "No record has a p-value" in page
    assert "No scored record has a molecule to draw" in page


def test_text_of_the_input_stays_text(html):
    page = Page(html)
    assert [attributes.get("type") for tag, attributes in page.tags if tag == "script"] == ["application/json", None]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert all(str(attributes["src"]).startswith("data:image/svg+xml") for tag, attributes in page.tags if tag == "img")
    assert any(HOSTILE in cell for row in page.rows for cell in row)


def test_text_is_cut_where_it_is_too_long_and_can_always_be_written():
    page = rendered(scored(0, 1.0, name="x" * 10_000 + "end"), scored(1, 0.5, name="torn \udc80"))
    assert "x" * LONGEST_TEXT not in page
    assert "torn ?" in page.encode().decode()


def test_labels_in_a_file_do_not_reach_the_drawing(html):
    drawings = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", html)
    assert len(drawings) == 20
    assert not any("HOSTILE" in base64.b64decode(drawing).decode() for drawing in drawings)


def test_the_page_asks_for_nothing_outside_itself(html):
    """Its policy lets the browser load nothing but the inlined; no address is there but names of XML."""
    assert "default-src 'none'" in html
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    for tag, attributes in Page(html).tags:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "xlink:href"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:")), (tag, attributes)
    assert not re.search(r"url\(\s*[^#\s]|@import|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", html)


def test_the_same_scores_give_the_same_page(alanine):
    assert rendered(scored(0, 1.0, mol=alanine)) == rendered(scored(0, 1.0, mol=alanine))


def test_a_scene_keeps_distances_and_handedness(alanine):
    shown = scene(alanine, [0.0] * alanine.GetNumAtoms())
    turned = Chem.Mol(alanine)
    turned.GetConformer().SetPositions(np.array(shown["positions"]))
    for torsion in ((0, 1, 3, 4), (1, 3, 4, 5), (5, 4, 6, 7)):
        before, after = (GetDihedralDeg(mol.GetConformer(), *torsion) for mol in (alanine, turned))
        assert (after - before + 180) % 360 - 180 == pytest.approx(0, abs=0.2)  # positions are told to 0.001 Å
    assert np.ptp(shown["positions"], axis=0).argmax() == 0


def test_a_drawing_shows_the_molecule_that_was_scored():
    for smiles in (
        "CC(=O)N[C@@H](C)C(=O)NC",
        "F/C=C/Cl",
        "c1cc[nH]c1",
        "C[N+](C)(C)CC(=O)[O-]",
        "[H][H]",
        "Cn1cnc2c1cccc2",
    ):
        drawn = _bare(embedded(smiles, relaxed=False))
        Chem.SanitizeMol(drawn)
        assert Chem.MolToSmiles(drawn) == Chem.CanonSmiles(smiles)


def test_a_hydrogen_lends_its_score_to_the_atom_that_bears_it():
    mol = embedded("CO")
    hydroxyl = next(a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() == 1 and a.GetNeighbors()[0].GetIdx() == 1)
    hot = [3.0 if atom == hydroxyl else 0.0 for atom in range(mol.GetNumAtoms())]
    svg = depiction(mol, hot).upper()
    assert svg.count(COLOUR_STOPS[-1].upper()) > 0
    assert depiction(mol, [0, 3.0, 0, 0, 0, 0]).upper().count(COLOUR_STOPS[-1].upper()) == svg.count(
        COLOUR_STOPS[-1].upper()
    )


def test_the_scale_runs_from_its_first_stop_to_its_last():
    assert [colour(0), colour(1 / 3), colour(1), colour(7)] == [*COLOUR_STOPS[:2], COLOUR_STOPS[-1], COLOUR_STOPS[-1]]


def test_scores_that_are_not_of_these_atoms_colour_none(alanine):
    page = Page(rendered(scored(0, 1.0, mol=alanine, atom_scores=(1.0, 2.0))))
    assert set(page.scenes[0]["colours"]) == {COLOUR_STOPS[0]}


def test_a_score_beyond_all_bounds_is_drawn_as_the_highest(alanine):
    atoms = (float("inf"), float("nan"), 2.0) + (0.0,) * (alanine.GetNumAtoms() - 3)
    page = Page(rendered(scored(0, float("inf"), mol=alanine, atom_scores=atoms)))
    assert page.scenes[0]["scores"][:4] == [2.0, 2.0, 2.0, 0.0]


# ---- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(html, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(saved, tmp_path_factory) -> Iterator[Browser]:
    with opened(saved, tmp_path_factory.mktemp("profile")) as page:
        yield page


@in_chromium
def test_the_script_runs_under_the_policy_of_the_page(saved, tmp_path):
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom", saved.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    _, root = Page(dumped).tags[0]
    assert (root["data-table"], root["data-view"]) == ("ready", "drawn")


@in_chromium
def test_a_click_on_a_heading_sorts_by_number_and_another_turns_it_round(browser):
    browser.click("#table th:nth-child(3) button")
    scores = [float(text) for text in browser.column(2) if text != "–"]
    assert scores == sorted(scores, reverse=True) and len(scores) == 41
    assert browser.column(2)[41:] == ["–"] * 3
    browser.click("#table th:nth-child(3) button")
    assert [float(text) for text in browser.column(2)[:41]] == sorted(scores)
    assert browser.column(2)[41:] == ["–"] * 3
    browser.click("#table th:nth-child(1) button")
    assert browser.column(0) == [str(record) for record in (7, 8, *range(10, 50), 60, 61)]
    assert browser.run("return document.documentElement.dataset.table") == "sorted"


@in_chromium
def test_a_filter_leaves_the_rows_that_hold_its_text(browser):
    seek = (
        "const box = document.getElementById('filter'); box.value = arguments[0]; box.dispatchEvent(new Event('input'))"
    )
    browser.run(seek, "MOL-1")
    assert sorted(browser.column(1)) == [f"mol-{record}" for record in range(10, 20)]
    assert browser.run("return document.getElementById('shown').textContent") == "10 of 44"
    browser.run(seek, "")
    browser.click("#state option[value=unscored]")
    assert sorted(browser.column(0)) == ["61", "7", "8"]
    browser.click("#state option[value='']")
    assert len(browser.column(0)) == 44


@in_chromium
def test_every_drawing_is_an_image(browser):
    widths = browser.run("return [...document.querySelectorAll('.card img')].map((image) => image.naturalWidth)")
    assert len(widths) == 20 and min(widths) > 0


@in_chromium
def test_the_molecule_is_drawn_turns_and_zooms(browser, alanine):
    browser.run("document.getElementById('view').scrollIntoView()")
    assert browser.run("return document.getElementById('view').dataset.drawn") == str(alanine.GetNumAtoms())
    still = browser.picture()
    assert browser.picture() == still

    view = browser.ask("POST", "/element", using="css selector", value="#view")
    moves = [{"type": "pointerMove", "origin": view, "x": x, "y": 0, "duration": 50} for x in (0, 60)]
    drag = [moves[0], {"type": "pointerDown", "button": 0}, moves[1], {"type": "pointerUp", "button": 0}]
    browser.ask("POST", "/actions", actions=[{"type": "pointer", "id": "mouse", "actions": drag}])
    turned = browser.picture()
    assert turned != still

    wheel = {"type": "scroll", "origin": view, "x": 0, "y": 0, "deltaX": 0, "deltaY": -200, "duration": 0}
    browser.ask("POST", "/actions", actions=[{"type": "wheel", "id": "wheel", "actions": [wheel]}])
    assert browser.picture() not in (still, turned)
    browser.click("#reset")
    assert browser.picture() == still


@in_chromium
def test_another_structure_colour_and_hydrogens_can_be_chosen(browser):
    first = browser.picture()
    browser.click(".card:nth-of-type(3)")
    assert browser.run("return document.getElementById('structure').value") == "2"
    by_score = browser.picture()
    assert by_score != first
    browser.click("#colouring option[value=element]")
    by_element = browser.picture()
    assert by_element != by_score
    browser.click("#hydrogens")
    assert browser.picture() != by_element
    assert browser.run("return document.getElementById('view').dataset.drawn") == "14"  # of caffeine


@in_chromium
def test_nothing_is_requested_and_nothing_goes_wrong(browser):
    assert requested_outside(browser) == []
    assert browser.ask("POST", "/se/log", type="browser") == []
