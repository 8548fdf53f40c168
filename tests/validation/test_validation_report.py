# SPDX-License-Identifier: MIT
"""The report as a whole: figures of files whose differences are known, the page, the errors."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.validation import compare, page, sections, tables
from hepgen_fastsim.validation.cells import ALL
from hepgen_fastsim.validation.observables import OBSERVABLES
from validation_events import gen_events, reco_of, write, write_pairs

QUICK = {"n_swaps": 20, "use_classifiers": False, "n_displays": 1}


def cells_of(report, process=ALL):
    return {cell.observable: cell for cell in report.cells if cell.process == process}


def test_a_file_beside_itself_differs_nowhere(files):
    report = compare(files["reference"], files["reference"], files["rerun"], **QUICK)
    assert len(report.cells) > 30
    assert {cell.value for cell in report.cells} == {0.0}
    assert report.metrics["summary"]["share_inside"] == 1.0
    rows = [row for table in report.metrics["jets"].values() for row in table if "median" in row]
    assert rows
    assert all(row[q]["ratio"] == 1 for row in rows for q in ("median", "width"))
    for table in report.metrics["rates"].values():
        assert not np.nan_to_num(table["pull"]).any()


def test_a_shift_of_s_is_a_w1_of_s(files):
    cells = cells_of(compare(files["reference"], files["shifted"], files["rerun"], **QUICK))
    for kind in ("track", "photon", "neutral"):
        cell = cells[f"{kind}.pt"]
        assert cell.value == pytest.approx(2.0, rel=1e-5)
        assert cell.shift == pytest.approx(2.0, rel=1e-5)
        assert cell.verdict == "beyond"
        assert cells[f"{kind}.eta"].value == cells[f"{kind}.n"].value == 0
    assert cells["event.ht"].shift > 0


def test_the_same_detector_with_another_seed_is_inside(files):
    report = compare(files["reference"], files["candidate"], files["rerun"], n_swaps=100, use_classifiers=False)
    assert report.metrics["summary"]["share_inside"] > 0.75  # of correlated observables
    assert report.metrics["settings"]["matching_to_gen"] == "links"


def test_several_candidates_are_averaged(files):
    one = cells_of(compare(files["reference"], files["rerun"], **QUICK))["track.pt"]
    two = cells_of(compare(files["reference"], [files["rerun"], files["reference"]], **QUICK))["track.pt"]
    assert two.value == pytest.approx(one.value / 2, rel=1e-9)


def test_all_kinds_of_files_give_the_same(files, tmp_path):
    gen = gen_events()
    number = ak.to_numpy(gen["number"])
    reco = reco_of(gen, 1)
    flat = write(tmp_path / "flat.root", gen, reco, "flat")
    pairs = write_pairs(tmp_path / "pairs.parquet", gen, reco, number)
    for path in (flat, pairs):
        report = compare(files["reference"], path, **QUICK)
        assert report.metrics["settings"]["matching_to_gen"] == "links"
        worst = max(report.cells, key=lambda c: c.value / max(c.floor, 1e-9))
        assert worst.value < 1e-3 * max(worst.floor, 1e-3), worst


def test_pairs_are_judged_process_by_process_and_a_rerun_needs_no_gen(tmp_path):
    number = np.concatenate([100_000 + np.arange(40), 400_000 + np.arange(40)])
    gen = gen_events(80, numbers=number)
    made = [write_pairs(tmp_path / f"{k}.pq", gen if k < 2 else None, reco_of(gen, k), number) for k in range(3)]
    report = compare(*made, **QUICK)
    assert report.judge.processes == [ALL, "ttbar", "zee"]
    assert report.metrics["events"] == {"matched": 80, "ttbar": 40, "zee": 40}
    assert report.metrics["summary"]["n_cells"] == sum(c.process != ALL for c in report.cells)
    odd = compare(*made, half="odd", **QUICK)
    assert odd.metrics["events"]["matched"] == 40
    assert compare(*made, max_events=45, **QUICK).metrics["events"]["matched"] == 45


def test_events_are_matched_by_number_in_any_order(files, tmp_path):
    gen = gen_events()
    order = np.random.default_rng(1).permutation(len(gen))[:50]
    shuffled = write(tmp_path / "shuffled.parquet", gen[order], reco_of(gen, 1)[order])
    report = compare(files["reference"], shuffled, **QUICK)
    assert report.metrics["settings"]["matched_by"] == "number"
    assert report.metrics["events"]["matched"] == 50
    assert {cell.value for cell in report.cells} == {0.0}


def test_events_without_numbers_are_matched_by_order(tmp_path):
    gen = gen_events(numbers=np.zeros(60, int))
    paths = [write(tmp_path / f"{k}.parquet", gen, reco_of(gen, 1)) for k in range(2)]
    report = compare(*paths, **QUICK)
    assert report.metrics["settings"]["matched_by"] == "order"
    assert {cell.value for cell in report.cells} == {0.0}


def test_gen_from_a_file_of_its_own(files, tmp_path):
    gen = gen_events()
    number = ak.to_numpy(gen["number"])
    bare = [write_pairs(tmp_path / f"{k}.pq", None, reco_of(gen, k), number) for k in (1, 3)]
    assert "jets" not in compare(*bare, **QUICK).metrics
    report = compare(*bare, gen=files["reference"], **QUICK)
    assert report.metrics["gen"] == "reference.parquet"
    assert report.metrics["rates"]["track.efficiency.eta"]["n_reference"].sum() > 0


def test_classifiers_see_a_bad_resolution(tmp_path):
    gen = gen_events(220)
    details = {1: {}, 2: {"width": 0.6}, 3: {}}
    paths = [write(tmp_path / f"{k}.parquet", gen, reco_of(gen, k, **more)) for k, more in details.items()]
    tests = compare(*paths, n_swaps=20).metrics["tests"]
    assert set(tests) == {"c2st, jets", "c2st, events", "FPD, jets", "KPD, jets"}
    assert tests["c2st, jets"]["value"] > 0.6
    assert abs(tests["c2st, jets"]["floor"] - 0.5) < 4 * tests["c2st, jets"]["floor_error"] + 0.02


class Page(HTMLParser):
    """Images, addresses and headings of a page, and whether its elements are closed."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.images, self.addresses, self.open, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "img":
            self.images.append(values)
        self.addresses += [values[name] for name in ("href", "src") if name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new" / "folder"
    report = compare(
        files["reference"], files["shifted"], files["rerun"], title="a <b> & c", use_classifiers=False, n_swaps=50
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "MOST_PICTURES", 4)
        path = report.write(folder)
    return report, path


def test_the_page_is_whole_and_needs_nothing_beside_it(written):
    from PIL import Image

    _, path = written
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "<title>a &lt;b&gt; &amp; c" in text
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert tags.count("h1") == 1
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    targets = {values.get("id") for _, values in page.tags}
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= targets
    assert "url(" not in text
    assert len(page.images) > 40
    for image in page.images:
        assert len(image["alt"]) > 20
        picture = Image.open(io.BytesIO(base64.b64decode(image["src"].partition("base64,")[2])))
        assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 4  # something is drawn


def test_the_page_says_what_is_outside_and_where_it_comes_from(written):
    report, path = written
    text = path.read_text(encoding="utf-8")
    outside = [c for c in report.cells if c.verdict != "inside"]
    assert {"track.pt", "photon.pt", "neutral.pt"} <= {c.observable for c in outside}
    for cell in outside:
        assert OBSERVABLES[cell.observable].words.replace("−", "−") in text
    for file in report.metrics["files"]:
        assert file["sha256"] in text
    assert "toy" in text  # the model that the files name


def test_metrics_are_strict_json_with_all_that_is_needed(written):
    _, path = written

    def refuse(name):
        raise AssertionError(name)

    metrics = json.loads((path.parent / "metrics.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert metrics["format"] == 1
    assert [f["role"] for f in metrics["files"]] == ["reference", "candidate", "rerun"]
    assert metrics["files"][1]["model"] == "toy"
    assert {"value", "floor", "band", "ratio", "verdict", "n_reference"} <= set(metrics["cells"][0])
    assert {"summary", "settings", "jets", "rates", "events"} <= set(metrics)


def test_reports_are_replaced_only_when_asked(written, tmp_path):
    report, path = written
    with pytest.raises(InputError, match=r"holds index\.html and metrics.json already"):
        report.write(path.parent)
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(InputError, match="the name of a folder is expected"):
        report.write(taken)


def test_nothing_half_written_is_left(written, tmp_path, monkeypatch):
    report, _ = written
    monkeypatch.setattr(page, "page", lambda report: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.write(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    monkeypatch.setattr(page, "page", lambda report: "text")
    monkeypatch.setattr("hepgen_fastsim.validation.output.PartFile.commit", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.write(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_front_door():
    assert hf.validation.compare is compare


def test_files_that_do_not_belong_together(files, tmp_path):
    other = gen_events(60, seed=2)
    path = write(tmp_path / "other.parquet", other, reco_of(other))
    with pytest.raises(InputError, match="not simulations of the same GEN events: the hardest particle of event 7"):
        compare(files["reference"], path, **QUICK)
    elsewhere = gen_events(30, numbers=1000 + np.arange(30))
    path = write(tmp_path / "elsewhere.parquet", elsewhere, reco_of(elsewhere))
    with pytest.raises(InputError, match=r"no common events: .*reference.parquet: 60 events, numbers 7 to 66"):
        compare(files["reference"], path, **QUICK)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"half": "third"}, "half must be one of all, even, odd"),
        ({"n_swaps": 3}, "at least 20 exchanges"),
        ({"max_events": 0}, "at least 20 exchanges and 1 event"),
        ({"max_events": 1}, "too few"),
        ({"card": "none"}, "none"),
    ],
)
def test_settings_that_make_no_sense(files, options, words):
    with pytest.raises(InputError, match=words):
        compare(files["reference"], files["rerun"], **(QUICK | options))


def test_numbers_for_people():
    assert [tables.number(x) for x in (0, 1.23456, 1234.6, -0.5)] == ["0", "1.23", "1235", "−0.5"]
    assert tables.number(0.000123) == "1.23·10<sup>−4</sup>"
    assert [tables.number(x) for x in (None, float("nan"), float("inf"))] == ["–", "–", "∞"]
    assert tables.with_error(1.04567, 0.0033) == "1.0457 ± 0.0033"
    assert tables.with_error(-120.4, 13.0) == "−120 ± 13"
