"""`python -m trainlint`."""

import os
import sys

if sys.path[0] in ("", os.getcwd()):
    # `-m` lets modules of the working folder stand for installed ones, and a check must not run what it checks.
    del sys.path[0]

from trainlint.cli import entry

sys.exit(entry())
