"""How well a profile of ONNX Runtime predicts children that it was not fitted on.

    python benchmarks/onnx_latency.py [CHILDREN]

Random children of the default space at the size of the default child on digits, one sample on one
thread of this CPU; needs nas-lightning[onnx].
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

from scipy.stats import spearmanr

from nas_lightning.core.scale import Scale
from nas_lightning.deployment.profile_onnx import measure, profile
from nas_lightning.deployment.unit_files import write_children, write_units
from nas_lightning.evaluation.latency import Latency
from nas_lightning.evaluation.latency_profile import profile_here, read_profile
from nas_lightning.search_spaces.darts import DartsSpace

SPACE, SCALE = DartsSpace(), Scale(16, 5, flavour="child", input_shape=(1, 8, 8), num_outputs=10)
SECONDS = 60.0  # for all files together


def main(number: int) -> None:
    """Prints the rank correlation and the errors of the predictions."""
    latency = Latency(SPACE, SCALE, replace(profile_here(1), grows=True))
    assert latency.uses is not None
    children = {SPACE.sample(seed).id: SPACE.sample(seed) for seed in range(number)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_units({use.unit.id: use.unit for use in latency.uses}.values(), folder)
        write_children(SPACE, SCALE, latency.uses, latency.fitted(), folder)
        told = {path.stem for path in folder.glob("*.onnx")}
        write_children(SPACE, SCALE, latency.uses, children.values(), folder)
        rows = measure(sorted(folder.glob("*.onnx")), most_s=SECONDS)
        path = folder / "latency.json"
        path.write_text(json.dumps(profile([row for row in rows if row["id"] in told], 1)))
        predictor = Latency(SPACE, SCALE, read_profile(path, 1))
    measured = {row["id"]: row["median_ms"] for row in rows if row["id"] in children}
    predicted = {key: predictor(child) for key, child in children.items()}
    errors = [abs(predicted[key] / ms - 1) for key, ms in measured.items()]
    pairs = [predicted[key] for key in measured], list(measured.values())
    low, high = min(measured.values()), max(measured.values())
    print(f"{number} children of {low:.2f} to {high:.2f} ms in ONNX Runtime\n"
          f"rank correlation {spearmanr(*pairs).statistic:.3f}\n"
          f"median error     {median(errors):.1%}\n"
          f"largest error    {max(errors):.1%}")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10)
