"""Keeps bytecode, also where PYTHONDONTWRITEBYTECODE says not to, as in many a container.

Without it each session compiles 400 modules again, and rewrites their asserts, and so does every
program that a test starts: more than half of the processor time that the unit tests take.
"""

import os
import sys

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
