"""Interrupts and errors at random moments of measurements, by the hundred: what they change.

    python tests/benchmarks/interrupts.py [--seed 0] [--single 300] [--ranks 100]

Prints a line for each kind of training: how many polls were struck, how the runs ended, and what
was changed, which is nothing.
"""

import argparse
import pathlib
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).parent.parent))
from helpers.harmless import harm, train


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--single", type=int, default=300, help="tries in one process")
    parser.add_argument("--ranks", type=int, default=100, help="tries on two ranks")
    options = parser.parse_args()
    worst = 0
    for kind in ("single", "fsdp", "ddp"):
        tries = options.single if kind == "single" else options.ranks
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            plain = train(kind, "nothing", tries, place, limit=1200)
            for mode in ("interrupts", "errors"):
                began = time.monotonic()
                found = train(kind, mode, tries, place, seed=options.seed, limit=3600)
                harms = harm(found, plain)
                runs = found[0]["runs"]
                struck = [rank["raised"] + rank["met"] for rank in found]
                print(
                    f"{kind:7} {mode:10} {tries} tries, struck {struck}, begun {runs['begun']}, "
                    f"ended {runs['states']}, changed {len(harms)} "
                    f"({time.monotonic() - began:.0f} s)",
                    *harms[:10],
                    sep="\n    " if harms else "",
                    flush=True,
                )
                worst += len(harms)
    return int(worst > 0)


if __name__ == "__main__":
    sys.exit(main())
