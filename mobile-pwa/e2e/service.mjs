// A push service on this machine: RFC 8030 to who sends, and Mozilla's protocol to browsers, as much
// of both as a browser and wsm speak (autopush-rs, docs/src/architecture.md).
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { WebSocketServer } from "ws";

const EC = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

export class PushService {
  /** Keeps its certificate and who signed it in this directory. */
  static async start(directory) {
    const service = new PushService();
    const openssl = (line) => execFileSync("openssl", line.split(" "), { cwd: directory, stdio: "pipe" });
    openssl(`req -x509 ${EC} -days 2 -subj /CN=push -keyout push-ca.key -out push-ca.pem`);
    openssl(`req ${EC} -subj /CN=push -keyout push.key -out push.csr -addext subjectAltName=DNS:localhost`);
    openssl("x509 -req -in push.csr -CA push-ca.pem -CAkey push-ca.key -CAcreateserial -days 2 -copy_extensions copyall -out push.pem");
    service.authority = join(directory, "push-ca.pem");
    const read = (name) => readFileSync(join(directory, name));
    service.senders = createServer({ cert: read("push.pem"), key: read("push.key") }, (request, response) => service.take(request, response));
    await new Promise((resolve) => service.senders.listen(0, "127.0.0.1", resolve));
    service.browsers = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "push-notification" });
    await new Promise((resolve) => service.browsers.once("listening", resolve));
    service.browsers.on("connection", (socket) => socket.on("message", (text) => service.hear(socket, String(text))));
    return service;
  }

  constructor() {
    /** What was sent, by whom it is for. */
    this.messages = [];
    /** What browsers said of what they got: 100 is read, 101 can't be read. */
    this.acknowledged = [];
    /** Who listens: a browser's connection, or a function. */
    this.listeners = new Map();
    this.keys = new Map();
    /** Whether a bit is turned over on the way. */
    this.garbles = false;
  }

  /** What `dom.push.serverURL` is. */
  get url() {
    return `ws://127.0.0.1:${this.browsers.address().port}/`;
  }

  get port() {
    return this.senders.address().port;
  }

  /** What root writes so that wsm may post here. */
  get config() {
    const permit = ["127.0.0.0/8", "::1/128"].map((cidr) => `{ names = ["localhost"], cidr = "${cidr}" }`);
    return `[notify]\npush = ["localhost:${this.port}"]\npermit = [${permit}]\n`;
  }

  endpoint(id) {
    return `https://localhost:${this.port}/push/${id}`;
  }

  /** From who sends. */
  take(request, response) {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const [, , id] = request.url.split("/");
      const { topic = "", ttl, urgency, authorization = "" } = request.headers;
      const known = this.keys.get(id);
      // Restricted to the key that it was made with (RFC 8292, 4.2).
      const right = known !== undefined && (known === "" || authorization.endsWith(`k=${known}`));
      if (right) this.deliver({ id, topic, ttl: Number(ttl), urgency, at: Date.now(), body: Buffer.concat(parts), version: randomUUID() });
      response.writeHead(right ? 201 : known === undefined ? 410 : 403);
      response.end();
    });
  }

  deliver(message) {
    this.messages.push(message);
    const body = Buffer.from(message.body);
    if (this.garbles) body[body.length - 1] ^= 1;
    const listener = this.listeners.get(message.id);
    if (typeof listener === "function") listener(body, message);
    else listener?.send(JSON.stringify({ messageType: "notification", channelID: message.id, version: message.version, data: body.toString("base64url"), headers: { encoding: "aes128gcm" } }));
  }

  /** From a browser. */
  hear(socket, text) {
    const said = JSON.parse(text);
    const answer = (more) => socket.send(JSON.stringify({ messageType: said.messageType, status: 200, ...more }));
    switch (said.messageType) {
      case "hello":
        return answer({ uaid: said.uaid || randomUUID().replaceAll("-", ""), use_webpush: true, broadcasts: {} });
      case "register":
        this.keys.set(said.channelID, (said.key ?? "").replace(/=+$/, ""));
        this.listeners.set(said.channelID, socket);
        return answer({ channelID: said.channelID, pushEndpoint: this.endpoint(said.channelID) });
      case "unregister":
        this.keys.delete(said.channelID);
        return answer({ channelID: said.channelID });
      case "ack":
        return void this.acknowledged.push(...said.updates);
      default:
        return void (text === "{}" && socket.send("{}"));
    }
  }

  /** Something of the test's own listens. */
  listen(id, act) {
    this.keys.set(id, "");
    this.listeners.set(id, act);
    return this.endpoint(id);
  }

  /** The subscription is none any more. */
  forget(id) {
    this.keys.delete(id);
    this.listeners.delete(id);
  }

  async stop() {
    this.browsers.clients.forEach((socket) => socket.terminate());
    await new Promise((resolve) => this.browsers.close(resolve));
    this.senders.closeAllConnections?.();
    await new Promise((resolve) => this.senders.close(resolve));
  }
}
