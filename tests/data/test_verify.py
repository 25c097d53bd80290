from pathlib import Path

from presize.data.verify import picture_error, verify_image, verify_images


def test_the_bad_pictures_are_found_in_order(picture_folder: Path) -> None:
    files = sorted(picture_folder.rglob("*.jpg"))
    assert verify_images(files) == []
    bad = [files[3], files[7]]
    bad[0].write_bytes(b"")
    bad[1].write_bytes(bad[1].read_bytes()[:200])
    missing = picture_folder / "none.jpg"
    found = verify_images([*files, missing], max_workers=2)
    assert list(found) == [*bad, missing]
    assert repr(found).startswith("(#3) [")
    assert verify_image(files[0])
    assert not verify_image(bad[0])
    assert "0 bytes" in str(picture_error(bad[0]))
    assert picture_error(files[0]) is None
