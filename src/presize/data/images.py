"""Pictures: PIL images that know their kind, made from anything that holds one.

Three class attributes say how files are read; set them on a class, or on a subclass of your own:

    orient       True: photos are turned upright as their EXIF orientation says
    white_level  None: see `presize.data.modes.to_mode`
    background   (255, 255, 255): shows through where a picture is transparent

`PILImage.orient = False` restores the pixels as they are stored, for all pictures read after it.
"""

from os import PathLike
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from torch import Tensor

from presize.core.errors import DataError
from presize.core.types import Size, hw
from presize.data.blame import brief
from presize.data.decode import read_picture, source_of, upright
from presize.data.modes import (
    WHITE,
    Bytes,
    Colour,
    Mode,
    class_numbers,
    to_bytes,
    to_mode,
    whole_numbers,
)
from presize.data.problems import unsuitable
from presize.show import show_image


@runtime_checkable
class Readable(Protocol):
    """A file opened in binary mode."""

    def read(self) -> bytes:
        """Return the rest of the file."""
        ...


class PILBase(Image.Image):
    """A PIL image of a fixed kind; what is cut, resized or turned from it is of the same kind."""

    open_mode: ClassVar[Mode] = "RGB"
    cmap: ClassVar[str | None] = None
    alpha: ClassVar[float | None] = None
    orient: ClassVar[bool] = True
    white_level: ClassVar[float | None] = None
    background: ClassVar[Colour] = WHITE

    @classmethod
    def create(cls, x: Any, *, min_size: Size | None = None) -> Self:
        """Make a picture of this kind.

        Args:
            x: a path; the bytes of a picture file; a file opened in binary mode; a PIL image; an
                array or tensor of 0..255 as uint8 or 0..1 as float, [h,w], [h,w,c] or [c,h,w]
                with 1, 3 or 4 channels (where both ends could be channels, tensors have them
                first, arrays last).
            min_size: pixels that are enough; see `presize.data.decode.load_image`.

        Raises:
            ImageError: the file is missing, damaged or not a picture.
            DataError: the array has a shape or values that are not a picture's.
            TypeError: `x` is something else.
        """
        if isinstance(x, Image.Image):
            return cls.same_pixels(cls._in_mode(_from_file(x, cls.orient)))
        if isinstance(x, np.ndarray | Tensor):
            return cls.same_pixels(cls._in_mode(Image.fromarray(cls._pixels_of(x))))
        if not isinstance(x, str | PathLike | bytes | bytearray | memoryview | Readable):
            raise TypeError(
                f"{cls.__name__}.create makes a picture of a path, bytes, a file, an array, a "
                f"tensor or a PIL image, but got {brief(x)} ({type(x).__name__}). If this is "
                f"a row of a table or a tuple, let get_x pick the file's path from it."
            )
        source = source_of(x)
        read = read_picture(source, min_size=min_size, orient=cls.orient)
        try:
            return cls.same_pixels(cls._in_mode(read))
        except ValueError as error:
            raise unsuitable(source, error) from error

    @classmethod
    def same_pixels(cls, im: Image.Image) -> Self:
        """Return a picture of this kind that shares the pixels of `im`, in whatever mode."""
        im.load()
        made = cls()
        made.im, made._mode, made._size = im.im, im.mode, im.size
        made.palette = im.palette
        return made

    @classmethod
    def _in_mode(cls, im: Image.Image) -> Image.Image:
        """Return `im` in the colours of this kind."""
        return to_mode(im, cls.open_mode, white_level=cls.white_level, background=cls.background)

    @classmethod
    def _pixels_of(cls, x: npt.NDArray[Any] | Tensor) -> Bytes:
        return _as_bytes(_channels_last(x), cls.white_level)

    @property
    def shape(self) -> tuple[int, int]:
        """The size as (height, width)."""
        return self.height, self.width

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.width / self.height

    @property
    def n_px(self) -> int:
        """The number of pixels."""
        return self.width * self.height

    def show(
        self,
        title: str | None = None,
        *,
        ctx: Any = None,
        figsize: tuple[float, float] | None = None,
        cmap: str | None = None,
        alpha: float | None = None,
    ) -> Any:
        """Draw the picture and return its axes.

        Args:
            title: written above.
            ctx: the axes to draw on; new ones if None.
            figsize: (width, height) of a new figure in inches.
            cmap: matplotlib's name for the colours of gray values or class numbers.
            alpha: how opaque, 0 to 1.
        """
        return show_image(
            self,
            ctx=ctx,
            figsize=figsize,
            title=title,
            cmap=cmap or self.cmap,
            alpha=self.alpha if alpha is None else alpha,
        )

    def to_thumb(self, h: int, w: int | None = None) -> Self:
        """Return a small copy that fits into `h` x `w` pixels (`w` = `h` if None)."""
        height, width = hw((h, h if w is None else w))
        small = self.same_pixels(self.copy())
        small.thumbnail((width, height))
        return small

    def _new(self, im: Any) -> Self:
        # All of PIL's own operations make their result here.
        return self.same_pixels(super()._new(im))

    def transform(
        self,
        size: tuple[int, int],
        method: Any,
        data: Any = None,
        resample: int = Image.Resampling.NEAREST,
        fill: int = 1,
        fillcolor: Any = None,
    ) -> Self:
        """Do what PIL's `transform` does (it is behind `rotate`, too), and keep the kind."""
        return self.same_pixels(super().transform(size, method, data, resample, fill, fillcolor))

    def __repr__(self) -> str:
        return f"{type(self).__name__} mode={self.mode} size={self.width}x{self.height}"


