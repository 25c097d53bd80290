"""Two parts alone: the loop of training, and one prediction.

    LIB=presize|fastai python benchmarks/parts.py PHOTOS

PHOTOS is a folder of files named `label_123.jpg`. The same script for two libraries. Prints one
line of JSON: microseconds a batch beyond a bare loop, milliseconds a prediction beyond the bare
forward; medians.
"""

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable

warnings.filterwarnings("ignore")
LIB = os.environ.get("LIB", "presize")
if LIB == "fastai":
    from fastai.vision.all import *
else:
    from presize.vision.all import *


def median_seconds(work: Callable[[], object], n: int) -> float:
    """Return the median time of `n` calls, after one that is not counted."""
    work()
    times = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def loop() -> float:
    """Return what `fit` adds to a bare loop, in microseconds a batch, on one linear layer."""
    torch.set_num_threads(1)
    data = [(torch.randn(64, 784), torch.randint(0, 2, (64, 1)).float()) for _ in range(500)]
    learn = Learner(
        DataLoaders(data, data[:50]),
        nn.Linear(784, 1),
        opt_func=SGD,
        loss_func=F.binary_cross_entropy_with_logits,
    )

    def bare() -> None:
        net = nn.Linear(784, 1)
        opt = torch.optim.SGD(net.parameters(), 0.1)
        for x, y in data:
            F.binary_cross_entropy_with_logits(net(x), y).backward()
            opt.step()
            opt.zero_grad()
        with torch.no_grad():
            for x, y in data[:50]:
                F.binary_cross_entropy_with_logits(net(x), y)

    def fitted() -> None:
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, 0.1)

    return (median_seconds(fitted, 5) - median_seconds(bare, 5)) / 550 * 1e6


def prediction(photos: Path) -> float:
    """Return what `predict` of a file adds to the bare forward of a resnet18, in milliseconds."""
    torch.set_num_threads(1)
    files = get_image_files(photos)
    options = {"item_tfms": Resize(224), "bs": 8, "num_workers": 0}
    dls = ImageDataLoaders.from_name_re(photos, files, r"(.+)_\d+.jpg$", **options)
    learn = vision_learner(dls, resnet18, pretrained=False)
    net, x = learn.model.eval(), torch.randn(1, 3, 224, 224)

    def forward() -> object:
        with torch.inference_mode():
            return net(x)

    with learn.no_bar():
        whole = median_seconds(lambda: learn.predict(files[0]), 12)
    return (whole - median_seconds(forward, 12)) * 1e3


def main() -> None:
    """Print the figures."""
    result = {"lib": LIB, "predict_extra_ms": round(prediction(Path(sys.argv[1])), 1)}
    print(json.dumps(result | {"loop_extra_us": round(loop(), 1)}))


if __name__ == "__main__":
    main()
