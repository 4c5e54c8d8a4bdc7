#!/usr/bin/env python3
"""The dashboard in a real browser: of live jobs, through the coordinator's restart, with each fault named, with 200 workers, by keyboard.

Needs Chromium; skips without it. SAMOVAR_SCREENSHOTS names a directory for pictures of what was seen.
"""

import json
import os
import pathlib
import re
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "monitoring"))

import monitoring_itest  # noqa: E402
import testbed  # noqa: E402
from browser import Browser, Page, find_chromium  # noqa: E402
from fake_coordinator import BAD_NAME, FakeCoordinator  # noqa: E402
from testbed import RUN_SECONDS, TIME_FACTOR, Cluster, Run  # noqa: E402

# Pixels of the loss chart that have the colour of a line.
DRAWN = """(() => {
  const canvas = document.querySelector('#chart-loss canvas');
  if (!canvas || canvas.width === 0) return 0;
  const style = getComputedStyle(document.documentElement);
  const colours = [1, 2, 3].map(line => style.getPropertyValue(`--line-${line}`).trim()).map(
      colour => [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16)));
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3] > 128 && colours.some(colour => colour.every((value, k) => Math.abs(data[i + k] - value) < 24))) ++found;
  return found;
})()"""
UNANSWERED = re.compile("net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE)")
# The newest iteration of the job's progress.
ITERATION = "Number((document.querySelector('#jobs progress') || {value: 0}).value)"
LINES = "document.querySelectorAll('#chart-loss .legend li').length"


def number_in(page: Page, selector: str) -> float:
    return float(page.evaluate(f"document.querySelector('{selector}').dataset.ms"))


class BrowserCase(unittest.TestCase):
    """A browser for each test; its pages must have asked nobody else, and their consoles must be silent."""

    def setUp(self) -> None:
        if find_chromium() is None:
            self.skipTest("Chromium is not installed")
        super().setUp()
        self.browser = Browser()
        self.addCleanup(self.browser.__exit__)
        self.pages = []
        # The browser itself writes of connections while nobody answers.
        self.may_be_refused = False

    def open(self, url: str, **look) -> Page:
        page = self.browser.open(url, **look)
        self.pages.append((url, page))
        page.wait("document.querySelector('#age') && document.querySelector('#age').innerText === 'live'", RUN_SECONDS)
        return page

    def picture(self, page: Page, name: str, whole: bool = True) -> None:
        if directory := os.environ.get("SAMOVAR_SCREENSHOTS"):
            pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
            page.screenshot(pathlib.Path(directory) / f"{name}.png", whole)

    def check_pages(self) -> None:
        self.assertTrue(self.pages)
        for url, page in self.pages:
            elsewhere = [request for request in page.requests if not request.startswith((url, "data:"))]
            self.assertEqual(elsewhere, [])
            self.assertTrue(page.requests)
            errors = [text for source, text in page.errors if not (self.may_be_refused and source == "network" and UNANSWERED.search(text))]
            self.assertEqual(errors, [])

    def url_of(self, cluster: Cluster) -> str:
        status = json.loads(self.workspace.check("status", cluster.address, "--json"))
        return next(f"http://{server['http']}/" for server in status["servers"] if server["address"] == cluster.address)


