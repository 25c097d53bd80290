"""What holds for transforms of every other library."""

import os
import pickle
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform, as_transform
from presize.data.blocks import CategoryBlock, ImageBlock, MaskBlock
from presize.data.datablock import DataBlock
from presize.data.foreign import ForeignTransform, adapted
from presize.data.images import PILImage, PILImageBW, PILMask
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.data.tensorise import ToTensor
from presize.tensors import TensorCategory, TensorImage, TensorPoint

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for a newer version
try:
    import albumentations as A
except ImportError:
    A = None

LIBRARIES = [
    pytest.param("torchvision"),
    pytest.param("albumentations", marks=pytest.mark.skipif(A is None, reason="not installed")),
]
every_library = pytest.mark.parametrize("library", LIBRARIES)
TO_FLOATS = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
TORCHVISION = {
    "flip": v2.RandomHorizontalFlip(),
    "flip down": v2.RandomVerticalFlip(),
    "light": v2.ColorJitter(0.5, 0.5),
    "resize": v2.Resize((20, 30)),
    "crop": v2.RandomCrop(16),
    "bend": v2.ElasticTransform(),
    "noise": v2.RandAugment(),
    "floats": v2.Compose(TO_FLOATS),
    "normal": v2.Compose([*TO_FLOATS, v2.Normalize([0.5] * 3, [2] * 3)]),
}
ALBUMENTATIONS = A and {
    "flip": A.HorizontalFlip(),
    "flip down": A.VerticalFlip(),
    "light": A.RandomBrightnessContrast(p=1),
    "resize": A.Resize(20, 30),
    "crop": A.RandomCrop(16, 16),
    "bend": A.ElasticTransform(p=1),
    "noise": A.GaussNoise(p=1),
    "floats": A.ToFloat(255),
    "normal": A.Normalize([0.5] * 3, [2] * 3),
}


def make(library, kind):
    return {"torchvision": TORCHVISION, "albumentations": ALBUMENTATIONS}[library][kind]


def compose(library, *kinds, **options):
    made = [make(library, kind) for kind in kinds]
    return A.Compose(made, **options) if library == "albumentations" else v2.Compose(made)


def picture(h=24, w=32, kind=PILImage):
    shape = (h, w) if kind.open_mode == "L" else (h, w, 3)
    return kind.create(np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8))


def same(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


@every_library
def test_it_sees_the_picture_and_nothing_else(library):
    flip = Pipeline([make(library, "flip")])
    x, label = picture(), TensorCategory(3)
    seen = set()
    for _ in range(20):
        y, *others = flip((x, label, "text", 2.5, None))
        assert type(y) is PILImage and others[0] is label and others[1:] == ["text", 2.5, None]
        flipped = same(y, np.asarray(x)[:, ::-1])
        assert flipped or same(y, x)
        seen.add(flipped)
    assert seen == {True, False}
    assert flip("text") == "text" and flip(label) is label


@every_library
def test_masks_move_with_their_picture(library):
    x, steps = picture(), compose(library, "flip", "flip down", "bend", "light", "crop")
    mask = PILMask.create(np.arange(24 * 32).reshape(24, 32) % 7 + 3)
    for kinds in (["flip", "flip down"], ["flip", "light"], ["crop"]):
        pipe = Pipeline([compose(library, *kinds)])
        for _ in range(8):
            y, mark = pipe((x, mask))
            assert type(mark) is PILMask and y.size == mark.size
            if "light" in kinds:
                continue
            where = {tuple(v): m for v, m in zip(flat(x), flat(mask), strict=True)}
            assert [where[tuple(v)] for v in flat(y)] == list(flat(mark))
    y, mark = Pipeline([steps])((x, mask))
    assert set(flat(mark)) <= {0, *range(3, 10)}  # class numbers are not blended


def flat(im):
    pixels = np.asarray(im)
    return pixels.reshape(-1, *pixels.shape[2:])


@every_library
def test_two_pictures_of_a_sample_see_the_same_draws(library):
    pipe = Pipeline([compose(library, "flip", "flip down")])
    x = picture()
    for _ in range(8):
        first, second = pipe((x, x))
        assert same(first, second)


@every_library
def test_draws_inside_a_list_are_independent(library):
    pipe, x = Pipeline([compose(library, "flip", "flip down")]), picture()
    forms = [np.asarray(x)[::v, ::h].tobytes() for v in (1, -1) for h in (1, -1)]
    seen = {forms.index(np.asarray(pipe(x)).tobytes()) for _ in range(60)}
    assert seen == {0, 1, 2, 3}


def pets(folder, tfms):
    return DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=tfms,
    ).dataloaders(folder, bs=4, num_workers=0, seed=5, device="cpu")


@every_library
def test_batches_are_the_same_for_any_number_of_workers(library, picture_folder):
    tfms = [Resize(32), compose(library, "flip", "light", "noise"), make(library, "bend")]
    dls = pets(picture_folder, tfms)
    found = {}
    for workers in (0, 1, 2, 7):
        dl = dls.train.new(num_workers=workers)
        found[workers] = [torch.cat([x for x, _ in dl]) for _ in range(2)]
        assert not torch.equal(*found[workers])  # another epoch has other draws
        assert all(map(torch.equal, found[0], found[workers]))


@every_library
def test_the_generators_of_the_program_are_left_alone(library, picture_folder):
    dl = pets(picture_folder, [Resize(32), compose(library, "flip", "light", "bend")]).train
    dl = dl.new(num_workers=2)
    want = torch.cat([x for x, _ in dl])
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    dl.set_epoch(0)
    list(dl)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002
    over = threading.Event()

    def draw():
        while not over.is_set():
            torch.rand(10), np.random.rand(10)  # noqa: NPY002

    other = threading.Thread(target=draw)
    other.start()
    dl.set_epoch(0)
    try:
        assert torch.equal(want, torch.cat([x for x, _ in dl]))
    finally:
        over.set()
        other.join()


