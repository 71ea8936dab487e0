"""The schedule of a proven finding on the page: where each step is in the graph, and stepping through it in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from link.programs import modules
from picture.browser import Browser
from picture.test_page import facts, pytest_chromium, told

from leaklint.catalog import load_catalog
from leaklint.finding import Confidence
from leaklint.findings import graph_of, queried
from leaklint.picture.page import page

FILES = {
    "press/__init__.py": "",
    "press/readers.py": """\
import asyncio


async def read(sheet, ready):
    await asyncio.sleep(sheet)
    await ready.put(sheet)
""",
    "press/main.py": """\
import asyncio

from press.readers import read


async def main():
    ready = asyncio.Queue(1)
    readers = [asyncio.create_task(read(sheet, ready)) for sheet in (1, 2, 3)]
    print(await ready.get())
    await asyncio.gather(*readers)


asyncio.run(main())
""",
}


@pytest.fixture(scope="module")
def text() -> str:
    catalog = load_catalog()
    graph = graph_of(modules(FILES), catalog.models)
    findings = [one for one in queried(graph, catalog.cards.values()) if one.confidence is Confidence.PROVEN]
    assert findings
    return page(graph.drawing, findings, lambda path: FILES[path].split("\n"), "press")


def events(text: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = facts(text)["findings"][0]["witness"]
    return told


def test_each_event_names_its_nodes_and_its_arrow(text: str) -> None:
    nodes, links = (facts(text)[key] for key in ("nodes", "links"))
    name = {-1: None} | {number: node["name"] for number, node in enumerate(nodes)}
    where = {(name[one["node"]], one["way"], name[one["to"]]) for one in events(text)}
    assert ("press.main", "acts", "read") in where
    assert ("read", "acts", "ready") in where
    assert ("press.main", "acts", "ready") in where
    assert ("read", "stuck", "ready") in where
    for event in events(text):
        if event["to"] >= 0:
            assert {event["node"], event["to"]} == set(links[event["link"]][:2])


def test_the_lines_of_all_events_are_there(text: str) -> None:
    code = facts(text)["code"]
    assert all(str(event["line"]) in code[str(event["file"])] for event in events(text))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, text: str) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("steps")
    (folder / "page.html").write_text(text, encoding="utf-8")
    with Browser(folder / "profile") as one:
        one.open(folder / "page.html")
        yield one


def named(browser: Browser, kind: str) -> list[str]:
    """The first lines of the labels of the nodes of that class."""
    found: list[str] = browser.evaluate(f"leaklint.cy.nodes('.{kind}').map(node => node.data('label').split('\\n')[0]).sort()")
    return found


def number(browser: Browser) -> str:
    shown: str = browser.evaluate("document.getElementById('step-number').innerText")
    return shown


@pytest_chromium
class TestInChromium:
    def test_a_proven_finding_is_listed_and_begins_with_its_first_step(self, browser: Browser) -> None:
        assert browser.evaluate("document.querySelectorAll('[data-steps]').length") == 1
        browser.evaluate("document.querySelector('[data-steps]').click()")
        assert number(browser).startswith("1 of ")
        assert "main starts read" in told(browser)
        assert named(browser, "now") == ["press.main", "read"]
        assert browser.evaluate("leaklint.cy.edges('.now').map(edge => edge.data('label'))") == ["spawn, join"]
        assert browser.evaluate("document.querySelector('#now pre .here').textContent").strip().startswith("readers = [")

    def test_arrow_keys_and_buttons_go_on_and_back(self, browser: Browser) -> None:
        browser.press("ArrowRight")
        assert number(browser).startswith("2 of ")
        browser.evaluate("document.getElementById('next-step').click()")
        assert number(browser).startswith("3 of ")
        browser.evaluate("document.getElementById('previous-step').click()")
        browser.press("ArrowLeft")
        browser.press("ArrowLeft")
        assert number(browser).startswith("1 of ")
        assert browser.evaluate("document.getElementById('previous-step').disabled")

    def test_a_step_shows_how_the_channel_stands(self, browser: Browser) -> None:
        browser.evaluate(
            "[...document.querySelectorAll('.schedule button')].find(one => one.innerText.includes('puts something into')).click()"
        )
        assert "full, 1 of 1" in told(browser)
        assert browser.evaluate("document.querySelectorAll('#now .slot.full').length") == 1
        assert named(browser, "now") == ["read", "ready"]
        live = browser.evaluate("leaklint.cy.nodes('.live').map(node => node.data('now'))")
        assert "ready\nfull, 1 of 1" in live

    def test_the_end_shows_who_is_stuck(self, browser: Browser) -> None:
        browser.press("End")
        assert "read" in named(browser, "stuck")
        assert "ready" not in named(browser, "stuck")
        assert browser.evaluate("leaklint.cy.edges('.blocked').length") > 0
        shown = told(browser)
        for word in ("waits for ever in put for room in ready", "who takes from it: main", "waits to put", "readers.py:6"):
            assert word in shown
        assert browser.evaluate("document.getElementById('next-step').disabled")

    def test_leaving_puts_everything_back(self, browser: Browser) -> None:
        browser.press("Escape")
        assert [named(browser, kind) for kind in ("now", "live", "stuck", "faded")] == [[], [], [], []]
        assert "read" in named(browser, "alarm")
        browser.press("ArrowRight")
        assert "Proven, step by step".casefold() in told(browser).casefold()

    def test_a_finding_leads_to_its_steps_and_opens_closed_modules(self, browser: Browser) -> None:
        browser.evaluate("document.getElementById('close-all').click()")
        browser.evaluate("document.querySelector('[data-finding] button').click()")
        browser.evaluate("document.querySelector('.through').click()")
        assert number(browser).startswith("1 of ")
        assert browser.evaluate("leaklint.cy.nodes(':childless').filter(node => node.data('node') !== undefined).length") >= 3

    def test_no_complaint(self, browser: Browser) -> None:
        assert browser.complaints == []
