"""The wheel, installed elsewhere, carries all that the commands read."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from command import TINY

import nas_lightning

ROOT = Path(__file__).parent.parent


def run(folder: Path, *command: str, **environment: str) -> str:
    """Returns the standard output of a Python command that must succeed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel of this checkout was installed into."""
    folder = tmp_path_factory.mktemp("packaging")
    options = ("--no-isolation", "--outdir", str(folder), str(ROOT))
    run(folder, "-m", "build", "--wheel", *options)
    (wheel,) = folder.glob("*.whl")
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(folder, *pip, "--disable-pip-version-check", "--target", "site", str(wheel))
    return folder / "site"


@pytest.fixture(scope="module")
def python_there(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs Python in an empty folder, with the installed package before every other."""
    folder = tmp_path_factory.mktemp("elsewhere")
    return lambda *command: run(folder, *command, PYTHONPATH=str(installed))


def files_of(folder: Path, pattern: str) -> dict[str, str]:
    """Returns the text of files under a folder by their path."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.glob(pattern)}


@pytest.mark.parametrize(
    ("there", "here", "pattern"),
    [
        ("conf", "conf", "**/*.yaml"),
        ("zoo", "nas_lightning/zoo", "*.json"),
        ("reports", "nas_lightning/reports", "*.css"),
        ("reports", "nas_lightning/reports", "*.jinja"),
        ("networks", "nas_lightning/networks", "*.cpp"),
        ("tables", "nas_lightning/tables", "**/*.[jmt]*"),
        ("data", "nas_lightning/data", "**/*.txt"),
        (".", "nas_lightning", "**/*.py"),
    ],
)
def test_the_wheel_has_every_file(installed: Path, there: str, here: str, pattern: str) -> None:
    found = files_of(installed / "nas_lightning" / there, pattern)
    assert found == files_of(ROOT / here, pattern)


@pytest.mark.parametrize("folder", ["nas_lightning/tables", "nas_lightning/data/packaged"])
def test_the_wheel_carries_tables_and_data(installed: Path, folder: str) -> None:
    here = {path.name: path.read_bytes() for path in (ROOT / folder).glob("*.npz")}
    there = {path.name: path.read_bytes() for path in (installed / folder).glob("*.npz")}
    assert there == here != {}


def test_the_installed_package_finds_its_own_configuration(
    installed: Path, python_there: Callable[..., str]
) -> None:
    code = "from nas_lightning.config.paths import config_dir; print(config_dir())"
    assert python_there("-c", code) == str(installed / "nas_lightning" / "conf")


def test_the_installed_command_explains_its_groups(python_there: Callable[..., str]) -> None:
    assert "strategy=darts" in python_there("-m", "nas_lightning", "search", "--help")


@pytest.mark.slow
def test_the_installed_search_runs_from_another_folder(python_there: Callable[..., str]) -> None:
    folder = "hydra.run.dir=run"
    python_there("-m", "nas_lightning", "search", folder, *TINY)
    check = "import json; print(json.load(open('run/result.json'))['versions']['nas_lightning'])"
    assert python_there("-c", check) == nas_lightning.__version__


@pytest.mark.slow
def test_the_wheel_installs_into_an_empty_environment(installed: Path) -> None:
    """It downloads all that the package needs; the commands are then called as users call them."""
    folder = installed.parent / "environment"
    (wheel,) = installed.parent.glob("*.whl")
    run(installed.parent, "-m", "venv", str(folder))
    python, search = folder / "bin" / "python", folder / "bin" / "nas-search"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[onnx]"], check=True)
    command = [search, "hydra.run.dir=run", *TINY, "export=[onnx,pt2]"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=folder, env=clean, check=True)
    assert (folder / "run" / "child" / "model.onnx").is_file()
    assert (folder / "run" / "result.json").is_file()


def test_an_image_is_made_of_what_the_wheel_is_made_of_and_nothing_else(
    installed: Path, tmp_path: Path
) -> None:
    """Docker itself is not needed: what the build's first stage copies must make the same wheel."""
    stage = (ROOT / "docker" / "Dockerfile").read_text().split("FROM ")[1]
    copied = re.findall(r"^COPY (.*) \S+$", stage, re.M)
    sources = [source for line in copied for source in line.split()]
    admitted = [x[1:] for x in (ROOT / ".dockerignore").read_text().splitlines() if x[0] == "!"]
    assert sorted(sources) == sorted(admitted)
    for source in sources:
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    run(tmp_path, "-m", "build", "--wheel", "--no-isolation", "--outdir", "wheels", ".")
    (wheel,), (wanted,) = tmp_path.glob("wheels/*.whl"), installed.parent.glob("*.whl")
    assert sorted(names_in(wheel)) == sorted(names_in(wanted))


def names_in(wheel: Path) -> list[str]:
    return [name for name in zipfile.ZipFile(wheel).namelist() if "__pycache__" not in name]


def test_the_wheel_declares_the_commands(installed: Path) -> None:
    (entries,) = installed.glob("*.dist-info/entry_points.txt")
    assert entries.read_text().splitlines() == [
        "[console_scripts]",
        "nas-benchmark = nas_lightning.cli.entry:main",
        "nas-derive = nas_lightning.cli.entry:main",
        "nas-measure = nas_lightning.cli.entry:main",
        "nas-report = nas_lightning.cli.entry:main",
        "nas-search = nas_lightning.cli.entry:main",
        "nas-show = nas_lightning.cli.entry:main",
        "nas-train = nas_lightning.cli.entry:main",
    ]


def test_the_wheel_carries_the_licence(installed: Path) -> None:
    (licence,) = installed.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (ROOT / "LICENSE").read_text()


def test_the_package_and_its_metadata_agree_on_the_version(
    installed: Path, python_there: Callable[..., str]
) -> None:
    version = python_there("-c", "import nas_lightning; print(nas_lightning.__version__)")
    assert (installed / f"nas_lightning-{version}.dist-info").is_dir()
