"""Chromium, headless, drawing WebGL on the processor; and what a test reads off a scene page."""

import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

BROWSER = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
NO_BROWSER = "needs a browser: Debian's package chromium"
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--force-color-profile=srgb")
PATIENCE_S = 120
"""Longest wait for anything: other processes may load the machine."""


@contextmanager
def chromium(executable: str | None = BROWSER) -> Iterator[Browser]:
    """Give a browser that ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()


class OpenPage:
    """A scene page in a tab.

    Attributes:
        page: Playwright's tab.
        complaints: Errors and warnings of the console, and exceptions.
        requests: Addresses that were asked for.
    """

    def __init__(self, browser: Browser, file: Path, fragment: str = "", size: tuple[int, int] = (960, 540)) -> None:
        width, height = size
        self.page: Page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark")
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri() + fragment)
        self.wait("window.mvt4g?.timing.firstPicture !== undefined")

    def _note(self, message: Any) -> None:
        # Reading the picture back, as a screenshot of the tab does, is slow on this kind of GPU: no fault of the page.
        if message.type in ("error", "warning") and "GPU stall due to ReadPixels" not in message.text:
            self.complaints.append(message.text)

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript gives."""
        return self.page.evaluate(script)

    def wait(self, condition: str) -> None:
        """Wait until an expression is true; the page's policy forbids the browser's own way, which is ``eval``."""
        end = time.monotonic() + PATIENCE_S
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"waited in vain for {condition}"
            time.sleep(0.03)

    def rest(self) -> None:
        """Wait until nothing is drawn any more."""
        self.wait("mvt4g.player.playing === false && mvt4g.frames.get(mvt4g.player.frame)")
        self.run("mvt4g.resting = [0, performance.now()]")
        self.wait("""(() => {
            const drawn = mvt4g.stage.numDrawn;
            if (drawn !== mvt4g.resting[0] || mvt4g.stage.isStale) mvt4g.resting = [drawn, performance.now()];
            return performance.now() - mvt4g.resting[1] > 450;
        })()""")

    def picture(self, selector: str) -> UInt8[np.ndarray, "h w 3"]:
        """Return what the screen shows of an element, at rest."""
        self.rest()
        png = self.page.locator(selector).screenshot(animations="disabled")
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    def regions(self) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
        """Return what the 3D picture and the videos show."""
        return {"stage": self.picture("main"), "videos": self.picture("#videos")}

    def close(self) -> None:
        """Close the tab."""
        self.page.close()


NUMBERS = """(() => {
    const digit = (pen, x, y) => Math.round((pen.getImageData(x, y, 1, 1).data[1] - 8) / 16);
    const read = (canvas) => {
        const pen = canvas.getContext("2d");
        const [y, x] = [Math.floor(canvas.height / 12), canvas.width / 16];
        return 16 * digit(pen, Math.floor(x), y) + digit(pen, Math.floor(3 * x), y);
    };
    return [...mvt4g.videos.canvases].map(read);
})()"""
"""Expression for the numbers that ``made_scenes.number_frame`` wrote, as the canvases of the videos show them."""
