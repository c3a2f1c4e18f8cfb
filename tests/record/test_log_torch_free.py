import subprocess
import sys

from hessview.record.log import FILENAME, EventLog

SCRIPT = """
import sys

HEAVY = {"torch", "transformers", "plotly", "panel", "bokeh", "anywidget", "ipywidgets"}


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"{name} is not for this floor")


sys.meta_path.insert(0, Absent())

import hessview
from hessview.analysis.store import to_netcdf
from hessview.analysis.summary import format_summary

folder = sys.argv[1]
ds = hessview.open_runs(folder)["a"].to_dataset()
hessview.ritz(ds)
to_netcdf(ds, folder + "/out.nc")
print(format_summary(hessview.summary(ds)))
"""


def test_a_record_is_read_and_summarised_without_torch(tmp_path, measure, matrix):
    log = EventLog("job-1", tmp_path / FILENAME)
    for run, payload in measure(matrix, steps=10, probes=3):
        log.append(payload, run)
    log.close()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "largest",
        "smallest",
        "trace",
        "frobenius norm",
        "negative mass",
        "unresolved mass",
    ]
