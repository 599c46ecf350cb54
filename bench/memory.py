"""What it costs to keep an agent, beyond its own program. PSS, so that shared pages count once."""

import os
import time

from lab import pss_kib, processes
from terminal import Tmux

LINES = "seq -f 'line %g of a history that somebody may want to scroll back to' 10000"


def keepers(agent):
    """Shim, init and launcher of an agent: what is ours among its processes."""
    part = f"/agent-{agent}/"
    for pid, _, words, groups in processes():
        ours = any(name in words[0] for name in ("wsm-shim", "wsm-sandbox", "init", "launcher"))
        if part in groups.replace("\n", "/\n") and ours:
            yield pid


def mem_terminal(lab):
    agent = lab.agent("keeper")
    lab.wsm("send", "keeper", f"{LINES}; echo all-$((1+1))")
    lab.until("the history", lambda: "all-2" in lab.wsm("capture", "keeper"))
    tmux = Tmux(lab, "tmux-memory", "bash --norc")
    lab.run([*tmux.argv, "set-option", "-g", "history-limit", "10000"])
    lab.run([*tmux.argv, "new-session", "-d", "-s", "full", "bash --norc"])
    lab.run([*tmux.argv, "kill-session", "-t", "0"])
    lab.run([*tmux.argv, "send-keys", "-t", "full", f"{LINES}; echo all-$((1+1))", "Enter"])
    lab.until("the history", lambda: "all-2" in lab.run([*tmux.argv, "capture-pane", "-p", "-t", "full"]))
    time.sleep(1)  # both idle
    server = int(lab.run([*tmux.argv, "display-message", "-p", "#{pid}"]))
    ours = {pid: pss_kib(pid) for pid in keepers(agent["id"])}
    theirs = pss_kib(server)
    tmux.close()
    lab.wsm("rm", "--purge", "keeper", check=False)
    note = f"{len(ours)} processes of ours: " + " + ".join(f"{kib} KiB" for kib in ours.values())
    total = sum(ours.values()) if ours else None
    return [lab.entry("mem_terminal", total, "tmux server", theirs, "KiB PSS", "≤ 1.0", 1, note)]


def mem_daemon_50(lab):
    names = [f"memory-{number}" for number in range(50)]
    repository = lab.repository("small", 100)
    for name in names:
        lab.wsm("new", repository, "--template", "shell", "--name", name, "--detach", "--no-input")
    time.sleep(1)  # idle
    started = [found for found in processes() if found[1] == lab.up.pid]
    daemon = [pid for pid, _, words, _ in started if "daemon" in words]
    used = sum(pss_kib(pid) for pid in daemon) / 1024
    for name in names:
        lab.wsm("rm", "--purge", name, check=False)
    return [lab.entry("mem_daemon_50", used, "", None, "MiB PSS", "≤ 64", 1, "50 idle agents")]


def mem_shim(lab):
    """What a terminal costs where nothing is printed, and what its history does."""
    agent = lab.agent("shim")
    lab.until("its prompt", lambda: any(sign in lab.wsm("capture", "shim") for sign in "$#"))
    time.sleep(1)  # idle
    shim = next(pid for pid, _, words, groups in processes() if f"/agent-{agent['id']}/shim" in groups)
    idle = status_kib(shim), pss_kib(shim)
    lab.wsm("send", "shim", f"{LINES}; echo all-$((1+1))")
    lab.until("the history", lambda: "all-2" in lab.wsm("capture", "shim"))
    time.sleep(1)
    full = status_kib(shim), pss_kib(shim)
    lab.wsm("rm", "--purge", "shim", check=False)
    note = "resident memory of the shim, {} KiB PSS"
    return [
        lab.entry("mem_shim_idle", idle[0] / 1024, "", None, "MiB RSS", "≤ 4", 1, note.format(idle[1])),
        lab.entry("mem_10000_lines", (full[0] - idle[0]) / 1024, "", None, "MiB RSS", "≤ 2", 1, "10,000 lines more; " + note.format(full[1])),
    ]


def status_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


IDLE = 500


def idle_cpu_500(lab):
    """CPU of everything of ours while so many agents wait for somebody."""
    repository, seconds = lab.repository("small", 100), 30
    names = [f"idle-{number}" for number in range(IDLE)]
    for name in names:
        lab.wsm("new", repository, "--template", "shell", "--name", name, "--detach", "--no-input")
    time.sleep(10)  # what a start brings about is over
    ours = [pid for pid, parent, _, groups in processes() if parent == lab.up.pid or pid == lab.up.pid or "/agent-" in groups]
    before = {pid: ticks(pid) for pid in ours}
    time.sleep(seconds)
    spent = sum(max(ticks(pid) - then, 0) for pid, then in before.items())
    for name in names:
        lab.wsm("rm", "--purge", name, check=False)
    share = spent / os.sysconf("SC_CLK_TCK") / seconds * 100
    note = f"{len(ours)} processes, {seconds} s"
    return [lab.entry("idle_cpu_500", share, "", None, "% of a core", "≤ 2", 1, note)]


def ticks(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
