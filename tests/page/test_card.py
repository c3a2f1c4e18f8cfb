import dataclasses

from helpers.emulated import payloads
from hessview.page.card import session_card


def test_the_card_tells_what_the_job_holds():
    card = session_card(next(payloads()), "attached")
    for text in ("SmolLM2-135M-Instruct", "134,515,008", "2 on cpu (shard 2)", "4,096 tokens"):
        assert text in card
    assert "2: embedding 28.3 M, layer.0 3.54 M" in card
    assert "attached" in card


def test_many_blocks_are_summed_up_and_hostile_names_escaped():
    blocks = {f"layer.{i}": 10 for i in range(100)} | {"<b>": 1}
    job = dataclasses.replace(next(payloads()), model="<img src=x onerror=alert(1)>", blocks=blocks)
    card = session_card(job, "attached")
    assert "101: layer.0 10" in card
    assert "and 95 more" in card
    assert "<img" not in card
