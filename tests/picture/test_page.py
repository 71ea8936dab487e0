"""The page, as text and in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from picture.browser import CHROMIUM, Browser
from picture.shop import FILES, FINDING, drawing, lines_of

from leaklint.picture.drawing import Drawing
from leaklint.picture.page import page


def facts(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


@pytest.fixture(scope="module")
def text() -> str:
    return page(drawing(), [FINDING], lines_of, "shop")


def test_a_finding_marks_what_stands_where_it_speaks_of(text: str) -> None:
    content = facts(text)
    nodes = content["nodes"]
    assert [node["name"] for node in nodes if node["findings"]] == ["sell"]
    marked = {
        (nodes[source]["name"], name, nodes[target]["name"]) for source, target, ops, found in content["links"] if found for name, *_ in ops
    }
    assert ("Orders._queue", "receive", "shop.main") in marked
    assert ("sell", "send", "Orders._queue") not in marked


def test_the_lines_around_each_place_are_there(text: str) -> None:
    content = facts(text)
    number = content["files"].index("shop/orders.py")
    assert content["code"][str(number)]["14"] == "            await self._queue.get()"
    assert all(FILES[content["files"][int(file)]].split("\n")[int(line) - 1].rstrip() == said
               for file, lines in content["code"].items() for line, said in lines.items())  # fmt: skip


def test_source_cannot_break_out_of_the_page() -> None:
    evil = "</script><script>alert(1)</script> {{script}} <!--"
    text = page(drawing(), [], lambda path: [evil] * 30, evil)
    assert text.count("<script>") == 3
    assert evil in facts(text)["code"]["0"].values()
    assert text.count("Draws the facts of the page") == 1


def test_the_page_asks_for_nothing_and_names_its_licences(text: str) -> None:
    assert "default-src 'none'" in text
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=", text)
    assert all("Permission is hereby granted" in licence for licence in facts(text)["licences"].values())


pytest_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (on Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, text: str) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "page.html").write_text(text, encoding="utf-8")
    with Browser(folder / "profile") as one:
        one.open(folder / "page.html")
        yield one


def click(browser: Browser, element: str) -> None:
    """Where the element of the graph is drawn, after it has come to rest."""
    browser.until("!leaklint.cy.animated()")
    at = browser.evaluate(
        f"(() => {{ const box = document.getElementById('graph').getBoundingClientRect(), at = {element}.renderedPosition();"
        " return [box.left + at.x, box.top + at.y]; })()"
    )
    browser.click(*at)


def told(browser: Browser) -> str:
    shown: str = browser.evaluate("document.getElementById('details').innerText")
    return shown


@pytest_chromium
class TestInChromium:
    def test_it_draws_every_node_once_in_its_module_and_apart(self, browser: Browser) -> None:
        names = browser.evaluate("leaklint.cy.nodes(':childless').map(node => node.data('label').split('\\n')[0]).sort()")
        assert names == ["Orders", "Orders._done", "Orders._queue", "anyone", "anyone", "sell", "shop.main"]
        assert browser.evaluate("leaklint.cy.nodes(':parent').map(node => node.data('label')).sort()") == ["shop.main", "shop.orders"]
        assert browser.evaluate(
            "leaklint.cy.nodes(':childless').every((one, _, all) => all.every(other => one === other || one.same(other) || "
            "Math.abs(one.position('x') - other.position('x')) >= (one.width() + other.width()) / 2 || "
            "Math.abs(one.position('y') - other.position('y')) >= (one.height() + other.height()) / 2))"
        )
        assert browser.evaluate("document.getElementById('graph').querySelectorAll('canvas').length") > 0

    def test_a_click_on_a_node_shows_its_source_and_its_users(self, browser: Browser) -> None:
        click(browser, "leaklint.cy.nodes('[label ^= \"Orders._queue\"]')")
        browser.until("document.querySelector('#details h2').innerText === 'Orders._queue'")
        made = browser.evaluate("document.querySelector('#details pre .here').textContent")
        assert made.strip() == "self._queue = asyncio.Queue(8)"
        shown = told(browser)
        for word in ("send ← by", "receive ← by", "sell", "shop.main", "orders.py:10", "await self._queue.put(order)", "LK304"):
            assert word in shown

    def test_a_click_on_an_edge_shows_where_it_is_done(self, browser: Browser) -> None:
        spawn = "edge.data('label').includes('spawn') && edge.source().data('label').startsWith('shop.main')"
        browser.evaluate(f"leaklint.cy.edges().filter(edge => {spawn}).emit('tap') && 0")
        browser.until("document.querySelector('#details h2').innerText.includes('→')")
        assert "seller = asyncio.create_task(sell(orders))" in browser.evaluate("document.querySelector('#details pre .here').textContent")

    def test_search_finds_and_shows(self, browser: Browser) -> None:
        browser.press("Escape")
        browser.press("/")
        browser.write("_done")
        assert browser.evaluate("[...document.querySelectorAll('#hits .name')].map(one => one.innerText)") == ["Orders._done"]
        browser.press("Enter")
        browser.until("document.querySelector('#details h2').innerText === 'Orders._done'")
        assert browser.evaluate("leaklint.cy.nodes('.picked').map(node => node.data('label').split('\\n')[0])") == ["Orders._done"]

    def test_a_finding_shows_its_trace_and_its_mend(self, browser: Browser) -> None:
        browser.press("Escape")
        browser.evaluate("document.querySelector('[data-finding] button').click()")
        shown = told(browser)
        for word in ("nothing ends <this> `loop` & that", "the seller starts here", "main.py:12", "Mend", "end it"):
            assert word in shown

    def test_findings_only_leaves_what_they_touch(self, browser: Browser) -> None:
        browser.evaluate("document.getElementById('only-findings').click()")
        names = browser.evaluate("leaklint.cy.nodes(':childless').map(node => node.data('label').split('\\n')[0]).sort()")
        browser.evaluate("document.getElementById('only-findings').click()")
        assert "sell" in names
        assert "Orders._done" not in names

    def test_a_kind_can_be_left_out(self, browser: Browser) -> None:
        box = "[...document.querySelectorAll('.filter')].find(one => one.innerText.startsWith('channel')).querySelector('input')"
        browser.evaluate(f"{box}.click()")
        assert browser.evaluate("leaklint.cy.nodes('[label ^= \"Orders._queue\"]').length") == 0
        browser.evaluate(f"{box}.click()")
        assert browser.evaluate("leaklint.cy.nodes('[label ^= \"Orders._queue\"]').length") == 1

    def test_modules_close_and_open(self, browser: Browser) -> None:
        browser.evaluate("document.getElementById('close-all').click()")
        assert browser.evaluate("leaklint.cy.nodes().map(node => node.data('label').split('\\n')[0]).sort()") == [
            "shop.main",
            "shop.orders",
        ]
        assert browser.evaluate("leaklint.cy.edges().length") > 0
        click(browser, "leaklint.cy.nodes('[label ^= \"shop.orders\"]')")
        browser.until("leaklint.cy.nodes('[label ^= \"Orders._queue\"]').length === 1")
        browser.evaluate("document.getElementById('open-all').click()")

    def test_light_and_dark(self, browser: Browser) -> None:
        ground = "getComputedStyle(document.body).backgroundColor"
        light = browser.evaluate(ground)
        browser.evaluate("document.getElementById('theme').click()")
        assert browser.evaluate(ground) != light
        browser.evaluate("document.getElementById('theme').click()")
        assert browser.evaluate(ground) == light

    def test_no_request_and_no_complaint(self, browser: Browser) -> None:
        assert [address for address in browser.requests if not address.startswith(("file:", "data:", "about:"))] == []
        assert browser.complaints == []


@pytest_chromium
def test_a_large_graph_opens_with_its_modules_closed(tmp_path: Path) -> None:
    from picture.test_svg import crowd

    whole = crowd()
    assert isinstance(whole, Drawing)
    (tmp_path / "page.html").write_text(page(whole, [], lambda path: [], "crowd"), encoding="utf-8")
    with Browser(tmp_path / "profile") as one:
        one.open(tmp_path / "page.html")
        assert one.evaluate("leaklint.cy.nodes().length") == 5
        one.evaluate("document.getElementById('open-all').click()")
        assert one.evaluate("leaklint.cy.nodes(':childless').length") == 90
        assert one.complaints == []
