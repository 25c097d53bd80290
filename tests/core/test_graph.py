import shutil
import stat
import sys

import pytest

from presize.core.graph import Graph, gv


@pytest.fixture
def fake_dot(tmp_path, monkeypatch):
    """A program `dot` that draws the source as a comment, and refuses one with a '!'."""
    program = tmp_path / "dot"
    program.write_text(
        f"#!{sys.executable}\nimport sys\ntext = sys.stdin.read()\n"
        "if '!' in text: sys.exit('syntax error near !')\n"
        "print(f'<svg><!--{text}--></svg>')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def no_dot(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_the_source_is_a_graph_from_left_to_right():
    assert gv("a->b\nb->a[label=again]").source == (
        'digraph G {\nrankdir="LR"\na->b\nb->a[label=again]\n}'
    )
    sized = gv("a->b", size=(6, 2.5), ratio=0.5).source
    assert 'size="6,2.5"' in sized and 'ratio="0.5"' in sized


def test_a_whole_graph_is_left_as_it_is():
    assert gv("digraph { a -> b }").source == "digraph { a -> b }"
    assert gv("graph { a -- b }").source == "graph { a -- b }"
    assert gv("graphics -> screen").source.startswith("digraph G {")


@pytest.mark.usefixtures("fake_dot")
def test_a_notebook_gets_the_drawing():
    pytest.importorskip("graphviz")
    graph = gv("a->b")
    assert graph._repr_svg_().startswith("<svg>")
    assert "a->b" in graph.svg
    assert repr(graph) == graph.source


@pytest.mark.usefixtures("fake_dot")
def test_a_source_that_graphviz_does_not_understand():
    pytest.importorskip("graphviz")
    with pytest.raises(ValueError, match=r"could not draw the graph: .*syntax error(.|\n)*a !"):
        _ = gv("a !").svg


@pytest.mark.usefixtures("no_dot")
def test_without_the_program_it_prints_and_says_what_to_install():
    pytest.importorskip("graphviz")
    graph = gv("a->b")
    assert graph._repr_svg_() is None
    assert repr(graph).startswith(graph.source)
    assert "apt install graphviz" in repr(graph)
    with pytest.raises(RuntimeError, match="program `dot`, which is not on the PATH"):
        _ = graph.svg


def test_without_the_package_it_prints_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    graph = Graph("digraph { a -> b }")
    assert graph._repr_svg_() is None
    assert "pip install graphviz" in repr(graph)
    with pytest.raises(ImportError, match="needs the graphviz package"):
        _ = graph.svg
