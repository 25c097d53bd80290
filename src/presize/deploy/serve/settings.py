"""What a server allows, and where it listens."""

import ipaddress
import math
from dataclasses import dataclass, field

MEGA = 1_000_000
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeSettings:
    """What a server allows, and where it listens.

    Args:
        host: the address that it listens at. The default can be reached from this machine alone.
        port: 0 takes one that is free.
        token: what a client has to send, `Authorization: Bearer TOKEN`; None lets all ask.
        max_body: bytes of a request; more is answered with 413.
        max_pixels: height times width of a picture; more is answered with 413, by the header of
            the picture, before it is decoded.
        max_files: pictures in a request; more is answered with 413.
        max_heat_maps: pictures in a request that asks for heat maps, each of which takes as long
            as several predictions.
        timeout: seconds from the end of a request to its answer; then it is answered with 504.
        body_timeout: seconds for a request to come in; then it is answered with 408.
        queue: pictures that are worked on or wait at the same time; more are answered with 429.
        batch: pictures that the model is asked about at once, at most.
        wait: seconds that a picture waits for others that are already being decoded.
        workers: threads that decode; None takes one for each processor core.
        connections: that are open at the same time; more are answered with 503.
        page: whether `/` is the page where pictures are dropped.
        docs: whether `/openapi.json` describes the server to programs.
        allowed_hosts: names that clients may know the server by; none takes those of this machine
            where `host` is a loopback address, and any where it is not.
        origins: of web pages elsewhere that may ask (CORS), such as "https://example.org".
        access_log: whether each request is written to the log, without its content.

    Raises:
        ValueError: a limit is not positive, the port is none, or the token is empty or cannot be
            sent.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    # A repr is printed, and a log kept.
    token: str | None = field(default=None, repr=False)
    max_body: int = 20 * MEGA
    max_pixels: int = 50 * MEGA
    max_files: int = 64
    max_heat_maps: int = 8
    timeout: float = 30.0
    body_timeout: float = 60.0
    queue: int = 256
    batch: int = 32
    wait: float = 0.005
    workers: int | None = None
    connections: int = 512
    page: bool = True
    docs: bool = True
    allowed_hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    access_log: bool = True

    def __post_init__(self) -> None:
        for name in ("max_body", "max_pixels", "max_files", "max_heat_maps", "timeout",
                     "body_timeout", "queue", "batch", "connections"):  # fmt: skip
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number above 0, but is {getattr(self, name)}.")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be from 0 (one that is free) to 65535, not {self.port}.")
        if not 0 <= self.wait <= 1:
            raise ValueError(f"wait is in seconds, from 0 to 1, but is {self.wait}.")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, but is {self.workers}.")
        if self.max_files > self.queue:
            raise ValueError(
                f"A request may hold {self.max_files} pictures (max_files), but only {self.queue} "
                "are taken at once (queue): make queue at least as large."
            )
        if self.token is not None and not _can_be_sent(self.token):
            raise ValueError(
                "The token must be at least one character, all of them visible ASCII: others "
                "cannot be sent in the header `Authorization`."
            )
        if "*" in self.origins:
            raise ValueError(
                "origins names the pages that may ask, such as 'https://example.org'. With '*' "
                "any page in a browser could use the server."
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def hosts(self) -> frozenset[str]:
        """The names in the header `Host` that are answered; empty for any."""
        if self.allowed_hosts:
            return frozenset(name.lower() for name in (*self.allowed_hosts, *LOOPBACK_NAMES))
        return frozenset((*LOOPBACK_NAMES, self.host.lower())) if self.loopback else frozenset()


def is_loopback(host: str) -> bool:
    """Say whether an address is one that only the machine itself can reach."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may mean anything; an empty one means all addresses
        return False


def _can_be_sent(token: str) -> bool:
    return bool(token) and all("!" <= letter <= "~" for letter in token)
