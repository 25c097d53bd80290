import pytest

from presize.data.extras import extra_library


def test_a_missing_library_says_how_to_get_it() -> None:
    text = (
        r"The shard `s3://a.tar` needs the package not_there, which cannot be imported .*"
        r'`pip install "presize\[webdataset\]"`'
    )
    with pytest.raises(ImportError, match=text):
        extra_library("not_there.inside", extra="webdataset", what="The shard `s3://a.tar`")


def test_a_library_that_is_there() -> None:
    assert extra_library("json", extra="x", what="It").loads("1") == 1
