"""Many viewers, slow ones, those who come back, and a keystroke in the middle of a flood."""

import os
import statistics
import subprocess
import sys
import time

from lab import pss_kib, processes
from memory import LINES, keepers
from sockets import Ours
from terminal import LETTERS, Tmux, Viewer, flood, flood_file
from websocket import sshx

CROWD = os.path.join(os.path.dirname(__file__), "crowd.py")
SIZE = 32 << 20
# Prints the last key without end: the echo is there whatever part of the flood is skipped.
FLOOD = r"""
import os, termios, tty
before = termios.tcgetattr(0)
tty.setraw(0)
os.set_blocking(0, False)
key = b"."
while key != b"q":
    try:
        key = os.read(0, 64)[-1:] or key
    except BlockingIOError:
        pass
    left = (key * 70 + b"\r\n") * 50
    os.set_blocking(0, True)
    os.write(1, left)
    os.set_blocking(0, False)
termios.tcsetattr(0, termios.TCSANOW, before)
"""


def flooded(viewer, path, keys):
    """Seconds of each key while the terminal prints: only while it is looked at, so that two don't take each other's time."""
    viewer.drain(0.5)
    viewer.type(f"python3 {path}\r".encode())
    viewer.until(b"." * 70)
    times = []
    for number in range(keys):
        times.append(viewer.echo(bytes([LETTERS[number % len(LETTERS)]])))
        # A person's next key, and not one that waits for the last.
        viewer.drain_for(0.01)
    viewer.type(b"q")
    viewer.drain(1)
    return times


def flood_program(*directories):
    """Its path in each."""
    paths = [os.path.join(directory, "flood.py") for directory in directories]
    for path in paths:
        with open(path, "w", encoding="utf-8") as out:
            out.write(FLOOD)
    return paths


def echo_flood(lab):
    rounds, keys = 5, 100
    agent = lab.agent("echo-flood")
    _, outside = flood_program(agent["workspace"], lab.base)
    tmux = Tmux(lab, "tmux-echo-flood", "bash --norc")
    ours, theirs = Viewer(lab.argv("attach", "echo-flood"), lab.env), tmux.viewer()
    try:
        a, b = [], []
        flooded(ours, "flood.py", keys)
        flooded(theirs, outside, keys)
        for _ in range(rounds):
            a += flooded(ours, "flood.py", keys)
            b += flooded(theirs, outside, keys)
    finally:
        ours.close()
        theirs.close()
        tmux.close()
        lab.wsm("rm", "--purge", "echo-flood", check=False)
    values = [statistics.quantiles(times, n=100)[98] * 1e6 for times in (a, b)]
    note = f"{rounds} rounds of {keys} keys while the terminal prints without end"
    return [lab.entry("echo_flood_p99", values[0], "tmux attach", values[1], "µs", "≤ 0.5", rounds, note)]


def echo_ws_flood(lab):
    """Beside sshx, which delivers every byte."""
    rounds, keys = 5, 100
    agent = lab.agent("echo-ws-flood")
    _, outside = flood_program(agent["workspace"], lab.base)
    ours = Ours(lab, "echo-ws-flood")
    theirs, missing = sshx(lab, 1 << 30)
    clients = [(ours, "flood.py"), (theirs, outside)] if theirs else [(ours, "flood.py")]
    times = [[] for _ in clients]
    try:
        for _ in range(rounds):
            for (client, path), all_of_it in zip(clients, times):
                all_of_it += flooded(client, path, keys)
    finally:
        for client, _ in clients:
            client.close()
        lab.wsm("rm", "--purge", "echo-ws-flood", check=False)
    half, most = ([statistics.quantiles(all_of_it, n=100)[part] * 1e6 for all_of_it in times] for part in (49, 98))
    note = missing or f"{rounds} rounds of {keys} keys while the terminal prints without end; p50 is {half[0]:.0f} µs and {half[1]:.0f}"
    peer = most[1] if theirs else None
    return [lab.entry("echo_ws_flood_p99", most[0], "sshx, its own server", peer, "µs", "≤ 0.5", rounds, note)]


class Crowd:
    """So many viewers in another process."""

    def __init__(self, lab, agent, readers, stalled):
        argv = [sys.executable, CROWD, str(lab.port), lab.token(), agent, str(readers), str(stalled)]
        self.process = subprocess.Popen(argv, env=lab.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError("the crowd did not come")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)


