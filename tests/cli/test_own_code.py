"""The installed scripts find a user's own network and data in the folder where they are typed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import named_files

SCRIPTS = Path(sys.executable).parent
NETWORK = ("search_space=custom", "search_space.network._target_=my_net.Net")
SHORT = ("strategy.epochs=1", "child.epochs=1", "child.scale.channels=4", "callbacks=silent")
SHORT += ("search_space.scale.channels=4",)
DATA = """
import lightning as L
import torch
from torch.utils.data import DataLoader, TensorDataset


class Mine(L.LightningDataModule):
    num_classes = 3

    def _loader(self, seed):
        import my_images  # only when it is needed, after the module's own import

        return DataLoader(TensorDataset(*my_images.draw(seed)), 16)

    def train_dataloader(self):
        return self._loader(0)

    def val_dataloader(self):
        return self._loader(1)

    def test_dataloader(self):
        return self._loader(2)
"""
IMAGES = """
import torch


def draw(seed):
    labels = torch.arange(48) % 3
    noise = torch.rand(48, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    return noise / 2 + labels[:, None, None, None] / 6, labels
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Runs an installed script in a folder with a user's code; gives its two outputs."""
    if not (SCRIPTS / "nas-search").is_file():
        pytest.skip(f"there is no nas-search in {SCRIPTS}: the package is not installed")
    folder = tmp_path_factory.mktemp("mine")
    files = {"my_net.py": named_files("docs/custom.md")["my_net.py"], "my_data.py": DATA}
    hiding = dict.fromkeys(("random.py", "json.py", "types.py"), "raise SystemExit('hidden')\n")
    for name, text in (files | hiding | {"my_images.py": IMAGES}).items():
        (folder / name).write_text(text)

    def script(name, *arguments, status=0):
        done = subprocess.run(
            [SCRIPTS / name, *arguments],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout, done.stderr

    script.folder = folder
    return script


OWN = (*NETWORK, "data=own", "data._target_=my_data.Mine")


@pytest.fixture(scope="module")
def searched(script):
    """Searches on the user's data, with the user's network, in run."""
    script("nas-search", *OWN, *SHORT, "hydra.run.dir=run")


@pytest.mark.slow
def test_a_network_and_data_beside_the_command_are_found_and_named_first(script):
    printed = script("nas-search", *OWN, *SHORT, "retrain=false", "hydra.run.dir=quick")[0]
    assert printed.splitlines()[0] == (
        "data own Mine (12x12, 3 classes), space custom (my_net.Net), strategy darts, "
        "child of 4 channels"
    )


@pytest.mark.slow
def test_the_runs_child_is_shown_without_naming_the_network_again(searched, script):
    content = json.loads(script("nas-show", "genotype=run", "json=true", "output=null")[0])
    child = json.loads((script.folder / "run" / "result.json").read_text())["child"]
    assert content["parameters"] == child["parameters"]
    printed = script("nas-show", "genotype=run", "channels=8", "output=null")[0]
    assert "at 8 channels" in printed
    assert "images (1, 12, 12), 3 classes:" in printed


@pytest.mark.slow
def test_training_it_again_asks_whether_the_data_are_trusted(searched, script):
    error = script("nas-train", "genotype=run", status=1)[1]
    names = "names code that is not nas_lightning's own: data._target_=my_data.Mine; it is neither"
    assert names in " ".join(error.split())


@pytest.mark.slow
def test_training_it_again_takes_data_and_child_from_the_run(searched, script):
    printed = script("nas-train", "genotype=run", "trust=true", "hydra.run.dir=again")[0]
    assert printed.startswith(
        "data own Mine (12x12, 3 classes), space custom (my_net.Net), genotype run, child"
    )
    result = json.loads((script.folder / "again" / "result.json").read_text())
    assert result["child"]["cost"]["epochs_trained"] == 1


@pytest.mark.slow
def test_a_network_that_has_changed_is_not_used(searched, script):
    source = script.folder / "my_net.py"
    text = source.read_text()
    source.write_text(text + "\nraise SystemExit('it is imported')\n")
    error = " ".join(script("nas-show", "genotype=run", "output=null", status=1)[1].split())
    source.write_text(text)
    assert f"search_space.network._target_=my_net.Net ({source} has changed since the run)" in error


@pytest.mark.slow
@pytest.mark.ddp
def test_several_processes_find_them_too(script):
    script(
        "nas-search",
        *OWN,
        "hydra.run.dir=two",
        *SHORT,
        "hardware=ddp_cpu",
        "hardware.threads=1",
        "retrain=false",
    )
    assert json.loads((script.folder / "two" / "result.json").read_text())["processes"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_the_jobs_of_a_sweep_find_them_too(launcher, script):
    own = (*NETWORK, *SHORT, "data.max_images=200", "retrain=false", f"hydra/launcher={launcher}")
    script("nas-search", "-m", *own, "seed=0,1", f"hydra.sweep.dir={launcher}")
    results = list((script.folder / launcher).glob("*/result.json"))
    assert len(results) == 2


@pytest.mark.slow
def test_a_file_that_an_installed_module_hides_is_named(script):
    (script.folder / "rich.py").write_text("class Net: pass\n")
    error = script("nas-search", *NETWORK[:1], "search_space.network._target_=rich.Net", status=1)
    (script.folder / "rich.py").unlink()
    said = " ".join(error[1].split())
    assert "search_space.network._target_ 'rich.Net' cannot be imported: " in said
    assert f"; {script.folder / 'rich.py'} is hidden by " in said
    assert said.endswith(": rename yours")
