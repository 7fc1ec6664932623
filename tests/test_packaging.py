"""The wheel, installed elsewhere, carries all that the commands read."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
        ("tables", "nas_lightning/tables", "**/*.[jmt]*"),
        (".", "nas_lightning", "**/*.py"),
    ],
)
def test_the_wheel_has_every_file(installed: Path, there: str, here: str, pattern: str) -> None:
    found = files_of(installed / "nas_lightning" / there, pattern)
    assert found == files_of(ROOT / here, pattern)


def test_the_wheel_carries_the_benchmark_tables(installed: Path) -> None:
    here = {path.name: path.read_bytes() for path in (ROOT / "nas_lightning/tables").glob("*.npz")}
    there = {p.name: p.read_bytes() for p in (installed / "nas_lightning/tables").glob("*.npz")}
    assert there == here != {}


def test_the_installed_package_finds_its_own_configuration(
    installed: Path, python_there: Callable[..., str]
) -> None:
    code = "from nas_lightning.paths import config_dir; print(config_dir())"
    assert python_there("-c", code) == str(installed / "nas_lightning" / "conf")


def test_the_installed_command_explains_its_groups(python_there: Callable[..., str]) -> None:
    assert "*darts" in python_there("-m", "nas_lightning.search", "--help")


def test_the_installed_show_draws_a_published_genotype(python_there: Callable[..., str]) -> None:
    assert "normal cell" in python_there("-m", "nas_lightning.show", "genotype=darts_v2")


def test_the_wheel_declares_the_commands(installed: Path) -> None:
    (entries,) = installed.glob("*.dist-info/entry_points.txt")
    assert entries.read_text().splitlines() == [
        "[console_scripts]",
        "nas-benchmark = nas_lightning.benchmark:main",
        "nas-search = nas_lightning.search:main",
        "nas-show = nas_lightning.show:main",
        "nas-train = nas_lightning.train:main",
    ]


def test_the_wheel_carries_the_licence(installed: Path) -> None:
    (licence,) = installed.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (ROOT / "LICENSE").read_text()


def test_the_package_and_its_metadata_agree_on_the_version(
    installed: Path, python_there: Callable[..., str]
) -> None:
    version = python_there("-c", "import nas_lightning; print(nas_lightning.__version__)")
    assert (installed / f"nas_lightning-{version}.dist-info").is_dir()
