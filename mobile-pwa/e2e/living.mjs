// A day with agents: services, resources, recordings, who did what, handing over, the trash, what one is told of.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./people.mjs";
import { until } from "./wait.mjs";

const agent = (instance, name) => instance.json("ls").find((it) => it.name === name);

export function living(shared) {
  test("a service's log is read, and it is restarted, from a phone", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    await person.open("#/agents/shop-web-cart/services");
    const { page } = person;
    const web = page.getByRole("region", { name: "Services" }).getByRole("listitem").filter({ hasText: "web" });
    await web.getByText("ready").waitFor();
    const since = () => agent(instance, "shop-web-cart").services[0].since;
    const before = since();
    await web.getByRole("button", { name: "Log" }).tap();
    const log = page.getByLabel("Log of web");
    await log.getByText("GET / HTTP").first().waitFor();
    // What is asked for now stands there soon.
    instance.wsm("exec", "shop-web-cart", "--", "python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/cart.py?seen')");
    await log.getByText("/cart.py?seen").waitFor();
    await person.isAccessible("a log");
    await web.getByRole("button", { name: "Restart web" }).tap();
    await until("it was started again", () => since() > before);
    await web.getByText("ready").waitFor();
    await person.leave();
  });

  test("resources are drawn as they are counted", async () => {
    const person = await Person.come(shared.browser, shared.instance, "tablet");
    await person.pair();
    await person.open("#/agents/shop-web-cart/resources");
    await person.page.getByRole("img", { name: /^Memory: now [\d.]+ MB/ }).waitFor({ timeout: 40_000 });
    await person.page.getByRole("img", { name: /^CPU: now/ }).waitFor();
    await person.page.getByRole("img", { name: /^Disk: now [\d.]+ [KM]B/ }).waitFor({ timeout: 40_000 });
    await person.page.getByRole("region", { name: "Disk space" }).getByText("Workspace").waitFor();
    await person.isAccessible("resources");
    await person.leave();
  });

  test("a recording is played, moved in, and taken along", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "desktop");
    await person.pair();
    await person.terminal("billing");
    await person.type("echo recorded-$((40+2))\n");
    // What is recorded is written a little later.
    await until("it is recorded", () => instance.wsm("rec", "export", "billing").includes("recorded-42"));
    await person.open("#/agents/billing/recordings");
    const { page } = person;
    const row = page.locator("#main").getByRole("listitem").filter({ hasText: "main" }).first();
    await row.getByRole("button", { name: "Play" }).click();
    const screen = page.getByRole("region", { name: "Recording" });
    const position = screen.getByRole("slider", { name: "Position" });
    await position.waitFor();
    // To its end, where all of it is to be seen.
    await position.fill(await position.getAttribute("max"));
    await screen.getByText("recorded-42").first().waitFor();
    await person.isAccessible("a recording");
    await page.getByRole("button", { name: "Close the recording" }).click();
    const download = page.waitForEvent("download");
    await row.getByRole("button", { name: "Export" }).click();
    assert.match((await download).suggestedFilename(), /^billing-.*\.cast$/);
    await person.leave();
  });

  test("an agent is handed over: the other accepts, and who did what stands in the log", async () => {
    const { instance, browser } = shared;
    const owner = await Person.come(browser, instance, "desktop");
    const ann = await Person.come(browser, instance, "phone");
    await owner.pair();
    await ann.signIn(instance.token("own", "--user", "ann"));
    await owner.open("#/agents/docs-index/people");
    const form = owner.page.getByRole("region", { name: "Hand over" });
    await form.getByLabel("To").fill("ann");
    await form.getByLabel("Note").fill("the index is half done");
    await form.getByRole("button", { name: "Offer" }).click();
    await owner.page.getByText("Offered to ann").waitFor();
    await ann.open("#/activity");
    const offer = ann.page.getByRole("article").filter({ hasText: "docs-index" });
    await offer.getByText("the index is half done").waitFor();
    await ann.isAccessible("an offer");
    await offer.getByRole("button", { name: "Accept" }).tap();
    await until("it is ann's", () => agent(instance, "docs-index").owner === "ann");
    await ann.open("#/agents/docs-index/details");
    await ann.page.getByText("ann", { exact: true }).first().waitFor();
    await ann.open("#/activity");
    await ann.page.getByLabel("Only people").check();
    const row = ann.page.getByRole("listitem").filter({ hasText: "handoff" }).first();
    await row.getByText("ann").first().waitFor();
    await owner.leave();
    await ann.leave();
  });

  test("put into the trash by mistake, and back by one tap; a list of what lies there", async () => {
    const { instance } = shared;
    instance.agent("scratch");
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    const { page } = person;
    const away = async () => {
      await person.open("#/agents/scratch");
      await page.getByRole("button", { name: "Actions for scratch" }).tap();
      await page.getByRole("menuitem", { name: "Put into the trash" }).tap();
      await page.getByRole("dialog").getByRole("button", { name: "Put into the trash" }).tap();
      await page.locator(".toast").getByText("scratch is in the trash").waitFor();
    };
    await away();
    await page.getByRole("button", { name: "Undo" }).tap();
    await page.getByRole("link", { name: /scratch/ }).first().waitFor();
    await away();
    await person.open("#/trash");
    const row = page.getByRole("listitem").filter({ hasText: "scratch" });
    await row.getByRole("button", { name: "Delete" }).tap();
    await person.isAccessible("the trash");
    await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).tap();
    await page.getByText("The trash is empty.").waitFor({ timeout: 40_000 });
    assert.ok(!instance.json("ls", "-a").some((it) => it.name === "scratch"));
    await person.leave();
  });

  test("what one is told of, and when not, is chosen and kept", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    await person.open("#/settings");
    const { page } = person;
    const rules = page.getByRole("region", { name: "Tell me when an agent" });
    await rules.getByLabel("As each template says").uncheck();
    await rules.getByLabel("finished").uncheck();
    await rules.getByLabel("Quiet hours").fill("22:00-07:00");
    await rules.getByLabel("Quiet hours").press("Tab");
    await until("the rules are kept", async () => {
      const { rules: kept } = await instance.ask("GET", "/v1/notifications");
      return kept.on && !kept.on.includes("finished") && kept.on.includes("blocked") && kept.quiet[0] === "22:00-07:00";
    });
    await page.reload();
    await rules.getByLabel("finished").waitFor();
    assert.equal(await rules.getByLabel("finished").isChecked(), false);
    assert.equal(await rules.getByLabel("needs me", { exact: true }).isChecked(), true);
    // Hours that are none are refused in words.
    await rules.getByLabel("Quiet hours").fill("sometimes");
    await rules.getByLabel("Quiet hours").press("Tab");
    await page.locator(".toast.bad").waitFor();
    await person.leave();
  });
}
