"""The first interruption is an exception, the second one an end."""

import signal
import subprocess
import sys

import pytest

from nas_lightning.cli.interruption import interruptible, interruption_of
from nas_lightning.core.termination import Interruption

TWICE = """
import signal
from nas_lightning.cli.interruption import interruptible
from nas_lightning.core.termination import Interruption
with interruptible():
    try:
        signal.raise_signal(signal.SIGINT)
    except Interruption:
        signal.raise_signal(signal.SIGTERM)
        print("still tidying up", flush=True)
        signal.raise_signal(signal.SIGINT)
print("never reached")
"""


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_is_an_exception_and_its_handler_is_put_back(number, how):
    kept = signal.getsignal(number)
    with pytest.raises(Interruption, match=how) as stop, interruptible():
        signal.raise_signal(number)
    assert stop.value.number == number
    assert signal.getsignal(number) is kept


def test_a_second_sigint_kills_and_a_late_sigterm_does_not():
    done = subprocess.run(
        [sys.executable, "-c", TWICE], stdout=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "still tidying up\n")


def test_an_error_is_no_interruption():
    assert interruption_of(ValueError("x")) is None
    assert interruption_of(SystemExit(1)) is None
