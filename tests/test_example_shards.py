"""The example that writes shards and reads them learns from them."""

import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples/webdataset_shards.py"


def test_the_example_trains() -> None:
    spec = importlib.util.spec_from_file_location("webdataset_shards", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(2) > 0.8
