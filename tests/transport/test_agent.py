import collections
import io
import pickle

import pytest

from hessview.transport.agent import AllowlistUnpickler


class Narrow(AllowlistUnpickler):
    allowed = {("collections", "OrderedDict"): collections.OrderedDict}  # noqa: RUF012


class Attack:
    def __reduce__(self):
        return print, ("run",)


def test_what_is_on_the_list_and_plain_data_pass():
    data = collections.OrderedDict(a=[1, 2.0, "three", None, (b"4",), {5: True}])
    assert Narrow(io.BytesIO(pickle.dumps(data))).load() == data


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_all_else_is_refused_before_it_runs(protocol, capsys):
    stream = io.BytesIO(pickle.dumps(Attack(), protocol))
    with pytest.raises(
        pickle.UnpicklingError, match=r"print is not allowed between kernel and job"
    ):
        Narrow(stream).load()
    assert capsys.readouterr().out == ""
