"""Keeping a learner: its weights between two fits, and the one file that predicts."""

from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from presize.augment.fused import FusedAugment
from presize.callbacks.run_snapshot import OPTIMIZER, WEIGHTS
from presize.core.errors import ModelFileError
from presize.core.paths import Path
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform
from presize.core.types import Task
from presize.data.corrected import Relabelled
from presize.data.datasets import Datasets
from presize.data.images import PILBase
from presize.data.warned import warn_user
from presize.train.loss_kinds import KnowsActivation, KnowsDecodes
from presize.train.losses import BaseLoss, activation_of, loss_for_task
from presize.train.model_file import ModelFile
from presize.train.optim_state import flatten_optimizer, restore_optimizer
from presize.train.state import load_state, save_state
from presize.train.weights_state import load_weights

if TYPE_CHECKING:
    from presize.learner import Learner
    from presize.train.drift_reference import DriftReference

SUFFIX = ".safetensors"
PICKLE_SUFFIXES = (".pkl", ".pth", ".pt")


def save(learn: "Learner", file: str | AnyPath, *, with_opt: bool = True) -> Path:
    """Write the weights (and the optimizer's state) to `path/model_dir/file.safetensors`.

    Args:
        file: the name; a whole path is taken as it is.
        with_opt: keep the optimizer's averages as well.
    """
    tensors = {WEIGHTS + name: value for name, value in learn.model.state_dict().items()}
    meta: dict[str, Any] = {"kind": "presize learner"}
    if with_opt and learn.opt is not None:
        state, meta["optimizer"] = flatten_optimizer(learn.opt)
        tensors |= {OPTIMIZER + name: value for name, value in state.items()}
    path = _path(learn, file)
    if learn.ranks.is_main:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_state(path, tensors=tensors, meta=meta)
    learn.parallel.wait()  # whoever reads it next
    return path


def load(
    learn: "Learner", file: str | AnyPath, *, with_opt: bool = True, strict: bool = True
) -> "Learner":
    """Read weights (and the optimizer's state) that `save` wrote; nothing is unpickled.

    The checkpoint of a run is such a file, too: this takes its weights, `resume` the whole run.

    Args:
        file: the name that `save` was given, or the path of a file.
        with_opt: read the optimizer's averages as well, where the file has them.
        strict: refuse a file whose weights do not all fit.

    Raises:
        FileNotFoundError: there is no such file; near names are shown.
        ModelFileError: the file is broken, or of another model.
    """
    path = _path(learn, file)
    if not path.exists() and _with_suffix(file).exists():  # as a checkpoint's path is told
        path = Path(_with_suffix(file))
    tensors, meta = load_state(path)
    weights = _part(tensors, WEIGHTS)
    load_weights(learn.model, weights, strict=strict)
    if learn.calibration is not None:
        from presize.train.calibration import drop_calibration  # for the few who calibrated

        drop_calibration(learn, f"Loading {path.name}")
    learn.drift_reference = None
    if with_opt and "optimizer" in meta:
        if learn.opt is None:
            learn.create_opt()
        assert learn.opt is not None
        restore_optimizer(learn.opt, _part(tensors, OPTIMIZER), meta["optimizer"])
    return learn


def export(
    learn: "Learner", fname: str | AnyPath = "export.safetensors", *, drift: bool = True
) -> Path:
    """Write one file with all that predicting needs, and no code: see `load_learner`.

    A name that ends as pickles do, `model.pkl`, gets the file's own ending in its place.

    The file holds the weights, and as JSON the architecture, the vocabulary, the transforms, the
    loss, the calibration if there is one, and how the model was trained. Nothing in it is ever
    executed, so that it is safe to share.

    Args:
        fname: the file, in the learner's path.
        drift: look at some training and validation pictures once more, up to 600, so that the file
            says what is usual: `Predictor.drift` tells when other ones come in. A loaded learner
            keeps the statistics of its file until it is trained.

    Raises:
        ModelFileError: a transform or the data cannot be described in JSON.
        ValueError: the name is that of another format, such as model.onnx.
    """
    dls, model = learn.dls, learn.model
    samples = getattr(dls.valid, "dataset", dls.valid)
    if not isinstance(samples, Datasets):
        raise ModelFileError(
            "export writes a file that turns a picture into a label, but the data of this learner "
            f"is a {type(samples).__name__}, whose way from file to tensor is not known. Build it "
            "with a DataBlock or ImageDataLoaders, or keep the weights alone with learn.save(...)."
        )
    path = Path(learn.path / fname)
    if path.suffix in (".onnx", ".pt2"):
        raise ValueError(
            f"learn.export writes presize's own model file ({SUFFIX}), not {path.suffix}. For "
            "ONNX: export_onnx(learn, 'model.onnx'); for torch.export: export_program(learn, "
            "'model.pt2'); in a terminal: presize export MODEL."
        )
    if path.suffix in PICKLE_SUFFIXES:
        path = path.with_suffix(SUFFIX)
    path = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
    calibration = learn.calibration
    told, drift_tensors = _drift(learn) if drift else (None, {})
    file = ModelFile(
        architecture=_architecture(model),
        data={
            "inputs": [_picture_kind(tl.tfms) for tl in samples.tls[: samples.n_inp]],
            "targets": [_targets(tl.tfms) for tl in samples.tls[samples.n_inp :]],
            "task": dls.task,
            "bs": dls.valid.bs,
            "after_item": _transforms(dls.valid.after_item),
            "after_batch": _transforms(dls.valid.after_batch),
        },
        loss=type(learn.loss_func).__name__,
        loss_options=_loss_options(learn.loss_func, dls.task),
        weights={k: v.detach() for k, v in model.state_dict().items()},
        calibration=None if calibration is None else calibration.to_dict(),
        calibration_tensors={} if calibration is None else calibration.tensors(),
        training=learn.training_record().to_dict(),
        drift=told,
        drift_tensors=drift_tensors,
    )
    if learn.ranks.is_main:
        path.parent.mkdir(parents=True, exist_ok=True)
        file.write(path)
    learn.parallel.wait()
    return path


