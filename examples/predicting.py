"""A model is trained, written to one file, and asked about pictures of all kinds.

    python examples/predicting.py [MODEL]

MODEL is the file to write, and to read if it is there; `serving.py` and `exporting.py` take it.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

from presize import ImageDataLoaders, Predictor, Resize, set_seed, vision_learner
from presize.data.digits import digits_folder
from presize.data.images import PILImage
from presize.data.items import get_image_files
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy


def train(path: Path, epochs: int = 2) -> None:
    """Train a small network on handwritten digits, and write it to a file."""
    set_seed(0)
    dls = ImageDataLoaders.from_folder(digits_folder(), valid="valid", item_tfms=Resize(24))
    learn = vision_learner(dls, resnet18, cut=5, lin_ftrs=[64], pretrained=False, metrics=accuracy)
    learn.fit_one_cycle(epochs, 1e-2)
    learn.calibrate()  # 90 % sure is then right in 90 %, and "none of these" can be told
    learn.export(path)


def main(path: Path, epochs: int = 2) -> float:
    """Ask the model; return the share of right answers."""
    if not path.exists():
        train(path, epochs)
    predictor = Predictor.load(path)  # nothing in the file is run
    files = get_image_files(digits_folder() / "valid")

    # One picture: a path, bytes, an open file, a PIL picture, an array or a tensor.
    said = predictor.predict(files[0])
    print(said)
    with Image.open(files[0]) as picture:
        print("the same, from memory:", predictor.predict(picture).label == said.label)

    # Many: answers come in the order of the files, and are written as a table.
    answers = predictor.predict_many(files)
    with tempfile.TemporaryDirectory() as folder:
        table = answers.save(Path(folder) / "answers.csv")
        print(Path(table).read_text(encoding="utf-8").splitlines()[0])
    right = [one.label == file.parent.name for one, file in zip(answers, files, strict=True)]

    # White ink turned black: each answer looks like any other, but all together tell a drift.
    predictor = Predictor.load(path)
    strange = [ImageOps.invert(PILImage.create(file)) for file in files.shuffle()[:60]]
    print("inverted:", predictor.predict_many(strange)[0])
    print(predictor.drift())
    return sum(right) / len(right)


if __name__ == "__main__":
    share = main(Path(sys.argv[1] if len(sys.argv) > 1 else "digits.safetensors"))
    print(f"right: {share:.1%}")
