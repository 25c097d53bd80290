"""The settings of a run as a TOML file: written beside its results, and read to repeat it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from presize.cli.settings import Settings
from presize.cli.source import DIGITS, public_names
from presize.core.errors import did_you_mean

NAME = "config.toml"
Kind = Literal["text", "number", "whole number", "true or false", "number or auto"]
# Every key of the file with its kind, in the order and the groups in which they are written.
GROUPS: dict[str, dict[str, Kind]] = {
    "The data: a folder, a table of files and labels, or a name.": {
        "data": "text",
        "pattern": "text",
        "label_delim": "text",
        "valid_pct": "number",
        "decisions": "text",
    },
    "The network, and the pictures that it sees.": {
        "arch": "text",
        "weights": "text",
        "size": "whole number",
        "presize": "whole number",
        "flip": "true or false",
    },
    "How it is trained.": {
        "epochs": "whole number",
        "freeze_epochs": "whole number",
        "bs": "whole number",
        "lr": "number or auto",
        "wd": "number",
        "label_smoothing": "number",
        "mixup": "number",
        "ema": "true or false",
        "max_time": "text",
        "seed": "whole number",
    },
    'The machine; amp is "auto" where the run is to measure what is faster.': {
        "amp": "text",
        "channels_last": "true or false",
        "compile": "true or false",
        "devices": "whole number",
        "workers": "whole number",
        "cache": "text",
    },
}
# Where a run goes is not written: a run that is repeated is not to overwrite the first.
_READ_ONLY: dict[str, Kind] = {"out": "text"}
KINDS: dict[str, Kind] = {k: v for group in GROUPS.values() for k, v in group.items()} | _READ_ONLY
_LARGEST = 1_000_000  # bytes; such a file has about a thousand
_PATHS = ("decisions", "out")


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a file, with the names of the options of `presize train`.

    Relative paths in it are taken from its folder.

    Raises:
        ValueError: it is no TOML, has a key that nobody knows, or a value of another kind; the
            line is named.
        OSError: it cannot be read.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes")
        text = content.decode("utf-8-sig")
        found = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is no file of settings: it is nested too deep.") from None
    except ValueError as error:  # also what is no TOML, and no text
        raise ValueError(
            f"{path} is no file of settings (TOML): {error}. Give the config.toml of a run."
        ) from None
    for key, value in found.items():
        where = f"{path}{_line_of(key, text)}"
        if key not in KINDS:
            raise ValueError(
                f"{where}: there is no setting `{key}`.{did_you_mean(key, KINDS)} The settings "
                f"are {', '.join(KINDS)}."
            )
        if not _is_kind(value, KINDS[key]):
            raise ValueError(
                f"{where}: `{key}` is {_in_words(KINDS[key])}, but is given as {_as_toml(value)}."
            )
    return _with_paths(found, path.absolute().parent)


def config_text(settings: Settings, versions: Mapping[str, str]) -> str:
    """Return the text of a file that repeats a run.

    Args:
        settings: of the run.
        versions: what it runs with, by name; written as a comment.
    """
    import tomli_w

    values = settings.flat() | {"data": _absolute(settings.data)}
    values["weights"] = _absolute_file(values["weights"])
    if settings.decisions is not None:
        values["decisions"] = str(settings.decisions.absolute())
    head = [
        f"# The settings of a run: presize train --config {NAME} --out FOLDER repeats it.",
        *(f"# {name}: {_one_line(value)}" for name, value in versions.items()),
    ]
    parts = ["\n".join(head) + "\n"]
    for comment, keys in GROUPS.items():
        held = {key: values[key] for key in keys if values[key] is not None}
        parts.append(f"# {comment}\n{tomli_w.dumps(held)}")
    return "\n".join(parts)


def write_config(path: Path, settings: Settings) -> None:
    """Write the file that repeats a run; it is there whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    from presize.core.environment import environment
    from presize.data.rewriting import rewrite

    rewrite(path, config_text(settings, environment()).encode())


def _with_paths(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return settings with the paths among them as such, from the folder of their file."""
    paths = {key: folder / found[key] for key in _PATHS if key in found}
    data, weights = found.get("data"), found.get("weights")
    if data is not None and data not in (DIGITS, *public_names()):
        paths["data"] = str(folder / data)
    if weights is not None and (folder / weights).is_file():
        paths["weights"] = str(folder / weights)
    return found | paths


def _absolute(data: str) -> str:
    return str(Path(data).absolute()) if Path(data).exists() and data != DIGITS else data


def _absolute_file(weights: str) -> str:
    return str(Path(weights).absolute()) if Path(weights).is_file() else weights


def _line_of(key: str, text: str) -> str:
    """Return ", line 7" for the line that gives a key or begins a table; "" if none is found."""
    name = re.escape(key)
    pattern = re.compile(rf"""^\s*(?:\[+\s*)?["']?{name}["']?\s*[=.\]]""")
    lines = text.splitlines()
    number = next((i for i, line in enumerate(lines, 1) if pattern.match(line)), None)
    return "" if number is None else f", line {number}"


def _is_kind(value: Any, kind: Kind) -> bool:
    if kind == "true or false":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "text":
        return isinstance(value, str)
    if kind == "whole number":
        return isinstance(value, int)
    return isinstance(value, int | float) or (kind == "number or auto" and value == "auto")


def _in_words(kind: Kind) -> str:
    if kind == "number or auto":
        return 'a number or "auto"'
    return kind if kind in ("text", "true or false") else f"a {kind}"


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the text "{value}"'
    return "a table" if isinstance(value, dict) else str(value)


def _one_line(value: str) -> str:
    return " ".join(str(value).split())
