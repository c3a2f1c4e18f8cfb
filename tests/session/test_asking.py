"""Questions are checked before anything is sent, and arrive as they were asked."""

import numpy as np
import pytest
import torch
from torch import nn

import hessview
from helpers import toys
from hessview.errors import InputError, RunFailedError


@pytest.fixture
def session():
    """Two coupled vectors: the Hessian of x'Cy + |x|^2 + |y|^2."""
    module = nn.ModuleDict(
        {"x": toys.Point(toys.numbers(3)), "y": toys.Point(toys.numbers(2, seed=1))}
    )
    coupled = toys.numbers(3, 2, seed=2)

    def loss(module, batch):
        x, y = module["x"](), module["y"]()
        return x @ coupled @ y + x @ x + y @ y

    with hessview.local(hessview.Objective(module, loss, [None])) as made:
        yield made, coupled


def test_coupling_arrives_with_the_jobs_blocks(session):
    session, coupled = session
    run = session.coupling(probes=3, seed=5)
    assert run.command.seed == 5
    ds = run.wait(60)
    assert list(ds.block.values) == ["x", "y"]
    forms = ds.form.values
    np.testing.assert_allclose(forms, forms.transpose(0, 2, 1), atol=1e-9)
    np.testing.assert_allclose(forms[:, 0, 0], 2 * 3 / 5, rtol=1e-8)  # x'(2)x with |x|^2 = 3/5
    np.testing.assert_allclose(ds.response_norm[:, 1, 1], 2 * np.sqrt(2 / 5), rtol=1e-8)
    found = hessview.coupling_summary(ds)
    assert set(found.verdict.values) == {"too few probes"}  # three, of two values each
    assert float(found.frobenius[0, 0]) == pytest.approx(2 * np.sqrt(3))
    run = session.coupling(probes=20)
    many = hessview.coupling_summary(run.wait(60))
    exact = float(torch.linalg.norm(coupled))
    assert abs(float(many.frobenius[0, 1]) - exact) <= 4 * float(many.frobenius_spread[0, 1])


def test_blocks_may_be_given_by_pattern(session):
    session, _ = session
    ds = session.coupling(blocks={"second": "y*", "first": "x*"}, probes=1).wait(60)
    assert list(ds.column.values) == ["second", "first"]
    assert ds.form.values[0, 0, 0] == pytest.approx(2 * 2 / 5)
    with pytest.raises(InputError, match=r"block 'b' is empty: its pattern 'z' matches no"):
        session.coupling(blocks={"a": "x*", "b": "z"})
    with pytest.raises(InputError, match=r"lies in block 'a' and in block 'b'; use blocks that do"):
        session.coupling(blocks={"a": "x*", "b": "*"})
    assert len(session.runs) == 1
    assert session.coupling(probes=1).wait(60).attrs["state"] == "done"


def test_coupling_of_one_block_is_refused_before_it_is_sent(session):
    session, _ = session
    with pytest.raises(InputError, match="is one block, which is coupled to nothing; use two or"):
        session.coupling(blocks={"all": "*"})
    assert session.runs == []
    single = hessview.local(toys.quadratic(toys.numbers(2, 2), toys.numbers(2)))
    with (
        single,
        pytest.raises(InputError, match=r"the job has the blocks \['x'\], and coupling needs two"),
    ):
        single.coupling()
    assert single.runs == []


def test_numbers_of_numpy_are_taken(session):
    session, _ = session
    run = session.density(steps=np.int64(2), probes=np.int32(1), epsilon=np.float32(0.5))
    assert (run.command.steps, run.command.epsilon) == (2, 0.5)
    assert {type(run.command.steps), type(run.command.probes)} == {int}
    assert run.wait(60).alpha.sizes == {"probe": 1, "step": 2}


