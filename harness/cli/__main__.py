"""`python -m harness.cli`, where the program of the environment is not on PATH."""

import sys

from harness.cli import main

sys.exit(main())
