"""Operators and runs of a session by name, and the table of operators."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterable

import pytest

import hessview
from helpers import toys
from hessview.errors import InputError, RecordError
from hessview.record.events import Event, event_from_json, event_to_json
from hessview.record.operator_facts import OPERATORS, OperatorFacts


@pytest.fixture(scope="module")
def session():
    with hessview.local(toys.gpt()) as session:
        session.density(steps=2, probes=1).wait(60)
        yield session


def test_a_session_knows_the_operators_of_its_job(session):
    assert list(session.operators) == list(OPERATORS)
    assert session.operators["exact"] is OPERATORS["exact"]
    printed = repr(session.operators)
    assert all(name in printed for name in OPERATORS)
    assert "<td" in session.operators._repr_html_()


def test_operators_that_the_objective_cannot_give_are_not_among_them():
    with hessview.local(toys.quadratic(toys.numbers(4, 4), toys.numbers(4))) as session:
        assert session.job.operators
        for name in OPERATORS:
            if name in session.operators:
                session.density(steps=1, probes=1, operator=name).wait(60)
            else:
                with pytest.raises(InputError, match=f"operator {name!r} works on the model's out"):
                    session.density(steps=1, probes=1, operator=name)


def test_a_job_that_does_not_say_has_those_of_hessview(session, monkeypatch):
    payload = dataclasses.replace(session.job, operators=[])
    event = Event(seq=1, time=1.0, job="a", run="", payload=payload)
    data = event_to_json(event)
    del data["operators"]  # as 0.1.0 wrote it
    old = event_from_json(data).payload
    assert old.operators == []
    monkeypatch.setattr(type(session), "job", old)
    assert list(session.operators) == list(OPERATORS)


def test_names_of_the_jobs_operators_are_of_no_run(session):
    assert "operators" not in session.runs[0].dataset.attrs


def test_an_operator_of_the_job_only_is_there_by_name(session, monkeypatch):
    job = dataclasses.replace(session.job, operators=["hessian", "theirs"])
    monkeypatch.setattr(type(session), "job", job)
    assert session.operators["theirs"] == OperatorFacts(name="theirs", wording="theirs")
    assert "not known" in repr(session.operators)


def test_a_run_is_had_by_its_identity(session):
    (run,) = session.runs
    assert session[run.id] is run
    assert not isinstance(session, Iterable)
    with pytest.raises(
        RecordError, match=r"run 'nothing' is not in the job's record.*its runs are"
    ):
        session["nothing"]
    with pytest.raises(RecordError, match="run 0 is not in the job's record"):
        session[0]


def test_the_package_of_operators_reads_as_a_table_without_torch():
    code = (
        "import sys, hessview\n"
        "table = hessview.operators\n"
        "assert list(table) == list(table.keys()), table\n"
        "assert 'exact' in table and len(table) == len(list(table))\n"
        "assert table['exact'].exact and not table['hessian'].exact\n"
        "assert [facts.name for facts in table.values()] == [name for name, _ in table.items()]\n"
        "assert 'double backward' in repr(table)\n"
        "assert '<td' in table._repr_html_()\n"
        "assert 'torch' not in sys.modules\n"
        "from hessview.operators import Hessian\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        hessview.operators.nothing  # noqa: B018
