"""A headless Chromium, driven through the pipe of its DevTools protocol: no library, no port.

Every wait has a deadline. Only the browser that was started here is ended, by its number.
"""

import base64
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

# Seconds for an answer of the browser's.
ANSWER_SECONDS = 30 * float(os.environ.get("SAMOVAR_TIME_FACTOR", "1"))


def find_chromium() -> Optional[str]:
    return shutil.which("chromium") or shutil.which("chromium-browser")


class BrowserError(Exception):
    """The browser has ended, or does not answer."""


class Browser:
    """Use it in a `with`."""

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="samovar_chromium_")
        to_browser, self._commands = os.pipe()
        self._answers, from_browser = os.pipe()
        # Chromium reads its commands from descriptor 3 and writes to 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
        os.close(to_browser)
        os.close(from_browser)

        def put_ends() -> None:
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        words = [str(find_chromium()), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
                 "--disable-extensions", "--disable-features=Translate,OptimizationHints,MediaRouter", "--hide-scrollbars",
                 "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={self._profile}",
                 "--remote-debugging-pipe", "about:blank"]
        with open(pathlib.Path(self._profile) / "log", "wb") as log:
            # A group of its own: all of its processes are ended together.
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=put_ends, pass_fds=(3, 4),
                                             start_new_session=True)
        for end in ends:
            os.close(end)
        self._changed = threading.Condition()
        self._next = 0
        self._results: Dict[int, dict] = {}
        self._pages: Dict[str, "Page"] = {}
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(ANSWER_SECONDS)
        os.close(self._commands)
        self._reader.join(ANSWER_SECONDS)
        os.close(self._answers)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _read(self) -> None:
        buffer = b""
        while True:
            piece = os.read(self._answers, 1 << 20)
            if not piece:
                break
            *messages, buffer = (buffer + piece).split(b"\0")
            with self._changed:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._results[message["id"]] = message
                    elif message.get("sessionId") in self._pages:
                        self._pages[message["sessionId"]].take(message["method"], message["params"])
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def call(self, method: str, session: str = "", **parameters) -> dict:
        with self._changed:
            self._next += 1
            number = self._next
        message: Dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data):]
        deadline = time.monotonic() + ANSWER_SECONDS
        with self._changed:
            while number not in self._results:
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise BrowserError(f"the browser {'has ended' if self._ended else 'does not answer'}: {method}")
                self._changed.wait(left)
            answer = self._results.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, url: str, width: int = 1440, height: int = 900, dark: bool = False, phone: bool = False) -> "Page":
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        with self._changed:
            self._pages[session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
        page.look(dark)
        page.call("Page.navigate", url=url)
        return page


class Page:
    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.requests: List[str] = []
        # Source and text of what the console shows as an error.
        self.errors: List[Tuple[str, str]] = []

    def call(self, method: str, **parameters) -> dict:
        return self._browser.call(method, self._session, **parameters)

    def take(self, method: str, parameters: dict) -> None:
        """An event of the page's; called with the browser's lock."""
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(("exception", json.dumps(parameters["exceptionDetails"])))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            self.errors.append(("console", json.dumps(parameters["args"])))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append((parameters["entry"]["source"], parameters["entry"]["text"]))

    def look(self, dark: bool) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def evaluate(self, script: str) -> Any:
        """The value of an expression of the page's script."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise BrowserError(f"{script}: {json.dumps(done['exceptionDetails'])}")
        return done["result"].get("value")

    def text(self, selector: str) -> str:
        return self.evaluate(f"(document.querySelector({json.dumps(selector)}) || {{innerText: ''}}).innerText")

    def texts(self, selector: str) -> List[str]:
        return self.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].map(node => node.innerText)")

    def wait(self, script: str, seconds: float) -> float:
        """Until the expression is true. The seconds that it took."""
        begun = time.monotonic()
        while not self.evaluate(script):
            if time.monotonic() - begun > seconds:
                raise AssertionError(f"not within {seconds:.0f} s: {script}; the page says:\n{self.text('body')[:3000]}")
            time.sleep(0.05)
        return time.monotonic() - begun

    def press(self, key: str, text: str = "") -> None:
        code = {"Tab": 9, "Escape": 27}.get(key, 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def drag(self, selector: str, begin: float, end: float) -> None:
        """The mouse, over parts of the element's width."""
        box = self.evaluate(f"(() => {{ const n = document.querySelector({json.dumps(selector)}); n.scrollIntoView({{block: 'center'}});"
                            " const b = n.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()")
        y = box[1] + box[3] / 2
        for kind, part, buttons in (("mouseMoved", begin, 0), ("mousePressed", begin, 1), ("mouseMoved", (begin + end) / 2, 1),
                                    ("mouseMoved", end, 1), ("mouseReleased", end, 0)):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0] + part * box[2], y=y, button="none" if kind == "mouseMoved" else "left",
                      buttons=buttons, clickCount=0 if kind == "mouseMoved" else 1)

    def screenshot(self, path: pathlib.Path, whole: bool = True) -> None:
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
