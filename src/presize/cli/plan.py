"""What a command line asks for, together with its file of settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from presize.cli.settings import Settings, name_of, rate_of, settings_of
from presize.cli.source import Source, find_data
from presize.core.ranks import current_rank, started_together


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a command line asks for.

    Args:
        settings: of the run.
        source: where the data is.
        out: the folder for the results.
        resume: go on with the run that is there.
        devices_said: whether the command line itself says how many processes there are to be.
    """

    settings: Settings
    source: Source
    out: Path
    resume: bool = False
    devices_said: bool = False

    @property
    def model(self) -> Path:
        """The model file that the run leaves."""
        return self.out / f"{self.settings.name}.safetensors"


def plan_of(options: Mapping[str, Any]) -> Plan:
    """Return what a command line asks for, together with its file of settings.

    With --resume the settings of the run that is there are taken, where options do not say
    otherwise.

    Raises:
        ValueError: a setting that no run can have; see also `read_config`.
        typer.BadParameter: options that contradict each other, or no data.
    """
    from presize.cli.config import NAME, read_config
    from presize.data.warned import warn_user

    given = {name: value for name, value in options.items() if value is not None}
    given |= _amp_of(given)
    if "lr" in given:
        given["lr"] = rate_of(given["lr"])
    file, resume = given.pop("config", None), bool(given.get("resume"))
    base = {} if file is None else read_config(file)
    if resume and file is not None:
        base = {"out": file.parent} | base
    said = base | given
    if file is None and resume and (kept := _out_of(said)) is not None:
        said = (read_config(kept / NAME) if (kept / NAME).is_file() else {}) | given
    if "data" not in said:
        raise typer.BadParameter(
            "there is nothing to train on. Give a folder of pictures, or `digits`.",
            param_hint="'DATA'",
        )
    if started_together() and (world := current_rank().world) > 1:
        said.setdefault("devices", world)
    settings = settings_of(said)
    if "freeze_epochs" in given and not settings.recipe.pretrained:
        warn_user("--freeze-epochs is not used: without pretrained weights nothing is frozen.")
    source = find_data(
        settings.data,
        pattern=settings.pattern,
        label_delim=settings.label_delim,
        download=bool(given.get("download")),
    )
    place = Path(said.get("out") or Path("runs") / settings.name)
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(
            f"The results go into a folder, but --out `{place}` is a file: give another name."
        )
    return Plan(
        settings=settings,
        source=source,
        out=place,
        resume=resume,
        devices_said="devices" in given,
    )


def _out_of(said: Mapping[str, Any]) -> Path | None:
    """Return the folder of the results, where enough is said to know it."""
    if "out" in said:
        return Path(said["out"])
    return Path("runs") / name_of(said["data"]) if "data" in said else None


def _amp_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return what --auto and --no-auto say about --amp.

    Raises:
        typer.BadParameter: --amp says something else.
    """
    if "auto" not in given:
        return {}
    said = "auto" if given["auto"] else "no"
    if (given.get("amp", said) == "auto") != (said == "auto"):
        raise typer.BadParameter(
            f"--{'auto' if given['auto'] else 'no-auto'} and --amp {given['amp']} contradict each "
            "other: give one of them."
        )
    return {"amp": given.get("amp", said)}
