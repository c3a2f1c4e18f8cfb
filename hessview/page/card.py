"""The card that a session shows of its job."""

from markupsafe import Markup

from hessview.messages import JobStarted
from hessview.page.wording import count, number

MOST_BLOCKS = 6  # more are summed up, in a model of a hundred layers

# JupyterLab's own variables make the card light or dark; elsewhere the browser's colours serve.
_CARD = Markup(
    '<div style="max-width:760px;padding:14px 20px;border:1px solid '
    "var(--jp-border-color2,#9aa3b25c);border-radius:10px;font-family:system-ui,sans-serif;"
    'font-size:14px;line-height:1.5">'
    '<div style="font-size:18px;font-weight:650;overflow-wrap:anywhere">{title}</div>'
    '<div style="opacity:.75;margin-bottom:10px">{subtitle}</div>'
    '<dl style="display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:0">'
    "{rows}</dl>"
    "</div>"
)
_ROW = Markup(
    '<dt style="float:none;width:auto;margin:0;font-weight:400;opacity:.75">{}</dt>'
    '<dd style="margin:0;overflow-wrap:anywhere">{}</dd>'
)


def session_card(job: JobStarted, state: str) -> str:
    """What a job differentiates and where, and whether it can be asked.

    Args:
        job: What the job said of itself.
        state: Whether the session is attached, or why not, in words.

    Returns:
        HTML with inline styles only; every name in it is escaped.
    """
    mesh = ", ".join(f"{name} {size}" for name, size in job.mesh.items())
    computing = f", computing in {job.compute_dtype}" if job.compute_dtype != job.dtype else ""
    rows = {
        "Session": state,
        "Revision": job.revision,
        "Parameters": f"{job.parameters:,}",
        "Blocks": _blocks(job.blocks),
        "Ranks": f"{job.world_size} on {job.device}" + (f" ({mesh})" if mesh else ""),
        "Precision": f"{job.dtype}{computing}",
        "Data": f"{job.weight:,.0f} {job.weight_unit} in {job.batches} batches ({job.digest})",
        "Loss": f"{number(job.loss, 4)}, gradient norm {number(job.gradient_norm)}",
        "Versions": ", ".join(f"{name} {version}" for name, version in job.versions.items()),
        "Host": job.host,
    }
    return str(
        _CARD.format(
            title=job.model,
            subtitle=f"{count(job.parameters)} parameters on {job.world_size} ranks",
            rows=Markup("").join(_ROW.format(*row) for row in rows.items() if row[1]),
        )
    )


def _blocks(blocks: dict[str, int]) -> str:
    shown = [f"{name} {count(size)}" for name, size in list(blocks.items())[:MOST_BLOCKS]]
    rest = len(blocks) - len(shown)
    return f"{len(blocks)}: " + ", ".join(shown) + (f", and {rest} more" if rest else "")