def viewers_50(lab):
    runs = 5
    agent = lab.agent("viewers")
    flood_file(os.path.join(agent["workspace"], "flood.txt"), SIZE)
    viewer = Viewer(lab.argv("attach", "viewers"), lab.env)
    try:
        viewer.drain(1)
        flood(viewer, "flood.txt")
        alone, among = [], []
        for _ in range(runs):
            alone.append(flood(viewer, "flood.txt"))
            with Crowd(lab, "viewers", 39, 10):
                among.append(flood(viewer, "flood.txt"))
    finally:
        viewer.close()
        lab.wsm("rm", "--purge", "viewers", check=False)
    a, b = statistics.median(among), statistics.median(alone)
    note = f"{SIZE / 1e6:.0f} MB; 39 read through WebSockets, 10 stall; their client is on the same cores"
    return [lab.entry("viewers_50", a, "wsm with one viewer", b, "s", "≤ 1.5", runs, note)]


def viewer_stalled_mem(lab):
    stalled = 10
    agent = lab.agent("stalled")
    inside, outside = os.path.join(agent["workspace"], "flood.txt"), os.path.join(lab.base, "flood.txt")
    for path in (inside, outside):
        flood_file(path, SIZE)
    tmux = Tmux(lab, "tmux-stalled", "bash --norc")
    server = int(lab.run([*tmux.argv, "display-message", "-p", "#{pid}"]))
    daemon = [pid for pid, parent, words, _ in processes() if parent == lab.up.pid and "daemon" in words]
    ours, theirs = Viewer(lab.argv("attach", "stalled"), lab.env), tmux.viewer()

    def used():
        return sum(map(pss_kib, [*keepers(agent["id"]), *daemon]))

    slow = []
    try:
        flood(ours, "flood.txt")
        flood(theirs, outside)
        before = used(), pss_kib(server)
        with Crowd(lab, "stalled", 0, stalled):
            slow = [tmux.viewer() for _ in range(stalled)]
            time.sleep(1)
            flood(ours, "flood.txt")
            flood(theirs, outside)
            after = used(), pss_kib(server)
    finally:
        for viewer in (ours, theirs, *slow):
            viewer.close()
        tmux.close()
        lab.wsm("rm", "--purge", "stalled", check=False)
    a, b = ((now - then) / stalled for now, then in zip(after, before))
    note = f"{stalled} of them after {SIZE / 1e6:.0f} MB; shim, init, launcher and daemon"
    return [lab.entry("viewer_stalled_mem", max(a, 0), "tmux server", b, "KiB PSS", "≤ 0.05", 1, note)]


def reattach(lab):
    runs, done = 21, b"all-2"
    lab.agent("back")
    lab.wsm("send", "back", f"clear; {LINES}; echo all-$((1+1))")
    lab.until("the history", lambda: "all-2" in lab.wsm("capture", "back"))
    tmux = Tmux(lab, "tmux-back", "bash --norc")
    lab.run([*tmux.argv, "set-option", "-g", "history-limit", "10000"])
    lab.run([*tmux.argv, "new-session", "-d", "-s", "full", "-x", "80", "-y", "24", "bash --norc"])
    lab.run([*tmux.argv, "kill-session", "-t", "0"])
    lab.run([*tmux.argv, "send-keys", "-t", "full", f"clear; {LINES}; echo all-$((1+1))", "Enter"])
    lab.until("the history", lambda: "all-2" in lab.run([*tmux.argv, "capture-pane", "-p", "-t", "full"]))

    def came(begin):
        begun = time.perf_counter()
        viewer = begin()
        viewer.until(done)
        taken = time.perf_counter() - begun
        viewer.close()
        return taken

    def attached(argv):
        return came(lambda: Viewer(argv, lab.env))

    try:
        argv = lab.argv("attach", "back")
        a, b = lab.alternate(lambda: attached(argv), lambda: attached([*tmux.argv, "attach"]), runs)
        socket = statistics.median(came(lambda: Ours(lab, "back")) for _ in range(runs))
        whole = statistics.median(came(lambda: Ours(lab, "back", history_lines=10_000)) for _ in range(runs))
    finally:
        tmux.close()
        lab.wsm("rm", "--purge", "back", check=False)
    note = "from the start of the program; 10,000 lines of history"
    through = f"WebSocket, from connecting; all 10,000 lines in {whole * 1e3:.1f} ms"
    return [
        lab.entry("reattach", a * 1e3, "tmux attach", b * 1e3, "ms", "≤ 2.0", runs, note),
        lab.entry("reattach_ws", socket * 1e3, "", None, "ms", "≤ 20", runs, through),
    ]
