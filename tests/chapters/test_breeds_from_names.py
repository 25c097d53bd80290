"""The story of the second chapter on real photos of pets: from a folder to a fine-tuned network.

The network is a MobileNetV2 with real ImageNet weights; pictures are small and runs short, so
that the whole story takes about a minute. How well the full recipe does is measured in
`benchmarks/finetune_pets.py`.
"""

import pytest

from presize.callback.fp16 import *
from presize.core.errors import DataError
from presize.vision.all import *

LABEL = r"(.+)_\d+.jpg$"


def block(**options):
    return DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(LABEL), "name"),
        **options,
    )


@pytest.fixture(scope="module")
def pets(pets_path):
    """The folder and the loaders: presized to 200, augmented to 128."""
    root = Path(pets_path)
    set_seed(0)
    breeds = block(item_tfms=Resize(200), batch_tfms=aug_transforms(size=128, min_scale=0.75))
    return root, breeds.dataloaders(root, bs=32)


@pytest.fixture
def quick(pets_path, mobilenet_hub):
    """A learner of every second picture, for what does not need to learn well."""
    set_seed(0)
    breeds = block(item_tfms=Resize(160), batch_tfms=aug_transforms(size=96, min_scale=0.75))
    breeds.get_items = lambda root: get_image_files(root).sorted()[::2]
    return cnn_learner(breeds.dataloaders(pets_path, bs=32), mobilenet_v2, metrics=error_rate)


@pytest.fixture
def learn(pets, mobilenet_hub):
    """A new learner; its body comes from the hub cache."""
    return cnn_learner(pets[1], mobilenet_v2, metrics=error_rate)


def test_names_hold_the_labels(pets_path):
    root = Path(pets_path)
    name = root.ls().sorted()[0].name
    assert re.findall(LABEL, name) == ["Abyssinian"]
    assert len(get_image_files(root)) == 259


def test_the_loaders_know_the_breeds(pets):
    _, dls = pets
    assert len(dls.vocab) == dls.c == 37
    assert repr(dls.vocab).startswith("['Abyssinian', 'Bengal'") or "(#37)" in repr(dls.vocab)
    assert [len(dls.train_ds), len(dls.valid_ds)] == [208, 51]
    x, y = dls.one_batch()
    assert x.shape == (32, 3, 128, 128)
    assert repr(y).startswith("TensorCategory([")
    assert dls.valid.one_batch()[0].shape == (32, 3, 128, 128)


def test_a_batch_is_shown_with_its_labels(pets):
    _, dls = pets
    dls.show_batch(nrows=1, ncols=3)
    axes = plt.gcf().axes
    assert len(axes) == 3
    assert all(ax.get_title() in dls.vocab for ax in axes)
    plt.close("all")
    dls.train.show_batch(max_n=4, unique=True)
    titles = {ax.get_title() for ax in plt.gcf().axes if ax.images}
    assert len(titles) == 1


def test_one_interpolation_keeps_more_than_four(pets_path):
    photo = sorted(get_image_files(pets_path))[10]
    plain = DataBlock(
        blocks=(ImageBlock(), CategoryBlock()), get_y=parent_label, item_tfms=Resize(460)
    )
    repeated = plain.dataloaders([photo] * 40, bs=8)
    repeated.train.get_idxs = lambda: Inf.ones
    x, _ = repeated.valid.one_batch()
    steps = TensorImage(x.clone()).affine_coord(sz=224).rotate(draw=30, p=1.0)
    steps = steps.zoom(draw=1.2, p=1.0).warp(draw_x=-0.2, draw_y=0.2, p=1.0)
    at_once = Pipeline(
        setup_aug_tfms(
            [
                Rotate(draw=30, p=1, size=224),
                Zoom(draw=1.2, p=1.0, size=224),
                Warp(draw_x=-0.2, draw_y=0.2, p=1.0, size=224),
            ]
        )
    )(x)
    assert at_once.shape == steps.shape == (8, 3, 224, 224)
    _, grid = subplots(1, 2)
    TensorImage(at_once[0]).show(ctx=grid[0])
    TensorImage(steps[0]).show(ctx=grid[1])

    def detail(picture):
        gray = picture[0].mean(0)[40:-40, 40:-40]
        return float((gray[1:] - gray[:-1]).abs().mean())

    assert detail(at_once) > 1.1 * detail(steps)


def test_the_summary_tells_what_is_missing(pets_path, capsys):
    with pytest.raises(DataError, match="collate"):
        block().summary(pets_path)
    text = capsys.readouterr().out
    for line in (
        "Setting-up type transforms pipelines",
        "Found 259 items",
        "2 datasets of sizes 208,51",
        "Setting up Pipeline: PILBase.create",
        "Setting up Pipeline: partial -> Categorize",
        "    applying partial gives",
        "Setting up after_item: Pipeline: ToTensor",
        "Error! It's not possible to collate your items in a batch",
        "Could not collate the 0-th members of your tuples because got the following shapes",
    ):
        assert line in text
    assert "item_tfms=Resize" in text