@every_library
def test_on_the_validation_set_nothing_is_drawn(library):
    x = picture()
    steps = Pipeline([compose(library, "flip", "light", "resize", "flip down", "noise")])
    resized = Pipeline([make(library, "resize")])(x, split_idx=1)
    assert resized.size == (30, 20)
    for _ in range(5):
        assert same(steps(x, split_idx=1), resized)
    assert steps.fs[0].split_idx is None
    # What only draws is for training, and says so: a model file can leave it out.
    for augmentation in (compose(library, "flip", "light"), make(library, "bend")):
        made = as_transform(augmentation)
        assert made.split_idx == 0 and made(x, split_idx=1) is x
        assert any(not same(made(x, split_idx=0), x) for _ in range(20))
    only = type(made)(make(library, "resize"), split_idx=0)
    assert only(x, split_idx=1) is x and only(x, split_idx=0).size == (30, 20)
    other = type(made)(make(library, "resize"), split_idx=1)
    assert other(x, split_idx=0) is x and other(x, split_idx=1).size == (30, 20)


@every_library
@pytest.mark.parametrize("kind", ["floats", "normal"])
def test_floats_stay_floats(library, kind):
    x = picture()
    y = Pipeline([make(library, kind), ToTensor])(x)
    assert type(y) is TensorImage and y.dtype == torch.float32 and y.shape == (3, 24, 32)
    want = torch.from_numpy(np.asarray(x).copy()).permute(2, 0, 1) / 255
    want = want if kind == "floats" else (want - 0.5) / 2
    torch.testing.assert_close(y.as_subclass(torch.Tensor), want, atol=1e-6, rtol=1e-5)


@every_library
def test_gray_pictures_and_pictures_of_pil(library):
    pipe = Pipeline([compose(library, "flip", "light", "resize")])
    assert type(pipe(picture(kind=PILImageBW))) is PILImageBW
    assert type(pipe(Image.new("RGB", (9, 9)))) is PILImage
    assert type(pipe(Image.new("L", (9, 9)))) is PILImageBW


@every_library
def test_steps_run_as_they_are_listed(library, picture_folder):
    dls = pets(picture_folder, [make(library, "resize"), Resize(8), make(library, "flip")])
    assert [f.name for f in dls.after_item][1::2] == ["Resize", "ToTensor"]
    assert dls.one_batch()[0].shape == (4, 3, 8, 8)
    dls = pets(picture_folder, [Resize(8), make(library, "resize")])
    assert dls.one_batch()[0].shape == (4, 3, 20, 30)


@every_library
def test_a_list_of_theirs_is_one_transform(library, picture_folder):
    steps = compose(library, "resize", "flip")
    for given in (steps, [steps], Pipeline(steps)):
        dls = pets(picture_folder, given)
        assert [f.name for f in dls.after_item] == ["Compose", "ToTensor"]
        assert dls.one_batch()[0].shape == (4, 3, 20, 30)


@every_library
def test_segmentation_in_a_block(library, tmp_path):
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 4, (24, 32), dtype=np.uint8)
        Image.fromarray(np.repeat(pixels[..., None] * 80, 3, 2)).save(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(tmp_path / f"{i}_mask.png")
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(list("abcd"))),
        get_items=lambda p: sorted(p.glob("?.png")),
        get_y=lambda p: p.with_name(f"{p.stem}_mask.png"),
        item_tfms=compose(library, "flip", "flip down", "crop"),
    )
    x, y = block.dataloaders(tmp_path, bs=4, num_workers=0, device="cpu").train.one_batch()
    assert x.shape == (4, 3, 16, 16) and y.shape == (4, 16, 16)
    assert torch.equal((x[:, 0] * 255 / 80).round().long(), y.as_subclass(torch.Tensor))


@every_library
def test_it_travels_to_other_processes(library):
    made = as_transform(compose(library, "flip", "light", "crop"))
    x = picture()
    made(x)
    other = pickle.loads(pickle.dumps(made))
    assert isinstance(other, ForeignTransform) and other.split_idx == made.split_idx == 0
    for seed in range(5):
        assert same(made.call(x, [], seed)[0], other.call(x, [], seed)[0])


@every_library
def test_a_class_is_made_an_object(library):
    kind = v2.RandomHorizontalFlip if library == "torchvision" else A.HorizontalFlip
    made = as_transform(kind)
    assert isinstance(made, ForeignTransform) and made.name == kind.__name__


@every_library
def test_misuse_is_told(library):
    made = as_transform(make(library, "flip"))
    name = made.name
    with pytest.raises(
        TypeError, match=rf"^{name} of {library} is used for single pictures.*item_"
    ):
        made(TensorImage(torch.zeros(3, 8, 8)))
    with pytest.raises(TypeError, match=rf"^{name} of {library} may move .*TensorPoint beside it"):
        made((picture(), TensorPoint(torch.zeros(1, 2))))


@every_library
def test_an_error_of_theirs_names_item_and_transform(library, picture_folder):
    dls = pets(picture_folder, [Resize(8), make(library, "crop")])
    with pytest.raises(DataError, match=r"Item \d+, `.*jpg` could not be .*transform `RandomCrop`"):
        dls.one_batch()


def test_nothing_else_is_adapted():
    for other in (len, str, Transform(), Resize(8), torch.nn.Sequential(), torch.nn.ReLU(), None):
        assert adapted(other) is None
