"""The dashboard as a Panel app, for a browser without a notebook."""

import hmac
import logging
import secrets
import warnings
import webbrowser
from collections.abc import Callable
from typing import Any

import panel
from panel.custom import JSComponent

from hessview.errors import InputError
from hessview.page.board import Board
from hessview.page.contract import BoardMessage
from hessview.page.module import module

_ADDRESS = "127.0.0.1"  # what a record holds, and who may ask its job, is nobody else's business


class ServedDashboard(JSComponent):  # type: ignore[misc]  # panel is untyped here
    """A board on a page of a Panel app; each page has its own.

    Args:
        board: What it shows, shared by all pages.
    """

    _esm = module()

    def __init__(self, board: Board) -> None:
        super().__init__(sizing_mode="stretch_width")
        self._board = board
        self.close: Callable[[], None] = board.listen(self._tell)

    def _tell(self, message: BoardMessage) -> None:
        panel.state.execute(lambda: self._send_msg(message))

    def _handle_msg(self, data: Any) -> None:
        self._board.take(data)


def serve_dashboard(
    board: Board, *, port: int = 0, browser: bool = True, announce: Callable[[str], None] = print
) -> None:
    """Serve a board on this host's loopback interface, until interrupted.

    The address holds a token, without which nothing is shown: other users of the host can reach
    the port as well.

    Args:
        board: What to show.
        port: Port to serve on; 0 takes a free one.
        browser: Whether to open a browser.
        announce: Called with the address.

    Raises:
        InputError: The port is taken.
    """
    token = secrets.token_urlsafe(16)

    def page() -> Any:
        sent_token = panel.state.session_args.get("token", [b""])[0]
        if not hmac.compare_digest(sent_token, token.encode()):
            return panel.pane.HTML(
                "This dashboard is opened with the address that hessview printed."
            )
        panel.config.reconnect = True
        dashboard = ServedDashboard(board)
        panel.state.on_session_destroyed(lambda context: dashboard.close())
        return dashboard

    try:
        server = panel.io.server.get_server(
            {"dashboard": page},
            port=port,
            address=_ADDRESS,
            websocket_origin=None,
            title="hessview",
            show=False,
            start=False,
            verbose=False,
        )
    except OSError as error:
        raise InputError(
            f"port={port} is taken ({error}); use another, or 0 for a free one."
        ) from error
    # Of a page that went while it was told something: it catches up when it is there again.
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    url = f"http://{_ADDRESS}:{server.port}/dashboard?token={token}"
    announce(url)
    if browser:
        webbrowser.open(url)
    try:
        with warnings.catch_warnings():  # Bokeh has one for each page that connects again
            warnings.filterwarnings("ignore", "reference already known")
            server.run_until_shutdown()
    finally:
        board.close()
