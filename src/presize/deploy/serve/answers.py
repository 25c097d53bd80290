"""What is said of pictures and of the model, as JSON."""

import asyncio
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import presize
from presize.deploy.serve.body import Picture
from presize.deploy.serve.settings import ServeSettings
from presize.train.training_record import number

if TYPE_CHECKING:
    from presize.deploy.prediction import Prediction
    from presize.deploy.predictor import Predictor


def prediction_answer(
    picture: Picture, said: "Prediction", top: int, heat: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the model says of a picture.

    Args:
        picture: as it came.
        said: of it.
        top: how many classes are listed; 0 for all.
        heat: "heat_map" and "heat_map_error", where they were asked for.
    """
    several = isinstance(said.label, tuple)
    return {
        "name": picture.name,
        "label": list(said.label) if several else said.label,
        "index": list(said.index) if isinstance(said.index, tuple) else said.index,
        "confidence": said.confidence,
        "unknown": said.unknown,
        "top": [
            {"label": label, "probability": share}
            for label, share in said.top(top or len(said.probabilities))
        ],
        **(heat or {}),
    }


def model_answer(
    predictor: "Predictor", name: str, settings: ServeSettings, drift: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what is told of the model: nothing of the machine, and no paths."""
    classes = predictor.vocab
    return {
        "name": name,
        "task": predictor.task,
        "classes": classes,
        "n_classes": len(classes),
        "parameters": sum(p.numel() for p in predictor.learn.model.parameters()),
        "calibrated": predictor.calibrated,
        "can_tell_unknown": predictor.can_tell_unknown,
        "training": _training(predictor),
        "drift": drift,
        "limits": {
            "max_body": settings.max_body,
            "max_pixels": settings.max_pixels,
            "max_files": settings.max_files,
            "max_heat_maps": settings.max_heat_maps,
            "timeout": settings.timeout,
        },
        "token_needed": settings.token is not None,
        "version": presize.__version__,
    }


async def drift_answer(predictor: "Predictor") -> dict[str, Any] | None:
    """Return the verdict on drift; None where the model file has nothing to compare with."""
    if predictor.watch is None:
        return None
    # Not in a decoding thread: who looks after a busy server is not to wait behind the pictures.
    told: dict[str, Any] = _plain((await asyncio.to_thread(predictor.drift)).to_dict())
    return told


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else number(value)


def _training(predictor: "Predictor") -> dict[str, Any] | None:
    record = predictor.learn.record
    if record is None or not record.fits:
        return None
    data = record.data
    last = record.fits[-1]
    row = dict(zip(last.names, last.rows[-1], strict=False)) if last.rows else {}
    return {
        "source": None if data.source is None else PurePath(data.source).name,
        "train": data.splits.get("train"),
        "valid": data.splits.get("valid"),
        "epochs": sum(len(fit.rows) for fit in record.fits),
        "metrics": {
            name: number(float(value))  # a loss may be NaN
            for name, value in row.items()
            if name != "epoch" and isinstance(value, int | float) and not isinstance(value, bool)
        },
        "started": record.started,
    }
