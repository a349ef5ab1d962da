"""The fastbp command: what it prints, where it saves, how it fails."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn

import fastbp
from fastbp import _core, demo
from fastbp._progress import Progress
from fastbp._threads import effective_n_threads
from fastbp.cli import main

# Starts the command as the installed script does.
COMMAND = [
    sys.executable,
    "-c",
    "import sys; from fastbp.cli import main; sys.exit(main())",
]


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``fastbp demo`` save its figure where it disturbs nobody."""
    monkeypatch.chdir(tmp_path)


def usage_error(*arguments: str) -> None:
    """Run the command, which must stop with the exit code of wrong usage."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


# ------------------------------------------------------------------ help and usage


def test_help_names_commands_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert "fastbp demo --plot loss.pdf" in out
    assert "info" in out


def test_demo_help_names_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    for option in ("--epochs", "--seed", "--no-sklearn", "--plot", "--no-plot"):
        assert option in out


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fastbp {fastbp.__version__}\n"


def test_no_command_prints_help_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: fastbp")


def test_unknown_command_names_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage_error("train")
    message = capsys.readouterr().err
    assert "'train'" in message
    assert "demo" in message
    assert "info" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: must be an integer from 1 to 100000, got '0'"),
        (["--epochs", "ten"], "--epochs: must be an integer from 1 to 100000"),
        (["--seed", "-1"], "--seed: must be an integer from 0 to 4294967295"),
        (["--seed", "4294967296"], "got '4294967296'"),
        (["--speed"], "unrecognized arguments: --speed"),
    ],
)
def test_bad_option_says_what_is_expected(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    usage_error("demo", *arguments)
    assert message in capsys.readouterr().err


# ------------------------------------------------------------------------- info


def test_info_prints_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    build = _core.build_info()
    n_threads, reason = effective_n_threads()
    assert facts["fastbp"] == fastbp.__version__
    assert facts["NumPy"] == np.__version__
    assert facts["scikit-learn"] == sklearn.__version__
    assert facts["compiler"] == build["compiler"]
    assert facts["kernels compiled"] == ", ".join(build["isa_compiled"])
    assert facts["kernels this CPU runs"] == ", ".join(build["isa_available"])
    assert facts["kernels in use"].startswith(build["isa_active"] + " ")
    assert facts["parallel runtime"] == build["parallel"]
    assert facts["threads of a fit"] == f"{n_threads} ({reason})"


def test_show_config_prints_the_same_as_info(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["info"])
    info = capsys.readouterr().out
    fastbp.show_config()
    assert capsys.readouterr().out == info


@pytest.mark.parametrize("isa", _core.build_info()["isa_available"])
def test_info_says_that_a_kernel_is_forced(
    isa: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTBP_ISA", isa)
    assert main(["info"]) == 0
    assert f"{isa} (FASTBP_ISA={isa})" in capsys.readouterr().out


# ------------------------------------------------------------------------- demo


def accuracies(table: str) -> list[float]:
    """The last column of the table of fits, in percent."""
    return [float(x) for x in re.findall(r"ms +[\d.]+ +([\d.]+) %$", table, re.M)]


def test_demo_learns_the_digits_like_scikit_learn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"fastbp {fastbp.__version__}")
    ours, theirs = accuracies(out)
    assert ours >= 97.0
    # float32 rounds differently; that moves an image or two of 450.
    assert theirs == pytest.approx(ours, abs=0.7)
    assert re.search(r"scikit-learn takes \d+\.\d times as long as fastbp", out)


def test_demo_piped_prints_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--epochs", "3", "--no-sklearn"]) == 0
    out = capsys.readouterr().out
    assert "\r" not in out
    assert "\033" not in out
    epochs = re.findall(r"^epoch (\d)/3  loss \d\.\d+  test accuracy .+ %$", out, re.M)
    assert epochs == ["1", "2", "3"]


def test_demo_shows_the_epochs_of_the_fit(capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo", "--epochs", "4", "--no-sklearn"])
    out = capsys.readouterr().out
    (shown,) = re.findall(r"^epoch 4/4  loss ([\d.]+)", out, re.M)
    (fitted,) = re.findall(r"^fastbp .* ms +([\d.]+)", out, re.M)
    assert shown == fitted


def test_demo_without_comparison_leaves_scikit_learn_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--epochs", "1", "--no-sklearn"]) == 0
    out = capsys.readouterr().out
    assert len(accuracies(out)) == 1
    assert "scikit-learn" not in out


def test_demo_seed_decides_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for seed in ("5", "5", "6"):
        main(["demo", "--epochs", "2", "--no-sklearn", "--seed", seed])
        out = capsys.readouterr().out
        shown.append([line for line in out.splitlines() if line.startswith("epoch")])
    assert shown[0] == shown[1]
    assert shown[0] != shown[2]


@pytest.mark.parametrize("command", ["info", "demo"])
def test_unknown_kernels_fail_with_a_message(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTBP_ISA", "mmx")
    assert main([command]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "FASTBP_ISA='mmx'" in printed.err


# ------------------------------------------------------------------------- plot


@pytest.mark.parametrize(
    ("name", "magic"), [("loss.png", b"\x89PNG"), ("loss.svg", b"<?xml")]
)
@pytest.mark.parametrize("more", [[], ["--no-sklearn"]], ids=["both", "alone"])
def test_plot_saves_a_figure(
    name: str,
    magic: bytes,
    more: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / name
    assert main(["demo", "--epochs", "2", "--plot", str(file), *more]) == 0
    assert file.read_bytes().startswith(magic)
    assert str(file) in capsys.readouterr().out


def test_demo_saves_a_figure_in_the_current_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--epochs", "1", "--no-sklearn"]) == 0
    assert (tmp_path / "fastbp-demo.png").read_bytes().startswith(b"\x89PNG")
    assert "Figure of the loss: fastbp-demo.png" in capsys.readouterr().out


def test_demo_goes_on_where_the_figure_cannot_be_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fastbp-demo.png").mkdir()
    assert main(["demo", "--epochs", "1", "--no-sklearn"]) == 0
    assert "No figure of the loss: cannot save" in capsys.readouterr().out


def test_demo_without_matplotlib_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["demo", "--epochs", "1", "--no-sklearn"]) == 0
    assert "pip install matplotlib" in capsys.readouterr().out


def test_plot_without_matplotlib_fails_before_training(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["demo", "--plot", "loss.png"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "pip install matplotlib" in printed.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/loss.png", "there is no directory"),
        ("loss.xyz", "its name must end in one of"),
        ("loss", "its name must end in one of"),
    ],
)
def test_plot_to_an_impossible_file_fails_before_training(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--plot", str(tmp_path / name)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"error: cannot save {tmp_path / name}" in printed.err
    assert message in printed.err


def test_plot_onto_a_directory_fails_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "loss.png"
    file.mkdir()
    assert main(["demo", "--epochs", "1", "--no-sklearn", "--plot", str(file)]) == 1
    assert f"error: cannot save {file}" in capsys.readouterr().err


@pytest.mark.slow
def test_demo_without_figure_does_not_import_matplotlib(tmp_path: Path) -> None:
    code = (
        "import sys; from fastbp.cli import main; "
        "main(['demo', '--epochs', '1', '--no-sklearn', '--no-plot']); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ interruptions


def test_ctrl_c_exits_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(**options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.slow
def test_closed_pipe_ends_the_demo_quietly() -> None:
    with subprocess.Popen(
        [*COMMAND, "demo", "--epochs", "2000", "--no-sklearn"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


# ---------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal of some encoding."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_full_disk_is_reported() -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [*COMMAND, "info"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert process.returncode == 1
    assert re.fullmatch(r"fastbp: error: .*No space left on device\n", process.stderr)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes descriptors")
def test_command_works_without_standard_output() -> None:
    script = 'exec 1>&-; exec "$@"'
    process = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "info"], capture_output=True, text=True
    )
    assert (process.returncode, process.stderr) == (0, "")


def test_module_is_the_command() -> None:
    command = [sys.executable, "-m", "fastbp", "--version"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.stdout == f"fastbp {fastbp.__version__}\n"


def test_progress_on_a_terminal_redraws_one_line() -> None:
    terminal = Terminal()
    progress = Progress(3, "epoch", terminal)
    for step in (1, 2, 3):
        progress.update(step, f"loss {step}")
    assert terminal.getvalue().split("\r") == [
        "",
        f"epoch 1/3 {'━' * 10}{'╌' * 20} loss 1\033[K",
        f"epoch 2/3 {'━' * 20}{'╌' * 10} loss 2\033[K",
        f"epoch 3/3 {'━' * 30} loss 3\033[K\n",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", None, "no-such-encoding"])
def test_progress_uses_characters_that_the_terminal_has(encoding: str | None) -> None:
    terminal = Terminal()
    terminal.encoding = encoding
    Progress(2, "epoch", terminal).update(1, "")
    assert f"{'#' * 15}{'.' * 15}" in terminal.getvalue()


def test_progress_piped_prints_about_ten_lines() -> None:
    stream = io.StringIO()
    progress = Progress(1000, "epoch", stream)
    for step in range(1, 1001):
        progress.update(step, "done")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "epoch    1/1000  done"
    assert lines[1] == "epoch  100/1000  done"
    assert lines[-1] == "epoch 1000/1000  done"
    assert len(lines) == 11
