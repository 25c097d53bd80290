"""Draws the pictures of the README and the docs, into docs/images.

    python docs/make_images.py DIGITS PETS OBJECTS WEIGHTS.pth

DIGITS is the folder of the MNIST sample (train/3, train/7, …), PETS a folder of photos named
`breed_name_123.jpg`, OBJECTS the photos of ten classes of ImageNet (train/n01440764, val/…),
WEIGHTS a MobileNetV2 with ImageNet weights in torchvision's layout. The embedded digits need
nothing; see `make demo`.
"""

import os
import sys

os.environ["MPLBACKEND"] = "Agg"
from presize.show.grids import titles_fitted
from presize.vision.all import *

OUT = Path(__file__).parent / "images"
DPI = 72  # the size at which the README shows them
MOST = 150_000  # bytes of a picture
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def save(name, *, photos=False):
    """Write the current figure and close it: drawings as PNG, photos as JPEG, a third the size."""
    path = OUT / f"{name}.{'jpg' if photos else 'png'}"
    how = {"quality": 88, "subsampling": 0, "optimize": True} if photos else {"optimize": True}
    plt.savefig(path, dpi=DPI, bbox_inches="tight", facecolor="white", pil_kwargs=how)
    plt.close("all")
    size = path.stat().st_size
    print(f"{path}  {size / 1000:.0f} kB")
    if size > MOST:
        raise SystemExit(f"{path} is larger than {MOST / 1000:.0f} kB; draw fewer pictures.")


def digits(folder):
    """What looking at digits draws."""
    stacks = {}
    for digit in "37":
        files = (Path(folder) / "train" / digit).ls()
        stacks[digit] = torch.stack([tensor(Image.open(f)) for f in files]).float() / 255
    show_image(stacks["3"][1])
    save("digit")
    show_images([stacks["3"].mean(0), stacks["7"].mean(0)], titles=["mean 3", "mean 7"])
    save("mean_digits")
    plot_function(lambda x: x**2, "x", "x**2")
    plt.scatter(-1.5, 2.25, color="red")
    save("function")
    plot_function(torch.sigmoid, title="Sigmoid", min=-4, max=4)
    save("sigmoid")
    dls = ImageDataLoaders.from_folder(folder, num_workers=2)
    dls.show_batch(max_n=6, nrows=1)
    save("digits_batch")


def presizing(photo):
    """One interpolation beside four, on one photo."""
    blocks = (ImageBlock, CategoryBlock)
    data = DataBlock(blocks=blocks, get_y=parent_label, item_tfms=Resize(460))
    x, _ = data.dataloaders([photo] * 20, bs=4).valid.one_batch()
    steps = TensorImage(x.clone()).affine_coord(sz=224).rotate(draw=30, p=1.0)
    steps = steps.zoom(draw=1.2, draw_x=0.5, draw_y=0.5, p=1.0)
    steps = steps.warp(draw_x=-0.2, draw_y=0.2, p=1.0)
    moves = [Rotate(draw=30, p=1, size=224), Zoom(draw=1.2, draw_x=0.5, draw_y=0.5, p=1, size=224)]
    moves.append(Warp(draw_x=-0.2, draw_y=0.2, p=1.0, size=224))
    once = Pipeline(setup_aug_tfms(moves))(x)
    _, axes = subplots(1, 2, imsize=4)
    TensorImage(once[0]).show(ctx=axes[0], title="presize: one interpolation")
    TensorImage(steps[0]).show(ctx=axes[1], title="step by step: four")
    save("presizing", photos=True)


