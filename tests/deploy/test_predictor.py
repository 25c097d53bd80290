import io
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from presize.augment.presets import Normalize, aug_transforms, imagenet_stats
from presize.callbacks.base import Callback
from presize.core.errors import DataError, ImageError, PixelLimitError, TrainingError
from presize.core.transform import Transform
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock
from presize.data.crops import CropPad
from presize.data.datablock import DataBlock
from presize.data.images import PILImageBW
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.resize import RandomResizedCrop, Resize
from presize.deploy.predictor import Predictor
from presize.learner import Learner
from presize.tensors import TensorImage

FIXTURES = Path(__file__).parent / "fixtures"


class TinyNet(nn.Module):
    """Sees colours and where they are: a picture that is cut otherwise gets another answer."""

    def __init__(self, channels=3, n_out=2):
        super().__init__()
        self.pool, self.norm = nn.AdaptiveAvgPool2d(4), nn.BatchNorm1d(16 * channels)
        self.out = nn.Linear(16 * channels, n_out)

    def forward(self, x):
        return self.out(self.norm(self.pool(x).flatten(1)))


class Darker(Transform):
    """A transform of the user's own, after all others."""

    order = 200

    def encodes(self, x: TensorImage):
        return x * 0.5 if x.is_floating_point() else x


def several(file):
    return [file.parent.name, "picture"]


def made(folder, **options):
    batch_tfms = options.pop("batch_tfms", None)
    item_tfms = options.pop("item_tfms", Resize(24))
    blocks = options.pop("blocks", (ImageBlock, CategoryBlock))
    block = DataBlock(
        blocks,
        get_items=get_image_files,
        get_y=options.pop("get_y", parent_label),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    dls = block.dataloaders(folder / "valid", bs=4, num_workers=0, device="cpu")
    torch.manual_seed(0)
    channels = 1 if blocks[0] is not ImageBlock else 3
    return Learner(dls, TinyNet(channels, len(dls.vocab)), **options)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of several kinds and sizes, for both classes, and one of each on its side."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for k, (name, (h, w)) in enumerate(
        itertools.product(("cat", "dog"), [(40, 60), (60, 40), (30, 30), (200, 300), (33, 47)])
    ):
        place = folder / "valid" / name
        place.mkdir(parents=True, exist_ok=True)
        small = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        im = Image.fromarray(small).resize((w, h))
        if k % 5 == 3:
            exif = Image.Exif()
            exif[0x0112] = 6
            im.save(place / f"{k}.jpg", exif=exif)
        else:
            im.convert("L" if k % 5 == 2 else "RGB").save(
                place / f"{k}.{'png' if k % 2 else 'jpg'}"
            )
    return folder


WAYS = {
    "crop": {},
    "squish": {"item_tfms": Resize((20, 28), "squish")},
    "pad": {"item_tfms": Resize(24, "pad", pad_mode="zeros")},
    "crop_pad": {"item_tfms": [Resize(40), CropPad(48)]},
    "random_crop": {"item_tfms": RandomResizedCrop(24)},
    "presize": {
        "item_tfms": Resize(48),
        "batch_tfms": [*aug_transforms(size=24), Normalize.from_stats(*imagenet_stats)],
    },
    "own": {"item_tfms": [Resize(24), Darker()], "batch_tfms": [Darker()]},
    "bw": {"blocks": (ImageBlock(PILImageBW), CategoryBlock)},
    "several": {"blocks": (ImageBlock, MultiCategoryBlock), "get_y": several},
    "precision": {"precision": "bf16"},
}


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_to_ask_give_what_validation_gives(photos, way):
    learn = made(photos, **dict(WAYS[way]))
    files = get_image_files(photos / "valid")
    expected = learn.get_preds(dl=learn.dls.test_dl(files))[0]
    assert expected.std(0).min() > 1e-3  # pictures differ, so that a wrong one would be seen
    predictor = Predictor(learn)
    one_by_one = torch.stack([learn.predict(file)[2] for file in files])
    tolerance = 2e-2 if way == "precision" else 1e-6  # bf16 rounds batches of other sizes otherwise
    assert torch.allclose(one_by_one, expected, atol=tolerance)
    rows = {
        "predict": [predictor.predict(file) for file in files],
        "infer": predictor.infer([predictor.prepare(file) for file in files]),
        "many": predictor.predict_many(files, batch_size=3, num_workers=2),
    }
    for name, found in rows.items():
        chances = torch.tensor([list(row.probabilities.values()) for row in found])
        assert torch.allclose(chances, expected, atol=tolerance), name
        assert [row.file for row in found] == [str(file) for file in files]


