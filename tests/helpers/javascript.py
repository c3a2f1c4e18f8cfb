"""Functions of the page's sources in node, called with values of Python."""

import json
import os
import re
import shutil
import subprocess

import pytest

from helpers.folders import ROOT

LOOP = """
for await (const line of require("node:readline").createInterface({ input: process.stdin }))
  console.log(JSON.stringify(called(...JSON.parse(line))));
"""


def source(name):
    """The text of one function that the page's sources export, and that needs no other."""
    for file in sorted((ROOT / "hessview" / "page").glob("s*/*.js")):  # static, or src
        found = re.search(rf"(?ms)^export (function {name}\(.*?^}})$", file.read_text())
        if found and "node_modules" not in file.parts:
            return found[1]
    raise AssertionError(f"no source of the page exports {name}")


class Function:
    """A function of the page, in a process of node that is asked line by line."""

    def __init__(self, name):
        node = shutil.which("node")
        if node is None:
            cure = "there is no node; install it, such as with apt-get install nodejs"
            if os.environ.get("HESSVIEW_REQUIRE_NODE") == "1":
                pytest.fail(cure)
            pytest.skip(cure)
        script = f"{source(name)}\nconst called = {name};\n(async () => {{{LOOP}}})();"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([node, "-e", script], **pipes)

    def __call__(self, *values):
        print(json.dumps(values, allow_nan=False), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def end(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
