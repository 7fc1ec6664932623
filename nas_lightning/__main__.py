"""python -m nas_lightning NAME ...: a command without its installed script."""

import sys

from nas_lightning.cli.entry import main

if __name__ == "__main__":
    main(sys.argv[1:])
