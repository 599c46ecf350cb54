// A fake of Anthropic's API, for a real Claude Code: what it answers is what a story wrote for the task.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";

/** Hosts that Claude Code asks. */
const NAMES = ["api.anthropic.com", "platform.claude.com"];

/** An address of 127/8 that no other run has. */
const address = () => `127.${64 + ((process.pid >> 8) % 128)}.${process.pid % 256}.250`;

const HEARD_MAX = 32 * 1024 * 1024;

const ended = { say: "Done.", use: undefined };

export class Model {
  static async start(dir) {
    const model = new Model();
    model.address = address();
    model.tasks = new Map();
    /** All that it was told. */
    model.heard = "";
    model.authority = certificates(dir);
    const [key, cert] = ["key", "crt"].map((name) => readFileSync(join(dir, name)));
    model.server = createServer({ key, cert }, (request, response) => void model.answer(request, response));
    await new Promise((resolve, reject) => {
      model.server.once("error", reject);
      model.server.listen(443, model.address, resolve);
    });
    return model;
  }

  /** What wsm's configuration says of it. */
  get config() {
    const names = JSON.stringify(NAMES);
    const hosts = NAMES.map((name) => `"${name}" = ["${this.address}"]\n`).join("");
    return `[egress]\npermit = [{ names = ${names}, cidr = "${this.address}/32" }]\n[egress.hosts]\n${hosts}`;
  }

  /** Whoever is told these words does these steps, one after the other: `{ say, use: (workspace) => [tool, input] }`. */
  task(words, steps) {
    this.tasks.set(words, steps);
  }

  async answer(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    if (this.heard.length < HEARD_MAX) this.heard += Buffer.concat(parts);
    const body = parts.length > 0 ? parse(Buffer.concat(parts).toString()) : {};
    const path = new URL(request.url, "https://model").pathname;
    const [kind, text] = path.endsWith("/messages") ? message(body, this.step(body)) : ["application/json", "{}"];
    response.writeHead(200, { "content-type": kind });
    response.end(text);
  }

  /** The step is how many results of tools came back. */
  step(body) {
    const told = texts(body.messages).join("\n");
    const tools = new Set((body.tools ?? []).map((tool) => tool.name));
    const found = [...this.tasks].find(([words]) => told.includes(words));
    if (!found || !tools.has("Bash")) return ended;
    const done = JSON.stringify(body.messages).split('"tool_result"').length - 1;
    const { say = "", use } = found[1][done] ?? ended;
    return { say, use: use?.(workspace(body)) };
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** Claude Code says in its first words where it works. */
const workspace = (body) => /working directory[^/]*?(\/[\w./-]+)/i.exec(JSON.stringify([body.system, body.messages]))?.[1] ?? "/nowhere";

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
};

function texts(value) {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(texts) : [];
}

/** An answer as Claude Code reads it: words, and a tool to use. */
function message(body, { say, use, spent = [2_400, 180] }) {
  const blocks = [
    ...(say ? [{ type: "text", text: say }] : []),
    ...(use ? [{ type: "tool_use", id: `toolu_${Math.random().toString(36).slice(2)}`, name: use[0], input: use[1] }] : []),
  ];
  const usage = { input_tokens: spent[0], output_tokens: spent[1], cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const stop_reason = use ? "tool_use" : "end_turn";
  const whole = { id: "msg_1", type: "message", role: "assistant", model: body.model, stop_reason, stop_sequence: null, usage };
  if (!body.stream) return ["application/json", JSON.stringify({ ...whole, content: blocks })];
  const events = [
    { type: "message_start", message: { ...whole, content: [], stop_reason: null } },
    ...blocks.flatMap(streamed),
    { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: spent[1] } },
    { type: "message_stop" },
  ];
  return ["text/event-stream", events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")];
}

function streamed(block, index) {
  const text = block.type === "text";
  const delta = text ? { type: "text_delta", text: block.text } : { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
  return [
    { type: "content_block_start", index, content_block: text ? { ...block, text: "" } : { ...block, input: {} } },
    { type: "content_block_delta", index, delta },
    { type: "content_block_stop", index },
  ];
}

/** Makes an authority and a certificate for the names; gives the file of the authority. */
function certificates(dir) {
  mkdirSync(dir, { recursive: true });
  const openssl = (line) => execFileSync("openssl", line.split(" "), { cwd: dir, stdio: "pipe" });
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  openssl(`req -x509 ${key} -days 2 -subj /CN=test -keyout ca.key -out ca.pem`);
  openssl(`req ${key} -subj /CN=fake -keyout key -out csr -addext subjectAltName=${NAMES.map((name) => `DNS:${name}`).join(",")}`);
  openssl("x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copyall -out crt");
  return join(dir, "ca.pem");
}
