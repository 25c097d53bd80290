"""Pictures in, predictions out, by a real server on loopback."""

import io

import pytest
from PIL import Image

from presize.core.errors import TrainingError
from presize.deploy.prediction import Prediction


def saved(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def test_the_answer_is_what_the_predictor_says(client, predictor, two):
    said = predictor.predict(two)
    answer = client.predict(two)
    assert answer.status == 200
    assert answer.json == {
        "model": "digits",
        "predictions": [
            {
                "name": None,
                "label": said.label,
                "index": said.index,
                "confidence": pytest.approx(said.confidence, abs=1e-6),
                "unknown": said.unknown,
                "top": [
                    {"label": label, "probability": pytest.approx(share, abs=1e-6)}
                    for label, share in said.top(5)
                ],
            }
        ],
    }


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "IMAGE/PNG; q=1"])
def test_a_body_may_be_named_in_several_ways(client, two, kind):
    assert client.predict(two, kind=kind).status == 200


def test_a_body_without_a_kind_is_taken_as_a_picture(client, two):
    assert client.ask("POST", "/predict", two).status == 200


def test_what_counts_is_the_picture_and_not_what_it_is_called(client, predictor, two):
    jpeg = saved(Image.open(io.BytesIO(two)).convert("RGB"), "JPEG")
    answer = client.predict(jpeg, kind="image/png").json["predictions"][0]
    assert answer["confidence"] == pytest.approx(predictor.predict(jpeg).confidence, abs=1e-6)


@pytest.mark.parametrize("field", ["file", "files", "photo"])
def test_a_form_holds_one_or_many_in_their_order(client, predictor, two, field):
    gray = saved(Image.new("L", (30, 20), 90), "PNG")
    answer = client.send_files(("a.png", two), ("b.png", gray), ("c.png", two), field=field)
    found = answer.json["predictions"]
    assert [one["name"] for one in found] == ["a.png", "b.png", "c.png"]
    alone = [predictor.predict(data).confidence for data in (two, gray, two)]
    assert [one["confidence"] for one in found] == pytest.approx(alone, abs=1e-6)


def test_a_body_in_pieces_is_put_together(client, two):
    pieces = iter([two[:10], two[10:11], two[11:]])
    assert client.predict(pieces).status == 200


@pytest.mark.parametrize(("query", "n"), [("", 3), ("?top=1", 1), ("?top=2", 2), ("?top=0", 3)])
def test_top_says_how_many_classes_are_listed(client, two, query, n):
    found = client.predict(two, query).json["predictions"][0]["top"]
    assert len(found) == n
    shares = [one["probability"] for one in found]
    assert shares == sorted(shares, reverse=True)


def test_a_bad_one_among_several_is_named_and_the_others_are_answered(client, two):
    answer = client.send_files(("good.png", two), ("C:\\photos\\bad.png", b"no picture"))
    good, bad = answer.json["predictions"]
    assert (answer.status, good["name"], bad["name"]) == (200, "good.png", "bad.png")
    assert bad["error"]["code"] == "unreadable_picture"
    assert bad["error"]["message"].startswith("The picture cannot be read: it is not a picture of")


@pytest.mark.parametrize("data", [b"nothing", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"])
def test_what_cannot_be_read_is_the_fault_of_who_sent_it(client, data):
    answer = client.predict(data)
    assert (answer.status, answer.code) == (422, "unreadable_picture")
    assert client.send_files(("a", data), ("b", data)).status == 422


def test_a_cut_picture_is_refused(client, two):
    answer = client.predict(two[: len(two) // 2])
    assert (answer.status, answer.code) == (422, "unreadable_picture")


@pytest.mark.parametrize("data", [b"", b"--edge--\r\n"])
def test_nothing_is_no_picture(client, data):
    kind = "multipart/form-data; boundary=edge" if data else "image/png"
    answer = client.predict(data, kind=kind)
    assert (answer.status, answer.code) == (422, "no_picture")


def test_a_file_input_that_was_left_empty_is_passed_over(client, two):
    answer = client.send_files(("", b""), ("a.png", two))
    assert [one["name"] for one in answer.json["predictions"]] == ["a.png"]
    assert client.send_files(("", b"")).code == "no_picture"


def test_a_part_that_is_no_file_is_refused_with_the_way_out(client):
    body = b'--edge\r\nContent-Disposition: form-data; name="top"\r\n\r\n3\r\n--edge--\r\n'
    answer = client.predict(body, kind="multipart/form-data; boundary=edge")
    assert (answer.status, answer.code) == (422, "unexpected_field")
    assert "/predict?top=3" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=" + "x" * 71, b"x"),
        ("multipart/form-data; boundary=edge", b"no form"),
        ("multipart/form-data; boundary=edge", b'--edge\r\nA: form-data; name="a"\r\n\r\nx'),
        ("multipart/form-data; boundary=edge", b"--edge\r\n" + b"A: b\r\n" * 1000),
        ("multipart/form-data; boundary=edge", b"--edge\r\nA: " + b"b" * 100_000 + b"\r\n"),
    ],
)
def test_a_broken_form_is_refused(client, kind, body):
    answer = client.predict(body, kind=kind)
    assert (answer.status, answer.code) in ((400, "bad_multipart"), (422, "unexpected_field"))
    assert client.get("/health").status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "image", "video/mp4"])
