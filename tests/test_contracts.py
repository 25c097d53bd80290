"""Rules for the source as a whole, read from its syntax trees: sizes, and what is never called."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "presize"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
# vision/all.py is a list of names and no code.
LONGER_FILES = {"learner.py": 450, "vision/all.py": 1000}  # the latter is a list, not code

# Nothing in the project builds an object from bytes that name code.
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
BANNED_NAMES = {"eval", "exec", "compile", "__import__"}
BANNED_METHODS = {
    *(("os", "system"), ("os", "popen"), ("yaml", "load"), ("hub", "load"), ("jit", "load")),
    *(("subprocess", "getoutput"), ("subprocess", "getstatusoutput"), ("serialization", "load")),
    *(("pd", "read_pickle"), ("pandas", "read_pickle"), ("builtins", "eval"), ("builtins", "exec")),
}
# What this process and the workers that it has started tell each other goes through their own pipe.
MAY_PICKLE = {"data/parcels.py": "multiprocessing.reduction"}
# The same in everything else that people run or copy: benchmarks, examples, docs, notebooks.
BANNED_TEXT = {
    "unpickles": r"\bimport pickle\b|\bfrom pickle\b|\bpickle\.loads?\(|\bread_pickle\(",
    "lets torch.load unpickle": r"\bweights_only\s*=\s*False\b",
    "lets numpy.load unpickle": r"\ballow_pickle\s*=\s*True\b",
    "runs code of others": r"\btrust_remote_code\s*=\s*True\b|\btorch\.hub\.load\(",
    "runs text as code": r"(?<![.\w])(?:eval|exec)\(|\b__import__\(",
    "hands text to a shell": r"\bshell\s*=\s*True\b|\bos\.(?:system|popen)\(",
}
TEXTS = ("src", "benchmarks", "examples", "docs", ".ci", "README.md", "Makefile", "pyproject.toml")
ENDINGS = {"", ".py", ".md", ".ipynb", ".toml", ".yml", ".sh", ".js", ".html", ".in"}
# Training must not need a plotting or table library; they are imported where something is drawn.
LATE_MODULES = {
    *("matplotlib", "pandas", "sklearn", "IPython", "timm", "rich", "typer", "cv2", "tensorboard"),
    *("webdataset", "datasets", "fsspec", "braceexpand", "albumentations"),
    *("jinja2", "scipy"),
    *("onnx", "onnxscript", "onnxruntime", "fastapi", "uvicorn", "starlette", "pydantic"),
    *("prometheus_client", "huggingface_hub", "pyarrow", "tomllib", "tomli_w"),
}
_TORCH_LOAD = ("torch", "load")
SERVER = {"fastapi", "uvicorn", "starlette", "pydantic", "prometheus_client"}


TREES = {p: ast.parse(p.read_text(encoding="utf-8"), filename=str(p)) for p in FILES}


def _named(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _root(module: str) -> str:
    return module.partition(".")[0]


def _modules_imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def _nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            yield path, node


def _imports() -> Iterator[tuple[str, str]]:
    """Every import, also those in functions: the file, and the module that it imports."""
    for path, node in _nodes():
        for module in _modules_imported(node):
            yield _named(path), module


def _at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when the module is imported: not functions, not `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_module_level(child)


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring: the limit is on code, not on help."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        text = function.body[0]
        lines -= (text.end_lineno or text.lineno) - text.lineno + 1
    return lines


def _banned(call: ast.Call) -> str | None:
    """Say what is wrong with a call, or None."""
    function, keywords = call.func, {k.arg: k.value for k in call.keywords}
    if isinstance(function, ast.Name) and function.id in BANNED_NAMES:
        return f"{function.id}() runs text as code"
    shell = keywords.get("shell")
    if isinstance(shell, ast.Constant) and shell.value is True:
        return "shell=True hands text to a shell"
    weights_only = keywords.get("weights_only")
    safe = isinstance(weights_only, ast.Constant) and weights_only.value is True
    if weights_only is not None and not safe:
        return "weights_only= is always True here"
    if not isinstance(function, ast.Attribute):
        return None
    # Of `torch.hub.load` the last two names.
    whole, name = ast.unparse(function.value), function.attr
    owner = whole.rpartition(".")[2]
    if (owner, name) in BANNED_METHODS:
        return f"{owner}.{name}() is not used here"
    if (whole, name) == _TORCH_LOAD and not safe:
        return "torch.load() without weights_only=True unpickles"
    if (owner, name) in {("np", "load"), ("numpy", "load")} and "allow_pickle" in keywords:
        return "np.load(allow_pickle=...) unpickles"
    return None


def test_a_file_holds_one_idea() -> None:
    long = {
        _named(path): lines
        for path in FILES
        if (lines := len(path.read_text(encoding="utf-8").splitlines()))
        > LONGER_FILES.get(_named(path), MAX_FILE_LINES)
    }
    assert not long, f"past {MAX_FILE_LINES} lines; do they hold two ideas? {long}"


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{_named(path)}:{node.lineno} {node.name}": _code_lines(node)
        for path, node in _nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and _code_lines(node) > MAX_FUNCTION_LINES
    }
    assert not long, f"past {MAX_FUNCTION_LINES} lines of code: {long}"


def test_nothing_is_unpickled_or_run_from_text() -> None:
    found = [
        f"{_named(path)}:{node.lineno} {why}"
        for path, node in _nodes()
        if isinstance(node, ast.Call) and (why := _banned(node))
    ]
    found += [f"{place} imports {m}" for place, m in _imports() if _root(m) in BANNED_MODULES]
    found += [
        f"{place} imports {m}"
        for place, m in _imports()
        if m.startswith("multiprocessing.reduction") and MAY_PICKLE.get(place) != m
    ]
    # `from torch import load` would hide a call from the rules above.
    found += [
        f"{_named(path)} imports {alias.name} from {node.module}"
        for path, node in _nodes()
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if ((node.module or "").rpartition(".")[2], alias.name) in {*BANNED_METHODS, _TORCH_LOAD}
    ]
    assert not found


def _texts() -> Iterator[tuple[Path, str]]:
    """Every file that people run, read or copy from, and its text; of notebooks their cells."""
    for place in TEXTS:
        start = ROOT / place
        for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
            if path.is_file() and path.suffix in ENDINGS and "__pycache__" not in path.parts:
                text = path.read_text(encoding="utf-8")
                if path.suffix == ".ipynb":
                    text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"])
                yield path, text


def _banned_texts(text: str) -> list[str]:
    return [why for why, pattern in BANNED_TEXT.items() if re.search(pattern, text)]


def test_no_text_that_people_copy_unpickles_or_runs_text() -> None:
    texts = list(_texts())
    assert {path.suffix for path, _ in texts} >= {".py", ".md", ".ipynb"}
    found = [
        f"{path.relative_to(ROOT)} {why}" for path, text in texts for why in _banned_texts(text)
    ]
    assert not found


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    early = [
        f"{_named(path)} imports {module} at module level; move it into the function"
        for path in FILES
        for node in _at_module_level(TREES[path])
        for module in _modules_imported(node)
        if _root(module) in LATE_MODULES
        # The command line is made of these two.
        and not (path.is_relative_to(SOURCE / "cli") and _root(module) in {"typer", "rich"})
        # The server is made of these, and is imported only to serve.
        and not (path.is_relative_to(SOURCE / "deploy" / "serve") and _root(module) in SERVER)
    ]
    assert not early


def test_only_models_know_where_networks_come_from() -> None:
    knows = [
        f"{place} imports {module}; go through presize.models"
        for place, module in _imports()
        if not place.startswith("models/")
        and (_root(module) == "timm" or module.startswith("torchvision.models"))
    ]
    assert not knows


def test_the_rules_find_what_they_forbid() -> None:
    bad = ["eval('1')", "torch.load(f)", "torch.load(f, weights_only=False)", "run(c, shell=True)",
           "os.system('ls')", "np.load(f, allow_pickle=True)", "torch.hub.load('a', 'b')",
           "hub.load_state_dict_from_url(u, weights_only=wanted)", "pd.read_pickle(f)",
           "__import__('pickle')"]  # fmt: skip
    good = ["model.eval()", "torch.load(f, weights_only=True)", "run(c)", "np.load(f)"]
    calls = [ast.parse(text, mode="eval").body for text in [*bad, *good]]
    verdicts = [_banned(c) is not None for c in calls if isinstance(c, ast.Call)]
    assert verdicts == [True] * len(bad) + [False] * len(good)
    assert all(_banned_texts(text) for text in (*bad[2:6], bad[0], "import pickle", "exec(code)"))
    assert not any(map(_banned_texts, [*good, "ast.literal_eval(x)", "a pickle", "self.exec()"]))
    lazy = "import torch\ndef f():\n    import pandas\nif TYPE_CHECKING:\n    import timm\n"
    at_top = [m for n in _at_module_level(ast.parse(lazy)) for m in _modules_imported(n)]
    assert at_top == ["torch"]
