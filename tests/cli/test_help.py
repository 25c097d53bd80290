"""Help, errors, exit codes and completion, as people and shells see them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from presize.cli import app, help, messages
from presize.train.state import save_state

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    *("check", "lr-find", "train", "predict", "report", "clean", "export", "inspect", "serve"),
    *("push", "info"),
)
FRAMES = "╭╮╰╯│─"
HEAVY = ("torch", "numpy", "pandas", "PIL", "matplotlib", "rich", "fastapi", "onnx")


def test_all_commands_are_named_with_what_they_do(presize):
    code, out, err = presize("--help")
    assert (code, err) == (0, "")
    listed = [
        line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line[2:3].strip()
    ]
    assert listed[: len(COMMANDS)] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_shows_an_example(presize, name):
    code, out, _ = presize(name, "--help")
    assert code == 0
    told = " ".join(out.split())
    assert f"Example: presize {name} " in told
    assert re.search(rf"^Usage: .*{name} \[OPTIONS\]", told)


def test_options_stand_in_groups_without_frames_where_there_is_no_terminal(presize):
    _, out, _ = presize("train", "--help")
    groups = [line[:-1] for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    expected = ["Arguments", "Data", "Model", "Training", "Machine", "Results", "Options"]
    assert groups == expected
    assert not set(FRAMES) & set(out) and "\x1b" not in out
    assert "--max-time TIME" in out.partition("Training:")[2].partition("Machine:")[0]


@pytest.mark.parametrize(
    ("a_terminal", "variables", "framed"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"COLUMNS": "79"}, False),
    ],
)
def test_frames_are_for_terminals_that_can_show_them(
    presize, monkeypatch, a_terminal, variables, framed
):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in {"TERM": "xterm", "COLUMNS": "80", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: a_terminal)
    code, out, _ = presize("info", "--help")
    assert code == 0
    assert bool(set(FRAMES) & set(out)) is framed
    code, _, err = presize("info", "--nothing")
    assert code == 2
    assert bool(set(FRAMES) & set(err)) is framed
    assert help.is_plain() is not framed


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_errors_are_red_unless_no_colours_are_wanted(presize, monkeypatch, variable, coloured):
    monkeypatch.setenv("NO_COLOR", variable)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, _, err = presize("check", "no/such/folder")
    assert code == 1
    assert err.startswith("\x1b[31mpresize: There is no" if coloured else "presize: There is no")


def test_a_file_cannot_steer_the_terminal_by_what_an_error_tells_of_it(presize, tmp_path):
    save_state(tmp_path / "m.safetensors", tensors={}, meta={"kind": "\x1b]0;owned\x07 model"})
    code, _, err = presize("export", tmp_path / "m.safetensors")
    assert code == 1 and "\\x1b]0;owned\\x07 model" in err
    assert "\x1b" not in err


def test_nothing_is_wider_than_a_narrow_window(presize, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for name in COMMANDS:
        _, out, _ = presize(name, "--help")
        assert max(map(len, out.splitlines())) <= 60, name


def test_a_command_that_is_nearly_right_is_suggested(presize):
    code, _, err = presize("trian")
    assert code == 2
    assert "No such command 'trian'. Did you mean 'train'?" in err


def test_ctrl_c_exits_as_shells_expect_it(presize, monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("presize.data.check.folder.check_folder", interrupted)
    assert presize("check", tmp_path) == (130, "", "")


def test_json_on_the_output_and_all_words_beside_it(capsys):
    with messages.told_aside(True):
        print("said")
    messages.print_json({1: [float("nan"), Path("a")], "é": None})
    out, err = capsys.readouterr()
    assert err == "said\n"
    assert out == '{\n  "1": [\n    null,\n    "a"\n  ],\n  "é": null\n}\n'


# ---- shells --------------------------------------------------------------------------------------


def test_the_help_and_completions_load_nothing_heavy():
    program = (
        "import sys; sys.argv = ['presize', '--help']\n"
        "from presize.cli import app, main\n"
        "from presize.models.listing import architecture_names\n"
        "assert 'resnet18' in architecture_names('resnet1')\n"
        "try: main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "Commands:" in done.stdout


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Complete a command line as bash does it: what it offers for the last word."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "presize"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom presize.cli import main\n"
        "sys.argv[0] = 'presize'\nmain()\n"
    )
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }

    def complete(*lines: str) -> list[list[str]]:
        script = ["source <(_PRESIZE_COMPLETE=source_bash presize)"]
        for line in lines:
            words = line.split(" ")
            quoted = " ".join(f"'{word}'" for word in words)
            script.append(f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMPREPLY=()")
            script.append("_presize_completion presize; echo ${COMPREPLY[@]}")
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            capture_output=True, text=True, env=environment, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        return [line.split() for line in done.stdout.splitlines()]

    return complete


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_bash_completes_commands_options_and_networks(bash):
    lines = ("presize tra", "presize train --max-", "presize train --arch convnext_t")
    commands, options, networks = bash(*lines)
    assert commands == ["train"]
    assert sorted(options) == ["--max-restarts", "--max-time"]
    assert networks == ["convnext_tiny", "convnext_tiny_hnf"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_where_each_shell_looks(monkeypatch, tmp_path, shell):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    done = CliRunner().invoke(app, ["--install-completion", shell], prog_name="presize")
    assert done.exit_code == 0, done.output
    written = [file.read_text() for file in tmp_path.rglob("*presize*") if file.is_file()]
    assert len(written) == 1 and "_PRESIZE_COMPLETE" in written[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(monkeypatch, shell):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    shown = CliRunner().invoke(app, ["--show-completion", shell], prog_name="presize")
    assert shown.exit_code == 0
    assert "_PRESIZE_COMPLETE" in shown.output
    offered = CliRunner().invoke(
        app,
        prog_name="presize",
        env={
            "_PRESIZE_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "presize train --amp b",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "COMP_WORDS": "presize train --amp b",
            "COMP_CWORD": "3",
        },
    )
    assert "bf16" in offered.output and "fp16" not in offered.output


# ---- the docs ------------------------------------------------------------------------------------


def test_the_docs_know_all_commands_and_what_they_take():
    from typer.main import get_command

    text = (ROOT / "docs/command-line.md").read_text("utf-8")
    commands = get_command(app).commands
    for name in COMMANDS:
        assert f"| `presize {name}" in text, name
    options = {
        name
        for one in commands.values()
        for p in one.params
        for name in (*p.opts, *p.secondary_opts)
    }
    written = set(re.findall(r"--[a-z][a-z-]*", text))
    assert written - options == {"--install-completion", "--show-completion", "--help"}
    train = {name for p in commands["train"].params for name in p.opts if name.startswith("--")}
    assert train <= written
