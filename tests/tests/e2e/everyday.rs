//! Strictness never makes it unusable: what developers run works in a sandbox as it is by default, with
//! names guarded besides.

use std::path::Path;

use crate::egress::tools::bring_rust;

use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;

const TEMPLATE: &str = r#"schema = 1
name = "everyday"
description = "the default, and guarded names"
[agent]
kind = "shell"
[limits]
pids = 512
[filesystem]
protect = [".vscode/", ".mcp.json", ".claude/settings.json", ".envrc", ".husky/"]
hide = [".env.production"]
"#;

/// A program, what is done with it, and what it must print at last. Each begins in a directory of the
/// workspace of its own.
type Case = (&'static str, &'static str, &'static str);

/// Set E18 of the research, as far as it is below: each must be installed.
const E18: [&str; 9] = [
    "git", "node", "python3", "gcc", "make", "sqlite3", "initdb", "java", "go",
];

const CASES: [Case; 21] = [
    (
        "git",
        "git init -q . && git config user.name a && git config user.email a@b && echo 1 > f && git add . && \
         git commit -qm 1 && git switch -qc b && echo 2 > f && git commit -qam 2 && echo 3 > f && git stash -q && \
         git switch -q - && git merge -q b && git gc -q && git fsck && git worktree add -q ../w && git log --format=%s | head -1",
        "2",
    ),
    (
        "node",
        r#"node -e '
        const { Worker } = require("worker_threads");
        const { spawnSync } = require("child_process");
        new Worker("require(\"worker_threads\").parentPort.postMessage(21 * 2)", { eval: true })
            .on("message", (n) => console.log(n, spawnSync("echo", ["child"]).stdout.toString().trim()));'"#,
        "42 child",
    ),
    (
        "npm",
        "npm init -y > /dev/null && npm pkg get name && npm run env | grep -c npm_config_user_agent",
        "1",
    ),
    (
        "python3",
        "python3 -c 'import multiprocessing as m, sqlite3, ssl, asyncio; print(m.Pool(2).map(abs, [-1, -2]))'",
        "[1, 2]",
    ),
    (
        "gcc",
        "printf '#include <stdio.h>\\n#include <threads.h>\\nint f(void *p) { return 7; }\\nint main() { thrd_t t; int r; \
         thrd_create(&t, f, 0); thrd_join(t, &r); printf(\"%%d\\\\n\", r); }' > a.c && gcc -pipe -O2 -o a a.c -lpthread && ./a",
        "7",
    ),
    (
        "make",
        "printf 'all: a b c d\\n%%: ; @sleep 0.1; echo x > $@\\n' > Makefile && make -sj4 && cat a b c d | wc -l",
        "4",
    ),
    (
        "perl",
        "perl -e 'my $p = fork; exit 3 unless $p; waitpid $p, 0; print $? >> 8'",
        "3",
    ),
    (
        "sqlite3",
        "sqlite3 t.db 'pragma journal_mode=wal; create table t(x); insert into t values(5);' > /dev/null && \
         sqlite3 t.db 'select x from t'",
        "5",
    ),
    (
        "initdb",
        "initdb -D pg --auth=trust --no-sync > /dev/null && pg_ctl -D pg -s -w -o '-h 127.0.0.1 -p 15432 -k /tmp' -l log start && \
         psql -h 127.0.0.1 -p 15432 -tAc 'select 6 * 7' postgres && pg_ctl -D pg -s -m fast stop; pg_ctl -D pg status > /dev/null || echo stopped",
        "stopped",
    ),
    (
        "tmux",
        "tmux -L e new-session -d 'echo inside > f' && for i in $(seq 100); do test -s f && break; sleep 0.05; done; cat f",
        "inside",
    ),
    (
        "vim",
        "vim -es -u NONE -c 'normal iwritten' -c 'wq! f' < /dev/null; cat f",
        "written",
    ),
    (
        "ssh",
        "ssh-keygen -q -t ed25519 -N '' -f key && ssh -o BatchMode=yes -p 9 127.0.0.1 2>&1 | grep -o refused",
        "refused",
    ),
    (
        "java",
        "printf 'public class A { public static void main(String[] a) throws Exception { var s = java.util.stream.IntStream.range(0, 8) \
         .parallel().sum(); var p = new ProcessBuilder(\"echo\", \"child\").start(); p.waitFor(); System.out.println(s + new String( \
         p.getInputStream().readAllBytes())); } }' > A.java && javac A.java && java -Xmx64m A",
        "28child",
    ),
    (
        "go",
        "printf 'package main\n\nimport \"fmt\"\n\nfunc main() { c := make(chan int); go func() { c <- 42 }(); fmt.Println(<-c) }\n' > a.go && \
         go mod init a.example > /dev/null 2>&1 && go vet . && go build -o a . && ./a",
        "42",
    ),
    (
        "sh",
        "docker version > /dev/null 2>&1 || echo no docker",
        "no docker",
    ),
    (
        "curl",
        "curl --version | grep -c https && (curl -sm 5 http://127.0.0.1:9 || echo no answer)",
        "no answer",
    ),
    (
        "tar",
        "mkdir d && echo x > d/f && tar czf t.tgz d && rm -r d && tar xzf t.tgz && cat d/f",
        "x",
    ),
    (
        "bash",
        "exec 3<> <(:); coproc cat; echo hi >&\"${COPROC[1]}\"; read -ru \"${COPROC[0]}\" x; echo $x",
        "hi",
    ),
    (
        "script",
        "script -qec 'test -t 0 && tty' /dev/null < /dev/null | grep -o /dev/pts",
        "/dev/pts",
    ),
    (
        "xargs",
        "seq 8 | xargs -P 4 -n 1 sh -c 'echo $0' | sort -n | tail -1",
        "8",
    ),
    (
        "flock",
        "flock lock sh -c 'flock -n lock true || echo held'",
        "held",
    ),
];

/// Runs cases in agent `e`; what failed, and what is not installed here.
fn run(wsm: &Instance, cases: &[Case], place: &str) -> (Vec<String>, Vec<&'static str>) {
    let mut failed = Vec::new();
    let mut absent = Vec::new();
    for (program, script, expected) in cases {
        // What lies in somebody's home is not shown, and not meant.
        let shown = ["/usr/bin", "/usr/local/bin", "/usr/lib/postgresql/15/bin"];
        if !shown
            .iter()
            .any(|dir| Path::new(dir).join(program).exists())
        {
            absent.push(*program);
            continue;
        }
        let line =
            format!("mkdir -p {place}/try-{program}/x && cd {place}/try-{program}/x && {script}");
        let ran = wsm.wsm(&["exec", "e", "--", "timeout", "120", "bash", "-c", &line]);
        if ran.code != 0 || ran.stdout.trim().lines().last().unwrap_or_default() != *expected {
            failed.push(format!("{program}: {ran}"));
        }
    }
    (failed, absent)
}

#[test]
fn what_developers_run_works() {
    let wsm = Instance::start();
    wsm.host_template("everyday", TEMPLATE);
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "everyday", "e");
    let (failed, absent) = run(&wsm, &CASES, &agent.workspace);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    eprintln!("not installed here: {absent:?}");
    let missing: Vec<_> = E18.iter().filter(|name| absent.contains(name)).collect();
    assert!(
        missing.is_empty(),
        "install {missing:?}: see STORY_NEEDS in the Makefile"
    );
    assert_eq!(wsm.end(), Vec::<String>::new());
}

