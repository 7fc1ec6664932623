"""What the commands set before torch is imported, and how soon they are there."""

import os
import subprocess
import sys

import pytest

from nas_lightning.cli.entry import main
from nas_lightning.cli.idle_threads import SETTINGS, sleeping

CPU_SECONDS = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "nas_lightning", *sys.argv[1:]], check=True, stdout=-3)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""


def test_a_command_has_idle_threads_sleep(monkeypatch):
    for name in SETTINGS:
        monkeypatch.setenv(name, "")  # put back at the end
        monkeypatch.delenv(name)
    main(["search", "--version"])
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_user_set_stays_alone(name):
    assert sleeping({name: "1"}) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "most"), [(["search", "--help"], 2), (["show", "genotype=darts_v2"], 7)]
)
def test_a_command_that_only_prints_takes_few_cpu_seconds(arguments, most, tmp_path):
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    call = [sys.executable, "-c", CPU_SECONDS, *arguments]
    ended = subprocess.run(call, env=env, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert float(ended.stdout) < most  # twice what was measured: other work slows a core
