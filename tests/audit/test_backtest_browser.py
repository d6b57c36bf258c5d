"""
The report of a backtest as a real browser shows it: offline, whole, legible.

Pages are looked at by a script that a test adds to them, with the policy against scripts taken out;
that the report itself needs none is looked at without.
"""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from streams.audit.backtest import BacktestReport, Flip
from streams.audit.backtest_report import Heading, html_report
from streams.records.decisions import Outcome
from tests.deploy.programs import need, run

ALLOWED, QUARANTINED, DROPPED = Outcome.ALLOWED, Outcome.QUARANTINED, Outcome.DROPPED
WIDEST = "W" * 60
HEADING = Heading("mine 2026-1", "5f" * 32, "from 2026-11-23 17:00 UTC on")

LOOK = """
<script>
const box = text => text.getBBox();
const shade = colour => {
  const [r, g, b] = colour.match(/[0-9.]+/g).map(each => each / 255)
    .map(each => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = shade(getComputedStyle(document.body).backgroundColor);
const contrast = colour => {
  const [dark, light] = [shade(colour), paper].sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
};
const all = what => [...document.querySelectorAll(what)];
const seen = {
  charts: all("svg[role=img]").map(svg => svg.querySelectorAll("rect").length),
  tables: all("table").map(table => table.rows.length - 1),
  bars: all("svg[role=img] rect").map(bar => bar.getBoundingClientRect().width),
  cut: all("svg[role=img] text").filter(text => box(text).x < 0 ||
    box(text).x + box(text).width > text.ownerSVGElement.viewBox.baseVal.width)
    .map(text => text.textContent),
  broken: all("th, td:not(.name)").filter(cell => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return !cell.textContent.includes(" ") && text.getClientRects().length > 1;
  }).map(cell => cell.textContent),
  wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  ink: Math.min(...all("h1, h2, p, dt, dd, th, td")
    .map(each => contrast(getComputedStyle(each).color))),
  labels: Math.min(...all("svg text").map(each => contrast(getComputedStyle(each).fill))),
  fills: Math.min(...all("svg rect").map(each => contrast(getComputedStyle(each).fill))),
};
const told = document.createElement("pre");
told.id = "seen";
told.textContent = JSON.stringify(seen);
document.body.append(told);
</script>
"""


@pytest.fixture
def chromium() -> str:
    return need("chromium", "Debian: apt install chromium")


class Browser:
    """Opens pages. It reaches no host but this one, whatever a page wants."""

    def __init__(self, program: str, folder: Path) -> None:
        self._command = [
            program,
            "--headless",
            "--no-sandbox",  # it has none where tests run as root; the pages are our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--force-color-profile=srgb",
            f"--user-data-dir={folder / 'browser'}",
        ]
        self._page = folder / "page.html"

    def show(self, page: str, *options: str) -> tuple[str, list[str]]:
        """Give the page as the browser made it, and what it said of it on its console."""
        self._page.write_text(page, "utf-8")
        shown = run(*self._command, *options, "--dump-dom", self._page.as_uri())
        assert shown.returncode == 0, shown.stderr
        return shown.stdout, [line for line in shown.stderr.splitlines() if "CONSOLE" in line]

    def look(self, page: str, *options: str) -> dict[str, Any]:
        """Look at the page in the browser, with a script of our own."""
        page, left_out = re.subn(r"<meta http-equiv[^>]*>", "", page)
        assert left_out <= 1
        dom, console = self.show(page.replace("</body>", f"{LOOK}</body>"), *options)
        assert console == []
        found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
        assert found is not None
        seen: dict[str, Any] = json.loads(unescape(found[1]))
        return seen


@pytest.fixture
def browser(chromium: str, tmp_path: Path) -> Browser:
    return Browser(chromium, tmp_path)


def a_report(flips: int = 50) -> BacktestReport:
    report = BacktestReport(tried=1_000_000, again=1_000, same=900_000, settled_before=3)
    verdicts = [(ALLOWED, DROPPED), (QUARANTINED, ALLOWED), (DROPPED, QUARANTINED)]
    for place in range(flips):
        before, after = verdicts[place % 3]
        campaign = f"{place} {WIDEST}"
        flip = Flip(before, after, campaign, "OTHER", (f"pack/then-{WIDEST}",), ("pack/now", "b"))
        report.flips[flip] = 1_000_000 >> place
        report.examples[flip] = f"sms.requested-11-1444988{place}-0"
    report.untried["its request is gone from sms.requested"] = 320
    return report


SCREEN = ("--window-size=1000,900",)
PHONE = ("--window-size=500,900",)
DARK = (*SCREEN, "--blink-settings=preferredColorScheme=0")


def test_the_report_is_there_whole_without_a_script_or_a_request(browser: Browser) -> None:
    dom, console = browser.show(html_report(a_report(), HEADING))

    assert console == []
    assert "<h1>Backtest of mine 2026-1</h1>" in dom
    assert dom.count('<svg viewBox="0 0 ') == 4


@pytest.mark.parametrize("window", [SCREEN, PHONE, DARK], ids=["screen", "phone", "dark"])
def test_it_can_be_read(browser: Browser, window: tuple[str, ...]) -> None:
    seen = browser.look(html_report(a_report(), HEADING), *window)

    # By verdict, campaign (the first 40), rule and jurisdiction; then every flip, and the untried.
    assert seen["charts"] == [3, 40, 9, 3]
    assert seen["tables"] == [3, 40, 9, 3, 40, 1]
    assert min(seen["bars"]) > 0
    assert seen["cut"] == []
    assert seen["broken"] == []
    assert seen["wider"] == 0
    # WCAG 2.2: 1.4.3 for text, 1.4.11 for what a chart shows.
    assert min(seen["ink"], seen["labels"]) >= 4.5
    assert seen["fills"] >= 3


def test_a_script_a_request_and_what_cannot_be_read_would_be_noticed(browser: Browser) -> None:
    page = html_report(a_report(), HEADING)
    more = '<script>ran()</script><img src="picture.png">'
    _, console = browser.show(page.replace("</body>", f"{more}</body>"))
    assert len(console) == 2

    spoilt = page.replace("--quiet: #59636e", "--quiet: #aaaaaa").replace("…: ", "…" * 30)
    seen = browser.look(spoilt, *SCREEN)
    assert seen["ink"] < 4.5
    assert len(seen["cut"]) >= 40