def test_the_same_picture_in_any_form_gets_the_same_answer(photos):
    learn = made(photos)
    predictor = Predictor(learn)
    file = get_image_files(photos / "valid/cat")[0]
    data, pixels = file.read_bytes(), np.array(Image.open(file).convert("RGB"))
    expected = predictor.predict(file)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    with file.open("rb") as opened:
        forms = [str(file), data, bytearray(data), memoryview(data), io.BytesIO(data), opened]
        for form in forms:  # of the same bytes to the bit
            assert predictor.predict(form).probabilities == expected.probabilities
        assert predictor.predict(opened.name).file == str(file)
    for form in (Image.open(file), pixels, pixels / np.float32(255), tensor, tensor / 255):
        found = predictor.predict(form).probabilities
        assert found == pytest.approx(expected.probabilities, abs=1e-6)
        assert learn.predict(form)[2].tolist() == pytest.approx(list(found.values()), abs=1e-6)


def test_a_calibrated_file_answers_as_its_learner():
    predictor = Predictor.load(FIXTURES / "version-2.safetensors", device="cpu")
    assert predictor.calibrated
    assert predictor.can_tell_unknown
    file = FIXTURES / "two.png"
    label, number, chances, unknown = predictor.learn.predict(file, with_unknown=True)
    found = predictor.predict(file)
    assert (found.label, found.index, found.unknown) == (str(label), int(number), bool(unknown))
    assert list(found.probabilities.values()) == pytest.approx(chances.tolist(), abs=1e-6)
    assert found.confidence == max(found.probabilities.values())
    assert "two.png" in repr(found)


def test_several_labels_are_those_above_the_threshold(photos):
    learn = made(photos, **dict(WAYS["several"]))
    learn.model.out.bias.data = torch.tensor([-9.0, 9.0, 9.0])
    learn.model.out.weight.data.zero_()
    found = Predictor(learn).predict(get_image_files(photos)[0])
    assert (found.label, found.index) == (("dog", "picture"), (1, 2))
    assert found.confidence == pytest.approx(1, abs=1e-3)
    learn.model.out.bias.data.fill_(-9.0)
    nothing = Predictor(learn).predict(get_image_files(photos)[0])
    assert (nothing.label, nothing.index) == ((), ())
    assert nothing.confidence == pytest.approx(1, abs=1e-3)


def test_callbacks_that_act_in_validation_act_in_predictions(photos):
    class Inverted(Callback):
        def before_batch(self, learn):
            learn.xb = tuple(1 - x for x in learn.xb)

    learn = made(photos)
    file = get_image_files(photos)[0]
    plain = learn.predict(file)[2]
    learn.add_cb(Inverted())
    expected = learn.get_preds(dl=learn.dls.test_dl([file]))[0][0]
    assert not torch.allclose(plain, expected, atol=1e-3)
    assert torch.allclose(learn.predict(file)[2], expected, atol=1e-6)
    assert list(Predictor(learn).predict(file).probabilities.values()) == pytest.approx(
        expected.tolist(), abs=1e-6
    )


def test_what_is_changed_between_two_questions_counts(photos):
    """What is kept from one question to the next must never be an answer to another one."""
    learn = made(photos, batch_tfms=[Normalize.from_stats(*imagenet_stats)])
    file = get_image_files(photos / "valid/dog")[3]

    def agrees():
        expected = learn.get_preds(dl=learn.dls.test_dl([file]))[0][0]
        found = learn.predict(file)[2]
        assert torch.allclose(found, expected, atol=1e-6)
        return found

    seen = [agrees()]
    learn.dls.valid.after_item[0].size = (12, 12)
    seen.append(agrees())
    learn.dls.valid.after_batch[-1].mean.mul_(3)  # in its place
    seen.append(agrees())
    learn.dls.valid.after_batch[-1].std.data.mul_(3)
    seen.append(agrees())
    learn.dls.add_tfms([Darker()], "after_batch")
    seen.append(agrees())
    learn.model.train()
    learn.model.norm.running_mean += 0.5
    seen.append(agrees())
    for before, after in itertools.pairwise(seen):
        assert not torch.allclose(before, after, atol=1e-5)


