"""Makes the packaged numbers of MNIST-1D anew, by the generator of their author.

pip install mnist1d==0.0.2.post1
python benchmarks/make_mnist1d.py nas_lightning/data/packaged/mnist1d.npz
"""

import sys

import numpy as np
from mnist1d.data import get_dataset_args, make_dataset  # not a dependency of ours

if __name__ == "__main__":
    made = make_dataset(get_dataset_args())  # of seed 42: 4,000 training and 1,000 test signals
    parts = {"x_train": made["x"], "x_test": made["x_test"]}
    signals = {name: x[:, None].astype(np.float32) for name, x in parts.items()}
    labels = {"y_train": made["y"].astype(np.uint8), "y_test": made["y_test"].astype(np.uint8)}
    np.savez_compressed(sys.argv[1], **signals, **labels)