def test_other_kinds_are_refused_with_the_way_out(client, kind):
    answer = client.predict(b"x", kind=kind)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert "--form file=@cat.jpg" in answer.json["error"]["message"]


def test_a_compressed_body_is_not_unpacked(client):
    answer = client.predict(b"x", Content_Encoding="gzip")
    assert (answer.status, answer.code) == (415, "unsupported_encoding")


def test_a_name_may_hold_any_letters(client, two):
    for name in ("chats é 猫.png", 'a"b.png', "😀" * 300):
        shown = client.send_files((name.replace('"', "%22"), two)).json["predictions"][0]["name"]
        assert shown == name.replace('"', "%22")[:255]


def test_a_misspelt_parameter_is_not_passed_over(client, two):
    answer = client.predict(two, "?heatmap=true")
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert "`heatmap`. Did you mean `heat_map`?" in answer.json["error"]["message"]


@pytest.mark.parametrize("query", ["?top=-1", "?top=x", "?top=1e9", "?heat_map=perhaps"])
def test_a_parameter_that_is_not_valid_is_named(client, two, query):
    answer = client.predict(two, query)
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert answer.json["error"]["parameters"][0]["parameter"] == query[1:].partition("=")[0]


def test_the_heat_map_comes_with_the_answer(client, two):
    found = client.send_files(("a", two), ("b", two), query="?heat_map=true").json["predictions"]
    for one in found:
        assert one["heat_map"]["label"] == one["label"]
        assert one["heat_map"]["image"].startswith("data:image/png;base64,")


def test_a_model_without_heat_maps_answers_without_one(serving, held):
    def explain(data):
        raise TrainingError("This network has no maps.")

    held.explain = explain
    with serving(held, max_heat_maps=1) as client:
        one = client.predict(b"a", "?heat_map=1").json["predictions"][0]
        assert one["heat_map"] is None
        assert one["heat_map_error"] == "This network has no maps."
        refused = client.send_files(("a", b"a"), ("b", b"b"), query="?heat_map=1")
        assert (refused.status, refused.code) == (413, "too_many_files")
        assert "may hold 1 pictures" in refused.json["error"]["message"]


def test_several_labels_are_a_list(serving, held):
    several = Prediction(("yes", "no"), (0, 1), 0.75, {"yes": 0.875, "no": 0.75})
    held.infer = lambda prepared: [several]
    with serving(held) as client:
        one = client.predict(b"x").json["predictions"][0]
    assert (one["label"], one["index"], one["confidence"]) == (["yes", "no"], [0, 1], 0.75)
    assert [share["label"] for share in one["top"]] == ["yes", "no"]


@pytest.mark.filterwarnings("ignore:A 16-bit picture")
def test_odd_pictures_are_answered_or_refused_and_never_a_fault(client, odd_images_path):
    codes = {}
    for file in sorted(odd_images_path.iterdir()):
        if file.is_file():
            answer = client.predict(file.read_bytes(), kind="application/octet-stream")
            codes[file.name] = answer.status
            if answer.status != 200:
                assert answer.code in ("unreadable_picture", "too_many_pixels", "no_picture")
                assert str(odd_images_path) not in answer.body.decode()
    assert set(codes.values()) == {200, 422}