class DashboardTest(BrowserCase, testbed.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.workspace.write_solver(max_iter=10000000, test_interval=200, snapshot=1000)

    def test_a_live_job_draws_its_curves(self):
        with Cluster(self.workspace, flags=("--http", "127.0.0.1:0")) as cluster:
            cluster.submit("--name", "small")
            page = self.open(self.url_of(cluster))
            page.wait(f"{DRAWN} > 100", RUN_SECONDS)
            page.wait("document.querySelectorAll('#chart-tests .legend li').length === 1", RUN_SECONDS)
            for chart in ("loss", "tests", "lr", "rate"):
                page.wait(f"/[0-9]/.test((document.querySelector('#chart-{chart} .legend b') || {{innerText: ''}}).innerText)", RUN_SECONDS)
            # It goes on by itself.
            before = page.evaluate(ITERATION)
            page.wait(f"{ITERATION} > {before + 50}", RUN_SECONDS)
            self.assertEqual(page.texts("#workers tbody th span"), ["worker-1", "worker-2"])
            page.wait("[...document.querySelectorAll('#workers tbody td:nth-child(3)')].every(cell => parseFloat(cell.innerText) > 0)", RUN_SECONDS)
            self.assertEqual(page.text("#problem-count"), "Nothing is known to be wrong")
            page.wait("document.querySelectorAll('#timeline .events .test').length > 0", RUN_SECONDS)
            self.assertTrue(any("worker worker-1" in text for text in page.texts("#timeline .events .join")))
            self.picture(page, "desktop_light")
            self.check_pages()

    def test_curves_are_zoomed_compared_and_logarithmic(self):
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "first")
            cluster.submit("--name", "second", "--mode", "sync")
            page = self.open(self.url_of(cluster))
            # Both run, so both are chosen.
            page.wait(f"{LINES} === 4 && {DRAWN} > 100", RUN_SECONDS)
            page.drag("#chart-loss .u-over", 0.25, 0.5)
            page.wait("document.querySelector('#zoom-note').innerText.startsWith('iterations')", 10)
            page.evaluate("document.querySelector('#chart-lr').focus()")
            zoomed = page.text("#zoom-note")
            page.press("+")
            page.wait(f"document.querySelector('#zoom-note').innerText !== {json.dumps(zoomed)}", 10)
            page.press("0")
            page.wait("document.querySelector('#zoom-note').innerText === 'all iterations'", 10)
            page.press("l")
            page.wait("document.querySelector('#log').getAttribute('aria-pressed') === 'true'", 10)
            page.wait(f"{DRAWN} > 100", 10)
            page.press("s")
            page.wait("document.querySelector('#chart-loss .legend li').innerText.includes('smoothed')", 10)
            page.evaluate("[...document.querySelectorAll('#jobs input')].find(box => box.value === 'second').click()")
            page.wait(f"{LINES} === 2", 10)
            self.assertIn("#jobs=first", page.evaluate("location.href"))
            self.check_pages()

    def test_it_survives_the_coordinator(self):
        address = f"127.0.0.1:{testbed.free_port()}"
        with Cluster(self.workspace, flags=("--http", address)) as cluster:
            cluster.submit("--name", "small")
            page = self.open(f"http://{address}/")
            page.wait(f"{DRAWN} > 100", RUN_SECONDS)
            page.evaluate("window.sameDocument = true")
            self.may_be_refused = True
            cluster.coordinator.kill()
            cluster.coordinator.wait(testbed.END_SECONDS)
            page.wait("!document.querySelector('#banner').hidden && document.body.classList.contains('stale')", RUN_SECONDS)
            self.assertIn("No news for", page.text("#banner"))
            self.assertEqual(page.text("#age"), "not current")
            self.picture(page, "coordinator_gone", whole=False)
            before = page.evaluate(ITERATION)
            cluster.start_coordinator()
            took = page.wait("document.querySelector('#banner').hidden && !document.body.classList.contains('stale')", RUN_SECONDS)
            page.wait(f"{ITERATION} > {before + 50} && {DRAWN} > 100", RUN_SECONDS)
            print(f"  the coordinator was started again: live after {took:.1f} s")
            # On the same page.
            self.assertTrue(page.evaluate("window.sameDocument"))
            page.wait("[...document.querySelectorAll('#timeline .events .recovery')].some(item => item.innerText.includes('coordinator'))", RUN_SECONDS)
            self.check_pages()

    def test_another_server_shows_itself_and_says_where_the_coordinator_is(self):
        with Cluster(self.workspace, workers=0) as cluster:
            status = json.loads(self.workspace.check("status", cluster.address, "--json"))
            other = next(server for server in status["servers"] if server["address"] != cluster.address)
            page = self.open(f"http://{other['http']}/")
            page.wait("!document.querySelector('#alone').hidden && document.querySelector('#jobs').hidden", RUN_SECONDS)
            self.assertIn(cluster.address, page.text("#alone"))
            self.assertEqual(page.texts("#servers tbody th span"), [other["address"]])
            self.check_pages()


class TrainTest(BrowserCase, testbed.TestCase):
    def test_a_training_prints_where_its_dashboard_is_and_its_page_survives_the_coordinator(self):
        self.workspace.write_solver(max_iter=10000000, test_interval=1000000, snapshot=500)
        with Run(self.workspace, "--dashboard") as run:
            run.await_event("progress")
            urls = [match.group(1) for match in testbed.lines_matching(run.err, r"dashboard: (http://127\.0\.0\.1:\d+/)$")]
            self.assertEqual(len(urls), 1, run.describe())
            page = self.open(urls[0])
            page.wait(f"{DRAWN} > 100", RUN_SECONDS)
            self.may_be_refused = True
            before = page.evaluate(ITERATION)
            next(process for process in run.servers() if process.is_coordinator).kill()
            # It is back before the page would say that there is no news.
            page.wait("document.querySelector('#facts').innerText.includes('epoch 2')", RUN_SECONDS)
            page.wait(f"document.querySelector('#banner').hidden && {ITERATION} > {before} && {DRAWN} > 100", RUN_SECONDS)
            self.check_pages()
            run.signal(signal.SIGINT)
            self.assertEqual(run.await_exit(), 130, run.describe())


# The seconds within which the page names a fault; others have those of the status.
WITHIN = {"killed worker": 5, "slow worker": 15}


