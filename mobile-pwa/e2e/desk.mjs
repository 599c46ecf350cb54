// More than one agent at once: terminals side by side, a number on the icon, text that another app shares.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./people.mjs";
import { until } from "./wait.mjs";

export function desk(shared) {
  test("terminals of several agents stand side by side, and each is typed into", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "desktop");
    await person.pair();
    const { page } = person;
    await page.getByRole("link", { name: "Desk" }).click();
    const tile = (agent) => page.getByRole("region", { name: `Terminal main of ${agent}` });
    // What was not there at first is added; what is not wanted goes.
    for (const agent of ["billing", "shop-api-refactor", "shop-web-cart"]) {
      if ((await tile(agent).count()) > 0) continue;
      await page.getByLabel("Add a terminal").selectOption({ label: agent });
    }
    const typed = async (agent, text) => {
      await tile(agent).locator(".term-view").click();
      await page.keyboard.type(`echo ${text}-$((40+2))\n`);
      await until(`${agent} shows ${text}`, () => JSON.parse(instance.wsm("--json", "capture", agent)).text.includes(`${text}-42`));
    };
    for (const agent of ["billing", "shop-web-cart", "shop-api-refactor"]) {
      await tile(agent).and(page.locator("[aria-busy=false]")).locator(".xterm-screen").waitFor();
      await typed(agent, `desk-${agent.length}`);
    }
    await person.isAccessible("the desk");
    await page.getByRole("button", { name: /^Close billing/ }).click();
    await tile("billing").waitFor({ state: "detached" });
    await page.reload();
    await tile("shop-web-cart").locator(".xterm-screen").waitFor();
    assert.equal(await tile("billing").count(), 0, "what was chosen is remembered");
    await person.leave();
  });

  test("the icon bears how many need somebody", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "phone");
    await person.page.addInitScript(() => {
      globalThis.badges = [];
      navigator.setAppBadge = async (count) => void globalThis.badges.push(count);
    });
    await person.pair();
    const last = () => person.page.evaluate(() => globalThis.badges.at(-1));
    const needing = () => instance.json("ls").filter((it) => ["blocked", "failed", "lost"].includes(it.state)).length;
    await until("the number of now", async () => (await last()) === needing());
    const before = needing();
    instance.wsm("exec", "billing", "--", "sh", "-c", "pkill -KILL -x bash || true");
    await until("one more needs somebody", () => needing() === before + 1, 30_000);
    await until("the icon says so", async () => (await last()) === before + 1);
    instance.wsm("restart", "billing");
    await until("the icon says that too", async () => (await last()) === before, 60_000);
    await person.leave();
  });

  test("what another app shares is given to an agent that is chosen, and sent by hand", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    const { page } = person;
    const manifest = await page.evaluate(() => fetch("/manifest.webmanifest").then((it) => it.json()));
    const { action, method, params } = manifest.share_target;
    assert.equal(method, "GET");
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    const query = new URLSearchParams({ [params.title]: "A title", [params.text]: "echo shared-$((40+2))" });
    await page.goto(`${instance.url}${action}?${query}`);
    await page.getByRole("heading", { name: "For which agent?" }).waitFor();
    assert.equal(new URL(page.url()).search, "", "the address tells it to nobody");
    await person.isAccessible("a share");
    await page.getByLabel("What was shared").fill("echo shared-$((40+2))");
    await page.getByRole("list", { name: "Agents" }).getByRole("button", { name: /billing/ }).tap();
    const field = page.getByRole("textbox", { name: "Message to billing" });
    assert.equal(await field.inputValue(), "echo shared-$((40+2))");
    // Nothing went out by itself, and what is written stays where one comes back to.
    await page.getByRole("link", { name: "All agents" }).tap();
    await person.open("#/agents/billing/text");
    assert.equal(await field.inputValue(), "echo shared-$((40+2))");
    await page.getByRole("button", { name: "Send", exact: true }).tap();
    await person.shows("shared-42");
    assert.equal(await field.inputValue(), "");
    await person.leave();
  });
}
