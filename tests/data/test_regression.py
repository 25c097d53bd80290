import json

import numpy as np
import pytest
import torch

from presize.core.errors import DataError
from presize.data.regression import RegressionSetup
from presize.tensors import TitledFloat, TitledTuple


def test_one_number() -> None:
    setup = RegressionSetup()
    setup.setup([3, 4.5])
    assert setup.c == 1 and repr(setup) == "RegressionSetup -- {'c': 1}"
    for x in (3, 3.0, np.float64(3), torch.tensor(3)):
        y = setup(x)
        assert y.dtype == torch.float32 and y.ndim == 0 and y.item() == 3
    back = setup.decode(setup(4.5))
    assert back == 4.5 and isinstance(back, TitledFloat)


def test_several_numbers() -> None:
    setup = RegressionSetup()
    setup.setup([(1, 2), (3, 4)])
    assert setup.c == 2
    for x in ((3, 4), [3, 4], np.array([3, 4]), torch.tensor([3, 4])):
        assert torch.equal(setup(x), torch.tensor([3.0, 4.0]))
    back = setup.decode(torch.tensor([3.0, 4.0]))
    assert back == (3, 4) and isinstance(back, TitledTuple)


def test_what_is_no_target() -> None:
    with pytest.raises(DataError, match=r"number.*expected.*gave 'cat' \(str\).*CategoryBlock"):
        RegressionSetup()("cat")
    for x in (["a"], None, {"a": 1}):
        with pytest.raises(DataError, match="number, or a list of numbers, is expected"):
            RegressionSetup()(x)
    with pytest.raises(DataError, match=r"2 numbers per item.*gave 3"):
        RegressionSetup(c=2)([1, 2, 3])
    with pytest.raises(DataError, match=r"1 number per item.*gave 2"):
        RegressionSetup(c=1)([1, 2])
    with pytest.raises(DataError, match="nan is missing or infinite"):
        RegressionSetup()(float("nan"))


def test_spec() -> None:
    assert RegressionSetup(**json.loads(json.dumps(RegressionSetup(3).spec()))).c == 3
