"""Chromium, headless, driven through chromedriver's HTTP interface (W3C WebDriver)."""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
from pathlib import Path
from typing import Any

from children import Children

START_TIMEOUT = 30.0
# The timeout of one command of the driver, such as loading a page.
COMMAND_TIMEOUT = 60.0

# The browser connects only to the page, and leaves nothing behind. Root cannot use the sandbox.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Browser:
    """One window, with its own profile."""

    def __init__(self, children: Children, folder: Path) -> None:
        log = folder / "chromedriver.log"
        with open(log, "wb") as output:
            process = children.start(["chromedriver", "--port=0"], cwd=str(folder), output=output)
        deadline = time.monotonic() + START_TIMEOUT
        while not (port := re.search(r"started successfully on port (\d+)", log.read_text(errors="replace"))):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"chromedriver did not start: {log.read_text(errors='replace')}")
            time.sleep(0.05)
        self._connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=COMMAND_TIMEOUT)
        options = {"args": [*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._path = ""
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._path = f"/session/{session['sessionId']}"
        # A new window shows one of Chromium's own pages, whose requests must not count.
        self.open("about:blank")
        self.requests()

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        """Runs a script, and returns the value of its `return`."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": []})

    def command(self, name: str, **parameters: Any) -> Any:
        """Runs a command of Chromium's own protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def look(self, scheme: str, width: int, height: int) -> None:
        """Sets the scheme, `light` or `dark`, and the size of the window."""
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.command("Emulation.setScrollbarsHidden", hidden=True)

    def screenshot(self, file: Path) -> None:
        """Saves a picture of the whole page, including the part below the window's edge."""
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(picture["data"]))

    def complaints(self) -> list[str]:
        """The console's messages since the last call."""
        return [f"{entry['level']}: {entry['message']}" for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """The URLs that were requested since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [parameters["request"]["url"] for parameters in sent]

    def close(self) -> None:
        self._ask("DELETE", "")

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return self._ask("POST", "/se/log", {"type": kind})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        text = None if body is None else json.dumps(body)
        self._connection.request(method, self._path + path, text, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        value = json.loads(answer.read())["value"]
        if answer.status != 200:
            raise RuntimeError(f"chromedriver, {path}: {value['error']}: {value['message']}")
        return value
