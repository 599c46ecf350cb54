"""The place where everything is measured: one instance of wsm, repositories, and the arithmetic."""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "xterm-256color",
    "USER": "root",
    "GIT_AUTHOR_NAME": "Bench",
    "GIT_AUTHOR_EMAIL": "bench@example.com",
    "GIT_COMMITTER_NAME": "Bench",
    "GIT_COMMITTER_EMAIL": "bench@example.com",
}


class Lab:
    def __init__(self, binaries):
        self.binaries = os.path.abspath(binaries)
        self.base = tempfile.mkdtemp(prefix="wsm-bench-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.dir = os.path.join(self.base, "wsm")
        self.env = dict(ENV, HOME=os.path.join(self.base, "home"))
        os.mkdir(self.env["HOME"])
        # As an installed wsm has it: state on the disk, /run in memory.
        self.memory = os.path.join(self.dir, "run")
        os.makedirs(self.memory)
        self.run(["mount", "-t", "tmpfs", "-o", "mode=755", "wsm-bench", self.memory])
        # Whom egress trusts; read when it is first needed.
        self.trusted = os.path.join(self.base, "trusted.pem")
        self.env["SSL_CERT_FILE"] = self.trusted
        # Plain HTTP on loopback, as its peers speak there.
        self.port, self.told = self.free_port(), None
        os.makedirs(os.path.join(self.dir, "etc"), exist_ok=True)
        with open(os.path.join(self.dir, "etc", "config.toml"), "a", encoding="utf-8") as config:
            config.write(f'[web]\nlisten = "127.0.0.1:{self.port}"\ntls = "off"\n')
        self.up = None

    def __enter__(self):
        log = open(os.path.join(self.base, "up.log"), "wb")
        argv = [self.program("wsm"), "--dir", self.dir, "up"]
        self.up = subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.until("the instance to be ready", self.ready)
        return self

    def __exit__(self, *_):
        for agent in self.wsm("ls", "-a", "-q", check=False).split():
            self.wsm("rm", "--purge", agent, check=False)
        self.up.send_signal(signal.SIGTERM)
        self.up.wait(30)
        # What dies with the broker may do so a moment after it.
        self.until("nobody to use run/", lambda: subprocess.run(["umount", self.memory], capture_output=True).returncode == 0)
        shutil.rmtree(self.base, ignore_errors=True)

    def ready(self):
        if self.up.poll() is not None:
            raise RuntimeError("wsm up ended: " + open(os.path.join(self.base, "up.log")).read())
        answer = self.wsm("status", "--json", check=False)
        return answer and json.loads(answer)["broker"]

    @staticmethod
    def until(what, look, patience=30.0):
        end = time.monotonic() + patience
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > end:
                raise TimeoutError(f"waited {patience} s for {what}")
            time.sleep(0.002)

    def program(self, name):
        return os.path.join(self.binaries, name)

    def argv(self, *args):
        return [self.program("wsm"), "--dir", self.dir, *args]

    def wsm(self, *args, check=True):
        return self.run(self.argv(*args), check=check)

    @staticmethod
    def free_port():
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return one.getsockname()[1]

    def token(self):
        """A way in over the network; made once."""
        if self.told is None:
            self.told = self.wsm("token", "new", "--scope", "own").strip()
        return self.told

    def run(self, argv, check=True, cwd=None):
        done = subprocess.run(argv, env=self.env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True)
        if check and done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"{' '.join(argv)}: exit code {done.returncode}: {words}")
        return done.stdout.decode(errors="replace")

    def repository(self, name, files):
        """A clean git repository of that many files; made once."""
        path = os.path.join(self.base, name)
        if not os.path.isdir(path):
            for number in range(files):
                folder = os.path.join(path, f"src/module{number // 100}")
                os.makedirs(folder, exist_ok=True)
                with open(os.path.join(folder, f"file{number}.txt"), "w", encoding="utf-8") as out:
                    out.write(f"file {number}\nwith a few\nlines of text\n")
            for args in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
                self.run(["git", *args], cwd=path)
        return path

    def agent(self, name, template="shell"):
        """A running agent; made once."""
        if name not in self.wsm("ls", check=False).split():
            repository = self.repository("small", 100)
            self.wsm("new", repository, "--template", template, "--name", name, "--detach", "--no-input")
        return json.loads(self.wsm("show", name, "--json"))["agent"]

    @staticmethod
    def alternate(ours, theirs, runs=11):
        """Runs A B A B; medians of both, in seconds. One unmeasured pair warms up."""
        ours()
        theirs()
        a, b = [], []
        for _ in range(runs):
            a.append(ours())
            b.append(theirs())
        return statistics.median(a), statistics.median(b)

    @staticmethod
    def entry(name, ours, peer, peer_value, unit, goal, runs, note=""):
        ratio = None
        if ours is not None and peer_value:
            ratio = round(ours / peer_value, 4)
        return {
            "name": name,
            "wsm": None if ours is None else round(ours, 4),
            "peer": peer,
            "peer_value": None if peer_value is None else round(peer_value, 4),
            "unit": unit,
            "ratio": ratio,
            "goal": goal,
            "runs": runs,
            "note": note,
        }


def pss_kib(pid):
    """Proportional set size: shared pages are divided among their users."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def processes():
    """(pid, parent, command words, cgroups) of every live process."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{name}/stat", encoding="utf-8", errors="replace").read()
            words = open(f"/proc/{name}/cmdline", "rb").read().decode(errors="replace").split("\0")
            groups = open(f"/proc/{name}/cgroup", encoding="utf-8").read()
        except OSError:
            continue
        yield int(name), int(stat.rsplit(")", 1)[1].split()[1]), words, groups