def _drift(learn: "Learner") -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what the file says of what is usual of pictures, and its tensors.

    A learner from a file keeps what that says until it is trained: it may have been given other
    pictures, to see how well it does on them.
    """
    found: DriftReference | str | None = learn.drift_reference
    if found is None:
        from presize.drifting import reference_for  # for those who export

        found = reference_for(learn)
    if isinstance(found, str):
        return {"without": found}, {}
    return found.to_dict(), found.tensors()


def _path(learn: "Learner", file: str | AnyPath) -> Path:
    return Path(learn.path / learn.model_dir / _with_suffix(file))


def _with_suffix(file: str | AnyPath) -> AnyPath:
    name = AnyPath(file)
    return name if name.suffix == SUFFIX else name.with_name(name.name + SUFFIX)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _loss_options(loss: Any, task: Task | None) -> dict[str, Any]:
    """Describe the loss; warn where the loaded learner will have to do with another one."""
    if isinstance(loss, BaseLoss):
        return loss.spec()
    if isinstance(loss, KnowsActivation | KnowsDecodes) or not _read_as_usual(loss, task):
        name = getattr(loss, "__name__", type(loss).__name__)
        warn_user(
            f"The loss `{name}` is not one of presize's, and a model file holds no code: the "
            "loaded learner will turn outputs into predictions as the usual loss of this data "
            "does. Set it after loading: learn.loss_func = ...; of an ensemble: "
            "load_ensemble(folder, loss_func=...)."
        )
    return {}


def _read_as_usual(loss: Any, task: Task | None) -> bool:
    """Say whether outputs become what users read as the usual loss of a task lets them."""
    if task is None:
        return True
    # Of log-probabilities softmax and exp make the same, so that NLLLoss is as usual.
    outputs = torch.tensor([[0.3, -1.2, 0.9], [2.0, 0.0, -0.4]]).log_softmax(1)
    usual = activation_of(loss_for_task(task))(outputs)
    return torch.allclose(activation_of(loss)(outputs), usual)


def _architecture(model: nn.Module) -> dict[str, Any]:
    spec = getattr(model, "spec", None)
    if isinstance(spec, dict):
        return spec
    # A network of the user's own: its file is loaded by passing the network in.
    return {"source": "custom", "name": type(model).__qualname__}


def _transforms(pipeline: Pipeline) -> list[dict[str, Any]]:
    steps = [part for t in pipeline for part in _parts(t)]
    return [described for t in steps if (described := _described(t)) is not None]


def _parts(transform: Transform) -> list[Transform]:
    """Return the single steps of a fused transform, which are made one again when it is loaded."""
    return list(transform.parts()) if isinstance(transform, FusedAugment) else [transform]


def _described(transform: Transform) -> dict[str, Any] | None:
    """Return name and arguments; None for what only training needs and cannot be described."""
    spec = getattr(transform, "spec", None)
    if spec is not None:
        return {"name": transform.name, "arguments": spec()}
    if transform.split_idx == 0:
        return None
    raise ModelFileError(
        f"The transform `{transform.name}` cannot be put into a model file: it is not one of "
        "presize's own, and a file that holds code is not safe to share. Use presize's transforms "
        "on the validation side, or save the weights alone with learn.save(...) and load them into "
        "a learner that is built by your own code."
    )


def _targets(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Describe what labels become; how they were found (get_y) is of no use to a prediction."""
    kept = (t for t in pipeline if hasattr(t, "spec") and not isinstance(t, Relabelled))
    return [d for t in kept if (d := _described(t)) is not None]


def _picture_kind(pipeline: Pipeline) -> str:
    """Return the name of the class whose `create` opens the pictures of a pipeline."""
    for transform in pipeline:
        kind = getattr(transform.function, "__self__", None)
        if isinstance(kind, type) and issubclass(kind, PILBase):
            return kind.__name__
    raise ModelFileError(
        f"The inputs of this data are not pictures: [{pipeline!r}]. Only models of pictures can "
        "be exported; keep the weights with learn.save(...)."
    )
