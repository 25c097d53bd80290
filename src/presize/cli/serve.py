"""`presize serve`: a model answers over HTTP, and shows a page to drop pictures on."""

import logging
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from presize.deploy.serve.settings import ServeSettings

_WHO = "Who may ask"
_LIMITS = "Limits"

Model = Annotated[Path, typer.Argument(help="A .safetensors file of `presize train`.")]
Host = Annotated[
    str,
    typer.Option(
        help="The address to listen at; the default is reached from this machine alone, "
        "0.0.0.0 from others, too.",
        rich_help_panel=_WHO,
    ),
]
Port = Annotated[
    int,
    typer.Option(min=0, max=65535, help="0 takes one that is free.", rich_help_panel=_WHO),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="PRESIZE_TOKEN",
        show_envvar=True,
        help="What clients have to send: `Authorization: Bearer TOKEN`. Others on this machine can "
        "read a command line: prefer the environment, or --token-file.",
        rich_help_panel=_WHO,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="A file that holds the token.", rich_help_panel=_WHO),
]
Hosts = Annotated[
    list[str],
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="A name that clients may know the server by; again for several.",
        rich_help_panel=_WHO,
    ),
]
Origins = Annotated[
    list[str],
    typer.Option(
        "--origin",
        metavar="ADDRESS",
        help="A web site whose pages may ask (CORS), such as https://example.org.",
        rich_help_panel=_WHO,
    ),
]
MaxBody = Annotated[float, typer.Option(help="MB of a request.", rich_help_panel=_LIMITS)]
MaxPixels = Annotated[
    float, typer.Option(help="Millions of pixels of a picture.", rich_help_panel=_LIMITS)
]
MaxFiles = Annotated[int, typer.Option(help="Pictures in a request.", rich_help_panel=_LIMITS)]
Timeout = Annotated[
    float, typer.Option(help="Seconds until a request is given up.", rich_help_panel=_LIMITS)
]
Queue = Annotated[
    int, typer.Option(help="Pictures that are taken at once.", rich_help_panel=_LIMITS)
]
Batch = Annotated[
    int,
    typer.Option(help="Pictures that the model is asked about at once.", rich_help_panel=_LIMITS),
]
Wait = Annotated[
    float,
    typer.Option(
        help="Milliseconds that a picture waits for others that are being decoded.",
        rich_help_panel=_LIMITS,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Threads that decode; one for each core, unless given.", rich_help_panel=_LIMITS
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Where the model computes: cpu, cuda, cuda:1; a GPU if there is one."),
]
Page = Annotated[bool, typer.Option("--page/--no-page", help="The page to drop pictures on, at /.")]
Docs = Annotated[
    bool, typer.Option("--docs/--no-docs", help="The description for programs, /openapi.json.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Do not write down each request.")]


def serve(
    model: Model,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    token_file: TokenFile = None,
    allow_host: Hosts = [],  # noqa: B006  # typer copies it
    origin: Origins = [],  # noqa: B006
    max_body: MaxBody = 20,
    max_pixels: MaxPixels = 50,
    max_files: MaxFiles = 64,
    timeout: Timeout = 30,
    queue: Queue = 256,
    batch: Batch = 32,
    wait: Wait = 5,
    workers: Workers = None,
    device: Device = None,
    page: Page = True,
    docs: Docs = True,
    quiet: Quiet = False,
) -> None:
    """Answer over HTTP what is in pictures, and show a page to drop them on.

    POST /predict takes pictures; requests that come at the same time are put to
    the model together. GET /model, /health, /ready and /metrics tell of the
    server. SIGTERM or Ctrl-C ends it when what it is at is answered.
    """
    from presize.deploy.serve.run import serve as run
    from presize.deploy.serve.settings import ServeSettings

    settings = ServeSettings(
        host=host,
        port=port,
        token=_token(token, token_file),
        allowed_hosts=tuple(allow_host),
        origins=tuple(origin),
        max_body=_millions("--max-body", max_body),
        max_pixels=_millions("--max-pixels", max_pixels),
        max_files=max_files,
        timeout=timeout,
        queue=queue,
        batch=batch,
        wait=wait / 1000,
        workers=workers,
        page=page,
        docs=docs,
        access_log=not quiet,
    )
    _log()
    _warn(settings)
    run(model, settings, device=device, started=lambda url: _tell(model, url, page=page))


def _millions(option: str, given: float) -> int:
    if not 1e-6 <= given < math.inf:
        raise ValueError(f"{option} must be a number above 0, in millions, but is {given}.")
    return round(given * 1e6)


def _token(token: str | None, file: Path | None) -> str | None:
    if file is None:
        if token is None and "PRESIZE_TOKEN" in os.environ:  # who set it wants to lock the door
            raise ValueError("PRESIZE_TOKEN is empty. Give it a token, or unset it to need none.")
        return token
    if token is not None and not os.environ.get("PRESIZE_TOKEN"):
        raise typer.BadParameter("--token and --token-file contradict each other.")
    text = file.read_text(encoding="utf-8").strip()
    if not text:
        raise ValueError(f"{file} holds no token: it is empty.")
    return text


def _log() -> None:
    """Write down requests and faults, a line each, where errors go."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("presize.serve").setLevel(logging.INFO)
    # What it says of its start and end is said here already; of bad requests, in the log's lines.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def _warn(settings: "ServeSettings") -> None:
    if not settings.loopback and settings.token is None:
        typer.secho(
            f"presize: {settings.host or 'every address'} can be reached from other machines, and "
            "without a token anyone there may ask. Set one with PRESIZE_TOKEN or --token-file. "
            "HTTP is not encrypted: put a server that speaks HTTPS in front.",
            fg="yellow",
            err=True,
        )


def _tell(model: Path, url: str, *, page: bool) -> None:
    typer.echo(f"{model.name} answers at {url}{'/' if page else '/predict'}")
    typer.echo("Ctrl-C ends it.")
