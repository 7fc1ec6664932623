"""What ends a process before its time."""

import signal

from nas_lightning.core.termination import signal_name


def test_a_signal_has_its_name_or_its_number():
    assert signal_name(signal.SIGKILL) == "SIGKILL"
    assert signal_name(signal.SIGRTMIN + 1) == f"signal {signal.SIGRTMIN + 1}"
