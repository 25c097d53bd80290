import inspect
import os
import subprocess
import sys
import types
from pathlib import Path

import matplotlib.pyplot
import pandas
import pytest

from presize.core import lazy
from presize.core.lazy import HTML, LazyModule, display, pd, plt


def test_importing_the_names_imports_no_heavy_library():
    code = (
        "import sys\n"
        "from presize.core.lazy import plt, pd, display, HTML\n"
        "import inspect\n"
        "inspect.unwrap(plt); hasattr(pd, '__wrapped__'); repr(pd)\n"
        "heavy = {'matplotlib', 'pandas', 'IPython'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "pd.DataFrame\n"
        "assert 'pandas' in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    source = str(Path(lazy.__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": source}
    )


def test_the_stand_in_is_as_good_as_the_module():
    assert plt.subplots is matplotlib.pyplot.subplots
    assert pd.DataFrame is pandas.DataFrame
    assert pd.__version__ == pandas.__version__
    assert "DataFrame" in dir(pd)
    assert isinstance(plt, types.ModuleType)
    assert inspect.ismodule(plt)
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = plt.no_such_name


def test_setting_reaches_the_module(monkeypatch):
    module = types.ModuleType("made_up_module")
    monkeypatch.setitem(sys.modules, "made_up_module", module)
    seen = []
    stand_in = LazyModule("made_up_module", package="made-up", on_load=seen.append)
    assert "not imported yet" in repr(stand_in)
    stand_in.answer = 42
    assert module.answer == stand_in.answer == 42
    assert seen == [module]
    assert repr(stand_in) == repr(module)


def test_a_missing_library_says_how_to_install_it():
    with pytest.raises(
        ImportError, match=r"no_such_thing cannot be imported; .*pip install nothing"
    ):
        _ = LazyModule("no_such_thing", package="nothing").anything


def test_hide_index_is_back_and_hides_the_row_numbers():
    frame = pd.DataFrame({"a": [1, 2]})
    assert "row_heading" in frame.style._repr_html_()
    assert "row_heading" not in frame.style.hide_index()._repr_html_()
    assert "level0_row1" in frame.style.hide_index([0])._repr_html_()


def test_hide_index_of_an_older_pandas_is_left_alone(monkeypatch):
    from pandas.io.formats.style import Styler

    def own(self):
        return "own"

    monkeypatch.setattr(Styler, "hide_index", own, raising=False)
    lazy._restore_hide_index(pandas)
    assert Styler.hide_index is own


def test_display_and_html_are_those_of_ipython(capsys):
    ipython = pytest.importorskip("IPython.display")
    assert isinstance(HTML("<b>x</b>"), ipython.HTML)
    display("shown")
    assert "shown" in capsys.readouterr().out


@pytest.mark.parametrize("use", [display, HTML])
def test_without_ipython_the_error_says_what_to_do(use, monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython.display", raising=False)
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(ImportError, match=f"`{use.__name__}` .*needs IPython.*pip install ipython"):
        use("x")
