"""Takes pictures of the report and of the page for cleaning, into docs/images.

    python docs/make_screenshots.py MODEL.safetensors DATA

DATA is the folder of pictures that the model is for. Needs playwright and a Chromium.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from presize.deploy.labelled import load_with_data

OUT = Path(__file__).parent / "images"
QUALITY = 80


def main() -> None:
    """Take both."""
    learn = load_with_data(sys.argv[1], sys.argv[2])
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 760})
        report = learn.report(Path(folder) / "report.html")
        page.goto(report.as_uri())
        take(page, "report")
        with learn.clean(Path(folder) / "decisions.csv", open_browser=False) as cleaner:
            page.goto(cleaner.url)
            page.wait_for_load_state("networkidle")
            take(page, "cleaning")
        browser.close()


def take(page, name: str) -> None:
    """Write what the window shows."""
    page.screenshot(path=OUT / f"{name}.jpg", type="jpeg", quality=QUALITY)
    print(OUT / f"{name}.jpg")


if __name__ == "__main__":
    main()
