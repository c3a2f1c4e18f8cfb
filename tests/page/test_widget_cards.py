"""The cards of a session and of a run, on a real session in this process."""

import re

import pytest

import hessview
from hessview.page.widget import RunCard, SessionCard, View


def test_a_sessions_card_follows_its_state(session, until):
    card = SessionCard(session)
    shown = card.state["card"]
    assert (shown["title"], shown["state"]) == ("small", "attached")
    assert ["Parameters", "212"] in shown["rows"]
    data, _ = card._repr_mimebundle_()
    assert re.search(r"attached at \d{4}-\d\d-\d\d", data["text/html"])
    assert data["text/plain"] == repr(session)
    session.close()
    until(lambda: card.state["card"]["state"] != "attached")
    assert card.state["card"]["state"] == "lost"
    assert "the job has ended" in card.state["card"]["message"]
    assert "the job has ended" in card._repr_mimebundle_()[0]["text/html"]
    card.close()


def test_a_run_card_has_the_numbers_and_no_panels(session):
    run = session.density(steps=6, probes=2)
    card = run.card()
    assert isinstance(card, RunCard)
    assert card.wait(60)
    (section,) = card.state["sections"]
    assert section["panels"] == []
    assert section["status"]["state"] == "done"
    largest = hessview.summary(run.dataset).sel(quantity="largest")
    assert section["tiles"][0]["label"] == "Largest eigenvalue"
    assert float(section["tiles"][0]["value"]) == pytest.approx(float(largest.value), rel=0.05)
    assert section["tiles"][0]["note"].startswith("±")
    html = card._repr_mimebundle_()[0]["text/html"]
    assert "done, 12 of 12 steps" in html
    assert "<svg" not in html
    assert len(card.source.text) < len(View.source.text) / 10  # it comes without plotly
    assert len(card._esm) < 8_000


def test_a_run_is_cancelled_from_its_card(session):
    run = session.density(steps=100, probes=20)
    card = run.card()
    card._handle_custom_msg({"action": "cancel", "run": run.id}, [])
    assert card.wait(60)
    assert card.state["sections"][0]["status"]["state"] == "cancelled"
