"""Takes pictures of the report and of the pages for cleaning and asking, into docs/images.

    python docs/make_screenshots.py MODEL.safetensors DATA

DATA is the folder of pictures that the model is for. Needs playwright and a Chromium.
"""

import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from presize.data.images import PILImage
from presize.deploy.labelled import load_with_data
from presize.deploy.predictor import Predictor
from presize.deploy.serve.app import create_app
from presize.deploy.serve.run import Server, bound
from presize.deploy.serve.settings import ServeSettings

OUT = Path(__file__).parent / "images"
QUALITY = 80


def main() -> None:
    """Take all three."""
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
        with served(learn, Path(sys.argv[1]).stem) as url:
            page.goto(url)
            page.set_input_files("#files", likely(learn))
            page.wait_for_selector(".heat")
            take(page, "serve-page")
        browser.close()


@contextmanager
def served(learn, name: str):
    """Run the server of a learner; its address."""
    settings = ServeSettings(port=0, access_log=False)
    with bound(settings) as listening:
        server = Server(create_app(Predictor(learn), settings, name=name), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            thread.join(0.05)
        yield server.url
        server.should_exit = True
        thread.join()


def likely(learn) -> str:
    """Return a picture of the validation set, a wide one, that the model is right and sure of."""
    dl = learn.dls.valid
    probabilities, targets = learn.get_preds(dl=dl)
    right = probabilities.gather(1, targets[:, None].long())[:, 0]
    files = [str(file) for file in dl.items]
    wide = [i for i in range(len(files)) if PILImage.create(files[i]).aspect > 1.2]
    # Not the surest one, whose other bars would be empty.
    return files[min(wide, key=lambda i: abs(float(right[i]) - 0.9))]


def take(page, name: str) -> None:
    """Write what the window shows."""
    page.screenshot(path=OUT / f"{name}.jpg", type="jpeg", quality=QUALITY)
    print(OUT / f"{name}.jpg")


if __name__ == "__main__":
    main()