class PILImage(PILBase):
    """A colour picture: RGB."""


class PILImageBW(PILImage):
    """A grayscale picture: one channel, L."""

    open_mode = "L"
    cmap = "gray"


class PILMask(PILBase):
    """A mask: the class number of each pixel, L. Resizing takes the nearest pixel."""

    open_mode = "L"
    cmap = "tab20"
    alpha = 0.5

    @classmethod
    def create(cls, x: Any, *, min_size: Size | None = None) -> Self:
        """Make a mask; see `PILBase.create`. The pixels of `x` are whole numbers, 0 to 255.

        A palette picture gives its numbers, not its colours, a 1-bit picture 0 and 1. `min_size`
        has no meaning for a mask: class numbers cannot be averaged.
        """
        return super().create(x)

    @classmethod
    def _in_mode(cls, im: Image.Image) -> Image.Image:
        return im if im.mode == "L" else Image.fromarray(class_numbers(im))

    @classmethod
    def _pixels_of(cls, x: npt.NDArray[Any] | Tensor) -> Bytes:
        try:
            return whole_numbers(_channels_last(x))
        except ValueError as error:
            raise DataError(f"{error}.") from None


def _from_file(im: Image.Image, orient: bool) -> Image.Image:
    """Return the picture, upright if it comes straight from its file; never the same pixels."""
    turned = upright(im) if orient and isinstance(im, ImageFile.ImageFile) else im
    return im.copy() if turned is im else turned


def _channels_last(x: npt.NDArray[Any] | Tensor) -> npt.NDArray[Any]:
    """Return an array or tensor of one picture as [h,w] or [h,w,c]."""
    values = x.detach().cpu().float() if isinstance(x, Tensor) and x.is_floating_point() else x
    array = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
    if array.ndim == 3:
        first, last = (array.shape[i] in (1, 3, 4) for i in (0, 2))
        if first and (isinstance(x, Tensor) or not last):
            array = array.transpose(1, 2, 0)
        if array.shape[2] == 1:
            array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        batch = " This looks like a batch: take one of it, such as x[0]." * (array.ndim == 4)
        raise DataError(
            f"A picture has shape [h,w], [h,w,c] or [c,h,w] with 1, 3 or 4 channels, but this "
            f"{type(x).__name__} has {list(x.shape)}.{batch}"
        )
    if 0 in array.shape:
        raise DataError(f"This {type(x).__name__} of shape {list(x.shape)} has no pixels.")
    return array


def _as_bytes(array: npt.NDArray[Any], white_level: float | None) -> Bytes:
    try:
        return np.ascontiguousarray(to_bytes(array, white_level))
    except ValueError as error:
        raise DataError(f"{str(error)[0].upper()}{str(error)[1:]}.") from None
