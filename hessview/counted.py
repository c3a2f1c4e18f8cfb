"""How many of something, in words."""


def counted(count: int, what: str, plural: str = "") -> str:
    """A number of things, such as "1 probe" or "1,200 steps".

    Args:
        count: How many.
        what: One of them, such as "training step".
        plural: Several of them, where they do not just end in s.

    Returns:
        Plain text.
    """
    return f"{count:,} {what if count == 1 else plural or what + 's'}"
