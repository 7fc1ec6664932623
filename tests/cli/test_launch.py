"""Several processes for one run: how they are started, watched and ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas_lightning.cli.interruption import interruptible
from nas_lightning.cli.launch import RankError, Ranks
from nas_lightning.core.termination import Interruption

pytestmark = pytest.mark.ddp

RANK = """
import os, signal, sys, threading, time
from nas_lightning.cli.rank import _end_with_parent, _report as report
rank = int(os.environ["LOCAL_RANK"])
threading.Thread(target=_end_with_parent, daemon=True).start()
def refuse(message, **more):
    report(message=message, traceback="where", time=time.time(), **more)
    sys.exit(1)
"""


@pytest.fixture
def ranks(tmp_path):
    """Starts two ranks that run a script after what all of them do."""

    def ranks(script):
        return Ranks([sys.executable, "-c", RANK + script], 2, tmp_path)

    return ranks


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_every_rank_learns_who_it_is_and_rank_0_gives_the_value(ranks, tmp_path):
    script = """
names = ("MASTER_ADDR", "WORLD_SIZE", "NODE_RANK", "LOCAL_RANK")
report(value=[os.environ[name] for name in names])
"""
    assert ranks(script).wait() == ["127.0.0.1", "2", "0", "0"]
    assert '["127.0.0.1", "2", "0", "1"]' in (tmp_path / "rank-1.json").read_text()


def test_a_killed_rank_is_named_and_the_others_are_ended(ranks, monkeypatch):
    monkeypatch.setattr("nas_lightning.cli.launch.GRACE_S", 0.1)
    started = ranks("os.kill(os.getpid(), signal.SIGKILL) if rank else time.sleep(60)")
    with pytest.raises(RankError, match=r"rank 1 of 2 \(process \d+\) was killed \(SIGKILL\)"):
        started.wait()
    assert not any(is_alive(process.pid) for process in started.processes)


def test_the_first_error_counts_and_not_what_follows_from_it(ranks):
    script = """
if rank == 1:
    refuse("the device is on fire", is_mistake=False)
time.sleep(0.3)
refuse("lost connection to rank 1", is_mistake=False)
"""
    with pytest.raises(RankError, match=r"^rank 1 of 2: the device is on fire") as error:
        ranks(script).wait()
    assert error.value.__notes__ == ["where"]


def test_a_mistake_that_all_ranks_find_is_told_once_and_without_a_rank(ranks):
    with pytest.raises(ValueError, match=r"^seed \(13\) must be lucky$"):
        ranks('refuse("seed (13) must be lucky", is_mistake=True)').wait()


def test_a_rank_that_ends_without_a_report_is_named_with_what_it_printed(ranks):
    script = 'print("no such library") if rank else None; sys.exit(3 * rank)'
    with pytest.raises(RankError, match=r"rank 1 of 2 ended with status 3\nno such library"):
        ranks(script).wait()


def test_an_interrupted_rank_interrupts_the_run(ranks):
    with pytest.raises(Interruption):
        ranks("sys.exit(75)").wait()


def test_an_interruption_is_forwarded_and_ends_all_ranks(ranks, tmp_path):
    script = f"""
signal.signal(signal.SIGTERM, lambda *_: (open("{tmp_path}/told-%d" % rank, "w"), sys.exit(75)))
open("{tmp_path}/ready-%d" % rank, "w")
if rank == 1:
    while not os.path.exists("{tmp_path}/ready-0"): time.sleep(0.01)
    os.kill(os.getppid(), signal.SIGINT)
time.sleep(60)
"""
    with interruptible(), pytest.raises(Interruption):
        ranks(script).wait()
    assert sorted(path.name for path in tmp_path.glob("told-*")) == ["told-0", "told-1"]


PARENT = """
import sys
from pathlib import Path
from nas_lightning.cli.launch import Ranks
ranks = Ranks([sys.executable, "-c", sys.argv[1]], 2, Path(sys.argv[2]))
print(*(process.pid for process in ranks.processes), flush=True)
ranks.wait()
"""


def test_a_killed_parent_leaves_no_orphans(tmp_path):
    command = [sys.executable, "-c", PARENT, RANK + "time.sleep(60)", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert all(is_alive(pid) for pid in pids)
        parent.send_signal(signal.SIGKILL)
    limit = time.monotonic() + 5
    while any(is_alive(pid) for pid in pids) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not any(is_alive(pid) for pid in pids)