def test_threads_get_the_answers_to_their_own_pictures(photos):
    predictor = Predictor(made(photos))
    files = get_image_files(photos) * 8
    expected = [predictor.predict(file).probabilities for file in files]
    with ThreadPoolExecutor(6) as crew:
        prepared = list(crew.map(predictor.prepare, files))
        found = list(crew.map(lambda one: predictor.infer([one])[0], prepared))
    for row, chances in zip(found, expected, strict=True):
        assert row.probabilities == pytest.approx(chances, abs=1e-6)


def test_what_cannot_be_read_keeps_its_place(photos, tmp_path):
    predictor = Predictor(made(photos))
    good = list(get_image_files(photos))[:4]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(good[0].read_bytes()[:60])
    items = [
        broken,
        *good[:2],
        "https://a.b/c.jpg",
        "gone.png",
        good[2],
        broken,
        broken,
        good[3],
        b"",
    ]
    bad = [0, 3, 4, 6, 7, 9]
    for size in (1, 2, 3, 64):
        rows = predictor.predict_many(items, on_error="keep", batch_size=size, num_workers=2)
        assert [i for i, row in enumerate(rows) if row in rows.failed] == bad
        assert [row.file for row in rows if row not in rows.failed] == [str(f) for f in good]
    assert "is the address of a picture" in rows[3].error
    assert "no picture at `gone.png`" in rows[4].error
    assert rows[9].file is None
    with pytest.raises(ImageError, match="broken.jpg"):
        predictor.predict_many([*good, broken])
    views = predictor.predict_many(items, on_error="keep", tta=1, batch_size=4)
    assert [i for i, row in enumerate(views) if row in views.failed] == bad
    assert views[1].file == str(good[0])


def test_a_stream_takes_no_more_than_it_needs(photos):
    predictor = Predictor(made(photos))
    taken = []
    files = list(get_image_files(photos))

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield files[i % len(files)]

    rows = predictor.stream(endless(), batch_size=4, num_workers=2)
    found = list(itertools.islice(rows, 9))
    rows.close()
    assert [row.file for row in found] == [str(files[i % len(files)]) for i in range(9)]
    assert len(taken) <= 40
    assert not [t for t in threading.enumerate() if t.name.startswith("presize-loader")]
    assert list(predictor.stream([])) == []
    assert len(list(predictor.stream(str(photos)))) == len(files)


def test_views_are_averaged_as_the_learner_does(photos):
    learn = made(photos, item_tfms=Resize(32), batch_tfms=aug_transforms(size=24))
    predictor = Predictor(learn)
    files = list(get_image_files(photos))[:3]
    with learn.no_bar():
        expected, _ = learn.tta(dl=learn.dls.test_dl(files), n=2)
    rows = predictor.predict_many(files, tta=2)
    chances = torch.tensor([list(row.probabilities.values()) for row in rows])
    assert torch.allclose(chances, expected, atol=1e-6)
    assert not torch.allclose(chances, learn.get_preds(dl=learn.dls.test_dl(files))[0], atol=1e-4)
    assert predictor.predict(files[0], tta=2).label in ("cat", "dog")


