"""The page's functions as node computes them."""

import json
import math
import os
import subprocess

import pytest

from helpers.folders import TESTS


class Node:
    """The page's functions in a process of node: no browser is needed for arithmetic."""

    def __init__(self, program):
        script = TESTS / "page" / "node" / "evaluate.mjs"
        self._process = subprocess.Popen(
            [program, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def evaluate(self, script, given=None):
        """What a function in `script` makes of a JSON value; `page` has the modules' exports."""
        asked = json.dumps({"script": script, "given": given}, allow_nan=False)
        self._process.stdin.write(asked + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"node ended with {self._process.wait()}"
        told = json.loads(line, object_hook=_number)
        assert "error" not in told, told["error"]
        return told["value"]

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def _number(told):
    """JSON has no name for a number that is not finite."""
    names = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    return names[told["$number"]] if "$number" in told else told


def require_node(found, cure):
    """Skip where something of node is missing, or fail where it must be there."""
    if not found:
        if os.environ.get("HESSVIEW_REQUIRE_NODE") == "1":
            pytest.fail(cure)
        pytest.skip(cure)
    return found
