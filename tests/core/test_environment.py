"""The facts that a report of a problem needs."""

import platform

import torch

from presize.core.environment import environment


def test_versions_system_and_device_are_told():
    facts = environment()
    assert torch.__version__.startswith(facts["torch"])
    assert facts["Python"] == platform.python_version()
    assert facts["device"].split()[0] in {"cpu", "cuda:0", "mps"}
    assert all(isinstance(v, str) and v for v in facts.values())