@pytest.mark.parametrize(
    ("ask", "refusal"),
    [
        (lambda s: s.accuracy(epsilons=1e-3), r"epsilons=0.001 is not allowed; use a list of num"),
        (lambda s: s.accuracy(epsilons="auto"), "epsilons='auto' is not allowed; use a list of"),
        (lambda s: s.sweep(fractions=0.5), "fractions=0.5 is not allowed; use a list of numbers"),
        (lambda s: s.sweep(epsilons=[[1e-3]]), r"epsilons=\[0.001\] is not allowed; use a finite"),
        (lambda s: s.density(subset=3), "subset=3 is not allowed; use a list of patterns of par"),
        (lambda s: s.density(subset=[]), r"subset=\[\] is not allowed; use patterns of parameter"),
        (lambda s: s.density(steps=np.bool_(True)), "steps=np.True_ is not allowed; use a whole"),
        (lambda s: s.density(probes=2.0), "probes=2.0 is not allowed; use a whole number >= 1"),
        (lambda s: s.benchmark(depths=3), "depths=3 is not allowed; use a list of whole numbers"),
        (lambda s: s.benchmark(repetitions=0), "repetitions=0 is not allowed; use a whole number"),
        (lambda s: s.accuracy(epsilons=[1e-2], top=None), "top=None is not allowed; use True or F"),
        (
            lambda s: s.density(steps=4, probes=10_000_000),
            "probes=10000000 is too many; use probes",
        ),
        (lambda s: s.density(steps=2, seed=2**70), r"seed has 71 bits; use a seed < 2\*\*63"),
        (
            lambda s: s.coupling(blocks=np.array(["x*", "y*"])),
            r"blocks=array\(.* is not allowed; use",
        ),
        (
            lambda s: s.coupling(blocks={"x": "x*", "y": None}),
            "blocks=.* is not allowed; use a map",
        ),
        (lambda s: s.coupling(probes=10**6), "probes=1000000 .*; use probes <= "),
    ],
)
def test_other_values_are_refused_before_anything_is_sent(session, ask, refusal):
    session, _ = session
    with pytest.raises(InputError, match=refusal):
        ask(session)
    assert session.runs == []
    assert session.lost is None
    assert session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


@pytest.mark.parametrize(
    ("ask", "refusal"),
    [
        (lambda s: s.density(step=5), r"density has no argument 'step' \(did you mean 'steps'\?\)"),
        (lambda s: s.sweep(epsilon=[1]), r"no argument 'epsilon' \(did you mean 'epsilons'\?\)"),
        (lambda s: s.density(24), r"takes its arguments by name, and was given 24 without one"),
        (lambda s: s.accuracy(), r"accuracy needs epsilons; see help\(session\.accuracy\)"),
        (
            lambda s: s.density(steps=2, operator="hesian"),
            r"'hesian' is unknown \(did you mean 'hessian'",
        ),
        (
            lambda s: s.density(steps=2, operator="gauss_newton"),
            r"the objective does not give; pass Objec",
        ),
        (
            lambda s: s.density(steps=2, operator="no.such:Op"),
            r"cannot be found \(there is no module 'no'",
        ),
        (lambda s: s.density(steps=2, operator="json:"), r"operator 'json:' cannot be found"),
        (lambda s: s.benchmark(operators=["hessian", "hessain"]), r"did you mean 'hessian'\?"),
        (lambda s: s.accuracy(epsilons=[1], operator="exact"), r"takes no epsilon"),
        (
            lambda s: s.sweep(steps=2, epsilons=[1], operator="exact"),
            r"takes no epsilon",
        ),
        (
            lambda s: s.density(steps=2, subset="*.z"),
            r"subset='\*\.z' matches none of the 2 differentiat",
        ),
        (lambda s: s.density(quantity="trase"), r"'trase' is not allowed \(did you mean 'trace'"),
    ],
)
def test_what_the_job_does_not_know_leaves_no_run_behind(session, ask, refusal):
    session, _ = session
    with pytest.raises(InputError, match=refusal):
        ask(session)
    assert session.runs == []


def test_one_operator_may_be_named_without_a_list(session):
    session, _ = session
    run = session.benchmark(operators="hessian_forward", depths=[1], repetitions=1)
    assert run.command.operators == ("hessian_forward",)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("json:dumps", "operator 'json:dumps' cannot be made .TypeError: dumps.*it is called with"),
        ("builtins:divmod", "operator 'builtins:divmod' cannot be made"),
        ("builtins:max", "operator 'builtins:max' cannot be made"),
        ("json:nothing", "operator 'json:nothing' cannot be found"),
        ("operator:is_", "operator 'operator:is_' gives a bool without matvec; see Operator in"),
    ],
)
def test_what_is_no_operator_ends_its_run_only(session, name, error):
    session, _ = session
    with pytest.raises(RunFailedError, match=error):
        session.density(steps=2, probes=1, operator=name).wait(60)
    assert session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"
