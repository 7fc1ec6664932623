"""python -m nas_lightning NAME ...: a command without its installed script."""

import os
import sys

if sys.path[0] == os.getcwd():  # python -m puts it first: a random.py there would hide Python's
    sys.path.append(sys.path.pop(0))

from nas_lightning.cli.entry import main

if __name__ == "__main__":
    main(sys.argv[1:])
