"""All settings of a run, from the command line, a file of settings, and what is usual."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from presize.cli.recipe import RECIPE_NAMES, Recipe, recipe_for
from presize.core.errors import did_you_mean

CACHES = ("auto", "ram", "disk", "no")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a run is made of: with the same ones it comes to the same table."""

    data: str
    """A folder, a table, or a name; see `presize.cli.source`."""
    recipe: Recipe
    """How it is trained."""
    pattern: str | None = None
    """Finds the label in the name of a file."""
    label_delim: str | None = None
    """What separates several labels in a table."""
    valid_pct: float | None = None
    """The part that is drawn for validation; None takes the data's own split, or a fifth."""
    decisions: Path | None = None
    """A CSV file of `presize clean`."""
    seed: int = 42
    """Of the split, the weights and all draws."""
    workers: int | None = None
    """Threads that read pictures."""
    cache: str = "auto"
    """Where decoded pictures are kept: one of `CACHES`."""
    devices: int | None = None
    """How many processes train together."""

    def __post_init__(self) -> None:
        """Refuse what no run can have.

        Raises:
            ValueError: a part that is none, a place that is none, a number below what makes sense.
        """
        if self.valid_pct is not None and not 0 < self.valid_pct < 1:
            percent = self.valid_pct / 100
            near = f" Did you mean {percent:g}?" if 0 < percent < 1 else ""
            raise ValueError(
                f"--valid-pct is a part of the pictures, between 0 and 1, not {self.valid_pct:g}."
                f"{near}"
            )
        if self.cache not in CACHES:
            raise ValueError(
                f"--cache is one of {', '.join(CACHES)}, not {self.cache}."
                f"{did_you_mean(self.cache, CACHES)}"
            )
        for name, least in (("seed", 0), ("workers", 0), ("devices", 1)):
            given = getattr(self, name)
            if given is not None and given < least:
                raise ValueError(f"--{name} must be at least {least}, not {given}.")
        if self.seed >= 2**32:
            raise ValueError(f"--seed must be below 2**32 = {2**32}, not {self.seed}.")

    @property
    def name(self) -> str:
        """What the run and its model are called: as the data."""
        return name_of(self.data)

    def flat(self) -> dict[str, Any]:
        """Return all settings beside each other."""
        own = {name: getattr(self, name) for name in OWN_NAMES}
        return {"data": self.data, **own, **asdict(self.recipe)}


OWN_NAMES = (
    *("pattern", "label_delim", "valid_pct", "decisions"),
    *("seed", "workers", "cache", "devices"),
)


def name_of(data: str) -> str:
    """Return what a run on some data is called: a folder's name, or a table's without its end."""
    place = Path(data).resolve()
    return place.stem if place.is_file() else place.name


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return the settings of a run: those that were given, the usual ones for the rest.

    Args:
        given: by name; must hold "data". None, and what is no setting of a run, is left out.

    Raises:
        ValueError: a setting that no run can have.
    """
    told = {name: value for name, value in given.items() if value is not None}
    own = {name: told[name] for name in OWN_NAMES if name in told}
    recipe = recipe_for(
        told["data"],
        **{name: told[name] for name in RECIPE_NAMES if name in told},
    )
    return Settings(data=told["data"], recipe=recipe, **own)


def rate_of(text: str | None) -> float | str | None:
    """Return what --lr says: a number, or "auto".

    Raises:
        ValueError: it is neither.
    """
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"--lr is a number, such as 0.002 or 2e-3, or `auto`, not `{text}`."
        ) from None
