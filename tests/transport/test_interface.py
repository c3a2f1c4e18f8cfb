import socket
from collections import namedtuple

import psutil
import pytest

from hessview.errors import InputError, JobError
from hessview.transport.interface import Interface, check_route, loopback, private_interface

Address = namedtuple("Address", "family address")
State = namedtuple("State", "isup")


@pytest.fixture
def interfaces(monkeypatch):
    """Pretend that the host has interfaces: {name: addresses}; those named "down..." are down."""

    def pretend(addresses):
        families = {name: [Address(_family(a), a) for a in found] for name, found in addresses}
        monkeypatch.setattr(psutil, "net_if_addrs", lambda: families)
        states = {name: State(not name.startswith("down")) for name in families}
        monkeypatch.setattr(psutil, "net_if_stats", lambda: states)

    return lambda **addresses: pretend(list(addresses.items()))


def _family(address):
    if address.count(":") == 5:
        return psutil.AF_LINK
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.mark.parametrize(
    ("addresses", "taken"),
    [
        (["10.0.0.7", "aa:bb:cc:dd:ee:ff"], "10.0.0.7"),
        (["192.168.3.4", "2606:4700::1"], "192.168.3.4"),  # TensorPipe binds the first alone
        (["fe80::1%ib0"], "fe80::1"),
        (["fd12::7", "8.8.8.8"], "fd12::7"),
        (["100.64.0.9"], "100.64.0.9"),  # of a carrier's or an overlay network
    ],
)
def test_private_addresses_are_taken(interfaces, addresses, taken):
    interfaces(ib0=addresses)
    assert private_interface("ib0") == Interface("ib0", taken)


@pytest.mark.parametrize("addresses", [["8.8.8.8"], ["2606:4700::1"], ["1.2.3.4", "10.0.0.1"]])
def test_public_addresses_are_refused(interfaces, addresses):
    interfaces(eth0=addresses, eth1=["10.0.0.1"])
    with pytest.raises(
        InputError, match=rf"listen='eth0' has the public address {addresses[0]}, .*private network"
    ):
        private_interface("eth0")


@pytest.mark.parametrize("name", ["eth9", "", "down0", "bare", "10.0.0.1"])
def test_what_is_no_interface_is_refused_with_those_there_are(interfaces, name):
    interfaces(lo=["127.0.0.1"], eth1=["10.0.0.1"], down0=["10.0.0.2"], bare=["a:b:c:d:e:f"])
    with pytest.raises(InputError) as caught:
        private_interface(name)
    assert str(caught.value) == (
        f"listen={name!r} is no network interface of this host that is up; "
        "use one of lo (127.0.0.1), eth1 (10.0.0.1)."
    )


def test_the_loopback_is_found_whatever_its_name(interfaces):
    interfaces(eth0=["10.0.0.1"], lo0=["127.0.0.1", "::1"])
    assert loopback() == Interface("lo0", "127.0.0.1")
    interfaces(eth0=["10.0.0.1"])
    with pytest.raises(JobError, match="the loopback interface is down; bring it up"):
        loopback()


def test_interfaces_of_this_host():
    assert private_interface(loopback().name) == loopback()
    check_route(f"uv://{loopback().address}:9")
    check_route("uv://[::1]:9")
    with pytest.raises(RuntimeError, match=r"no way to 255\.255\.255\.255: "):
        check_route("uv://255.255.255.255:9")
