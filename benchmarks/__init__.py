"""Measurements, as ratios against the physical limit in the same run. Never part of the tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # their servers are measured against here, by the names they have there
