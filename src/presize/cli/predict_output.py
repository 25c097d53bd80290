"""How `presize predict` prints: lines for people, JSON for programs, each as it comes."""

from types import TracebackType
from typing import Any, Protocol, Self

import typer

from presize.deploy.prediction import Failed, Prediction
from presize.deploy.prediction_table import as_json
from presize.deploy.predictor import Predictor

_WIDEST = 40  # characters of a column of labels
_SHARE = 11


class Output(Protocol):
    """Prints answers one by one, inside a `with` block."""

    def __enter__(self) -> Self:
        """Print what comes before them."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Print what comes after them."""

    def write(self, row: Prediction | Failed) -> None:
        """Print one."""


def output_of(asked: Predictor, *, as_json: bool, as_lines: bool, top: int | None) -> Output:
    """Return what prints the answers of a predictor.

    Args:
        asked: says how wide its labels are.
        as_json: print one JSON list.
        as_lines: print a JSON object for each line.
        top: tell so many of the likeliest classes; None tells all in JSON, the first in lines.
    """
    if as_json or as_lines:
        return _Json(top, whole=not as_lines)
    return _Table(asked, top)


class _Plain:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


class _Json(_Plain):
    """A list of objects, of which each is printed when it is there; or an object for each line."""

    def __init__(self, top: int | None, *, whole: bool) -> None:
        self._top, self._whole, self._before = top, whole, "[\n"

    def write(self, row: Prediction | Failed) -> None:
        plain = _plain(row, self._top)
        if not self._whole:
            typer.echo(as_json(plain))
            return
        text = as_json(plain, 2).replace("\n", "\n  ")
        typer.echo(f"{self._before}  {text}", nl=False)
        self._before = ",\n"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._whole and not isinstance(error, BrokenPipeError):
            typer.echo("[]" if self._before == "[\n" else "\n]")


class _Table(_Plain):
    """Lines of label, probability, file; of pictures that cannot be read one on standard error."""

    def __init__(self, asked: Predictor, top: int | None) -> None:
        self._top = top
        longest = max(map(len, asked.vocab), default=0)
        # Lines are printed before the next ones are known, so that labels say how wide they are.
        if asked.can_tell_unknown:
            longest += len("none of these (nearest: )")
        self._width = min(max(longest, len("label")), _WIDEST)
        self._begun = False

    def write(self, row: Prediction | Failed) -> None:
        if isinstance(row, Failed):
            typer.secho(printable(row.error), fg="red", err=True)
            return
        if not self._begun:
            self._begun = True
            typer.echo(f"{'label':<{self._width}}   {'probability':<{_SHARE}}   picture")
        shares = [f"{row.probabilities[name]:.1%}" for name in row.labels]
        labels = ", ".join(row.labels) or "none"
        if row.unknown:
            labels = f"none of these (nearest: {labels})"
        self._line(labels, ", ".join(shares), row.file or "")
        if self._top is not None:
            for name, share in row.top(self._top):
                if name not in row.labels:
                    self._line(name, f"{share:.1%}", "")

    def _line(self, label: str, share: str, file: str) -> None:
        line = f"{printable(label):<{self._width}}   {share:<{_SHARE}}   {printable(file)}"
        typer.echo(line.rstrip())


def _plain(row: Prediction | Failed, top: int | None) -> dict[str, Any]:
    """Return an answer as `to_dict` does, its probabilities with as many digits as matter."""
    if isinstance(row, Failed):
        return row.to_dict()
    plain = row.to_dict(top)
    shares = {name: round(share, 6) for name, share in plain["probabilities"].items()}
    return plain | {"confidence": round(row.confidence, 6), "probabilities": shares}


def printable(text: str) -> str:
    """Return a text without what could steer a terminal: names in files are anybody's."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
