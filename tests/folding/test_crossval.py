import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from presize.core.errors import DataError, TrainingError
from presize.core.ranks import Rank
from presize.core.types import Task
from presize.data.blocks import CategoryBlock, ImageBlock, RegressionBlock
from presize.data.datablock import DataBlock
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import RandomSplitter
from presize.folding.crossval import cross_validate
from presize.folding.ensemble import Ensemble
from presize.folding.outcome import CrossValidation
from presize.learner import Learner
from presize.train.metrics import accuracy
from presize.train.optim import SGD


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Thirty pictures of three colours, ten of each, with some noise."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for label, channel in (("blue", 2), ("green", 1), ("red", 0)):
        (root / label).mkdir()
        for i in range(10):
            pixels = rng.normal(90, 40, (8, 8, 3))
            pixels[..., channel] += 100
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / label / f"{i}.png")
    return root


@pytest.fixture
def dls(pictures):
    return ImageDataLoaders.from_folder(
        pictures, valid_pct=0.2, seed=1, item_tfms=Resize(8), bs=8, num_workers=0, device="cpu"
    )


def make(dls):
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    return Learner(dls, model, opt_func=SGD, lr=2.0, metrics=accuracy)


def train(learn):
    with learn.no_logging():
        learn.fit(2)


def run(dls, **options):
    options = {"learner": make, "fit": train, "k": 3, "verbose": False} | options
    return cross_validate(dls, **options)


def test_every_item_is_judged_once_by_a_model_that_has_not_seen_it(dls):
    seen = []

    def fit(learn):
        seen.append({str(p) for p in learn.dls.train_ds.items})
        train(learn)

    result = run(dls, fit=fit)
    assert isinstance(result, CrossValidation)
    items = [str(p) for p in result.items]
    assert sorted(items) == sorted(str(p) for ds in dls for p in ds.dataset.items)
    assert result.preds.shape == (30, 3) and len(result.targets) == 30
    assert torch.allclose(result.preds.sum(1), torch.ones(30))
    for item, fold in zip(items, result.folds.tolist(), strict=True):
        assert [item in files for files in seen] == [i != fold for i in range(3)]
    for item, target in zip(result.items, result.targets.tolist(), strict=True):
        assert dls.vocab[target] == item.parent.name


def test_predictions_are_those_of_the_model_of_the_fold(dls):
    result = run(dls)
    for i, model in enumerate(result.ensemble.models):
        at = (result.folds == i).nonzero().flatten()
        dl = dls.test_dl([result.items[j] for j in at.tolist()])
        with torch.no_grad():
            outputs = torch.cat([model(x) for (x,) in dl])
        assert torch.allclose(F.softmax(outputs.as_subclass(torch.Tensor), 1), result.preds[at])
        right = (outputs.argmax(1) == result.targets[at]).double().mean()
        assert result.scores[i, 1] == pytest.approx(float(right))
    assert torch.equal(result.decoded, result.preds.argmax(1))


def test_folds_have_the_same_part_of_every_class(dls):
    result = run(dls)
    for fold in range(3):
        counts = np.bincount(result.targets[result.folds == fold].numpy())
        assert counts.sum() == 10 and sorted(counts.tolist()) == [3, 3, 4]
    again = run(dls)
    assert torch.equal(again.folds, result.folds)
    assert not torch.equal(run(dls, split_seed=7).folds, result.folds)


def test_mean_and_spread_are_those_of_the_folds(dls, capsys):
    result = run(dls, verbose=True)
    assert result.names == ["valid_loss", "accuracy"]
    values = result.scores[:, 1].numpy()
    assert result.mean["accuracy"] == pytest.approx(values.mean())
    assert result.std["accuracy"] == pytest.approx(values.std(ddof=1))
    said = capsys.readouterr().out
    assert "Fold 2 of 3: 20 items to train on, 10 to judge by" in said
    assert said.endswith(f"{result}\n")
    table = repr(result).splitlines()
    assert table[0].split() == ["fold", "valid_loss", "accuracy"]
    assert [row.split()[0] for row in table] == ["fold", "1", "2", "3", "mean", "std"]
    assert float(table[4].split()[2]) == pytest.approx(values.mean(), rel=1e-5)


