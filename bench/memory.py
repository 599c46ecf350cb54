"""What it costs to keep an agent, beyond its own program. PSS, so that shared pages count once."""

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
