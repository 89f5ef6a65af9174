"""`python -m trainlint`."""

import sys

from trainlint.cli import entry

sys.exit(entry())
