"""Names of architectures that are read, not imported."""

from presize.models.listing import architecture_names
from presize.models.torchvision_bodies import TORCHVISION_NAMES


def test_they_are_those_that_the_libraries_list():
    import timm

    assert architecture_names() == sorted({*TORCHVISION_NAMES, *timm.list_models()})


def test_they_begin_as_asked_for():
    names = architecture_names("resnet1")
    assert {"resnet18", "resnet101", "resnet152"} <= set(names)
    assert all(name.startswith("resnet1") for name in names)
    assert architecture_names("no such") == []


def test_the_prefix_means_timm_alone():
    names = architecture_names("timm/resnet18")
    assert "timm/resnet18" in names
    assert "timm/alexnet" not in architecture_names("timm/")
