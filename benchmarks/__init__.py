"""Measurements, as ratios against the physical limit in the same run. Never part of the tests."""
