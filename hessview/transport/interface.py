"""Network interfaces of this host, and which of them a job may listen on."""

import dataclasses
import ipaddress
import socket
import urllib.parse

import psutil

from hessview.errors import InputError, JobError

_FAMILIES = (
    socket.AF_INET,
    socket.AF_INET6,
)  # TensorPipe takes the first, in this order


@dataclasses.dataclass(frozen=True)
class Interface:
    """A network interface, and the address of it that TensorPipe binds.

    Attributes:
        name: Name of the interface.
        address: IPv4 or IPv6 address.
    """

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.address} ({self.name})"


def private_interface(name: str) -> Interface:
    """An interface of this host that a job may listen on.

    Args:
        name: Name of the interface, such as "eth1".

    Returns:
        The interface, with an address that cannot be reached from the internet.

    Raises:
        InputError: There is none of this name that is up, or its address is public.
    """
    interfaces = _interfaces()
    if name not in interfaces:
        choices = ", ".join(
            f"{interface.name} ({interface.address})" for interface in interfaces.values()
        )
        raise InputError(
            f"listen={name!r} is no network interface of this host that is up; use one of "
            f"{choices}."
        )
    if ipaddress.ip_address(interfaces[name].address).is_global:
        raise InputError(
            f"listen={name!r} has the public address {interfaces[name].address}, and whoever "
            "reaches a job can run code in it; name an interface of a private network."
        )
    return interfaces[name]


def loopback() -> Interface:
    """The interface that no other host can reach.

    Raises:
        JobError: It is down.
    """
    for interface in _interfaces().values():
        if ipaddress.ip_address(interface.address).is_loopback:
            return interface
    raise JobError("the loopback interface is down; bring it up, such as with: ip link set lo up")


def check_route(url: str) -> None:
    """Check that this host knows a way to an address; nothing is sent.

    Args:
        url: Such as "uv://10.0.0.1:4242".

    Raises:
        RuntimeError: It knows none. TensorPipe would abort the process.
    """
    target = urllib.parse.urlsplit(url)
    family, kind, _, _, address = socket.getaddrinfo(
        target.hostname, target.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
    )[0]
    with socket.socket(family, kind) as probe:
        try:
            probe.connect(address)
        except OSError as error:
            raise RuntimeError(f"no way to {address[0]}: {error.strerror}") from error


def _interfaces() -> dict[str, Interface]:
    """Interfaces that are up and have an address, by name."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    interfaces = {}
    for name, addresses in psutil.net_if_addrs().items():
        usable = [address.address for address in addresses if address.family in _FAMILIES]
        if name in up and usable:
            interfaces[name] = Interface(name, usable[0].partition("%")[0])
    return interfaces
