"""Many viewers of one agent, in a process of their own: crowd.py PORT TOKEN AGENT READERS STALLED.

Says `ready` when each has its first screen, and lives until its standard input ends. Those who
stall read no more from then on.
"""

import selectors
import sys

from sockets import Ours


class Door:
    """What a viewer asks of a lab."""

    def __init__(self, port, token):
        self.port, self.token = port, lambda: token


def main():
    port, token, agent = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    readers, stalled = int(sys.argv[4]), int(sys.argv[5])
    all_of_them = [Ours(Door(port, token), agent, read_only=True) for _ in range(readers + stalled)]
    for viewer in all_of_them:
        viewer.read()
    wake = selectors.DefaultSelector()
    wake.register(sys.stdin, selectors.EVENT_READ)
    for viewer in all_of_them[:readers]:
        wake.register(viewer.socket, selectors.EVENT_READ, viewer)
    print("ready", flush=True)
    while True:
        for key, _ in wake.select():
            if key.data is None:
                return
            viewer = key.data
            viewer.socket.more(0)
            viewer.look()


if __name__ == "__main__":
    main()
