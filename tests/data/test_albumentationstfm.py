import os
import threading

import numpy as np
import pytest
import torch

from presize.core.pipeline import Pipeline
from presize.core.transform import as_transform
from presize.data.images import PILImage, PILMask
from presize.data.tensorise import ToTensor
from presize.tensors import TensorImage, TensorPoint

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for a newer version
A = pytest.importorskip("albumentations")


def picture(h=48, w=64):
    return PILImage.create(np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8))


def same(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


def test_p_of_a_list_counts():
    x = picture()
    never = Pipeline(A.Compose([A.HorizontalFlip(p=1)], p=0))
    assert same(never(x, split_idx=0), x)
    half = Pipeline(A.Compose([A.HorizontalFlip(p=1)], p=0.5))
    assert {same(half(x, split_idx=0), x) for _ in range(20)} == {True, False}
    assert half(x, split_idx=1) is x


def test_what_is_certain_is_done_on_the_validation_set():
    x = picture()
    steps = A.Compose(
        [
            A.HorizontalFlip(p=1),
            A.OneOf([A.Blur(), A.GaussNoise()], p=1),
            A.Compose([A.Resize(10, 12), A.Rotate(p=1)]),
            A.SomeOf([A.Blur(), A.GaussNoise()], n=1),
            A.Normalize(p=0.5),
        ]
    )
    y = Pipeline(steps)(x, split_idx=1)
    want = A.Resize(10, 12)(image=np.asarray(x)[:, ::-1].copy())["image"]
    assert type(y) is PILImage and np.array_equal(np.asarray(y), want)


def test_tensors_of_theirs():
    x = picture()
    y = Pipeline([A.Compose([A.Normalize(), A.ToTensorV2()]), ToTensor])(x)
    assert type(y) is TensorImage and y.shape == (3, 48, 64) and y.dtype == torch.float32
    kept = Pipeline([A.ToTensorV2(), ToTensor])((x, PILMask.create(np.zeros((48, 64), np.uint8))))
    assert torch.equal(kept[0], ToTensor()(x)) and kept[1].shape == (48, 64)


def test_points_stay_where_only_colours_change():
    sample = picture(), TensorPoint(torch.zeros(1, 2))
    light = Pipeline([A.Compose([A.RandomBrightnessContrast(p=1), A.OneOf([A.Blur(p=1)], p=1)])])
    assert light(sample)[1] is sample[1]
    with pytest.raises(TypeError, match=r"may move the pixels .*TensorPoint"):
        Pipeline([A.Compose([A.Blur(), A.OneOf([A.Rotate()])])])(sample)


def test_the_users_own_object_is_not_touched():
    steps = A.Compose([A.HorizontalFlip(p=1), A.Rotate(p=1)], seed=3)
    first = A.Compose([A.HorizontalFlip(p=1), A.Rotate(p=1)], seed=3)(image=np.asarray(picture()))
    Pipeline(steps)(picture())
    Pipeline(steps)(picture(), split_idx=1)
    assert same(steps(image=np.asarray(picture()))["image"], first["image"])


def test_threads_do_not_disturb_each_other():
    # They keep what they drew in attributes until it is used: with one object for all threads a
    # crop would be cut as another thread drew it.
    made = as_transform(A.Compose([A.RandomCrop(16, 16), A.ElasticTransform(p=1), A.Rotate(p=1)]))
    pictures = [picture(40 + i, 50 + i) for i in range(8)]
    want = [np.asarray(made.call(x, [], i)[0]) for i, x in enumerate(pictures)]
    wrong = []

    def work():
        for _ in range(6):
            for i, x in enumerate(pictures):
                if not same(made.call(x, [], i)[0], want[i]):
                    wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_versions_that_cannot_be_seeded():
    class Old:
        """As one of a version before 2.0."""

        def __call__(self, **data):
            return data

    Old.__module__ = "albumentations.old"
    with pytest.raises(TypeError, match=r"Old is of an albumentations .*2\.0 or newer"):
        as_transform(Old())
