"""`presize serve`: what the options say to the server."""

from pathlib import Path

import pytest
import typer

pytest.importorskip("fastapi", reason="the server is an extra")

from presize.cli.serve import serve
from presize.deploy.serve import run as runner
from presize.deploy.serve.settings import ServeSettings


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command with a server that only takes notes: its settings, output and errors."""
    monkeypatch.delenv("PRESIZE_TOKEN", raising=False)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(serve)

    def called(*arguments):
        given = []

        def noted(model, settings, *, device, started):
            assert device == ("cpu" if "--device" in arguments else None)
            given.append((model, settings))
            started("http://127.0.0.1:8000")

        monkeypatch.setattr(runner, "serve", noted)
        app([*map(str, arguments)], standalone_mode=False)
        out, err = capsys.readouterr()
        return *given[0], out, err

    return called


def test_the_defaults_are_those_of_the_library(run):
    model, settings, out, err = run("runs/pets.safetensors")
    assert model == Path("runs/pets.safetensors")
    assert settings == ServeSettings()
    assert out == "pets.safetensors answers at http://127.0.0.1:8000/\nCtrl-C ends it.\n"
    assert err == ""


def test_options_reach_the_server(run):
    _, settings, out, _ = run(
        *("m.safetensors", "--max-body", 1.5, "--max-pixels", 2, "--wait", 20, "--port", 0),
        *(
            "--allow-host",
            "a.example",
            "--allow-host",
            "b.example",
            "--origin",
            "https://c.example",
        ),
        *("--workers", 3, "--no-page", "--no-docs", "--quiet", "--timeout", 7, "--queue", 100),
        *("--batch", 4, "--max-files", 5, "--device", "cpu"),
    )
    assert settings == ServeSettings(
        port=0,
        max_body=1_500_000,
        max_pixels=2_000_000,
        wait=0.02,
        allowed_hosts=("a.example", "b.example"),
        origins=("https://c.example",),
        workers=3,
        page=False,
        docs=False,
        access_log=False,
        timeout=7,
        queue=100,
        batch=4,
        max_files=5,
    )
    assert "/predict\n" in out


def test_the_token_comes_from_the_environment_a_file_or_an_option(run, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("of-the-file\n")
    assert run("m", "--token", "of-the-line")[1].token == "of-the-line"
    assert run("m", "--token-file", tmp_path / "token")[1].token == "of-the-file"
    with pytest.raises(typer.BadParameter, match="contradict each other"):
        run("m", "--token", "a", "--token-file", tmp_path / "token")
    monkeypatch.setenv("PRESIZE_TOKEN", "of-the-environment")
    assert run("m")[1].token == "of-the-environment"
    assert run("m", "--token-file", tmp_path / "token")[1].token == "of-the-file"
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ValueError, match="holds no token: it is empty"):
        run("m", "--token-file", tmp_path / "token")


def test_a_token_that_is_empty_does_not_open_the_door(run, monkeypatch):
    monkeypatch.setenv("PRESIZE_TOKEN", "")
    with pytest.raises(ValueError, match="PRESIZE_TOKEN is empty"):
        run("m")
    assert run("m", "--token", "a")[1].token == "a"


@pytest.mark.parametrize("given", ["inf", "nan", "0", "-1"])
def test_a_limit_that_is_no_number_is_named(run, given):
    with pytest.raises(ValueError, match=f"--max-body must be a number above 0, .* is {given}"):
        run("m", f"--max-body={given}")


def test_it_warns_where_others_can_ask_without_a_token(run):
    assert "anyone there may ask" in run("m", "--host", "0.0.0.0")[3]
    assert run("m", "--host", "0.0.0.0", "--token", "a")[3] == ""
    assert run("m", "--host", "::1")[3] == ""
