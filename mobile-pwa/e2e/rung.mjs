// A phone for stories that are told elsewhere (tests/tests/e2e/state/phone.rs): orders and answers are lines of JSON.
//   node rung.mjs DIRECTORY   says first what root has to write and to trust
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { launch } from "./browser.mjs";
import { Phone } from "./phone.mjs";
import { PushService } from "./service.mjs";

/** Real agents on a machine that does other things as well. */
const PATIENCE = 240_000;

const service = await PushService.start(process.argv[2]);
const browser = await launch();
let phone;

/** Journal row of the question that was answered last: what stands in its place is newer. */
let asked = 0;

const orders = {
  async come({ url, token }) {
    phone = await Phone.come(browser, { url }, service, token);
    phone.page.setDefaultTimeout(PATIENCE);
    return {};
  },

  /** Says yes to this question of an agent's: by its notification's button, and where that leads if it leads anywhere. */
  async approve({ agent, question }) {
    const { tag, title, body, data } = await phone.shows(`${agent}'s question`, (it) => it.data.agent === agent && it.data.question === question, PATIENCE);
    assert.equal(title, `${agent} needs you`);
    asked = data.seq;
    await phone.press(tag, "approve");
    if (data.whole) return { body, by: "button" };
    await phone.page.waitForURL((url) => url.hash.startsWith(`#/agents/${agent}?question=${question}`));
    await phone.page.getByRole("button", { name: "Approve" }).tap();
    await phone.page.getByText("Approved", { exact: true }).waitFor();
    await phone.person.open("#/");
    return { body, by: "page" };
  },

  /** What stands there in place of a question. */
  async over({ agent, body }) {
    await phone.shows(`${agent}: ${body}`, (it) => it.data.agent === agent && it.body === body && it.data.seq > asked, PATIENCE);
    return {};
  },
};

console.log(JSON.stringify({ config: service.config, authority: readFileSync(service.authority, "utf8") }));
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  console.log(JSON.stringify(await orders[order.do](order)));
}
await browser.close();
await service.stop();
