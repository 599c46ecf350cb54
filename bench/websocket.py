"""Keystrokes and floods through a WebSocket, beside sshx with a server of its own."""

import os
import pty
import statistics
import subprocess
import time

from sockets import Bare, Ours, Sshx
from terminal import ECHO, LINE, flood, flood_file, keystrokes

# Where `make bench` has it built.
PEERS = os.path.join(os.path.dirname(__file__), "..", "target", "peers", "bin")
ROUNDS, KEYS = 11, 200


def sshx(lab, bytes_max):
    """The peer, or why there is none."""
    try:
        return Sshx(lab, PEERS, bytes_max), ""
    except (OSError, subprocess.SubprocessError, RuntimeError, TimeoutError, EOFError) as why:
        return None, f"sshx could not be run: {why}"


def echo_ws(lab):
    lab.agent("echo-ws")
    lab.wsm("send", "echo-ws", f"clear; {ECHO}")
    ours = Ours(lab, "echo-ws")
    # Before the peer: if socat is missing, nothing is left running.
    bare = Bare(lab)
    theirs, missing = sshx(lab, 4 << 20)
    clients = [client for client in (ours, bare, theirs) if client]
    try:
        if theirs:
            theirs.type(f"clear; {ECHO}\r".encode())
        for client in clients:
            client.drain(1)
            keystrokes(client, 40)
        times = [[] for _ in clients]
        for _ in range(ROUNDS):
            for client, all_of_it in zip(clients, times):
                all_of_it += keystrokes(client, KEYS)
    finally:
        for client in clients:
            client.close()
        lab.wsm("rm", "--purge", "echo-ws", check=False)
    entries = []
    for name, part in (("echo_ws_p50", 50), ("echo_ws_p99", 99)):
        values = [statistics.quantiles(all_of_it, n=100)[part - 1] * 1e6 for all_of_it in times]
        floor, peer = values[1], values[2] if theirs else None
        note = missing or f"{ROUNDS} rounds of {KEYS} keys, one client for both, plain TCP on loopback; " + (
            f"a bare relay (socat to a PTY) takes {floor:.0f} µs, without those it is {(values[0] - floor) / (peer - floor):.2f}"
        )
        entries.append(lab.entry(name, values[0], "sshx, its own server", peer, "µs", "≤ 0.5", ROUNDS, note))
    return entries


def bulk_ws(lab):
    """sshx delivers every byte, wsm shows the newest screen; neither is faster than the terminal itself."""
    runs, size = 5, 32 << 20
    agent = lab.agent("bulk-ws")
    inside, outside = os.path.join(agent["workspace"], "flood.txt"), os.path.join(lab.base, "flood.txt")
    for path in (inside, outside):
        flood_file(path, size)
    ours = Ours(lab, "bulk-ws")
    # All that it will ever show: the floods, one of them to warm up, and a little.
    theirs, missing = sshx(lab, (runs + 1) * (size + size // len(LINE)) + (8 << 20))
    try:
        for client, path in ((ours, "flood.txt"), (theirs, outside)):
            if client:
                client.drain(1)
                flood(client, path)
        a = statistics.median(flood(ours, "flood.txt") for _ in range(runs))
        b = statistics.median(flood(theirs, outside) for _ in range(runs)) if theirs else None
    finally:
        for client in (ours, theirs):
            if client:
                client.close()
        lab.wsm("rm", "--purge", "bulk-ws", check=False)
    mb = size / 1e6
    alone = mb / statistics.median(drained(outside) for _ in range(runs))
    note = missing or f"{mb:.0f} MB through the WebSocket, one viewer; a terminal that is only drained gives {alone:.0f} MB/s"
    return [lab.entry("bulk_ws", mb / a, "sshx, its own server", b and mb / b, "MB/s", "≥ 1.5", runs, note)]


def drained(path):
    """Seconds that the kernel's terminal takes for a file that nobody looks at."""
    begun = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("cat", ["cat", path])
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # EIO: the program has ended
        pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return time.perf_counter() - begun
