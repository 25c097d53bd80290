"""The server with many clients at once, against the same pictures predicted offline.

    python benchmarks/serve_load.py PHOTOS [--arch mobilenet_v2] [--clients 16] [--seconds 10]

Offline is `Predictor.predict_many` on the files, with the batch that is fastest here. Online,
clients in another process send the same files, each the next as soon as it has its answer. Both use
the same cores, in turns, and the model is the same file. What the clients themselves take of the
processor is taken from the server: it is printed.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path as AnyPath

from serve_client import Connection, Reply, load, percentile, request, served

from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.deploy.predictor import Predictor
from presize.vision.learner import vision_learner


def model_file(photos: AnyPath, arch: str, size: int, folder: AnyPath) -> AnyPath:
    """Write a model of untrained weights: how fast it is does not depend on them."""
    files = get_image_files(photos)
    dls = ImageDataLoaders.from_path_func(
        photos,
        files,
        lambda f: str(sum(f.name.encode()) % 5),
        item_tfms=Resize(size),
        bs=32,
        num_workers=0,
    )
    return vision_learner(dls, arch, pretrained=False).export(folder / "model.safetensors")


def some_label(file: AnyPath) -> str:
    """Return one of five labels that mean nothing."""
    return str(sum(file.name.encode()) % 5)


def best_batch(predictor: Predictor, files: list[AnyPath]) -> int:
    """Return the batch that is fastest offline: the server is compared with that."""
    rates = {batch: offline(predictor, files, batch) for batch in (4, 8, 16, 32, 64)}
    print("offline, pictures/s by batch:", {b: round(r, 1) for b, r in rates.items()}, flush=True)
    return max(rates, key=lambda batch: rates[batch])


def offline(predictor: Predictor, files: list[AnyPath], batch: int) -> float:
    """Return pictures a second."""
    begun = time.perf_counter()
    predictor.predict_many(files, batch_size=batch, show=False)
    return len(files) / (time.perf_counter() - begun)


def online(port: int, requests: list[bytes], clients: int, seconds: float) -> dict[str, float]:
    """Return pictures a second, the latencies in ms, and the clients' share of one core."""

    async def ask(connection: Connection, i: int) -> AsyncIterator[Reply]:
        while True:
            for data in requests[i::clients]:
                yield await connection.ask(data)

    asyncio.run(load(port, clients, 1.0, ask))  # warms up
    begun, used = time.perf_counter(), time.process_time()
    found = asyncio.run(load(port, clients, seconds, ask))
    wall, own = time.perf_counter() - begun, time.process_time() - used
    bad = [reply.status for reply in found if reply.status != 200]
    if bad:
        raise SystemExit(f"{len(bad)} of {len(found)} requests failed: {sorted(set(bad))}")
    times = [reply.seconds * 1000 for reply in found]
    return {
        "rate": len(found) / wall,
        "p50": percentile(times, 0.5),
        "p99": percentile(times, 0.99),
        "clients": own / wall,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=AnyPath)
    parser.add_argument("--model", type=AnyPath, help="A model file; else an untrained one.")
    parser.add_argument("--arch", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="Of the server, at most.")
    parser.add_argument("--n", type=int, default=256, help="How many of the photos.")
    parser.add_argument("--options", default="", help="More options of `presize serve`.")
    told = parser.parse_args()
    files = list(get_image_files(told.photos))[: told.n]
    requests = [request(file.read_bytes()) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        model = told.model or model_file(told.photos, told.arch, told.size, AnyPath(folder))
        predictor = Predictor.load(model, device="cpu")
        offline(predictor, files[:64], told.batch)  # warms up
        batch = best_batch(predictor, files)
        options = ["--batch", str(told.batch), *told.options.split()]
        with served(model, *options) as (port, _):
            rates, rows = [], []
            for i in range(told.rounds):
                rates.append(offline(predictor, files, batch))
                rows.append(online(port, requests, told.clients, told.seconds))
                print(
                    f"round {i + 1}: offline {rates[-1]:.0f} pictures/s; {told.clients} clients "
                    f"{rows[-1]['rate']:.0f}/s = {rows[-1]['rate'] / rates[-1]:.0%}, "
                    f"p50 {rows[-1]['p50']:.0f} ms, p99 {rows[-1]['p99']:.0f} ms, "
                    f"clients {rows[-1]['clients']:.0%} of a core",
                    flush=True,
                )
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    ratio = statistics.median(row["rate"] / rate for row, rate in zip(rows, rates, strict=True))
    print(
        "\n| offline, pictures/s | server | of offline | p50 ms | p99 ms |\n|---|---|---|---|---|"
    )
    print(
        f"| {statistics.median(rates):.0f} | {middle['rate']:.0f} | {ratio:.0%} | "
        f"{middle['p50']:.0f} | {middle['p99']:.0f} |"
    )


if __name__ == "__main__":
    main()
