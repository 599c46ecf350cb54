// A real wsm in a directory of its own, with a repository and agents, for tests and for development.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SITE, repository } from "./shop.mjs";
import { until } from "./wait.mjs";

/** Where the programs under test lie. */
export const BIN = process.env.WSM_BIN_DIR ?? new URL("../../target/stage", import.meta.url).pathname;

const WEB = (port) => `[web]\nlisten = "127.0.0.1:${port}"\nnames = ["localhost"]\npreview = "*.localhost"\ntls = "off"\n`;

export class Instance {
  /** Starts one; `stop` ends it and removes what it made. `prepare` is given its directory, and may
   * add to its configuration, templates and environment. */
  static async start(prepare = () => ({})) {
    const instance = new Instance();
    instance.base = mkdtempSync(join(tmpdir(), "wsm-pwa-"));
    chmodSync(instance.base, 0o755);
    const { config = "", templates = {}, env = {}, model } = await prepare(instance.base);
    Object.assign(instance, { env, model });
    instance.dir = join(instance.base, "wsm");
    instance.port = await freePort();
    mkdirSync(join(instance.dir, "etc/templates"), { recursive: true });
    writeFileSync(join(instance.dir, "etc/config.toml"), WEB(instance.port) + config);
    for (const [name, text] of Object.entries({ site: SITE, ...templates })) {
      writeFileSync(join(instance.dir, `etc/templates/${name}.toml`), text);
    }
    instance.repository = repository(join(instance.base, "shop"));
    await instance.up();
    instance.wsm("repo", "add", instance.repository, "--name", "shop");
    if (model) instance.keep("anthropic-api-key");
    return instance;
  }

  get url() {
    return `http://localhost:${this.port}`;
  }

  /** Runs a verb of the command line. */
  wsm(...args) {
    return this.run(args);
  }

  run(args, more = {}) {
    const env = { ...process.env, HOME: this.base };
    return execFileSync(join(BIN, "wsm"), ["--dir", this.dir, ...args], { encoding: "utf8", env, timeout: 120_000, stdio: "pipe", ...more });
  }

  /** Sets a secret that no model but the fake is ever shown. */
  keep(name) {
    this.run(["secret", "set", name], { input: "sk-never-used-outside\n" });
  }

  /** Asks the API as root does, at its socket. */
  async ask(method, path, body) {
    const [status, text] = await new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json" };
      const asked = request({ socketPath: join(this.dir, "run/wsm.sock"), method, path, headers }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => resolve([answer.statusCode, Buffer.concat(parts).toString()]));
      });
      asked.once("error", reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return text === "" ? null : JSON.parse(text);
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
      this.model?.stop();
      rmSync(this.base, { recursive: true, force: true });
    }
  }
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
