"""What the pages say is there: links, names, options and commands; on the repository too."""

import ast
import importlib
import inspect
import re
import textwrap
import typing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer

import presize
from presize.cli import app
from presize.data.decisions import Decisions
from presize.vision import all as namespace

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/RESULTS.md",
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

# What short names stand for in the pages' code.
USUAL = {
    "learn": presize.Learner,
    "dls": presize.DataLoaders,
    "interp": namespace.ClassificationInterpretation,
    "pets": presize.DataBlock,
    "block": presize.DataBlock,
    "decisions": Decisions,
}


def slug(heading):
    """The anchor that repository pages make of a heading."""
    text = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_links_work_on_the_page_of_the_repository_as_well(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        parts = urlsplit(target)
        if parts.scheme or target.startswith("reference/"):  # which is made with the site
            continue
        there = (path.parent / parts.path).resolve() if parts.path else path
        assert there.exists(), target
        if parts.fragment and there.suffix == ".md":
            plain = FENCE.sub("", there.read_text(encoding="utf-8"))
            headings = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
            assert parts.fragment in map(slug, headings), target


def code_blocks():
    for path in [path for path in TEXTS if path.name != "CONTRIBUTING.md"]:  # has two columns
        for number, (indent, kind, code) in enumerate(FENCE.findall(path.read_text("utf-8"))):
            if kind == "python":
                plain = "\n".join(line.removeprefix(indent) for line in code.split("\n"))
                yield pytest.param(plain, id=f"{path.stem}-{number}")


@pytest.mark.parametrize("code", [*code_blocks()])
def test_code_names_functions_and_options_that_are_there(code):
    tree = ast.parse(textwrap.dedent(code))
    known = dict(vars(namespace))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("presize"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if alias.name != "*":
                    known[alias.asname or alias.name] = getattr(module, alias.name)
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    for call in [n for n in ast.walk(tree) if isinstance(n, ast.Call)]:
        function = called(call.func, known)
        if function is not None and getattr(call.func, "id", None) not in own:
            check_call(call, *function)


def called(func, known):
    """Return what a call is of, and whether it is a method of an object; None if unknown."""
    if isinstance(func, ast.Name):
        return (known[func.id], False) if func.id in known else None
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        owner = func.value.id
        if owner in USUAL:
            assert hasattr(USUAL[owner], func.attr), f"{owner}.{func.attr}"
            return getattr(USUAL[owner], func.attr), True
        if inspect.isclass(known.get(owner)) and known[owner].__module__.startswith("presize"):
            return getattr(known[owner], func.attr), False
    return None


def check_call(call, function, bound):
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C
        return
    if inspect.ismethod(function):  # of the class: bound already
        bound = False
    if any(isinstance(a, ast.Starred) for a in call.args) or None in [k.arg for k in call.keywords]:
        return
    names = [k.arg for k in call.keywords]
    self = [None] * (bound and inspect.isfunction(function))
    signature.bind(*self, *call.args, **dict.fromkeys(names))  # TypeError says what is wrong
    rest = [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
    if rest and typing.get_origin(rest[0].annotation) is typing.Unpack:
        options = typing.get_args(rest[0].annotation)[0]
        strange = {*names} - {*signature.parameters} - {*options.__annotations__}
        assert not strange, f"{ast.unparse(call.func)} has no option {strange}"


def commands():
    """Every line of the pages that calls `presize`, with what is in backticks in tables."""
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        lines = [
            line for _, kind, code in FENCE.findall(text) if not kind for line in code.split("\n")
        ]
        lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
        for line in lines:
            if found := re.match(r"presize ([a-z]+(?:-[a-z]+)*)\b(.*)", line.split("#")[0].strip()):
                yield pytest.param(found[1], found[2], id=f"{path.stem}: {found[0]}")


@pytest.mark.parametrize(("command", "rest"), [*commands()])
def test_the_command_and_its_options_are_there(command, rest):
    known = typer.main.get_command(app).commands
    assert command in known
    options = {o for p in known[command].params for o in [*p.opts, *p.secondary_opts]}
    assert {*re.findall(r"--[a-z-]+", rest)} <= options


def test_the_page_of_the_command_line_has_the_options_of_train():
    text = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    known = typer.main.get_command(app).commands["train"]
    options = {o for p in known.params for o in [*p.opts, *p.secondary_opts]}
    told = re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE)
    assert told and {*told} <= options