def test_fine_tuning_learns_breeds(learn):
    set_seed(0)
    before = learn.validate()[1]
    learn.fine_tune(3, base_lr=5e-3)
    after = learn.recorder.values[-1][2]
    assert before > 0.9
    assert after < 0.75
    assert all(p.requires_grad for p in learn.model.parameters())
    axes = learn.recorder.plot_loss()
    assert axes.get_ylabel() == "loss"
    learn.recorder.plot_sched()


def test_predictions_are_probabilities(learn, pets):
    _, dls = pets
    x, y = dls.one_batch()
    preds, targets = learn.get_preds(dl=[(x, y)])
    assert preds.shape == (32, 37)
    assert torch.allclose(preds.sum(1), torch.ones(32), atol=1e-5)
    assert type(targets) is TensorCategory
    assert targets.tolist() == y.tolist()


# pandas asks PyTorch's tensors for an array in a way that they do not know yet.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_softmax_and_its_loss():
    torch.manual_seed(0)
    outputs = torch.randn(6, 2) * 2
    classes = tensor([0, 1, 0, 1, 1, 0])

    def softmax(v):
        return exp(v) / exp(v).sum(dim=1, keepdim=True)

    chances = softmax(outputs)
    assert torch.allclose(chances, torch.softmax(outputs, dim=1))
    chosen = chances[range(6), classes]
    assert torch.allclose(F.nll_loss(chances, classes, reduction="none"), -chosen)
    assert torch.allclose(nn.CrossEntropyLoss()(outputs, classes), -log(chosen).mean())
    frame = pd.DataFrame(chances, columns=["3", "7"])
    frame["loss"] = chosen
    assert "<table" in frame.style.hide_index()._repr_html_()
    plot_function(torch.log, min=0, max=4)


def test_a_rate_that_is_too_high_ruins_the_model(quick):
    set_seed(0)
    quick.fine_tune(1, base_lr=0.5)
    assert quick.recorder.values[-1][2] > 0.8


def test_the_rate_finder_suggests_a_pair(quick):
    lr_min, lr_steep = quick.lr_find(num_it=20)
    assert 1e-7 < lr_steep < 10
    assert 1e-8 < lr_min < 1
    axes = plt.gcf().axes[0]
    assert axes.get_xscale() == "log"
    one = quick.lr_find(num_it=12, suggest_funcs=valley, show_plot=False)
    assert one._fields == ("valley",)


def test_frozen_then_discriminative_rates(quick):
    set_seed(0)
    frozen = [p for p in quick.model[0].parameters() if not p.requires_grad]
    assert frozen
    quick.fit_one_cycle(1, 3e-3)
    quick.unfreeze()
    quick.fit_one_cycle(1, lr_max=slice(1e-6, 1e-4))
    rates = [g["lr"] for g in quick.opt.param_groups]
    assert rates[0] < rates[-1]
    with quick.no_bar(), quick.no_logging():
        interp = ClassificationInterpretation.from_learner(quick)
    matrix = interp.confusion_matrix()
    assert matrix.shape == (37, 37) and matrix.sum() == 26
    interp.plot_confusion_matrix(figsize=(12, 12), dpi=60)
    worst = interp.most_confused(min_val=1)
    assert worst == sorted(worst, key=lambda t: -t[2])
    losses, _ = interp.top_losses(5)
    assert losses.tolist() == sorted(losses.tolist(), reverse=True)
    interp.plot_top_losses(4)
    assert ".jpg" in plt.gcf().axes[0].get_title()
    assert "precision" in interp.classification_report()
    quick.show_results(max_n=4)


def test_half_precision_is_a_method(quick):
    with pytest.warns(UserWarning, match="fp16 is for CUDA"):
        quick.to_fp16().fine_tune(1, freeze_epochs=1)
    assert len(quick.recorder.values) == 1


def test_an_exported_model_predicts_the_same(learn, pets, tmp_path):
    root, _ = pets
    photo = sorted(get_image_files(root))[0]
    learn.path = Path(tmp_path)
    label, index, chances = learn.predict(photo)
    assert label in learn.dls.vocab
    assert int(index) == int(chances.argmax())
    file = learn.export("breeds.safetensors")
    again = load_learner(file)
    same, _, close = again.predict(photo)
    assert same == label
    assert torch.allclose(close, chances, atol=1e-6)
    views, _ = learn.tta(n=2)
    assert views.shape == (51, 37)


def test_the_code_of_fine_tune_can_be_read():
    import inspect

    source = inspect.getsource(Learner.fine_tune)
    assert ("fit_one_cycle" in source and "self.freeze" in source) or "learn.freeze" in source
