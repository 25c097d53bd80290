"""Seconds that a star import takes beyond `import torch, torchvision`; each in a fresh process.

    python benchmarks/import_time.py [RUNS]

Set PYTHONPATH so that the peer can be imported; a library that is not there is left out.
"""

import json
import statistics
import subprocess
import sys

CODE = """
import time, warnings
warnings.filterwarnings("ignore")
start = time.perf_counter()
import torch, torchvision
base = time.perf_counter()
{statement}
print(base - start, time.perf_counter() - base)
"""
STATEMENTS = {
    "presize": "from presize.vision.all import *",
    "presize, package alone": "import presize",
    "fastai": "from fastai.vision.all import *",
}


def seconds(statement: str) -> tuple[float, float] | None:
    """Return the time of PyTorch's import and of the statement after it."""
    code = [sys.executable, "-c", CODE.format(statement=statement)]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    base, extra = map(float, done.stdout.split())
    return base, extra


def main() -> None:
    """Print one line of JSON for each statement: the median and the range."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for name, statement in STATEMENTS.items():
        if seconds(statement) is None:
            continue
        found = [pair for _ in range(runs) if (pair := seconds(statement)) is not None]
        extra = sorted(e for _, e in found)
        base = statistics.median(b for b, _ in found)
        result = {"what": name, "n": len(extra), "torch_s": round(base, 2)}
        result |= {"extra_s": round(statistics.median(extra), 3)}
        print(json.dumps(result | {"range": [round(extra[0], 3), round(extra[-1], 3)]}))


if __name__ == "__main__":
    main()
