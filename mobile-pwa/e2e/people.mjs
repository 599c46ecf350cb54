// Somebody with a browser: comes in, looks, types.
import AXE from "axe-core";
import assert from "node:assert/strict";
import { DEVICES } from "./browser.mjs";

/** Longest that a page may take for what is not slow by itself. */
export const PATIENCE = 20_000;

export class Person {
  /** A browser of its own, on this screen. */
  static async come(browser, instance, device = "desktop", more = {}) {
    const person = new Person();
    person.instance = instance;
    person.device = device;
    person.context = await browser.newContext({ ...DEVICES[device], reducedMotion: "reduce", ...more });
    person.page = await person.context.newPage();
    person.page.setDefaultTimeout(PATIENCE);
    person.wrong = [];
    person.page.on("pageerror", (error) => person.wrong.push(error.message));
    person.page.on("console", (message) => {
      // What the browser itself says of a refused request is part of some stories.
      const own = /^(Failed to load resource|WebSocket connection to)/.test(message.text());
      if (message.type() === "error" && !own) person.wrong.push(message.text());
    });
    return person;
  }

  async signIn(token) {
    await this.page.goto(this.instance.url);
    await this.page.getByLabel("Token").fill(token);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.isIn();
  }

  /** Comes in as a device of root's, which may do all that root may. */
  async pair() {
    const { instance, page } = this;
    const made = await instance.ask("POST", "/v1/pairings");
    await page.goto(made.url);
    const number = (await page.locator(".pair-number").textContent()).trim();
    await instance.ask("POST", `/v1/pairings/${made.id}/confirm`, { number });
    await this.isIn();
  }

  async isIn() {
    await this.page.getByRole("heading", { name: "Agents" }).or(this.page.getByRole("navigation", { name: "Agents" })).first().waitFor();
  }

  async open(hash) {
    await this.page.goto(`${this.instance.url}/${hash}`);
  }

  /** Opens an agent's terminal, and waits until it is there. */
  async terminal(agent, name = "main", shows = "$") {
    await this.open(`#/agents/${agent}/terminal?t=${name}`);
    await this.page.locator(".xterm-screen").waitFor();
    await this.shows(shows);
  }

  /** What the terminal shows, as the document has it: the drawing of the graphics card has no text. */
  async shows(text, agent = decodeURIComponent(/agents\/([^/?]+)/.exec(this.page.url())?.[1] ?? "")) {
    const { instance, page } = this;
    await page.waitForFunction(
      async ({ agent, text }) => {
        const response = await fetch(`/v1/agents/${agent}/capture`);
        return response.ok && (await response.json()).text.includes(text);
      },
      { agent, text },
      { timeout: PATIENCE, polling: 150 },
    );
    return instance;
  }

  async type(text) {
    await this.page.locator(".term-view").click();
    await this.page.keyboard.type(text);
  }

  /** Axe finds nothing serious. */
  async isAccessible(where) {
    await this.page.evaluate(AXE.source);
    const found = await this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations
        .filter((it) => it.impact === "serious" || it.impact === "critical")
        .map((it) => `${it.id}: ${it.nodes.map((node) => node.target.join(" ")).slice(0, 4)} (${it.nodes[0].failureSummary})`);
    });
    assert.deepEqual(found, [], `${where} on a ${this.device}`);
  }

  async leave() {
    await this.context.close();
    assert.deepEqual(this.wrong, [], `errors on a ${this.device}`);
  }
}
