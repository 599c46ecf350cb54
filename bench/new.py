"""How long a person waits for an agent: from the command to its prompt."""

import os
import subprocess
import time

BWRAP_SHELL = (
    "bwrap --unshare-all --die-with-parent --ro-bind / / --tmpfs /tmp "
    "--bind {tree} {tree} --proc /proc --dev /dev --chdir {tree} bash --norc"
)


def new_small(lab):
    runs = 11
    repository = lab.repository("small", 100)
    numbers = iter(range(10**6))
    socket = os.path.join(lab.base, "tmux-new")
    tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
    # The server is there already, as the daemon is.
    lab.run([*tmux, "new-session", "-d", "-s", "holder", "sleep infinity"])

    def ours():
        name = f"new-{next(numbers)}"
        begun = time.perf_counter()
        lab.wsm("new", repository, "--template", "shell", "--name", name, "--detach", "--no-input")
        lab.until("its prompt", lambda: "$" in lab.wsm("capture", name) or "#" in lab.wsm("capture", name))
        taken = time.perf_counter() - begun
        lab.wsm("rm", "--purge", name)
        return taken

    def theirs():
        name = f"hand-{next(numbers)}"
        tree = os.path.join(lab.base, name)
        begun = time.perf_counter()
        lab.run(["git", "worktree", "add", "-q", "-b", name, tree], cwd=repository)
        lab.run([*tmux, "new-session", "-d", "-s", name, BWRAP_SHELL.format(tree=tree)])
        capture = [*tmux, "capture-pane", "-p", "-t", name]
        lab.until("its prompt", lambda: any(sign in lab.run(capture) for sign in "$#"))
        taken = time.perf_counter() - begun
        lab.run([*tmux, "kill-session", "-t", name])
        lab.run(["git", "worktree", "remove", "--force", tree], cwd=repository)
        return taken

    try:
        a, b = lab.alternate(ours, theirs, runs)
    finally:
        lab.run([*tmux, "kill-server"], check=False)
    peer = "git worktree add + tmux new-session + bwrap"
    return [lab.entry("new_small", a * 1e3, peer, b * 1e3, "ms", "≤ 1.5", runs, "100 files")]


def new_rate(lab):
    repository = lab.repository("small", 100)
    names = [f"rate-{number}" for number in range(50)]
    begun = time.perf_counter()
    started = [
        subprocess.Popen(
            lab.argv("new", repository, "--template", "shell", "--name", name, "--detach", "--no-input"),
            env=lab.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for name in names
    ]
    failed = []
    for name, child in zip(names, started):
        _, words = child.communicate(timeout=300)
        if child.returncode != 0:
            failed.append(f"{name}: {words.decode(errors='replace').strip()}")
    taken = time.perf_counter() - begun
    for name in names:
        lab.wsm("rm", "--purge", name, check=False)
    if failed:
        raise RuntimeError(f"{len(failed)} of 50 failed, the first: {failed[0]}")
    return [lab.entry("new_rate", 50 / taken, "", None, "1/s", "≥ 10", 1, "50 at once, until ready")]
