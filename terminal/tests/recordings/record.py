#!/usr/bin/env python3
"""Records what programs print into an 80 x 24 terminal: record.py [NAME...] writes NAME.vt here.

The recordings are data of tests, so that those need none of the programs. Homes and files are made
for it; look through a new recording before it is committed.
"""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time

import model

HERE = os.path.dirname(os.path.abspath(__file__))
BYTES_MAX = 40_000
# What a terminal is asked, and what ours says.
ANSWERS = [
    (rb"\x1b\[c", b"\x1b[?62;22c"),
    (rb"\x1b\[>c", b"\x1b[>1;10;0c"),
    (rb"\x1b\[6n", b"\x1b[1;1R"),
    (rb"\x1b\[\?u", b"\x1b[?0u"),
    (rb"\x1b\[>0?q", b"\x1bP>|wsm 0.1.0\x1b\\"),
    (rb"\x1b\]10;\?(?:\x07|\x1b\\)", b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
    (rb"\x1b\]11;\?(?:\x07|\x1b\\)", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
    (rb"\x1b\[\?2026\$p", b"\x1b[?2026;2$y"),
]
CODE = "".join(
    f'/* {n} */\nstatic int f{n}(const char *s) {{\n\treturn printf("%s: {n}\\n", s); // λ → 漢字 👍🏽 é\n}}\n' for n in range(60)
)
TEXT = r"""
import sys, time
w = sys.stdout.write
for i in range(30):
    w(f'\x1b[38;5;{16 + i * 7}m漢字かな{i}\x1b[0m e\u0301 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ☺️ \x1b[48;2;{i * 8};0;90mtrue colour\x1b[m\r\n')
w('\u05e9\u05dc\u05d5\u05dd \u0627\u0644\u0633\u0644\u0627\u0645 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940\r\n')
w('x' * 79 + '漢' + 'y' * 100 + '\r\n' + '字' * 90 + '\r\n')
"""
FRAMES = r"""
import sys, time
w = sys.stdout.write
w('\x1b[?1049h\x1b[?25l\x1b[?1000;1006h\x1b[?2004h')
for i in range(12):
    w('\x1b[?2026h\x1b[H')
    for row in range(23):
        w(f'\x1b[{row + 1};1H\x1b[2K\x1b[36m│\x1b[m row {row} \x1b[1;3{row % 8}mframe {i}\x1b[22;39m \x1b[{i + 30}G\x1b[4:3;58;5;{i}m⠋⠙⠹\x1b[59;24m ▁▂▃▄▅')
    w(f'\x1b[5;20r\x1b[20H\n\x1b[7;{i + 1}H\x1b[2L\x1b[3P\x1b[2@\x1b[r\x1b[24;1H\x1b[7m status {i} \x1b[K\x1b[m\x1b[?2026l')
    w(f'\x1b]8;id=a{i};https://example.com/{i}\x1b\\link\x1b]8;;\x1b\\\x1b]0;frame {i}\x07')
    sys.stdout.flush()
"""


def python(source):
    return ["python3", "-c", source]


# Shows nothing of who records.
ALONE = ["unshare", "--pid", "--fork", "--mount-proc", "--uts", "--mount"]


# Name: command, then pairs of seconds to wait and keys to press.
SCENES = {
    "vim": (["vim", "-u", "NONE", "-c", "syntax on|set nu|set hls", "code.c"],
            [(1, "/f4\r"), (.3, "nn"), (.3, "\x06\x06"), (.3, "ggdd5p"), (.3, ":split\r"), (.3, "Onew λ 漢字\x1b"), (.3, "\x17w\x04"), (.3, ":%s/f1/g/g\r"), (.3, ":q\r"), (.3, ":q!\r")]),
    "less": (["less", "-R", "code.c"], [(.5, " "), (.3, " "), (.3, "b"), (.3, "/f50\r"), (.3, "G"), (.3, "g"), (.3, "10j"), (.3, "3k"), (.3, "q")]),
    "htop": ([*ALONE, "htop", "-d", "5"], [(2, "t"), (.7, "\x1b[B\x1b[B"), (.7, "\x1b[6~"), (.7, "\x1bOQ"), (.7, "\x1b"), (.7, "q")]),
    "top": ([*ALONE, "top", "-d", "0.5"], [(2, "1"), (1, "c"), (1, "q")]),
    "bash": (["bash", "--norc", "-i"],
             [(.5, "ls --color=always /usr /etc | head -40\r"), (.5, "for i in 1 2 3; do echo -e \"\\e[3${i}mline $i\\e[m\"; done\r"), (.5, "echo a long line that is typed and wraps at the end of the row 漢字 and goes on and on"), (.3, "\x01\x1bf\x1bf\x0b"), (.3, "\x19\x15"), (.3, "\x12ls"), (.3, "\r"), (.3, "seq 100\r"), (.5, "clear\r"), (.3, "exit\r")]),
    "text": (python(TEXT), []),
    "frames": (python(FRAMES), []),
    "git": (["sh", "-c", "git init -q r && cd r && cp ../code.c . && git add . && git -c user.name=a -c user.email=a@example.com commit -qm one && sed -i s/f1/g/ code.c && git -c core.pager='less -R' diff --color=always --stat -p"], [(1, " "), (.3, " "), (.3, "q")]),
    "claude": (["claude"], [(5, "\r"), (4, "\x1b[A"), (1, "\r"), (5, "hello 漢字"), (1, "/"), (1, "\x15/he"), (1, "\x15?"), (1, "\x03"), (.5, "\x03"), (1, "")]),
    "codex": (["codex"], [(6, "\x1b[B"), (1, "\x1b[B"), (1, "\x1b[A"), (1, "\x03"), (.5, "\x03"), (1, "")]),
    # A task each, with a model of ours: words, a question whether a command may run, its output.
    "claude-task": (["claude", "--model", "claude-sonnet-4-5"],
                    [(8, "\r"), (5, "\x1b[A"), (1, "\r"), (5, "look at code.c 漢字"), (1, "\r"), (12, "\r"), (10, "\x0f"), (2, "\x1b"), (1, "\x03"), (.5, "\x03"), (1, "")]),
    "codex-task": (["codex", "-c", "model_provider=ours", "-c", "model=gpt-5.5", "-c", "model_providers.ours.name=ours", "-c", "model_providers.ours.wire_api=responses",
                    "-c", "model_providers.ours.base_url=MODEL/v1", "-c", "model_providers.ours.env_key=ANTHROPIC_API_KEY", "--dangerously-bypass-approvals-and-sandbox"],
                   [(8, "\r"), (5, "look at code.c 漢字"), (1, "\r"), (15, "\x03"), (.5, "\x03"), (1, "")]),
}
MODEL = model.serve()


def record(command, keys):
    home = tempfile.mkdtemp(prefix="rec", dir="/var/tmp")
    with open(os.path.join(home, "code.c"), "w", encoding="utf-8") as out:
        out.write(CODE)
    with open(os.path.join(home, ".claude.json"), "w", encoding="utf-8") as out:
        out.write('{"hasCompletedOnboarding": true, "theme": "dark"}')
    env = {"PATH": os.environ["PATH"], "HOME": home, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PS1": "$ ", "PYTHONUTF8": "1",
           "COLORTERM": "truecolor", "ANTHROPIC_API_KEY": "not-a-key", "DISABLE_AUTOUPDATER": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1", "ANTHROPIC_BASE_URL": MODEL}
    command = [word.replace("MODEL", MODEL) for word in command]
    child, master = pty.fork()
    if child == 0:
        os.chdir(home)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execvpe(command[0], command, env)
    got = b""

    def take(seconds):
        nonlocal got
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([master], [], [], left)[0]:
                return True
            try:
                more = os.read(master, 65536)
            except OSError:
                return False
            got += more
            for question, answer in ANSWERS:
                for _ in re.findall(question, more):
                    os.write(master, answer)
        return True

    alive = True
    for seconds, press in keys:
        alive = alive and take(seconds)
        if alive:
            try:
                os.write(master, press.encode())
            except OSError:
                alive = False
    if alive:
        take(1 if keys else 3)
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(child, 0)
    os.close(master)
    shutil.rmtree(home, ignore_errors=True)
    return got


for name in sys.argv[1:] or SCENES:
    got = record(*SCENES[name])
    print(name, len(got), "bytes")
    with open(os.path.join(HERE, name + ".vt"), "wb") as out:
        out.write(got[:BYTES_MAX])
