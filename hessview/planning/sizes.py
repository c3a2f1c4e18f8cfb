"""Sizes of memory in words."""


def say_size(number: float) -> str:
    """Bytes with a unit that suits them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1000 or unit == "GiB":
            break
        number /= 1024
    return f"{number:,.{0 if unit == 'B' else 1 if number >= 10 else 2}f} {unit}"