class FaultsTest(BrowserCase, monitoring_itest.DiagnosisTest):
    """The faults of the diagnosis, as the page shows them: the culprit is at its top."""

    test_nothing_is_wrong_with_a_cluster_that_works = None

    def begin(self, cluster: Cluster) -> None:
        # Before the job: a disk must be filled before the file of the snapshots has all the room that it will ever need.
        self.open(self.url_of(cluster))
        monitoring_itest.DiagnosisTest.begin(self, cluster)
        # A worker is compared by the figures of ten seconds.
        if "twentieth" in self._testMethodName:
            self.await_status(cluster.address, lambda status: all(worker["rate_seconds"] >= 9 for worker in status["workers"]))

    def named(self, cluster: Cluster, fault: str, culprit: str, *words: str, seconds: float) -> None:
        page = self.pages[0][1] if self.pages else self.open(self.url_of(cluster))
        wanted = json.dumps([culprit, *words])
        took = page.wait(f"[...document.querySelectorAll('#problem-list li')].some(item => {wanted}.every(word => item.innerText.includes(word)))",
                         WITHIN.get(fault, seconds) * TIME_FACTOR)
        problem = next(text for text in page.texts("#problem-list li") if culprit in text)
        print(f"  {fault}: on the page after {took:.1f} s: {problem}")
        # The top of the page: nothing but its head is above.
        self.assertTrue(page.evaluate("document.querySelector('main').firstElementChild.id === 'problems'"))
        self.assertTrue(page.evaluate("document.title.startsWith('(')"))
        self.picture(page, "trouble_" + fault.replace(" ", "_").replace(",", ""), whole=False)
        self.check_pages()


class LargeClusterTest(BrowserCase):
    def test_two_hundred_workers_are_shown_fast_and_what_users_named_is_text(self):
        with FakeCoordinator() as fake:
            page = self.open(fake.url)
            page.wait("document.querySelectorAll('#workers tbody tr').length === 20", RUN_SECONDS)
            # Trouble first, then by name.
            self.assertEqual(page.texts("#workers tbody th span")[1:4], ["worker-23", "worker-0", "worker-1"])
            page.evaluate("document.querySelector('#workers .more').click()")
            page.wait("document.querySelectorAll('#workers tbody tr').length === 200", RUN_SECONDS)
            page.evaluate("window.row = document.querySelector('#workers tbody tr:nth-child(100)')")
            times = []
            for _ in range(10):
                seen = number_in(page, "#took")
                page.wait(f"document.querySelector('#took').dataset.ms !== '{seen:.2f}'", RUN_SECONDS)
                times.append(number_in(page, "#took"))
            print(f"  200 workers, 16 servers: script time of a refresh {sorted(times)[len(times) // 2]:.1f} ms in the middle, {max(times):.1f} ms at most")
            # Rows are changed, not made anew.
            self.assertTrue(page.evaluate("window.row.isConnected"))
            self.assertEqual(page.evaluate("document.title"), "(4) Samovar")
            self.assertEqual(page.evaluate("document.querySelectorAll('main img').length"), 0)
            self.assertIn(BAD_NAME.replace("\u202e", "\ufffd"), page.texts("#workers tbody th span"))
            # The job with that name has a curve: it is asked for by it.
            page.evaluate("[...document.querySelectorAll('#jobs input')].find(box => box.value.startsWith('<img')).click()")
            page.wait(f"{LINES} === 6", RUN_SECONDS)
            self.check_pages()

    def test_keys_reach_everything(self):
        with FakeCoordinator(workers=4, servers=2) as fake:
            page = self.open(fake.url)
            page.press("Tab")
            self.assertEqual(page.evaluate("document.activeElement.className"), "skip")
            reached = set()
            for _ in range(80):
                page.press("Tab")
                reached.add(page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.tagName"))
                self.assertEqual(page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement === document.body"), True)
            for wanted in ("theme", "help-open", "log", "smooth", "zoom-in", "chart-loss", "chart-tests", "worker-filter", "scroller"):
                self.assertIn(wanted, reached)
            page.evaluate("document.activeElement.blur()")
            page.press("?", "?")
            page.wait("document.querySelector('#help').open", 10)
            page.press("Escape")
            page.wait("!document.querySelector('#help').open", 10)
            page.press("/", "/")
            page.wait("document.activeElement.id === 'worker-filter'", 10)
            page.press("3", "3")
            page.wait("document.querySelectorAll('#workers tbody tr').length === 1", 10)
            page.evaluate("document.activeElement.blur()")
            dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
            page.press("t")
            page.wait(f"getComputedStyle(document.body.parentElement).backgroundColor !== '{dark}'", 10)
            self.check_pages()

    def test_it_fits_a_phone_and_is_dark_where_the_system_is(self):
        with FakeCoordinator() as fake:
            for name, look in (("phone", {"width": 390, "height": 844, "phone": True}), ("desktop_dark", {"dark": True}),
                               ("trouble_light", {}), ("phone_dark", {"width": 390, "height": 844, "phone": True, "dark": True})):
                page = self.open(fake.url, **look)
                page.wait(f"{DRAWN} > 100", RUN_SECONDS)
                width = look.get("width", 1440)
                self.assertLessEqual(page.evaluate("document.scrollingElement.scrollWidth"), width)
                # Relative luminance of the background, roughly.
                light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) > 380")
                self.assertEqual(light, not look.get("dark", False))
                self.picture(page, name, whole=False)
                self.picture(page, f"{name}_whole")
            self.check_pages()




if __name__ == "__main__":
    unittest.main()
