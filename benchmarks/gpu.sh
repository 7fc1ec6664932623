#!/usr/bin/env bash
# All that needs a GPU, in one call: the gpu tests, the search step's speed in float32 and bf16, a
# search on digits with hardware=gpu and, where there are several GPUs, with hardware=ddp.
# PYTHON names the interpreter, OUT the folder of the runs.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
OUT=${OUT:-outputs/gpu}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
NUM=$("$PYTHON" -c "import torch; print(torch.cuda.device_count())")
if [ "$NUM" = 0 ]; then
    echo "no CUDA device is found here" >&2
    exit 1
fi
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv || true
STATUS=0
"$PYTHON" -m pytest -q -m gpu tests || STATUS=1
"$PYTHON" benchmarks/gpu_step.py || STATUS=1
"$PYTHON" -m nas_lightning search hardware=gpu callbacks=silent \
    hydra.run.dir="$OUT/gpu-$(date +%s)" || STATUS=1
if [ "$NUM" -gt 1 ]; then
    "$PYTHON" -m nas_lightning search hardware=ddp callbacks=silent data.batch_size=$((NUM * 32)) \
        hydra.run.dir="$OUT/ddp-$(date +%s)" || STATUS=1
fi
exit $STATUS