def test_a_folder_is_asked_about_whole(photos, tmp_path):
    predictor = Predictor(made(photos))
    rows = predictor.predict_many(photos)
    assert [row.file for row in rows] == [str(f) for f in get_image_files(photos)]
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        predictor.predict_many(tmp_path / "gone")
    with pytest.raises(DataError, match="There are no pictures in"):
        predictor.predict_many(tmp_path)
    with pytest.raises(TypeError, match="is one file: write predict_many"):
        predictor.predict_many(str(get_image_files(photos)[0]))
    for item, words in (
        (b"bytes", "but got one: write"),
        (io.BytesIO(b"bytes"), "but got an opened file: write"),
        (np.zeros((8, 9, 3), np.uint8), r"an array of shape \[8, 9, 3\], which is one picture"),
        (torch.zeros(3, 8, 9), r"an array of shape \[3, 8, 9\]"),
        ({"a.jpg": 1}, r"but got \{'a.jpg': 1\}"),
        (3, "but got 3"),
    ):
        with pytest.raises(TypeError, match=words):
            predictor.predict_many(item)
    frames = np.zeros((2, 8, 9, 3), np.uint8)
    assert len(predictor.predict_many(frames)) == 2
    for options in ({"batch_size": 0}, {"num_workers": -1}, {"tta": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} is . or more, but got"):
            predictor.predict_many(frames, **options)
    for bad in (None, 3):
        with pytest.raises(TypeError, match="A picture is asked about as"):
            predictor.predict_many([frames[0], bad], on_error="keep")
    with pytest.raises(ValueError, match="on_error is 'raise' or 'keep', but got 'skip'"):
        predictor.predict_many([], on_error="skip")


def test_sizes_are_checked_before_anything_is_decoded(photos):
    predictor = Predictor(made(photos))
    file = photos / "valid/cat/3.jpg"
    gif = io.BytesIO()
    Image.new("P", (300, 200)).save(gif, "GIF")
    pixels = np.zeros((200, 300, 3), np.uint8)
    for item in (file, file.read_bytes(), gif.getvalue(), pixels, Image.fromarray(pixels)):
        assert predictor.prepare(item, max_pixels=60_000).inputs[0].shape == (1, 3, 24, 24)
        with pytest.raises(PixelLimitError, match="has 300x200 pixels, 0.06 million, and at most"):
            predictor.prepare(item, max_pixels=59_999)
    with pytest.raises(PixelLimitError, match="`upload.jpg` has 300x200"):
        predictor.prepare(file.read_bytes(), max_pixels=10, name="upload.jpg")


def test_a_bomb_is_told_as_such(photos, monkeypatch):
    predictor = Predictor(made(photos))
    file = photos / "valid/cat/3.jpg"
    for most in (20_000, 50_000):  # Pillow raises of the first, and warns of the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(PixelLimitError, match="guard against decompression bombs"):
            predictor.prepare(file)


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        (3, TypeError, "an array or a tensor, but got 3 (int)"),
        (None, TypeError, "but got None (NoneType)"),
        (["a.jpg"], TypeError, "but got ['a.jpg'] (list)"),
        (io.StringIO("text"), TypeError, "open in binary mode"),
        (np.zeros((2, 8, 8, 3), np.uint8), ImageError, "looks like a batch"),
        (np.full((8, 8), 2.0), ImageError, "from 0 to 1, but these"),
        (np.array(["x"]), ImageError, "shape [h,w]"),
        ("http://x.y/cat.jpg", ImageError, "is the address of a picture"),
        ("data:image/png;base64,AAAA", ImageError, "is the address of a picture"),
        (b"", ImageError, "it is empty (0 bytes)"),
        (b"<html>" + b" " * 99, ImageError, "it is not a picture but"),
        ("gone.jpg", ImageError, "There is no picture at `gone.jpg`"),
    ],
    ids=range(12),
)
def test_what_is_no_picture_is_told(item, error, words):
    predictor = Predictor.load(FIXTURES / "version-1.safetensors", device="cpu")
    with pytest.raises(error) as caught:
        predictor.predict(item)
    assert words in str(caught.value)


def test_a_model_for_something_else_is_refused(photos):
    learn = made(photos)
    learn.dls.train.dataset._task = "regression"
    with pytest.raises(DataError, match="this model is made for regression"):
        Predictor(learn)


def test_drift_without_a_reference_tells_the_way_out():
    predictor = Predictor.load(FIXTURES / "version-2.safetensors", device="cpu")
    assert predictor.watch is None
    with pytest.raises(TrainingError, match="Export the model again"):
        predictor.drift()


