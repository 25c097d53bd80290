import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from presize.data import streams
from presize.data.loader import DataLoader
from presize.data.streams import DeviceStream


def test_without_a_device_batches_stay_where_they_are():
    stream, batch = DeviceStream(None), (torch.zeros(2), "a")
    assert stream.receive(stream.send(batch)) is batch
    assert not stream.is_remote and not stream.pins


def test_other_devices_get_a_plain_copy():
    stream = DeviceStream(torch.device("meta"))
    (x, text), waits_for = stream.send((torch.zeros(2), "a"))
    assert x.device.type == "meta" and text == "a" and waits_for is None
    assert stream.is_remote and not stream.pins


@pytest.mark.parametrize(("device", "consumer"), [("meta", True), ("cpu", False)])
def test_batch_transforms_run_where_the_batch_is_used_if_it_is_elsewhere(device, consumer):
    threads = []
    dl = DataLoader(
        range(4),
        2,
        num_workers=1,
        device=device,
        after_batch=lambda b: threads.append(threading.current_thread()) or b,
    )
    assert len(list(dl)) == 2
    assert {t is threading.current_thread() for t in threads} == {consumer}


def test_on_a_gpu_the_copy_has_a_stream_that_the_user_of_the_batch_waits_for(monkeypatch):
    done = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self, stream):
            done.append("ready")

    class Stream:
        def record_event(self):
            done.append("event")
            return "copied"

        def wait_event(self, event):
            done.append(f"wait for {event}")

    @contextmanager
    def on(stream):
        done.append("enter")
        yield
        done.append("leave")

    fake = SimpleNamespace(
        Stream=lambda device: Stream(),
        stream=on,
        current_stream=lambda device: Stream(),
        current_device=lambda: 3,
        Event=Event,
    )
    monkeypatch.setattr(streams.torch, "cuda", fake)
    monkeypatch.setattr(
        streams, "to_device", lambda batch, device: done.append(f"copy to {device}") or batch
    )
    monkeypatch.setattr(
        streams, "map_tensors", lambda function, batch: done.append("kept until used") or batch
    )
    stream = DeviceStream(torch.device("cuda"))
    assert stream.pins and stream.is_remote
    assert stream.receive(stream.send("batch")) == "batch"
    assert done == [
        "enter",
        "copy to cuda:3",
        "event",
        "leave",
        "wait for copied",
        "ready",
        "kept until used",
    ]