/// As much of a toolchain as building takes.
const TO_BUILD: &str = "bin/cargo bin/rustc lib/lib* lib/rustlib/$(uname -m)-*";

/// The rest of E18: a tool chain that lies in the agent's home, a browser without a sandbox
/// of its own, and tracers, which a template must ask for.
const AT_HOME: [Case; 4] = [
    (
        "chromium",
        "HOME=$PWD timeout 100 chromium --headless --no-sandbox --disable-gpu --dump-dom \
         'data:text/html,<p id=x></p><script>x.textContent=\"is-\"+6*7</script>' 2> log | grep -o 'is-42' || { tail log; false; }",
        "is-42",
    ),
    (
        "strace",
        "strace -f -o log sh -c 'true; exit 3'; echo $? $(grep -c 'exited with 3' log)",
        "3 1",
    ),
    (
        "gdb",
        "printf 'int f(int x) { return x * 2; }\nint main(void) { return f(21); }\n' > a.c && gcc -g -o a a.c && \
         gdb -q -batch -ex 'break f' -ex run -ex 'print x' -ex continue ./a 2>&1 | grep -o 'exited with code 052'",
        "exited with code 052",
    ),
    (
        "sh",
        "export PATH=~/rust/bin:$PATH; cargo init -q --vcs none --name a . && cargo build -q --offline && ./target/debug/a && \
         RUSTC_BOOTSTRAP=1 rustc -Zthreads=4 -o b src/main.rs && ./b",
        "Hello, world!",
    ),
];

#[test]
fn tool_chains_browsers_and_tracers_work() {
    let wsm = Instance::start();
    let more = "[sandbox]\ndebug = true\n";
    wsm.host_template("everyday", &format!("{TEMPLATE}{more}"));
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "everyday", "e");
    bring_rust(&wsm, "e", TO_BUILD);
    let (failed, absent) = run(&wsm, &AT_HOME, &agent.workspace);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(
        absent.is_empty(),
        "install {absent:?}: see STORY_NEEDS in the Makefile"
    );
    assert_eq!(wsm.end(), Vec::<String>::new());
}