def fidelity(photo):
    """The same movement by three ways, enlarged, with the distance of each to the ideal."""
    moves = [Rotate(draw=10, p=1.0), Zoom(draw=1.5, draw_x=0.5, draw_y=0.4, p=1.0)]
    moves = [*moves, Warp(draw_x=0.1, draw_y=0.1, p=1.0, size=224)]
    whole = Image.open(photo).convert("RGB")
    side = min(whole.size)
    square = whole.crop((0, 0, side, side))  # so that no draw chooses the cut

    def loaded(size, **options):
        block = DataBlock(
            (ImageBlock, CategoryBlock), get_y=lambda _: "x", item_tfms=Resize(size, **options)
        )
        return block.new(Resize(size, **options), moves).dataloaders(
            [square] * 20, bs=4, device="cpu", num_workers=0
        )

    once = loaded(460).train.one_batch()[0][0]
    # Bytes resized in one step and moved in the next, as libraries do that keep the two apart.
    small = PILImage.create(square.resize((460, 460), Image.Resampling.BILINEAR))
    batch = IntToFloatTensor()(ToTensor()(small)[None].as_subclass(TensorImage))
    twice = Pipeline(setup_aug_tfms(moves))(batch)[0]
    one_by_one = batch
    for move in moves:
        one_by_one = move(one_by_one)
    big = ToTensor()(PILImage.create(square))[None].as_subclass(TensorImage)
    fine = [Rotate(draw=10, p=1.0, mode="bicubic")]
    fine += [Zoom(draw=1.5, draw_x=0.5, draw_y=0.4, p=1.0, mode="bicubic")]
    fine += [Warp(draw_x=0.1, draw_y=0.1, p=1.0, size=224 * 8, mode="bicubic")]
    ideal = F.avg_pool2d(Pipeline(setup_aug_tfms(fine))(IntToFloatTensor()(big)), 8)[0]
    ideal = ideal.as_subclass(torch.Tensor).clamp(0, 1)
    ways = {
        "ideal (64 readings a pixel)": ideal,
        "presize: one reading": once,
        "resize, then one reading": twice,
        "resize, then each step": one_by_one[0],
    }
    axes = get_grid(8, nrows=2)
    for ax, below, (title, x) in zip(axes[:4], axes[4:], ways.items(), strict=True):
        x = x.as_subclass(torch.Tensor).clamp(0, 1)
        error = (x - ideal)[:, 16:-16, 16:-16].square().mean()
        decibels = "" if error == 0 else f"\n{-10 * error.log10():.1f} dB"
        TensorImage(x).show(ctx=ax)
        ax.set_title(title + decibels)
        TensorImage(x[:, 68:124, 20:76]).show(ctx=below)
    titles_fitted(axes)
    save("fidelity", photos=True)


def breeds(folder, weights):
    """What a run on breeds draws."""
    set_seed(0)
    data = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(460),
        batch_tfms=aug_transforms(size=224, min_scale=0.75),
    )
    dls = data.dataloaders(folder, bs=32)
    dls.show_batch(nrows=1, ncols=3)
    save("batch", photos=True)
    dls.train.show_batch(max_n=6, nrows=2, unique=True)
    save("augmented", photos=True)
    learn = vision_learner(dls, mobilenet_v2, weights=weights, metrics=error_rate)
    learn.lr_find()
    save("lr_find")
    learn.fine_tune(5)
    learn.recorder.plot_loss()
    save("loss")
    learn.recorder.plot_sched()
    save("schedule")
    learn.recorder.plot_metrics()
    save("metrics")
    learn.show_results(max_n=6)
    save("results", photos=True)
    interp = ClassificationInterpretation.from_learner(learn)
    interp.plot_confusion_matrix(figsize=(12, 12), dpi=60)
    save("confusion")
    interp.plot_confusion_matrix(k=8)
    save("confusion_most")
    interp.plot_top_losses(6, nrows=2, heat_map=True)
    save("top_losses", photos=True)
    print(interp.most_confused(min_val=2))


def hundred_each(folder):
    """Return at most a hundred photos of each folder: few enough to leave some errors."""
    groups = {}
    for path in sorted(get_image_files(folder)):
        groups.setdefault(path.parent, []).append(path)
    return [path for group in groups.values() for path in group[:100]]


def objects(folder, weights):
    """What looking into a model draws: figures of classes, and how far it can be believed."""
    set_seed(0)
    data = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=hundred_each,
        splitter=GrandparentSplitter(train_name="train", valid_name="val"),
        get_y=lambda path: CLASSES[path.parent.name],
        item_tfms=Resize(128),
    )
    dls = data.dataloaders(folder, bs=64)
    learn = vision_learner(dls, mobilenet_v2, weights=weights, metrics=accuracy)
    learn.fit_one_cycle(3, 3e-3)
    interp = ClassificationInterpretation.from_learner(learn)
    interp.plot_confusion_matrix()
    save("confusion_ten")
    interp.plot_per_class()
    save("per_class")
    before, _ = interp.calibration()
    print(learn.calibrate())
    after = ClassificationInterpretation.from_learner(learn)
    after.plot_calibration(before=before, n_bins=10)
    save("calibration")


def main():
    """Draw everything."""
    OUT.mkdir(exist_ok=True)
    digits(sys.argv[1])
    photos = get_image_files(sys.argv[2])
    presizing(next(p for p in photos if p.name.startswith("newfoundland")))
    fidelity(next(p for p in photos if p.name.startswith("newfoundland")))
    breeds(sys.argv[2], sys.argv[4])
    objects(sys.argv[3], sys.argv[4])


if __name__ == "__main__":
    main()
