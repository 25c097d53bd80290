"""What `presize train` does when it is not told: one set of settings for each kind of data."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The settings of one training run."""

    arch: str
    """Name of a torchvision or timm network."""
    epochs: int
    """Passes over the training pictures, after one for the new head if weights are pretrained."""
    size: int
    """Side of the pictures that the network sees, in pixels."""
    presize: int
    """Side that pictures are cropped to before augmentation cuts `size` out of them."""
    bs: int
    """Pictures in a batch."""
    lr: float
    """The highest learning rate."""
    weights: str
    """ "default" for the network's own pretrained weights, "none", or a file or URL."""
    flip: bool = True
    """Mirror pictures left to right; wrong for writing."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            ValueError: a size or count below 1, a rate of 0 or less, presize smaller than size.
        """
        for name in ("epochs", "size", "presize", "bs"):
            if (given := getattr(self, name)) < 1:
                raise ValueError(f"--{name} must be at least 1, not {given}.")
        if self.lr <= 0:
            raise ValueError(f"--lr must be greater than 0, not {self.lr}.")
        if self.presize < self.size:
            raise ValueError(
                f"--presize {self.presize} is smaller than --size {self.size}: pictures are first "
                "cropped to presize, and size is cut out of that. Make it the larger one."
            )

    @property
    def pretrained(self) -> bool:
        """Whether training begins with weights that were learnt elsewhere."""
        return self.weights != "none"


# presize is twice the size, so that a turned or tilted cut of `size` has no empty corners.
PHOTOS = Recipe(arch="resnet18", epochs=5, size=224, presize=460, bs=64, lr=2e-3, weights="default")
# 8x8 pixels are enlarged to 32, because a resnet halves them five times. Measured with seeds
# 0 1 2 3 4 5 42: accuracy 98.9 % to 99.7 %. With batches of 64 it was 98.3 % and 98.9 % (3, 42).
DIGITS = Recipe(
    arch="resnet18", epochs=10, size=32, presize=32, bs=32, lr=5e-3, weights="none", flip=False
)


def recipe_for(
    data: str,
    *,
    arch: str | None,
    epochs: int | None,
    size: int | None,
    presize: int | None,
    bs: int | None,
    lr: float | None,
    weights: str | None,
) -> Recipe:
    """Return the settings for `data`: those that were given, the usual ones for the rest.

    Without pretrained weights the usual rate is higher, as all layers learn from nothing.
    """
    usual = DIGITS if data == "digits" else PHOTOS
    if weights == "none" and usual.pretrained:
        usual = replace(usual, lr=DIGITS.lr)
    size = usual.size if size is None else size
    if presize is None:
        presize = round(size * usual.presize / usual.size)
    return Recipe(
        arch=arch or usual.arch,
        epochs=usual.epochs if epochs is None else epochs,
        size=size,
        presize=presize,
        bs=usual.bs if bs is None else bs,
        lr=usual.lr if lr is None else lr,
        weights=weights or usual.weights,
        flip=usual.flip,
    )