def test_the_watch_sees_what_goes_through_the_model(photos):
    class Watch:
        reference = SimpleNamespace(centre=[0.0])  # there are features to compare with

        def __init__(self):
            self.seen = []

        def observe(self, inputs, features, probabilities):
            self.seen.append((inputs, features, probabilities))

    learn = made(photos)
    predictor = Predictor(learn)
    predictor.watch = watch = Watch()
    files = list(get_image_files(photos))[:3]
    predictor.warm_up(2)
    rows = predictor.infer([predictor.prepare(file) for file in files])
    ((inputs, features, chances),) = watch.seen
    expected = torch.cat([learn.dls.test_dl([file]).one_batch()[0] for file in files])
    assert torch.allclose(inputs, expected)
    assert torch.allclose(learn.model.out(features).softmax(1), chances, atol=1e-6)
    assert [list(row.probabilities.values()) for row in rows] == [
        pytest.approx(row.tolist(), abs=1e-6) for row in chances
    ]
    assert not any(layer._forward_pre_hooks for layer in learn.model.modules())


def test_it_takes_an_accelerator_in_two_halves(photos, monkeypatch):
    """On an accelerator the batch transforms wait for the batch: with the same result there."""
    learn = made(photos, **dict(WAYS["presize"]))
    predictor = Predictor(learn)
    files = list(get_image_files(photos))[:3]
    from presize.data.streams import DeviceStream

    monkeypatch.setattr(DeviceStream, "is_remote", True)
    whole = learn.get_preds(dl=learn.dls.test_dl(files))[0]
    prepared = [predictor.prepare(file) for file in files]
    assert [one.inputs[0].dtype for one in prepared] == [torch.uint8] * 3
    assert [one.inputs[0].shape for one in prepared] == [(1, 3, 48, 48)] * 3
    rows = predictor.infer(prepared)
    chances = torch.tensor([list(row.probabilities.values()) for row in rows])
    assert torch.allclose(chances, whole, atol=1e-6)


def test_pictures_of_any_size_are_asked_about_together(photos):
    learn = made(photos, item_tfms=None)
    predictor = Predictor(learn)
    files = get_image_files(photos / "valid/cat")
    rows = predictor.infer([predictor.prepare(file) for file in files])
    assert [row.file for row in rows] == [str(file) for file in files]
    for row, file in zip(rows, files, strict=True):
        assert list(row.probabilities.values()) == pytest.approx(learn.predict(file)[2].tolist())


def test_data_that_is_arrays_is_asked_about_as_it_is(photos):
    """What its own functions take must come to them, one by one and in a stream."""

    def half(array):
        return (array[:, ::-1] // 2).copy()

    arrays = [np.random.default_rng(i).integers(0, 256, (9, 8, 3), np.uint8) for i in range(6)]
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_x=half,
        get_y=lambda array: "ab"[int(array[0, 0, 0]) % 2],
        splitter=lambda items: ([0, 1, 2, 3], [4, 5]),
    )
    learn = Learner(block.dataloaders(arrays, bs=2, num_workers=0, device="cpu"), TinyNet())
    predictor = Predictor(learn)
    expected = learn.get_preds(dl=learn.dls.test_dl(arrays))[0]
    for rows in (map(predictor.predict, arrays), predictor.predict_many(arrays, batch_size=3)):
        chances = torch.tensor([list(row.probabilities.values()) for row in rows])
        assert torch.allclose(chances, expected, atol=1e-6)


def test_a_model_in_two_places_is_told_as_such(photos):
    learn = made(photos)
    learn.model.out.to("meta")  # the first tensor of the model is where it belongs
    for ask in (learn.predict, Predictor(learn).predict):
        with pytest.raises(TrainingError, match="The model is on meta, but the data comes on cpu"):
            ask(get_image_files(photos)[0])


def test_loaders_with_ways_of_their_own_are_asked_in_theirs(photos):
    def counted():
        counted.n += 1

    counted.n = 0
    learn = made(photos)
    files = list(get_image_files(photos))[:3]
    expected = [learn.predict(file)[2] for file in files]
    learn.dls.valid.before_iter = counted
    for row, chances in zip(Predictor(learn).predict_many(files), expected, strict=True):
        assert list(row.probabilities.values()) == pytest.approx(chances.tolist(), abs=1e-6)
    assert counted.n