def test_a_bar_counts_the_folds_under_what_is_printed(dls, terminal):
    seen = []

    def watched(learn):
        train(learn)
        seen.append(terminal.lines())

    run(dls, verbose=True, fit=watched)
    for i, lines in enumerate(seen):
        assert lines[-1].startswith("folds  ") and f"{i}/3" in lines[-1]
        assert any(line.startswith(f"Fold {i + 1} of 3:") for line in lines[:-1])
    assert not any(line.startswith("folds") for line in terminal.lines())


def test_it_learns_and_the_ensemble_answers_with_the_mean(dls, pictures):
    result = run(dls, fit=train_long)
    assert result.mean["accuracy"] > 0.9
    ensemble = result.ensemble
    assert repr(ensemble) == "Ensemble of 3 models" and len(ensemble) == 3
    assert list(ensemble.vocab) == ["blue", "green", "red"]
    file = pictures / "red" / "3.png"
    label, number, probs = ensemble.predict(file)
    assert (label, int(number)) == ("red", 2)
    x = next(iter(ensemble.test_dl([file])))[0].as_subclass(torch.Tensor)
    with torch.no_grad():
        mean = torch.stack([F.softmax(m(x), 1)[0] for m in ensemble.models]).mean(0)
    assert torch.allclose(probs, mean, atol=1e-6)
    files = sorted(get_image_files(pictures))
    preds, targets, decoded = ensemble.get_preds(
        ensemble.test_dl(files, with_labels=True), with_decoded=True
    )
    assert torch.equal(preds.argmax(1), decoded)
    assert (decoded == targets).float().mean() > 0.9
    loss, right = ensemble.learn.validate(dl=ensemble.test_dl(files, with_labels=True))
    assert loss == pytest.approx(float(F.nll_loss(preds.log(), targets.as_subclass(torch.Tensor))))
    assert right == pytest.approx(float((decoded == targets).float().mean()))


def train_long(learn):
    with learn.no_logging():
        learn.fit(12, 5.0)


def test_a_data_block_and_its_source_will_do(pictures):
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        splitter=RandomSplitter(seed=1),
        item_tfms=Resize(8),
    )
    result = cross_validate(
        block, pictures, learner=make, fit=train, k=2, verbose=False,
        bs=4, num_workers=0, device="cpu",
    )  # fmt: skip
    assert [str(i) for i in result.items] == [str(i) for i in get_image_files(pictures)]
    assert result.ensemble.learn.dls.bs == 4
    with pytest.raises(ValueError, match="A DataBlock needs its source"):
        cross_validate(block, learner=make, fit=train)
    with pytest.raises(TypeError, match=r"cross_validate\(\) got an .* 'num_worker'. Did you mean"):
        cross_validate(block, pictures, learner=make, fit=train, num_worker=4)


