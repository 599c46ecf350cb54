// A real wsm in a directory of its own, with a repository and agents, for tests and for development.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./wait.mjs";

/** Where the programs under test lie. */
export const BIN = process.env.WSM_BIN_DIR ?? new URL("../../target/stage", import.meta.url).pathname;

const CONFIG = (port) => `[web]\nlisten = "127.0.0.1:${port}"\nnames = ["localhost"]\ntls = "off"\n`;

/** A template whose service prints and whose page can be looked at. */
const SITE = `schema = 1
name = "site"
description = "A shell, a small web server and a choice or two"

[params.task]
type = "string"
default = ""

[params.workers]
type = "int"
default = 2

[params.verbose]
type = "bool"
default = false

[agent]
kind = "shell"

[services.web]
command = ["python3", "-m", "http.server", "{port.web}", "--bind", "127.0.0.1"]
ready = { http = "web", timeout = "30s" }

[ports]
web = { inside = 8000, protocol = "http" }
`;

export class Instance {
  /** Starts one; `stop` ends it and removes what it made. `prepare` is given its directory, and may
   * add to its configuration, templates and environment. */
  static async start(prepare = () => ({})) {
    const instance = new Instance();
    instance.base = mkdtempSync(join(tmpdir(), "wsm-pwa-"));
    chmodSync(instance.base, 0o755);
    const { config = "", templates = {}, env = {} } = await prepare(instance.base);
    instance.env = env;
    instance.dir = join(instance.base, "wsm");
    instance.port = await freePort();
    mkdirSync(join(instance.dir, "etc/templates"), { recursive: true });
    writeFileSync(join(instance.dir, "etc/config.toml"), CONFIG(instance.port) + config);
    for (const [name, text] of Object.entries({ site: SITE, ...templates })) {
      writeFileSync(join(instance.dir, `etc/templates/${name}.toml`), text);
    }
    instance.repository = repository(join(instance.base, "shop"));
    await instance.up();
    return instance;
  }

  get url() {
    return `http://localhost:${this.port}`;
  }

  /** Runs a verb of the command line. */
  wsm(...args) {
    const env = { ...process.env, HOME: this.base };
    return execFileSync(join(BIN, "wsm"), ["--dir", this.dir, ...args], { encoding: "utf8", env, timeout: 120_000 });
  }

  json(...args) {
    return JSON.parse(this.wsm("--json", ...args));
  }

  /** Rows of the journal with this verb, oldest first. */
  rows(verb) {
    return this.wsm("audit", "query", "--verb", verb, "--json").split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  async up() {
    const log = openSync(join(this.base, "up.log"), "a");
    const options = { stdio: ["ignore", log, log], env: { ...process.env, HOME: this.base, ...this.env } };
    this.child = spawn(join(BIN, "wsm"), ["--dir", this.dir, "up"], options);
    await until("wsm answers", () => {
      try {
        return this.wsm("status");
      } catch {
        return undefined;
      }
    }, 60_000);
  }

  /** Kills the daemon at once; `wsm up` starts another. */
  killDaemon() {
    process.kill(this.json("status").pid, "SIGKILL");
  }

  /** Ends wsm, as a machine that is switched off; agents live on. */
  async down() {
    const child = this.child;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }

  agent(name, template = "shell", ...more) {
    this.wsm("new", this.repository, "--template", template, "--name", name, "--detach", "--no-input", ...more);
    return name;
  }

  token(scope = "admin", ...more) {
    return this.json("token", "new", "--scope", scope, ...more).value;
  }

  log() {
    return readFileSync(join(this.base, "up.log"), "utf8");
  }

  async stop() {
    try {
      if (!this.child) await this.up();
      for (const agent of this.json("ls", "-a")) this.wsm("rm", "--purge", agent.name);
    } finally {
      await this.down();
      rmSync(this.base, { recursive: true, force: true });
    }
  }
}

function repository(path) {
  mkdirSync(path);
  const git = (...args) => execFileSync("git", ["-C", path, ...args], { stdio: "pipe" });
  git("init", "-q", "-b", "main");
  git("config", "user.name", "Demo Person");
  git("config", "user.email", "demo@example.com");
  writeFileSync(join(path, "index.html"), "<!doctype html>\n<title>Shop</title>\n<p>Welcome.\n");
  writeFileSync(join(path, "cart.py"), "def total(items):\n    return sum(item.price for item in items)\n");
  git("add", "-A");
  git("commit", "-q", "-m", "a shop");
  return path;
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
