"""A job that takes no time, in place of a search, for tests of what commands share."""

import json
import signal
from pathlib import Path

UNLUCKY, STOPPED, EXITED, TERMINATED = 13, 15, 14, 16


def job(cfg, folder):
    """Writes a result that tells the seed, and where it was written from."""
    if cfg.seed == UNLUCKY:
        raise ValueError(f"seed ({cfg.seed}) must be lucky; use e.g. 7")
    if cfg.seed == EXITED:
        raise SystemExit(3)
    if cfg.seed == STOPPED:
        raise KeyboardInterrupt
    if cfg.seed == TERMINATED:
        signal.raise_signal(signal.SIGTERM)
    child = {"test_accuracy": 0.9 + cfg.seed / 100, "parameters": 1000}
    result = {"search": {"validation_accuracy": 0.5 + cfg.seed / 100}, "child": child}
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "seed.json").write_text(str(cfg.seed))
    print(f"seed {cfg.seed} in {Path.cwd()}")
    return 0.5
