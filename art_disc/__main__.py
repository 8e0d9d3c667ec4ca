"""`python -m art_disc` is the command `art-disc`."""

import sys

from art_disc.cli import main

sys.exit(main())
