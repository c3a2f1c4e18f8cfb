"""Digests of batches: equal for equal contents, in any process; other for other contents."""

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import os
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers import toys
from hessview.errors import InputError
from hessview.job.batches import digest
from hessview.job.objective import Objective


class Graph:
    """A batch of no known type, as graph libraries have them."""

    def __init__(self, **parts):
        self.__dict__.update(parts)


class Slotted:
    __slots__ = ("first", "second")

    def __init__(self, first, second):
        self.first, self.second = first, second


@dataclasses.dataclass
class Pair:
    inputs: object
    targets: object = None


class Kind(enum.Enum):
    ONE, TWO = 1, 2


class Opaque:
    """What no copy can be made of, and says so with its address."""

    def __init__(self, part):
        self.part = part

    def __reduce_ex__(self, protocol):
        raise TypeError

    def __repr__(self):
        return f"<Opaque at {id(self)}>"


SQUARE = torch.eye(4)
NUMBER = {  # batches that hold the number x somewhere
    "tensor": lambda x: torch.cat([torch.zeros(3000), torch.tensor([x])]),
    "scalar": lambda x: torch.tensor(x),
    "bfloat16": lambda x: torch.tensor([x, 2.0], dtype=torch.bfloat16),
    "float8": lambda x: torch.tensor([x, 2.0]).to(torch.float8_e4m3fn),
    "uint16": lambda x: torch.tensor([int(x)]).to(torch.uint16),
    "bool": lambda x: torch.tensor([x > 1.5, False]),
    "complex": lambda x: torch.tensor([x + 1j]),
    "conjugate": lambda x: torch.tensor([1 + x * 1j]).conj(),
    "negative": lambda x: torch.tensor([1 + x * 1j]).conj().imag,
    "strided": lambda x: (x * torch.arange(12.0)).view(3, 4).T[::2],
    "expanded": lambda x: torch.tensor([x]).expand(5),
    "empty": lambda x: torch.zeros(int(x), 0),
    "COO": lambda x: (SQUARE * x).to_sparse(),
    "COO with repeats": lambda x: torch.sparse_coo_tensor([[0, 0], [1, 1]], [x, 1.0], (2, 2)),
    "CSR": lambda x: (SQUARE * x).to_sparse_csr(),
    "CSC": lambda x: (SQUARE * x).to_sparse_csc(),
    "BSR": lambda x: (SQUARE * x).to_sparse_bsr((2, 2)),
    "BSC": lambda x: (SQUARE * x).to_sparse_bsc((2, 2)),
    "jagged": lambda x: torch.nested.nested_tensor(
        [torch.full((2, 3), x), torch.ones(4, 3)], layout=torch.jagged
    ),
    "nested": lambda x: torch.nested.nested_tensor([torch.full((2, 3), x), torch.ones(4, 3)]),
    "packed": lambda x: nn.utils.rnn.pack_sequence([torch.full((3,), x), torch.ones(2)]),
    "quantised": lambda x: torch.quantize_per_tensor(torch.tensor([x]), 0.1, 3, torch.qint8),
    "scale": lambda x: torch.quantize_per_tensor(torch.zeros(2), 0.1 * x, 3, torch.qint8),
    "scales": lambda x: torch.quantize_per_channel(
        torch.tensor([[0.0]]), torch.tensor([x]), torch.tensor([0]), 0, torch.qint8
    ),
    "array": lambda x: np.concatenate([np.zeros(5000), [x], np.zeros(5000)]),
    "array of one": lambda x: np.array(x),
    "numpy number": lambda x: np.float32(x),
    "texts": lambda x: np.array([f"sample {x}", "b"]),
    "long texts": lambda x: np.array([f"sample {x}", "b"], dtype=np.dtypes.StringDType()),
    "objects": lambda x: np.array([f"sample {x}", None, [1, x]], dtype=object),
    "records": lambda x: np.array([(1, f"a{x}")], dtype=[("i", int), ("o", object)]),
    "masked": lambda x: np.ma.masked_array([1, x], [True, False]),
    "dates": lambda x: np.array([f"2020-01-0{int(x)}"], dtype="datetime64[D]"),
    "ragged lists": lambda x: [[1, 2, x], [3]],
    "nothing": lambda x: None if x > 1.5 else 0,
    "text": lambda x: f"text {x}",
    "bytes": lambda x: str(x).encode(),
    "bytearray": lambda x: bytearray(str(x).encode()),
    "view": lambda x: memoryview(str(x).encode()),
    "dict": lambda x: {"ids": torch.tensor([[x]]), "mask": None},
    "set": lambda x: {"a", "b", f"c{x}", "d"},
    "frozen set": lambda x: frozenset([("a", x), ("b", 2)]),
    "default dict": lambda x: collections.defaultdict(list, a=[x]),
    "user dict": lambda x: collections.UserDict(a=x),
    "deque": lambda x: collections.deque([x]),
    "dataclass": lambda x: Pair(torch.tensor([x]), {"k": [x]}),
    "slots": lambda x: Slotted(torch.tensor([x]), x),
    "object": lambda x: Graph(nodes=torch.tensor([x]), name="g"),
    "namespace": lambda x: types.SimpleNamespace(graph=Graph(x=x)),
    "opaque": lambda x: Opaque(x),
    "table": lambda x: pd.DataFrame({"a": [0] * 500 + [x] + [0] * 500, "b": "text"}),
    "decimal": lambda x: decimal.Decimal(str(x)),
    "date": lambda x: datetime.datetime(2020, 1, int(x)),
    "enumeration": lambda x: Kind(int(x)),
    "partial": lambda x: functools.partial(max, x),
    "range": lambda x: range(int(x)),
}


