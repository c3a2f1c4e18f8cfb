import re

import pytest
import torch
import torch.nn.functional as F

from hessview.errors import InputError
from hessview.job.batches import next_token_loss, read_text, token_batches

GOOD = {"tokens": 24, "length": 4, "batch": 2, "vocabulary": 100}


def test_batches_hold_the_first_tokens_in_order():
    batches = token_batches(range(50), **GOOD)
    assert [tuple(batch.shape) for batch in batches] == [(2, 4)] * 3
    assert torch.cat(batches).flatten().tolist() == list(range(24))


def test_tokens_are_rounded_down_to_whole_sequences_and_the_last_batch_may_be_short():
    batches = token_batches(range(50), **{**GOOD, "tokens": 23})
    assert [tuple(batch.shape) for batch in batches] == [(2, 4), (2, 4), (1, 4)]


def test_all_tokens_of_a_text_can_be_used():
    assert len(token_batches(range(24), **GOOD)) == 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tokens": 0}, "tokens=0 is not allowed; use a whole number >= 1."),
        ({"batch": 0}, "batch=0 is not allowed; use a whole number >= 1."),
        ({"length": 1}, "length=1 is not allowed; use a whole number >= 2."),
        (
            {"batch": 13},
            "the text has 50 tokens, fewer than one batch of 13 x 4 = 52; give a longer text, or "
            "a smaller batch or sequence length.",
        ),
        (
            {"tokens": 7},
            "tokens=7 is less than one batch of 2 x 4 = 8; use more tokens, or a smaller batch or "
            "sequence length.",
        ),
        (
            {"tokens": 51},
            "tokens=51 exceeds the 50 tokens of the text; use tokens <= 50, or a longer text.",
        ),
        (
            {"vocabulary": 23},
            "token 23 is outside of the model's vocabulary of 23; the tokenizer belongs to another "
            "model: give model and tokenizer that match.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change, text):
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        token_batches(range(50), **{**GOOD, **change})


def test_a_vocabulary_that_just_fits_is_taken():
    assert token_batches(range(50), **{**GOOD, "vocabulary": 24})


def test_text_is_read_as_utf8_or_is_pythons_own(tmp_path):
    (tmp_path / "text").write_text("Äpfel, naïve", encoding="utf-8")
    assert read_text(str(tmp_path / "text")) == "Äpfel, naïve"
    assert len(read_text(None)) > 100_000
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")
    for name in ("bytes", "missing", "."):
        with pytest.raises(InputError, match=r"cannot be read \(.*\); give a UTF-8 text file\."):
            read_text(str(tmp_path / name))


def test_the_loss_is_of_the_next_token():
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))

    class Model(torch.nn.Module):
        def forward(self, input_ids, use_cache):
            assert not use_cache
            return type("Output", (), {"logits": logits})

    ids = torch.arange(10).view(2, 5) % 7
    total, weight = next_token_loss(Model(), ids)
    expected = sum(
        float(F.cross_entropy(logits[i, t], ids[i, t + 1])) for i in range(2) for t in range(4)
    )
    assert float(weight) == 8
    assert float(total) == pytest.approx(expected, rel=1e-6)
