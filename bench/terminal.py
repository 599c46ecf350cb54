"""Keystrokes and floods, through `wsm attach` and through `tmux attach`, in a real PTY each."""

import fcntl
import itertools
import os
import pty
import select
import statistics
import struct
import subprocess
import termios
import time

# A program that answers each byte at once, with the terminal out of the way.
ECHO = "stty raw -echo; exec cat"
# Letters that end no escape sequence a redraw would contain.
LETTERS = b"QWYV"


# As build tools print them.
LINE = b"2026-11-20 12:00:00 INFO  a line as build tools print them, with some \x1b[32mcolour\x1b[0m\n"


def flood_file(path, size):
    with open(path, "wb") as out:
        out.write(LINE * (size // len(LINE)))


class Viewer:
    """A person's terminal: a PTY with a program in it."""

    def __init__(self, argv, env, cols=80, rows=24):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

        def own():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.child = subprocess.Popen(
            argv, env=env, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own, close_fds=True
        )
        os.close(slave)

    def read(self, patience):
        if not select.select([self.master], [], [], patience)[0]:
            return b""
        return os.read(self.master, 1 << 16)

    def drain(self, quiet=0.3):
        while self.read(quiet):
            pass

    def drain_for(self, seconds):
        """Reads so long, whatever comes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def until(self, text, patience=120):
        """Reads until `text` came."""
        end = time.monotonic() + patience
        tail = b""
        while text not in tail:
            more = self.read(1)
            tail = tail[-len(text) :] + more
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} did not come")

    def type(self, text):
        os.write(self.master, text)

    def echo(self, letter):
        """Seconds from a keystroke to its appearance."""
        begun = time.perf_counter()
        self.type(letter)
        while letter not in self.read(5):
            if time.perf_counter() - begun > 5:
                raise TimeoutError("no echo")
        return time.perf_counter() - begun

    def close(self):
        # tmux waits for a terminal that takes nothing, also when it is told to end.
        self.child.terminate()
        os.close(self.master)
        self.child.wait(30)


class Tmux:
    """A tmux server of our own with one session."""

    def __init__(self, lab, name, command):
        self.argv = ["tmux", "-S", os.path.join(lab.base, name), "-f", "/dev/null"]
        self.lab = lab
        lab.run([*self.argv, "new-session", "-d", "-x", "80", "-y", "24", command])

    def viewer(self):
        return Viewer([*self.argv, "attach"], self.lab.env)

    def close(self):
        self.lab.run([*self.argv, "kill-server"], check=False)


def keystrokes(viewer, count):
    times = []
    for number in range(count):
        letter = LETTERS[number % len(LETTERS)]
        times.append(viewer.echo(bytes([letter])))
        if number % 40 == 39:
            viewer.type(b"\r\n")
            viewer.drain(0.05)
    return times


def echo_cli(lab):
    rounds, count = 11, 200
    lab.agent("echo")
    lab.wsm("send", "echo", f"clear; {ECHO}")
    tmux = Tmux(lab, "tmux-echo", ECHO)
    ours, theirs = Viewer(lab.argv("attach", "echo"), lab.env), tmux.viewer()
    try:
        ours.drain(1)
        theirs.drain(1)
        keystrokes(ours, 40)
        keystrokes(theirs, 40)
        a, b = [], []
        for _ in range(rounds):
            a += keystrokes(ours, count)
            b += keystrokes(theirs, count)
    finally:
        ours.close()
        theirs.close()
        tmux.close()
        lab.wsm("rm", "--purge", "echo", check=False)
    entries = []
    for name, part in (("echo_cli_p50", 50), ("echo_cli_p99", 99)):
        values = [statistics.quantiles(times, n=100)[part - 1] * 1e6 for times in (a, b)]
        note = f"{rounds} rounds of {count} keys"
        entries.append(lab.entry(name, values[0], "tmux attach", values[1], "µs", "≤ 1.0", rounds, note))
    return entries


MARKS = itertools.count(1000)


def flood(viewer, path):
    """Seconds until all of a file was printed and the viewer saw its end."""
    mark = next(MARKS)
    viewer.drain(0.3)
    begun = time.perf_counter()
    # The shell puts the mark together, so that its echo of our keys is not mistaken for it.
    viewer.type(f"cat {path}; echo end-$(({mark}+1000))-\r".encode())
    viewer.until(f"end-{mark + 1000}-".encode())
    return time.perf_counter() - begun


def bulk(lab):
    runs, size = 5, 32 << 20
    agent = lab.agent("bulk")
    inside = os.path.join(agent["workspace"], "flood.txt")
    outside = os.path.join(lab.base, "flood.txt")
    for path in (inside, outside):
        flood_file(path, size)
    tmux = Tmux(lab, "tmux-bulk", "bash --norc")
    ours, theirs = Viewer(lab.argv("attach", "bulk"), lab.env), tmux.viewer()
    try:
        a, b = lab.alternate(lambda: flood(ours, "flood.txt"), lambda: flood(theirs, outside), runs)
    finally:
        ours.close()
        theirs.close()
        tmux.close()
        lab.wsm("rm", "--purge", "bulk", check=False)
    mb = size / 1e6
    return [lab.entry("bulk", mb / a, "tmux attach", mb / b, "MB/s", "≥ 1.5", runs, f"{mb:.0f} MB, one viewer")]
