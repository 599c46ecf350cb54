"""How long a complete sandbox takes, from the request to the end of /bin/true in it."""

import itertools
import json
import os
import subprocess
import threading
import time

from broker import Broker, Shim

BWRAP = [
    "bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/",
    "--proc", "/proc", "--dev", "/dev", "/bin/true",
]

# No id is used twice.
NUMBERS = itertools.count()


class Spawner:
    """Spawns and deletes sandboxes of prepared agents, one after the other."""

    def __init__(self, lab, count):
        self.lab = lab
        self.broker = Broker(lab.dir)
        self.repository = lab.repository("small", 100)
        self.grant = Broker.grant(lab.dir, self.repository)
        self.agents = [self.prepare() for _ in range(count)]
        self.teardown = []
        self.deleted = []

    def prepare(self):
        agent = f"bench{os.getpid()}x{next(NUMBERS)}"
        reply, _ = self.broker.ask({"prepare": {"agent": agent, "repository": self.grant, "services": []}})
        paths = reply["prepared"]["paths"]
        admin, private = paths["git_admin"], paths["git_private"]
        for folder in (admin, paths["workspace"], f"{private}/refs/heads", f"{private}/objects/info"):
            os.makedirs(folder, exist_ok=True)
        git = os.path.join(self.repository, ".git")
        for path, text in {
            f"{admin}/HEAD": "ref: refs/heads/main\n",
            f"{admin}/commondir": "../..\n",
            f"{admin}/gitdir": f"{paths['workspace']}/.git\n",
            f"{paths['workspace']}/.git": f"gitdir: {admin}\n",
            f"{private}/HEAD": "ref: refs/heads/main\n",
            f"{private}/config": "[core]\n\trepositoryformatversion = 0\n",
            f"{private}/objects/info/alternates": f"{git}/objects\n",
        }.items():
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
        return agent, paths["workspace"]

    def once(self):
        agent, workspace = self.agents.pop()
        spec = {
            "version": 1, "agent": agent, "repository": self.grant, "hostname": "bench",
            "read": [], "write": [], "services": {},
            "limits": {"cpu_milli": None, "memory_bytes": None, "pids": None, "disk_bytes": None},
            "network": "loopback", "landlock": "required", "debug": False,
        }
        begun = time.perf_counter()
        reply, _ = self.broker.ask({"create": {"spec": spec}})
        shim = Shim(reply["created"]["socket"])
        shim.run_to_end(["/bin/true"], workspace)
        taken = time.perf_counter() - begun
        shim.close()
        begun = time.perf_counter()
        self.broker.ask({"delete": {"agent": agent}})
        self.teardown.append(time.perf_counter() - begun)
        self.deleted.append(agent)
        return taken

    def erase(self):
        """Removes the agents' directories, which were made before anything was timed."""
        for agent in self.deleted:
            self.broker.ask({"erase": {"agent": agent}})
        self.deleted = []

    def note(self):
        middle = sorted(self.teardown)[len(self.teardown) // 2]
        return f"to the end of /bin/true, self-test included; teardown {middle * 1000:.1f} ms is extra"


def timed(argv, env=None):
    begun = time.perf_counter()
    subprocess.run(argv, env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def spawn(lab):
    runs = 51
    ours = Spawner(lab, runs + 1)
    a, b = lab.alternate(ours.once, lambda: timed(BWRAP), runs)
    ours.erase()
    return [lab.entry("spawn", a * 1e3, "bwrap --unshare-all", b * 1e3, "ms", "≤ 1.0", runs, ours.note())]


def bundle(lab):
    """A runc bundle of the host's own /usr, read-only."""
    path = os.path.join(lab.base, "bundle")
    os.makedirs(os.path.join(path, "rootfs"), exist_ok=True)
    lab.run(["runc", "spec"], cwd=path)
    config = os.path.join(path, "config.json")
    with open(config, encoding="utf-8") as text:
        spec = json.load(text)
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["/bin/true"]
    for name in ("usr", "bin", "lib", "lib64", "proc", "dev", "sys", "etc"):
        os.makedirs(os.path.join(path, "rootfs", name), exist_ok=True)
    for name in ("/usr", "/bin", "/lib", "/lib64"):
        spec["mounts"].append(
            {"destination": name, "type": "bind", "source": os.path.realpath(name), "options": ["rbind", "ro"]}
        )
    with open(config, "w", encoding="utf-8") as text:
        json.dump(spec, text)
    return path


def spawn_runc(lab):
    runs = 21
    path = bundle(lab)
    count = iter(range(10**6))

    def theirs():
        return timed(["runc", "run", "--bundle", path, f"wsm-bench-{os.getpid()}-{next(count)}"])

    try:
        theirs()
    except (OSError, subprocess.CalledProcessError) as why:
        return [lab.entry("spawn_runc", None, "runc run", None, "ms", "≤ 0.2", 0, f"runc does not run here: {why}")]
    ours = Spawner(lab, runs + 1)
    a, b = lab.alternate(ours.once, theirs, runs)
    ours.erase()
    return [lab.entry("spawn_runc", a * 1e3, "runc run", b * 1e3, "ms", "≤ 0.2", runs, ours.note())]


def srt(lab):
    """The program `srt`, installed beside the programs that are measured; why not, if it does not run."""
    peers = os.path.join(os.path.dirname(lab.binaries), "peers", "srt")
    program = os.path.join(peers, "node_modules/.bin/srt")
    env = lab.env
    if not os.path.exists(program):
        os.makedirs(peers, exist_ok=True)
        package = "@anthropic-ai/sandbox-runtime"
        argv = ["npm", "install", "--prefix", peers, "--no-audit", "--no-fund", package]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    tried = subprocess.run([program, "true"], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    if tried.returncode != 0:
        raise RuntimeError(tried.stderr.decode(errors="replace").strip()[-200:])
    return program, env


def spawn_srt(lab):
    runs = 11
    try:
        program, env = srt(lab)
    except (OSError, RuntimeError, subprocess.SubprocessError) as why:
        return [lab.entry("spawn_srt", None, "srt", None, "ms", "≤ 0.1", 0, f"srt does not run here: {why}")]
    ours = Spawner(lab, runs + 1)
    a, b = lab.alternate(ours.once, lambda: timed([program, "true"], env), runs)
    ours.erase()
    return [lab.entry("spawn_srt", a * 1e3, "srt true", b * 1e3, "ms", "≤ 0.1", runs, ours.note())]


def rate(work, per_thread=8, threads=8):
    """Calls per second of `threads` callers at once."""
    failures = []

    def many(number):
        try:
            for _ in range(per_thread):
                work(number)
        except Exception as why:  # told by the caller's thread
            failures.append(why)

    callers = [threading.Thread(target=many, args=(number,)) for number in range(threads)]
    begun = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    if failures:
        raise failures[0]
    return per_thread * threads / (time.perf_counter() - begun)


def spawn_parallel(lab):
    runs = 5
    ours, theirs = [], []
    for _ in range(runs):
        spawners = [Spawner(lab, 8) for _ in range(8)]
        ours.append(rate(lambda number: spawners[number].once()))
        for spawner in spawners:
            spawner.erase()
        theirs.append(rate(lambda _: timed(BWRAP)))
    a, b = sorted(ours)[runs // 2], sorted(theirs)[runs // 2]
    note = "8 at once; teardown counted in both"
    return [lab.entry("spawn_parallel", a, "bwrap --unshare-all", b, "1/s", "≥ 1.0", runs, note)]
