"""What every error of `deploy` has to be: of a kind that can be caught, a sentence that helps."""

import ast
import importlib
from pathlib import Path

import pytest

import presize.core.errors as errors

SOURCE = Path(__file__).resolve().parents[2] / "src/presize"
COMMANDS = ("export", "inspect", "predict", "push", "serve")
FILES = sorted(
    [*(SOURCE / "deploy").rglob("*.py"), *(SOURCE / "cli" / f"{name}.py" for name in COMMANDS)]
)
OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
# What the language has for the case; all else is one of presize's own.
BUILTIN = {
    *("FileNotFoundError", "IsADirectoryError", "NotADirectoryError", "FileExistsError"),
    *("TypeError", "ValueError", "KeyError", "IndexError", "AttributeError", "ImportError"),
    *("NotImplementedError", "StopIteration", "SystemExit", "TimeoutError", "OSError"),
}
SHORTEST = 20  # characters of a text that says where, what and what now


def literal(node):
    """The text of a string in the code, with … for what is put in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(v) if isinstance(v, ast.Constant) else "…" for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [literal(node.left), literal(node.right)]
        return None if None in sides else "".join(sides)
    return None


def raised(tree):
    """Every `raise Kind("text")`: the line, the kind, and the text if it stands there.

    Left out is what the same function catches again and puts into a sentence of its own.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            function = node.exc.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            texts = [literal(argument) for argument in node.exc.args]
            # The server's errors have a code for programs before the text.
            text = next((t for t in texts if t is not None and " " in t.strip()), None)
            if name.lstrip("_")[:1].islower():  # a function makes the sentence, of parts perhaps
                text = None
            elif text is None:
                text = next((t for t in texts if t is not None), None)
            if not is_caught(tree, node, name):
                yield node.lineno, name, text


def is_caught(tree, node, kind):
    for one in ast.walk(tree):
        if isinstance(one, ast.Try) and any(node in ast.walk(step) for step in one.body):
            caught = " ".join(ast.unparse(h.type) for h in one.handlers if h.type is not None)
            if kind in caught:
                return True
    return False


def own_kinds(tree):
    """The exceptions that a file defines itself."""
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


TREES = {str(p.relative_to(SOURCE)): ast.parse(p.read_text("utf-8")) for p in FILES if p.is_file()}
KINDS = OURS | BUILTIN | set().union(*map(own_kinds, TREES.values()))


def faults(tree):
    """What is wrong with the errors of a file, in words."""
    found = []
    for line, kind, text in raised(tree):
        # `typer.BadParameter` and FastAPI's kinds say by name what they are for.
        made = kind.lstrip("_")[:1].islower()  # by a function, which says what it returns
        if not made and kind not in KINDS and kind not in ("BadParameter", "Exit", "HTTPException"):
            found.append(f"line {line}: {kind} is no kind of error that a user can catch by name")
        if text is None:
            continue
        if len(text.replace("…", "a name or more")) < SHORTEST:
            found.append(f"line {line}: {text!r} does not say where, what and what now")
        if not text.rstrip().endswith((".", "?", "…")):
            found.append(f"line {line}: {text[-40:]!r} is no whole sentence")
    return found


@pytest.mark.parametrize("name", TREES)
def test_errors_are_sentences_of_a_kind_that_can_be_caught(name):
    assert not faults(TREES[name])


@pytest.mark.parametrize("name", TREES)
def test_no_error_is_swallowed_unseen(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: a bare except"
            kinds = ast.unparse(node.type)
            silent = all(isinstance(step, ast.Pass) for step in node.body)
            assert not (silent and "Exception" in kinds), f"line {node.lineno}: {kinds}: pass"


# Every way in which a file comes in: the function, by module and name.
DOORS = (
    ("presize.deploy.load", "load_learner"),
    ("presize.deploy.predictor", "Predictor.load"),
    ("presize.deploy.ensemble", "load_ensemble"),
    ("presize.deploy.inspection", "inspect_file"),
    ("presize.deploy.hub", "from_hub"),
    ("presize.deploy.hub", "push_to_hub"),
    ("presize.deploy.model_card", "model_card"),
    ("presize.deploy.exporting.onnx", "export_onnx"),
    ("presize.deploy.exporting.program", "export_program"),
)


def opened(module, name, path):
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found(path, path.parent / "repository") if name == "push_to_hub" else found(path)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door[1])
@pytest.mark.parametrize("kind", ["missing", "empty", "noise", "pickle", "page", "other"])
def test_every_door_names_the_file_and_the_way_out(door, kind, tmp_path):
    contents = {
        "empty": b"",
        "noise": bytes(range(256)) * 8,
        "pickle": b"\x80\x04\x95\x05\0\0\0\0\0\0\0K\x01.",
        "page": b"<!DOCTYPE html><html><title>404</title></html>",
        "other": b"\x02\0\0\0\0\0\0\0{}",
    }
    if (kind, door[1]) == ("other", "inspect_file"):
        return  # weights of others can be looked at
    path = tmp_path / "model.safetensors"
    if kind in contents:
        path.write_bytes(contents[kind])
    # A repository and an ensemble are folders, which this file is in.
    of_folders = door[1] in ("from_hub", "load_ensemble")
    with pytest.raises((errors.PresizeError, FileNotFoundError)) as caught:
        opened(*door, tmp_path if of_folders else path)
    said = str(caught.value)
    assert tmp_path.name in said
    assert said.endswith((".", "?")) and len(said) > SHORTEST
    assert "Traceback" not in said and "\n" not in said.strip()


def test_the_rules_find_what_they_forbid():
    tree = ast.parse(
        "raise Exception('The file is broken, so that it cannot be read.')\n"
        "raise ValueError('bad file')\n"
        "raise busy('queue_full', 'no room')\n"
        "raise ValueError('The file ' + f'{x} is broken, get it again')\n"
        "raise ValueError(f'{x} is broken: get it again, from where it came.')\n"
        "try:\n    raise ValueError('no')\nexcept ValueError:\n    print('Mended.')\n"
    )
    assert [fault.split(":")[0] for fault in faults(tree)] == [
        *("line 1", "line 2", "line 2", "line 4"),
    ]


def test_all_kinds_of_presize_are_also_the_builtin_that_one_expects():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in kinds:
        if kind is not errors.PresizeError and issubclass(kind, errors.PresizeError):
            assert issubclass(kind, ValueError | OSError | RuntimeError | TypeError), kind
            assert kind.__doc__, kind
