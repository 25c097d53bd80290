"""`Predictor`: a trained model that is asked about pictures, from several threads as well."""

import functools
import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn

from presize.core.allocator import memory_kept
from presize.core.device import keep_type, to_device
from presize.core.errors import DataError, ImageError, TrainingError
from presize.core.progress import working
from presize.data.askeditem import asked_item, check_kind, name_of
from presize.data.asking import asking, last_of
from presize.deploy.answering import answers_of, averaged, predictions, tells_unknown
from presize.deploy.load import load_learner
from presize.deploy.prediction import OnError, Prediction
from presize.deploy.predictions import Predictions
from presize.deploy.prepared import Prepared as Prepared
from presize.deploy.prepared import check_pixels, read_errors
from presize.deploy.streaming import Row, check_amounts, chosen_items, in_batches, in_chunks
from presize.learner import Learner

if TYPE_CHECKING:
    from PIL import Image

    from presize.deploy.heat import HeatMap
    from presize.train.drift import Drift
    from presize.train.drift_watch import DriftWatch

_BATCH = 64


class Predictor:
    """Answers questions about pictures with a trained model.

        predictor = Predictor.load("pets.safetensors")
        predictor.predict("dog.jpg").label
        predictor.predict_many("photos/").save("photos.csv")

    Pictures are treated as those of validation were. Several threads may ask at once: pictures are
    decoded side by side, while the model answers one batch after the other.

    Args:
        learn: the learner whose model answers; `Predictor.load` takes one from a file.

    Raises:
        DataError: its model is no classifier.
    """

    watch: "DriftWatch | None" = None
    """Notes what comes in, for `drift`; None where the model file has nothing to compare with."""

    def __init__(self, learn: Learner) -> None:
        task = learn.dls.task
        if task not in ("classification", "multilabel"):
            raise DataError(
                f"A Predictor tells classes, but this model is made for {task or 'something else'}."
                " Ask it from Python: learn.predict(item), or learn.get_preds(dl=...)."
            )
        if getattr(learn.dls, "vocab", None) is None:
            raise DataError(
                "A Predictor tells classes, but the data of this model does not name any: its "
                "targets have no Categorize or MultiCategorize. Build the data with a "
                "CategoryBlock, or ask the model from Python: learn.predict(item)."
            )
        self.learn = learn
        self._lock = threading.RLock()
        if learn.drift_reference is not None:
            from presize.train.drift_watch import DriftWatch  # for files with a reference

            self.watch = DriftWatch(learn.drift_reference, self.vocab)

    @classmethod
    def load(
        cls,
        path: str | AnyPath,
        *,
        model: nn.Module | None = None,
        device: str | torch.device | None = None,
    ) -> Self:
        """Return a predictor from a file that `learn.export` wrote.

        Args:
            path: the file; nothing in it is run, see `load_learner`.
            model: the network itself, for a file whose architecture is the user's own.
            device: where it computes; None takes a GPU where there is one.

        Raises:
            FileNotFoundError: there is no such file; near names are shown.
            ModelFileError: the file is broken, foreign, changed, or names what is not known.
            DataError: its model is no classifier.
        """
        learn = load_learner(path, model=model)
        if device is not None:
            learn.dls.to(device)
        return cls(learn)

    @classmethod
    def from_hub(
        cls,
        repo_id: str | AnyPath,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        endpoint: str | None = None,
        cache_dir: str | AnyPath | None = None,
        local_files_only: bool = False,
        filename: str | None = None,
        model: nn.Module | None = None,
        device: str | torch.device | None = None,
    ) -> Self:
        """Return a predictor from a repository of models, or a folder that is laid out like one.

        The arguments are those of `presize.deploy.hub.from_hub`, and `device` as in `load`.
        """
        from presize.deploy.hub import fetch_from_hub  # huggingface_hub is an extra

        path = fetch_from_hub(
            repo_id,
            revision=revision,
            token=token,
            endpoint=endpoint,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            filename=filename,
        )
        return cls.load(path, model=model, device=device)

    # ---- what it is ------------------------------------------------------------------------

    @property
    def vocab(self) -> list[str]:
        """The classes, in the order of the probabilities."""
        return [str(name) for name in self.learn.dls.vocab]

    @property
    def task(self) -> str:
        """What is told: "classification", one class; "multilabel", none or several."""
        return str(self.learn.dls.task)

    @property
    def calibrated(self) -> bool:
        """Whether probabilities are calibrated, see `learn.calibrate`."""
        return self.learn.calibration is not None

    @property
    def can_tell_unknown(self) -> bool:
        """Whether it tells that a picture is none of the classes."""
        return tells_unknown(self.learn)

    def __repr__(self) -> str:
        names = self.vocab
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        return f"Predictor of {len(names)} classes ({shown}) on {self.learn.device}"

    # ---- one picture -----------------------------------------------------------------------

    def predict(self, item: Any, *, tta: int = 0) -> Prediction:
        """Return what the model says of one picture.

        Args:
            item: a path; the bytes of a picture file; a file opened in binary mode; a PIL image;
                an array or tensor of 0..255 as uint8 or 0..1 as float, [h,w], [h,w,c] or [c,h,w].
            tta: ask about so many augmented views as well, and average; see `learn.tta`.

        Raises:
            ImageError: the picture cannot be read.
            TypeError: the item is nothing of that kind.
        """
        check_amounts(tta=tta)
        if tta:
            return self._averaged([item], [name_of(item)], tta)[0]
        return self.infer([self.prepare(item)])[0]

    def prepare(
        self, item: Any, *, max_pixels: int | None = None, name: str | None = None
    ) -> Prepared:
        """Return a picture decoded and resized, ready for `infer`; for several threads at once.

        Args:
            item: see `predict`.
            max_pixels: refuse a larger picture, by its header alone.
            name: what errors call the picture, where it is no file.

        Raises:
            PixelLimitError: it is larger than that.
            ImageError: the picture cannot be read.
            TypeError: the item is no picture.
        """
        source = name or name_of(item)
        with read_errors(source):
            value = asked_item(self._dataset, item, source)
            check_kind(self._dataset, value)
            if max_pixels is not None:
                check_pixels(value, max_pixels, source)
            asks = asking(self.learn.dls, value)
            if asks is None:
                batch = next(iter(self.learn.dls.test_dl([value], num_workers=0)))
            else:
                batch = (asks.as_items() if asks.is_remote else asks).batch(value)
        return Prepared(tuple(batch) if isinstance(batch, tuple | list) else (batch,), source)

    def infer(self, prepared: Sequence[Prepared]) -> list[Prediction]:
        """Return what the model says of prepared pictures, in one forward.

        Pictures that no transform brings to one size are asked about one by one. Several threads
        may call it; they wait for each other.
        """
        if not prepared:
            return []
        if len({tuple(value.shape for value in one.inputs) for one in prepared}) > 1:
            return [answer for one in prepared for answer in self.infer([one])]
        return self._answered(self._joined(prepared), [one.source for one in prepared])

    def warm_up(self, batch_size: int = 1) -> None:
        """Let the model answer about gray pictures, so that the first real one waits for nothing.

        Args:
            batch_size: how many at once.
        """
        from PIL import Image

        gray = self.prepare(Image.new("RGB", (64, 64), (128, 128, 128)))
        with self._lock:
            answers_of(self.learn, [self._joined([gray] * max(batch_size, 1))])

    # ---- many pictures ---------------------------------------------------------------------

    def predict_many(
        self,
        items: Any,
        *,
        batch_size: int | None = None,
        num_workers: int | None = None,
        tta: int = 0,
        on_error: OnError = "raise",
        show: bool | None = None,
    ) -> Predictions:
        """Return what the model says of many pictures, in their order.

        Args:
            items: a folder, of whose pictures and those in folders below it asks; or a list, or
                anything that yields what `predict` takes.
            batch_size: pictures in a forward; None takes as many as in validation.
            num_workers: threads that decode; None takes as many as in validation.
            tta: see `predict`.
            on_error: "raise" raises of a picture that cannot be read; "keep" puts a `Failed` into
                its place, and goes on.
            show: None shows a bar where there is a terminal or a notebook for it; True prints
                lines elsewhere, too; False shows nothing.

        Raises:
            ImageError: a picture cannot be read, and `on_error` is "raise".
            DataError: there are no pictures in the folder.
        """
        chosen = chosen_items(items)
        rows: list[Row] = []
        total = len(chosen) if isinstance(chosen, Sized) else None
        with working("predicting", total, "img", show=show) as work:
            for row in self.stream(
                chosen,
                batch_size=batch_size,
                num_workers=num_workers,
                tta=tta,
                on_error=on_error,
            ):
                rows.append(row)
                work.advance()
        return Predictions(rows, self.vocab)

    def stream(
        self,
        items: Iterable[Any],
        *,
        batch_size: int | None = None,
        num_workers: int | None = None,
        tta: int = 0,
        on_error: OnError = "raise",
    ) -> Iterator[Row]:
        """Yield what the model says of pictures, which are taken as they come, also without end.

        Of what comes no more is held than a few batches. The arguments are those of
        `predict_many`.
        """
        if on_error not in ("raise", "keep"):
            raise ValueError(f"on_error is 'raise' or 'keep', but got {on_error!r}.")
        last = last_of(self.learn.dls)
        size = batch_size or getattr(last, "bs", None) or _BATCH
        threads = getattr(last, "num_workers", 0) if num_workers is None else num_workers
        check_amounts(tta=tta, batch_size=batch_size, num_workers=threads)
        rest = iter(chosen_items(items))  # a text would be taken apart
        with memory_kept(self.learn.device):  # 54 pictures/s of a resnet18 in place of 42
            for first in rest:
                like = self._like(first)
                asks = None if tta else asking(self.learn.dls, like)
                everything, keep = itertools.chain([first], rest), on_error == "keep"
                if asks is None:
                    asked = functools.partial(self._averaged, tta=tta)
                    yield from in_chunks(everything, size=size, keep=keep, answer=asked)
                else:
                    yield from in_batches(
                        asks,
                        everything,
                        size=size,
                        threads=threads,
                        keep=keep,
                        answer=self._answered,
                    )

    # ---- what else it tells ----------------------------------------------------------------

    def drift(self) -> "Drift":
        """Return whether the pictures that came in differ from those of training, and in what.

        Raises:
            TrainingError: the model file does not say what those of training were like.
        """
        if self.watch is None:
            raise TrainingError(
                "It cannot be told whether pictures differ from those of training: the model file "
                "does not say what those were like. Export the model again from a learner that has "
                "its data, learn.export(...)."
            )
        return self.watch.verdict()

    def explain(self, item: Any, label: str | int | None = None) -> "HeatMap":
        """Return where in a picture lies what speaks for a class.

        Args:
            item: see `predict`.
            label: the class, by name or number; None takes the predicted one.
        """
        from presize.deploy.heat import heat_map  # with what draws it

        with self._lock:
            return heat_map(self.learn, item, label)

    def heat_map(self, item: Any, label: str | int | None = None) -> "Image.Image":
        """Return the picture with what speaks for a class shown over it; see `explain`."""
        return self.explain(item, label).picture()

    # ----------------------------------------------------------------------------------------

    @property
    def _dataset(self) -> Any:
        return getattr(last_of(self.learn.dls), "dataset", None)

    def _like(self, item: Any) -> Any:
        """Return an item in the form that loaders take, or one of that kind."""
        if hasattr(item, "read") and not hasattr(item, "getexif"):
            return b""  # a file is read once, when its turn comes
        try:
            return asked_item(self._dataset, item)
        except ImageError:
            return ""

    def _joined(self, prepared: Sequence[Prepared]) -> tuple[Any, ...]:
        """Return prepared pictures as one batch."""
        columns = list(zip(*(one.inputs for one in prepared), strict=True))
        if len(prepared) == 1:
            batch = prepared[0].inputs
        else:
            batch = tuple(keep_type(torch.cat(column), column[0]) for column in columns)
        asks = asking(self.learn.dls, "")
        if asks is None or not asks.is_remote:
            return batch
        done = asks.completed(to_device(batch, self.learn.device))
        return done if isinstance(done, tuple) else (done,)

    def _answered(self, batch: Any, sources: Iterable[str | None]) -> list[Prediction]:
        with self._lock:
            answers = answers_of(self.learn, [batch], self.watch)
        return predictions(answers, self.vocab, sources)

    def _averaged(
        self, items: Sequence[Any], sources: Sequence[str | None], tta: int
    ) -> list[Prediction]:
        with read_errors(sources[0] if len(sources) == 1 else None):
            values = [asked_item(self._dataset, item) for item in items]
            dl = self.learn.dls.test_dl(values)
            with self._lock:
                answers = averaged(self.learn, dl, tta) if tta else answers_of(self.learn, dl)
        return predictions(answers, self.vocab, sources)
