"""What Prometheus reads: requests, pictures, batches, times, and whether the pictures drift."""

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_DRIFT = (
    ("presize_drift", "1 where the pictures differ from those of training."),
    ("presize_drift_score", "How much they differ; see the docs."),
    ("presize_drift_pictures", "Pictures that this is judged by."),
)


class Metrics:
    """The figures of one server, on a registry of its own."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        ProcessCollector(registry=own)
        self.requests = Counter(
            "presize_requests", "Requests that were answered.", ["path", "status"], registry=own
        )
        self.request_seconds = Histogram(
            "presize_request_seconds",
            "From the head of a request to the end of its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=own,
        )
        self.pictures = Counter(
            "presize_pictures",
            "Pictures, by what became of them: predicted, unknown, refused or failed.",
            ["outcome"],
            registry=own,
        )
        self.pending = Gauge(
            "presize_pending_pictures", "Pictures that wait or are worked on.", registry=own
        )
        self.decode_seconds = Histogram(
            "presize_decode_seconds",
            "Reading and resizing a picture, with the wait for a thread.",
            buckets=_SECONDS,
            registry=own,
        )
        self.queue_seconds = Histogram(
            "presize_queue_seconds",
            "The wait of a decoded picture for the model.",
            buckets=_SECONDS,
            registry=own,
        )
        self.model_seconds = Histogram(
            "presize_model_seconds", "The model on one batch.", buckets=_SECONDS, registry=own
        )
        self.batch_size = Histogram(
            "presize_batch_pictures", "Pictures in a batch.", buckets=_SIZES, registry=own
        )
        self._drift: list[Gauge] = []

    def batches(self, n: int, seconds: float) -> None:
        """Count a batch of `n` pictures."""
        self.batch_size.observe(n)
        self.model_seconds.observe(seconds)

    def answered(self, refused: int, unknown: Sequence[bool]) -> None:
        """Count the pictures of a request: those refused, and whether each other is unknown."""
        counts = {
            "refused": refused,
            "unknown": sum(unknown),
            "predicted": len(unknown) - sum(unknown),
        }
        for outcome, n in counts.items():
            self.pictures.labels(outcome).inc(n)

    def failed(self, n: int) -> None:
        """Count the pictures of a request that was not answered, for no fault of theirs."""
        self.pictures.labels("failed").inc(n)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` is one of the server's own, so that strangers make none up."""
        self.requests.labels(path, str(status)).inc()
        self.request_seconds.labels(path).observe(seconds)

    def drift(self, told: dict[str, Any] | None) -> None:
        """Show the verdict on drift, if there is one."""
        if told is None:
            return
        self._drift = self._drift or [Gauge(*named, registry=self.registry) for named in _DRIFT]
        for gauge, name in zip(self._drift, ("drifted", "score", "n"), strict=True):
            gauge.set(float(told.get(name) or 0))

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)
