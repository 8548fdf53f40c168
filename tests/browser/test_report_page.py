# SPDX-License-Identifier: MIT
"""The report in a real browser: made of the bundled sample and model, on a phone, on a desk and on paper."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import hepgen_fastsim as hf
import pytest
from browser.chromium import browser, find
from hepgen_fastsim import validation

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find() is None, reason="no chromium"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A model beside itself with other seeds; kept in the folder REPORT_OUT, if that is set, to be looked at."""
    folder = tmp_path_factory.mktemp("browser")
    for seed, name in enumerate(("reference", "candidate", "rerun"), start=1):
        sim = hf.FastSim("delphes-cms", seed=seed)
        with hf.open_output(folder / f"{name}.root", provenance={"model": "delphes-cms", "seed": seed}) as out:
            for gen in hf.read(hf.sample()):
                out.write(gen, sim(gen))
    made = validation.compare(*(folder / f"{name}.root" for name in ("reference", "candidate", "rerun")), n_swaps=100)
    assert made.metrics["summary"]["share_inside"] > 0.7  # of 40 events and correlated observables
    path = made.write(folder / "report")
    if kept := os.environ.get("REPORT_OUT"):
        shutil.copytree(path.parent, kept, dirs_exist_ok=True)
    return path


IMAGES = """
(() => [...document.images].map(i => [i.alt, i.complete, i.naturalWidth, i.getBoundingClientRect().width]))()
"""

SMALL_TEXT = """
(() => {
  const small = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), parent = walk.currentNode.parentElement;
    if (text && parent.tagName !== 'SUP' && parseFloat(getComputedStyle(parent).fontSize) < 14) small.push(text);
  }
  return small;
})()
"""

BEYOND_THE_EDGE = """
(() => [...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll table') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + ' ' + e.className))()
"""


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_complete_and_quiet(report, width):
    with browser() as page:
        page.open(report, width)
        images = page.evaluate(IMAGES)
        assert len(images) > 40
        for alt, complete, natural, shown in images:
            assert complete, alt
            assert natural > 0, alt
            assert shown > 100, alt
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(BEYOND_THE_EDGE) == []
        assert page.evaluate(SMALL_TEXT) == []
        said = [e for e in page.events if e.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown")]
        said += [e for e in page.events if e.get("method") == "Log.entryAdded"]
        assert said == []
        asked = [e["params"]["request"]["url"] for e in page.events if e.get("method") == "Network.requestWillBeSent"]
        assert [url for url in asked if not url.startswith("data:")] == [report.resolve().as_uri()]
        assert [e for e in page.events if e.get("method") == "Network.loadingFailed"] == []


def test_tables_scroll_in_their_own_containers_on_a_phone(report):
    with browser() as page:
        page.open(report, 390)
        wide = page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
        )
        assert wide > 0
        assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.closest('.scroll'))")


def test_the_table_of_contents_leads_to_every_section(report):
    with browser() as page:
        page.open(report, 1280)
        links = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash)")
        sections = page.evaluate("[...document.querySelectorAll('main > section')].map(s => '#' + s.id)")
        assert links == sections
        assert {"#summary", "#distributions", "#jets", "#rates", "#events", "#files"} <= set(links)


def test_the_page_prints_with_all_its_tables(report):
    with browser() as page:
        page.open(report, 1280)
        page.call("Emulation.setEmulatedMedia", media="print")
        assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
        pdf = page.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        assert len(pdf) > 100_000


def test_the_browser_notices_what_is_wrong(tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        '<body><img alt="none" src="data:image/png;base64,AAAA">'
        '<p style="width:3000px;font-size:9px">small and wide</p>'
        "<script>console.error('loud'); undefined.name</script>"
    )
    with browser() as page:
        page.open(path, 390)
        assert page.evaluate(IMAGES)[0][2] == 0
        assert page.evaluate(SMALL_TEXT) == ["small and wide"]
        assert page.evaluate(BEYOND_THE_EDGE) == ["P "]
        methods = {event.get("method") for event in page.events}
        assert {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"} <= methods
