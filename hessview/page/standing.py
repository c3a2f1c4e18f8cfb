"""Whether a page's sessions can be asked, and what they answered last."""

from collections.abc import Sequence
from typing import Any

from hessview.page.actions import Asked, Notice


def standing(sessions: Sequence[Asked], notice: Notice | None) -> dict[str, Any]:
    """What a page's state says of asking.

    Args:
        sessions: Whom the page can ask; none of a page over records.
        notice: What was answered last.

    Returns:
        asking: Whether it can be asked at this moment; reason: why not, ""; notice: what was
        answered ({"text", "tone"}), None for nothing. Nothing at all where there is no session.
    """
    if not sessions:
        return {}
    lost = [str(one.lost) for one in sessions if one.lost is not None]
    asking = len(lost) < len(sessions)
    return {"asking": asking, "reason": "" if asking else lost[0], "notice": notice}
