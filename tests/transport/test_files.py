import pytest

from hessview.transport.files import Failure, blame
from hessview.transport.liveness import Process

PEER = "RuntimeError: [pair.cc:553] Connection closed by peer [127.0.0.1]:4242"
ONE = Process(pid=11, started=0.0, boot="", host="node")


@pytest.mark.parametrize(
    ("failures", "gone", "text"),
    [
        ([], {}, ""),
        ([(1, "ValueError: nan")], {}, "rank 1 failed: ValueError: nan"),
        ([(0, PEER), (1, "ValueError: nan")], {0: ONE, 1: ONE}, "rank 1 failed: ValueError: nan"),
        ([(0, PEER)], {0: ONE, 1: ONE}, "rank 1 (pid 11 on node) was killed without a word"),
        ([], {3: ONE}, "rank 3 (pid 11 on node) was killed without a word, by the system"),
        ([], {1: ONE, 0: ONE}, "rank 0 (pid 11 on node), rank 1 (pid 11 on node) was killed"),
        ([(2, PEER)], {}, f"another rank was killed without a word; rank 2: {PEER}"),
    ],
)
def test_the_one_that_began_it_is_blamed(failures, gone, text):
    failures = [Failure(rank=rank, error=error, time=0.0) for rank, error in failures]
    found = blame(failures, gone)
    assert found.startswith(text)
    assert bool(found) == bool(text)
