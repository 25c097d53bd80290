"""What a GPU waits for: the augmentation of a batch against memory traffic, and data against steps.

    python benchmarks/gpu.py FOLDER [WORKERS] [PASSES]

FOLDER holds photos named `label_123.jpg`. Needs a CUDA GPU. Prints one line of JSON:

    augment_ms          the fused augmentation of 64 x 460 x 460 bytes to 224 x 224 floats
    augment_floor_ms    reading those bytes and writing those floats once, at the bandwidth that a
                        copy on the same GPU reaches
    resident_per_s      pictures a second in training a resnet50 on one batch that stays on the GPU
    loaded_per_s        the same on batches from the loader, for each pass; the cache fills in the
                        first
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable

from presize.vision.all import *

BATCH = 64


def milliseconds(work: Callable[[], object], n: int = 30) -> float:
    """Return the median time of a piece of work on the GPU."""
    for _ in range(5):
        work()
    times = []
    for _ in range(n):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def augmentation() -> tuple[float, float]:
    """Return the time of the fused augmentation, and of its memory traffic alone."""
    tfms = [*aug_transforms(size=224, min_scale=0.75), Normalize.from_stats(*imagenet_stats)]
    pipe = Pipeline([IntToFloatTensor(), *tfms], split_idx=0)
    pixels = torch.randint(0, 256, (BATCH, 3, 460, 460), dtype=torch.uint8, device="cuda")
    taken = milliseconds(lambda: pipe(TensorImage(pixels)))
    big = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    other = torch.empty_like(big)
    per_byte = milliseconds(lambda: other.copy_(big)) / (2 * big.numel())
    traffic = pixels.numel() + BATCH * 3 * 224 * 224 * 4
    return taken, per_byte * traffic


def trained(batches: Iterable[Any], step: Callable[[Any, Any], None]) -> float:
    """Return the pictures a second of training on these batches."""
    n, start = 0, time.perf_counter()
    for x, y in batches:
        step(x, y)
        n += len(x)
    torch.cuda.synchronize()
    return n / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    passes = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    dls = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(460),
        batch_tfms=[
            *aug_transforms(size=224, min_scale=0.75),
            Normalize.from_stats(*imagenet_stats),
        ],
    ).dataloaders(Path(sys.argv[1]), bs=BATCH, num_workers=workers, device="cuda")
    net = resnet50(num_classes=len(dls.vocab)).cuda().to(memory_format=torch.channels_last)
    opt = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def step(x: Any, y: Any) -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = F.cross_entropy(net(x.as_subclass(torch.Tensor)), y.as_subclass(torch.Tensor))
        loss.backward()
        opt.step()
        opt.zero_grad()

    resident = [dls.one_batch()] * 50
    trained(resident[:10], step)
    augment, floor = augmentation()
    result = {
        "gpu": torch.cuda.get_device_name(),
        "augment_ms": round(augment, 3),
        "augment_floor_ms": round(floor, 3),
        "resident_per_s": round(trained(resident, step)),
        "loaded_per_s": [round(trained(dls.train, step)) for _ in range(passes)],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
