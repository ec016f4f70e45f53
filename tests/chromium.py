"""Pages in headless Chromium, driven by the WebDriver protocol."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]

in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")


class Browser:
    """A page in headless Chromium, driven by the WebDriver protocol."""

    def __init__(self, session: str) -> None:
        self._session = session

    def ask(self, method: str, path: str, /, **body):
        return asked(method, self._session + path, **body)

    def run(self, script: str, *arguments):
        return self.ask("POST", "/execute/sync", script=script, args=list(arguments))

    def frames(self) -> None:
        """Wait until what was asked for has been painted."""
        wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        self.ask("POST", "/execute/async", script=wait, args=[])

    def click(self, css: str) -> None:
        element = next(iter(self.ask("POST", "/element", using="css selector", value=css).values()))
        self.ask("POST", f"/element/{element}/click")
        self.frames()

    def picture(self) -> str:
        self.frames()
        return self.run("return document.getElementById('view').toDataURL()")

    def column(self, at: int) -> list[str]:
        rows = "[...document.querySelectorAll('#table tbody tr')].filter((row) => !row.hidden)"
        return self.run(f"return {rows}.map((row) => row.cells[{at}].textContent.trim())")


def asked(method: str, address: str, /, **body):
    data = json.dumps(body).encode() if method == "POST" else None
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)["value"]


@contextmanager
def opened(page: Path, profile: Path) -> Iterator[Browser]:
    """Open a file in a browser of its own; the test is skipped where there is no driver."""
    if CHROMEDRIVER is None:
        pytest.skip("chromedriver is not installed (Debian: chromium-driver)")
    command = [CHROMEDRIVER, "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
        try:
            lines = iter(driver.stdout.readline, "")
            port = next(found[1] for line in lines if (found := re.search(r"started successfully on port (\d+)", line)))
            chrome = {"args": [*FLAGS, f"--user-data-dir={profile}", "--window-size=1300,1000"], "binary": CHROMIUM}
            wanted = {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            address = f"http://127.0.0.1:{port}/session"
            session = asked("POST", address, capabilities={"alwaysMatch": wanted})["sessionId"]
            browser = Browser(f"{address}/{session}")
            try:
                browser.ask("POST", "/url", url=page.as_uri())
                yield browser
            finally:
                browser.ask("DELETE", "")
        finally:
            driver.terminate()


def requested_outside(browser: Browser) -> list[str]:
    """List what the page has asked for beside itself and what it carries."""
    logged = [json.loads(entry["message"])["message"] for entry in browser.ask("POST", "/se/log", type="performance")]
    sent = [message["params"] for message in logged if message["method"] == "Network.requestWillBeSent"]
    urls = [request["request"]["url"] for request in sent if request["documentURL"].startswith("file:")]
    return [url for url in urls if not url.startswith("data:")][1:]