def test_rows_of_a_table_and_groups(pictures):
    files = sorted(str(p.relative_to(pictures)) for p in pictures.rglob("*.png"))
    table = pd.DataFrame({"file": files, "label": [f.split("/")[0] for f in files]})
    table["person"] = [int(f[-5]) // 2 for f in files]
    dls = ImageDataLoaders.from_df(
        table, pictures, seed=1, item_tfms=Resize(8), bs=8, num_workers=0, device="cpu"
    )
    result = run(dls, groups=lambda row: row["person"])
    assert isinstance(result.items, pd.DataFrame) and len(result.items) == 30
    together = pd.Series(result.folds.numpy()).groupby(result.items["person"].to_numpy()).nunique()
    assert (together == 1).all()
    # What order they hold them in nobody said.
    with pytest.raises(ValueError, match=r"Pass a function of the item.*or a DataBlock and its"):
        run(dls, groups=table["person"])


def test_a_list_of_groups_is_in_the_order_of_the_items_of_the_source(pictures):
    files = sorted(get_image_files(pictures))
    files = [files[i] for i in np.random.default_rng(3).permutation(30)]
    person = {file: int(file.stem) // 2 for file in files}

    def splitter(items):
        return list(range(29, 9, -1)), [0, 2, 4, 6], [1, 3]

    block = DataBlock(
        (ImageBlock, CategoryBlock), get_items=lambda source: source, get_y=parent_label,
        splitter=splitter, item_tfms=Resize(8),
    )  # fmt: skip

    def validate(groups):
        return cross_validate(
            block, files, learner=make, fit=lambda learn: None, k=2, stratify=False,
            groups=groups, verbose=False, bs=8, num_workers=0, device="cpu",
        )  # fmt: skip

    result = validate([person[file] for file in files])
    assert result.items == [files[i] for i in (0, 2, 4, 6, *range(10, 30))]
    assert torch.equal(result.folds, validate(person.get).folds)
    people = pd.Series([person[file] for file in result.items])
    assert (pd.Series(result.folds.numpy()).groupby(people).nunique() == 1).all()
    with pytest.raises(ValueError, match="one group for each of the 30 items of the source.*got 2"):
        validate([1, 2])


def test_files_that_are_listed_twice_are_told(pictures):
    files = sorted(str(p.relative_to(pictures)) for p in pictures.rglob("*.png"))
    table = pd.DataFrame({"file": [*files, *files[4:9]]})
    table["label"] = table["file"].str.split("/").str[0]
    loaders = {"item_tfms": Resize(8), "bs": 8, "num_workers": 0, "device": "cpu"}
    options = {"fit": lambda learn: None, "k": 2, "stratify": False}
    dls = ImageDataLoaders.from_df(table, pictures, seed=1, **loaders)
    with pytest.warns(UserWarning, match=r"in several folds: \d, the first `.*blue/\d.png`"):
        run(dls, **options)
    run(dls, groups=lambda row: row["file"], **options)
    block = DataBlock(
        (ImageBlock, CategoryBlock), get_y=parent_label, splitter=RandomSplitter(seed=1),
        item_tfms=Resize(8),
    )  # fmt: skip
    twice = [pictures / file for file in files] * 2
    dls = block.dataloaders(twice, bs=8, num_workers=0, device="cpu")
    with pytest.warns(UserWarning, match=r"in several folds: \d\d, the first"):
        run(dls, **options)
    run(dls, groups=str, **options)


def test_numbers_to_predict_are_not_stratified(pictures):
    block = DataBlock(
        (ImageBlock, RegressionBlock), get_items=get_image_files, get_y=redness,
        splitter=RandomSplitter(seed=1), item_tfms=Resize(8),
    )  # fmt: skip
    dls = block.dataloaders(pictures, bs=8, num_workers=0, device="cpu")
    task: Task = "regression"
    assert dls.task == task

    def make(dls):
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
        return Learner(dls, model, opt_func=SGD, lr=1e-3)

    result = run(dls, learner=make)
    assert result.names == ["valid_loss"]
    error = ((result.preds.flatten() - result.targets.flatten()) ** 2).mean()
    weights = torch.bincount(result.folds).double() / 30
    assert float(error) == pytest.approx(float((result.scores[:, 0] * weights).sum()), rel=1e-4)


def redness(path):
    return float(path.parent.name == "red")


def test_a_picture_that_cannot_be_read_has_no_row(pictures, tmp_path):
    files = []
    for source in sorted(pictures.rglob("*.png")):
        target = tmp_path / source.parent.name / source.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
        files.append(target)
    files[4].write_bytes(b"no picture")
    dls = ImageDataLoaders.from_folder(
        tmp_path, valid_pct=0.2, seed=1, item_tfms=Resize(8), bs=8, num_workers=0, device="cpu"
    )
    with pytest.warns(UserWarning) as warned:
        result = run(dls)
    assert any("1 of the 30 items could not be read" in str(w.message) for w in warned)
    assert len(result.items) == len(result.preds) == len(result.targets) == len(result.folds) == 29
    assert files[4] not in list(result.items)
    for item, target in zip(result.items, result.targets.tolist(), strict=True):
        assert dls.vocab[target] == item.parent.name


def test_the_learners_of_other_folds_are_let_go(dls):
    alive = []

    def counted(dls):
        learn = make(dls)
        alive.append(weakref.ref(learn.model))
        gc.collect()
        assert sum(ref() is not None for ref in alive) == 1
        return learn

    run(dls, learner=counted)


def test_a_learner_that_has_seen_the_items_is_refused(dls):
    learn = make(dls)
    with pytest.raises(TrainingError, match="does not train on the items of this fold") as caught:
        run(dls, learner=lambda fold: learn)
    assert caught.value.__notes__ == ["This was fold 1 of 3."]
    model, other = (nn.Sequential(nn.Flatten(), nn.Linear(192, 3)) for _ in range(2))
    with pytest.raises(TrainingError, match="has the model of an earlier fold") as caught:
        run(dls, learner=lambda dls: Learner(dls, model), fit=lambda learn: None)
    assert caught.value.__notes__ == ["This was fold 2 of 3."]
    both = iter([model, other, model])
    with pytest.raises(TrainingError, match="has the model of an earlier fold") as caught:
        run(dls, learner=lambda dls: Learner(dls, next(both)), fit=lambda learn: None)
    assert caught.value.__notes__ == ["This was fold 3 of 3."]
    body = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    shared = {"learner": lambda dls: Learner(dls, with_head(body)), "fit": lambda learn: None}
    with pytest.raises(TrainingError, match="or a part of it, which has seen") as caught:
        run(dls, **shared)
    assert caught.value.__notes__ == ["This was fold 2 of 3."]
    body.requires_grad_(False)
    run(dls, k=2, **shared)
    with pytest.raises(TrainingError, match="returned None, which is no learner"):
        run(dls, learner=lambda dls: None)
    with pytest.raises(TrainingError, match="one model after another in one process"):
        run(dls, learner=together)
    # Another batch size is the same data.
    assert len(run(dls, learner=lambda dls: make(dls.new(bs=4)), k=2).preds) == 30


def with_head(body):
    return nn.Sequential(body, nn.Linear(4, 3))


def test_a_learner_with_other_items_to_validate_on_is_refused(dls):
    def other_valid(fold):
        learn = make(fold)
        learn.dls = DataLoaders(fold.train, dls.valid)
        return learn

    with pytest.raises(TrainingError, match="does not validate on the items of this fold"):
        run(dls, learner=other_valid)

    def fit(learn):
        train(learn)
        learn.dls = DataLoaders(learn.dls.train, dls.valid)

    with pytest.raises(TrainingError, match="does not validate on the items of this fold"):
        run(dls, fit=fit)

    def foreign(fold):
        valid = torch.utils.data.DataLoader(fold.valid.dataset, shuffle=True)
        return make(DataLoaders(fold.train, valid))

    with pytest.raises(TrainingError, match="does not tell which items its batches are of"):
        run(dls, learner=foreign)


def together(dls):
    learn = make(dls)
    learn.parallel.rank = Rank(0, 2)
    return learn


def test_data_that_cannot_be_divided_is_refused(dls, pictures):
    batches = [(torch.ones(4, 3), torch.ones(4, 1))]
    with pytest.raises(DataError, match="do not know how their items are made: a builtins.list"):
        run(DataLoaders(batches, batches))
    with pytest.raises(
        TypeError, match="takes DataLoaders, or a DataBlock and its source, but got a str"
    ):
        run("pictures")
    with pytest.raises(ValueError, match="bs= would have no effect"):
        run(dls, bs=4)
    with pytest.raises(ValueError, match="a source would have no effect"):
        cross_validate(dls, pictures, learner=make, fit=train)
    with pytest.raises(DataError, match="Each of the 11 folds is to have items of every class"):
        run(dls, k=11)
    weighed = ImageDataLoaders.from_folder(
        pictures, valid_pct=0.2, seed=1, item_tfms=Resize(8), bs=8, num_workers=0, device="cpu",
        weights=[1.0] * 24,
    )  # fmt: skip
    with pytest.raises(DataError, match="sampler or weights for its own items"):
        run(weighed)
    balanced = ImageDataLoaders.from_folder(
        pictures, valid_pct=0.2, seed=1, item_tfms=Resize(8), bs=8, num_workers=0, device="cpu",
        weights="balanced",
    )  # fmt: skip
    assert run(balanced).ensemble.learn.dls.train.weights == "balanced"


def test_the_loaders_that_were_given_stay_as_they_are(dls):
    before = [str(p) for p in dls.valid.dataset.items], dls.train.epoch, len(dls.train.after_batch)
    run(dls)
    after = [str(p) for p in dls.valid.dataset.items], dls.train.epoch, len(dls.train.after_batch)
    assert before == after


def test_an_ensemble_leaves_the_learner_as_it_is(dls):
    learn = make(dls)
    model, cbs = learn.model, list(learn.cbs)
    ensemble = Ensemble(learn, [learn.model])
    assert learn.model is model and list(learn.cbs) == cbs
    assert repr(ensemble) == "Ensemble of 1 model"
