"""Where the tests, and what they start, lie."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
JOBS = TESTS / "jobs"