@pytest.mark.filterwarnings("ignore")  # of torch, on sparse, nested, and quantised tensors
@pytest.mark.parametrize("kind", NUMBER)
def test_contents_are_told_apart_and_nothing_else(kind):
    make = NUMBER[kind]
    # Made twice: what lies elsewhere in memory is the same data set all the same.
    assert digest([make(1.0)]) == digest([make(1.0)])
    assert digest([make(1.0)]) != digest([make(2.0)])


def all_digests():
    return [f"{kind} {digest([make(1.0)])}" for kind, make in NUMBER.items()]


def test_every_process_finds_the_same_digests():
    """Whatever the seed of Python's hashes, and thus the order of its sets."""
    run = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        "import test_batches_digest as t; print(*t.all_digests(), sep='\\n')",
    ]
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, os.path.dirname(here), *sys.path])
    found = [
        subprocess.run(
            run,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(found[0].splitlines()) == len(NUMBER)


def test_memory_maps_are_read(tmp_path):
    found = []
    for x in (1.0, 2.0):
        array = np.memmap(tmp_path / f"{x}", dtype="f4", mode="w+", shape=(3,))
        array[:] = x
        assert digest([array]) == digest([np.memmap(tmp_path / f"{x}", dtype="f4")])
        found.append(digest([array]))
    assert found[0] != found[1]


def test_what_is_inside_of_what_belongs_to_the_contents():
    def of(*batches):
        return digest(batches)

    a, b = torch.zeros(2, 3), torch.ones(2, 3)
    apart = [
        of(a, b),
        of(b, a),
        of([a, b]),
        of([[a], b]),
        of(a, b.T.contiguous()),
        of(a, b.double()),
        of(a, b.to_sparse()),
        of(a),
        of(torch.cat([a, b])),
        of([1, 23]),
        of([12, 3]),
        of([[1, 2], [3]]),
        of([[1], [2, 3]]),
        of(1),
        of(1.0),
        of(True),
        of("1"),
        of(b"1"),
        of({1: 2}),
        of({(1, 2)}),
        of({"a": 1, "b": 2}),
        of({"a": 2, "b": 1}),
    ]
    assert len(set(apart)) == len(apart)


def test_the_order_of_keys_and_the_way_in_which_memory_is_laid_out_do_not():
    x = torch.arange(12.0).view(3, 4)
    assert digest([{"a": 1, "b": x}]) == digest([{"b": x, "a": 1}])
    assert digest([x]) == digest([x.T.contiguous().T]) == digest([x.clone().requires_grad_()])
    conjugate = torch.tensor([1 + 2j]).conj()
    assert digest([conjugate]) == digest([conjugate.resolve_conj()])
    shared = [1, [2]]
    assert digest([[shared, shared]]) == digest([[[1, [2]], [1, [2]]]])


def test_what_holds_itself_has_a_digest():
    graph = Graph(name="a")
    graph.itself = graph
    other = Graph(name="a")
    other.itself = other
    assert digest([graph]) == digest([other]) != digest([Graph(name="a", itself=None)])


def test_tensors_without_numbers_are_refused():
    with pytest.raises(
        InputError, match=r"a tensor of shape \(2,\) on \"meta\", where there are no"
    ):
        digest([{"x": torch.zeros(2, device="meta")}])


MODULE = nn.Linear(2, 1)


@pytest.mark.parametrize(
    ("batches", "told"),
    [
        ({"x": 1, "y": 2}, r"batches is a dict with the keys 'x', 'y'; pass a list of batches\."),
        ("texts.txt", r"batches is a text; pass a sequence of batches, such as list\(loader\)\."),
        (torch.tensor(3.0), r"batches is a single number; pass a sequence of batches"),
        (
            (torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)),
            r"batches is a pair of float32 of shape \(4, 2\) and int64 of shape \(4,\), which "
            r"looks like one batch of inputs and targets, .*batches=\[\(inputs, targets\)\]\.",
        ),
    ],
)
def test_what_is_no_sequence_of_batches_is_refused(batches, told):
    with pytest.raises(InputError, match=told):
        Objective(MODULE, toys.token_loss, batches)


def test_batches_that_cannot_be_had_by_number_are_refused():
    table = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
    with pytest.raises(InputError, match=r"batches\[0\] gives KeyError: 0; pass a sequence of 2"):
        Objective(MODULE, toys.token_loss, table).digest()


@pytest.mark.parametrize(
    "batches",
    [
        {0: torch.zeros(2), 1: torch.ones(2)},
        (torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, 5, dtype=torch.int64)),
        torch.zeros(3, 4, 2),
        [(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64))] * 2,
    ],
)
def test_sequences_of_all_kinds_are_taken(batches):
    assert len(Objective(MODULE, toys.token_loss, batches).digest()) == 16
