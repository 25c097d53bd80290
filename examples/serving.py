"""A server of a model is started, and asked with nothing but Python's own library.

    python examples/predicting.py digits.safetensors
    python examples/serving.py digits.safetensors

In a terminal, `presize serve digits.safetensors` does what `serving` does here; its page is at the
address that it prints.
"""

import json
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from presize import Predictor
from presize.data.digits import digits_folder
from presize.data.items import get_image_files
from presize.deploy.serve.app import create_app
from presize.deploy.serve.run import Server, bound
from presize.deploy.serve.settings import ServeSettings


@contextmanager
def serving(path: Path) -> Iterator[str]:
    """Run the server of a model in a thread; its address."""
    settings = ServeSettings(port=0, token="open-sesame", access_log=False)
    with bound(settings) as listening:
        app = create_app(Predictor.load(path), settings, name=path.stem)
        server = Server(app, settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            thread.join(0.05)
        yield server.url
        server.should_exit = True  # what is being answered is finished
        thread.join()


def ask(url: str, picture: bytes | None = None) -> dict:
    """Return what the server answers: to a picture, or to a question without one."""
    headers = {"Authorization": "Bearer open-sesame", "Content-Type": "image/png"}
    request = urllib.request.Request(url, data=picture, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def main(path: Path, n: int = 100) -> float:
    """Ask about some pictures; return the share of right answers."""
    # Not the first ones: they are all of one digit.
    files = get_image_files(digits_folder() / "valid").shuffle()[:n]
    with serving(path) as url:
        print(ask(f"{url}/model")["classes"])
        answers = [ask(f"{url}/predict?top=3", file.read_bytes()) for file in files]
    print(json.dumps(answers[0], indent=2))
    labels = [answer["predictions"][0]["label"] for answer in answers]
    return sum(a == file.parent.name for a, file in zip(labels, files, strict=True)) / n


if __name__ == "__main__":
    print(f"right: {main(Path(sys.argv[1])):.1%}")
