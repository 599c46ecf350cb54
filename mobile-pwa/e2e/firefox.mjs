// Debian's Firefox, by Marionette: its push client is the real one, told of another server.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { until } from "./wait.mjs";

const PREFERENCES = {
  "marionette.port": 0,
  "dom.push.connection.enabled": true,
  "dom.push.testing.allowInsecureServerURL": true,
  "permissions.default.desktop-notification": 1,
  // Drawn by Firefox itself: there is nobody on D-Bus.
  "alerts.useSystemBackend": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
  "extensions.autoDisableScopes": 0,
};

export class Firefox {
  /** One with a profile of its own in this directory. */
  static async launch(directory, preferences) {
    const firefox = new Firefox();
    const profile = join(directory, "profile");
    mkdirSync(profile);
    const lines = Object.entries({ ...PREFERENCES, ...preferences }).map(([key, value]) => `user_pref(${JSON.stringify(key)}, ${JSON.stringify(value)});`);
    writeFileSync(join(profile, "user.js"), lines.join("\n"));
    const program = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
    const args = ["--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", profile];
    // Root has the home of somebody else in some shells, which Firefox refuses.
    firefox.child = spawn(program, args, { stdio: "ignore", env: { ...process.env, HOME: directory, MOZ_CRASHREPORTER_DISABLE: "1" } });
    const port = join(profile, "MarionetteActivePort");
    await until("Firefox listens", () => existsSync(port) && readFileSync(port, "utf8"), 60_000);
    await firefox.open(Number(readFileSync(port, "utf8")));
    return firefox;
  }

  async open(port) {
    this.waiting = new Map();
    this.count = 0;
    this.socket = connect(port, "127.0.0.1");
    let unread = Buffer.alloc(0);
    this.socket.on("data", (bytes) => {
      unread = Buffer.concat([unread, bytes]);
      for (let colon; (colon = unread.indexOf(":")) > 0; ) {
        const end = colon + 1 + Number(unread.subarray(0, colon));
        if (unread.length < end) return;
        this.hear(JSON.parse(unread.subarray(colon + 1, end)));
        unread = unread.subarray(end);
      }
    });
    await new Promise((resolve) => this.waiting.set("greeting", { resolve }));
    await this.ask("WebDriver:NewSession", {});
    await this.ask("WebDriver:SetTimeouts", { script: 40_000, pageLoad: 40_000, implicit: 20_000 });
  }

  hear(told) {
    const [, id, error, answer] = Array.isArray(told) ? told : [0, "greeting", null, told];
    const { resolve, reject } = this.waiting.get(id) ?? {};
    this.waiting.delete(id);
    if (error) reject?.(new Error(`${error.error}: ${error.message}`));
    else resolve?.(answer);
  }

  ask(command, parameters) {
    const id = (this.count += 1);
    const text = JSON.stringify([0, id, command, parameters]);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.write(`${Buffer.byteLength(text)}:${text}`);
    });
  }

  goto(url) {
    return this.ask("WebDriver:Navigate", { url });
  }

  async find(xpath) {
    const { value } = await this.ask("WebDriver:FindElement", { using: "xpath", value: xpath });
    return Object.values(value)[0];
  }

  async click(xpath) {
    await this.ask("WebDriver:ElementClick", { id: await this.find(xpath) });
  }

  async type(xpath, text) {
    await this.ask("WebDriver:ElementSendKeys", { id: await this.find(xpath), text });
  }

  /** The value of a function, which may be a promise, in the page. */
  async evaluate(act, ...args) {
    const script = `return (${act}).apply(null, arguments)`;
    const { value } = await this.ask("WebDriver:ExecuteScript", { script, args, sandbox: null });
    return value;
  }

  /** The same in Firefox's own window. */
  async inside(act, ...args) {
    await this.ask("Marionette:SetContext", { value: "chrome" });
    try {
      return await this.evaluate(act, ...args);
    } finally {
      await this.ask("Marionette:SetContext", { value: "content" });
    }
  }

  /** Clicks on the notification with this title, as a person does. */
  async clickNotification(title) {
    const click = (title) => {
      const boxes = [...Services.wm.getEnumerator("alert:alert")].map((shown) => shown.document);
      const found = boxes.find((it) => it.getElementById("alertTitleLabel")?.getAttribute("value") === title);
      found?.getElementById("alertBox").click();
      return found !== undefined;
    };
    await until(`"${title}" is drawn`, () => this.inside(click, title), 60_000);
  }

  /** What its tabs show. */
  pages() {
    return this.inside(() => {
      const windows = [...Services.wm.getEnumerator("navigator:browser")];
      return windows.flatMap((it) => it.gBrowser.browsers.map((tab) => tab.currentURI.spec));
    });
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    if (this.child.exitCode === null) {
      this.child.kill("SIGTERM");
      await ended;
    }
    this.socket?.destroy();
  }
}
