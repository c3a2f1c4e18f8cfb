"""A page's websocket that a test can lose, cut and restore."""

import re


class Wire:
    """Stands between a Playwright page, before it is opened, and websockets of an address.

    Args:
        page: The page.
        address: Pattern of the websockets' addresses.
    """

    def __init__(self, page, address):
        self._lost = self._refused = False
        self._here = None
        page.route_web_socket(re.compile(address), self._open)

    def lose(self):
        """Let nothing more reach the page, which does not notice."""
        self._lost = True

    def cut(self):
        """End the connection, and refuse others."""
        self._refused = True
        self._here.close()

    def restore(self):
        """Allow connections; all that they say reaches the page."""
        self._lost = self._refused = False

    def _open(self, here):
        if self._refused:
            here.close()
            return
        self._here, there = here, here.connect_to_server()
        there.on_message(lambda message: None if self._lost else here.send(message))
