// Passes on what opencode does, and brings answers back. Nothing of it may hold opencode up.
import { spawn } from "node:child_process";

const HOOK = "/etc/wsm/hook";
const TOLD = new Set(["session.created", "session.status", "session.idle", "session.error", "session.updated",
  "permission.replied", "question.asked", "question.replied", "question.rejected"]);

// Runs the helper; calls back with what it says, "" for nothing.
const hook = (event, done) => {
  try {
    const child = spawn(HOOK, ["opencode"], { stdio: ["pipe", "pipe", "ignore"] });
    let said = "";
    child.stdout.on("data", (part) => (said += part));
    child.on("error", () => done(""));
    child.on("close", () => done(said));
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify(event));
    return child;
  } catch {
    done("");
    return undefined;
  }
};

export const WsmPlugin = async ({ client }) => {
  const asked = new Map();
  const unanswered = new Map();
  const children = new Set();
  let last = Promise.resolve();
  let spent = "";
  const tell = (event) => (last = last.then(() => new Promise((done) => hook(event, done))));
  const ask = (event) => {
    const { id, sessionID, permission } = event.properties;
    const child = hook(event, async (said) => {
      const waits = asked.delete(id);
      try {
        const { reply, message } = JSON.parse(said);
        const path = { id: sessionID, permissionID: id };
        await client.postSessionIdPermissionsPermissionId({ path, body: { response: reply, message } });
      } catch {
        // No answer: it is given in the terminal.
        if (waits) unanswered.set(id, permission);
      }
    });
    if (child) asked.set(id, child);
  };
  return {
    event: async ({ event }) => {
      const { type, properties = {} } = event;
      if (type === "session.created" && properties.info?.parentID) children.add(properties.info.id);
      if (type === "permission.asked") return void (last = last.then(() => ask(event)));
      if (!TOLD.has(type) || children.has(properties.sessionID)) return;
      if (type === "permission.replied") {
        const id = properties.requestID ?? properties.permissionID;
        const child = asked.get(id);
        asked.delete(id);
        child?.kill();
        properties.permission = unanswered.get(id) ?? "";
        unanswered.delete(id);
      }
      if (type === "session.updated") {
        const { cost, tokens } = properties.info ?? {};
        const now = JSON.stringify([cost, tokens]);
        if (now === spent || !tokens) return;
        spent = now;
      }
      void tell(event);
    },
  };
};
