"""A model is written as ONNX, checked by that, and asked without presize and PyTorch.

    python examples/predicting.py digits.safetensors
    python examples/exporting.py digits.safetensors

What resizes and normalises pictures is part of the graph: it takes bytes of pixels.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from presize import export_onnx
from presize.data.digits import digits_folder
from presize.data.items import get_image_files


def main(path: Path, n: int = 100) -> float:
    """Export the model and ask it about some pictures; return the share of right answers."""
    files = get_image_files(digits_folder() / "valid").shuffle()[:n]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "digits.onnx"
        export_onnx(
            path, target, preprocessing=True, samples=files[:20]
        )  # prints what was compared
        # From here on, nothing of presize is needed.
        session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    vocab = json.loads(told["vocab"])
    name = session.get_inputs()[0].name
    right = 0
    for file in files:
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("RGB"))[None]  # uint8 [1, height, width, 3]
        (probabilities,) = session.run(None, {name: pixels})
        right += vocab[int(probabilities[0].argmax())] == file.parent.name
    return right / n


if __name__ == "__main__":
    print(f"right: {main(Path(sys.argv[1])):.1%}")
