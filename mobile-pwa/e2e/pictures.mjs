// Pictures of a real run, for docs/pictures: `npm run pictures`. Nothing in them is made up.
import { mkdirSync } from "node:fs";
import { launch } from "./browser.mjs";
import { Instance } from "./instance.mjs";
import { Person } from "./people.mjs";
import { withModel } from "./shop.mjs";
import { until } from "./wait.mjs";

const OUT = new URL("../../docs/pictures/", import.meta.url).pathname;

async function show(person, name) {
  // What came in passing is gone, and fonts and pictures are there.
  await person.page.locator(".toast").waitFor({ state: "detached" });
  await person.page.evaluate(() => document.fonts.ready.then(() => undefined));
  await person.page.screenshot({ path: `${OUT}${name}.png` });
  console.log(`${name}.png`);
}

const agent = (instance, name) => instance.json("ls").find((it) => it.name === name);

const asks = (instance, name, tool) => until(`${name} asks for ${tool}`, () => agent(instance, name).questions?.some((it) => it.tool === tool), 120_000);

async function prepare(instance) {
  instance.agent("shop-api-discounts", "claude", "--prompt", "Make the total respect discounts");
  instance.agent("shop-api-totals", "claude", "--prompt", "Make the total respect discounts");
  instance.agent("shop-deps", "claude", "--prompt", "Update the dependencies");
  instance.agent("shop-web-cart", "site", "--set", "colour=green");
  instance.agent("shop-tests");
  instance.agent("billing");
  await asks(instance, "shop-api-totals", "Edit");
  instance.wsm("approve", "shop-api-totals");
  await asks(instance, "shop-api-totals", "Bash");
  instance.wsm("approve", "shop-api-totals");
  await until("it is done", () => agent(instance, "shop-api-totals").state === "idle", 60_000);
  await asks(instance, "shop-api-discounts", "Edit");
  await asks(instance, "shop-deps", "Bash");
  instance.wsm("send", "shop-tests", "clear; python3 -m unittest -v");
  instance.wsm("send", "billing", "clear; git log --oneline --stat && ls -l");
  await until("the tests ran", () => JSON.parse(instance.wsm("--json", "capture", "shop-tests")).text.includes("OK"));
}

async function phone(browser, instance) {
  const person = await Person.come(browser, instance, "phone", { colorScheme: "dark" });
  await person.pair();
  await person.page.getByText("Wants to use Bash").waitFor();
  await show(person, "phone-list");
  await person.open("#/agents/shop-api-discounts");
  await person.page.getByRole("region", { name: "Wants to use Edit" }).getByText("item.discount").waitFor();
  await show(person, "phone-question");
  await person.terminal("shop-api-totals", "main", "it is committed");
  await show(person, "phone-terminal");
  await person.leave();
}

async function desktop(browser, instance) {
  const person = await Person.come(browser, instance, "desktop", { colorScheme: "dark" });
  await person.pair();
  const places = ["shop-api-discounts", "shop-api-totals", "shop-tests", "billing"].map((name) => ({ agent: agent(instance, name).id, terminal: "main" }));
  await person.page.evaluate((places) => localStorage.setItem("wsm.desk", JSON.stringify(places)), places);
  await person.page.reload();
  await person.open("#/desk");
  await until("four terminals", async () => (await person.page.locator(".xterm-screen").count()) === 4);
  // Each program has drawn itself for its new size.
  await until("the program asks", () => JSON.parse(instance.wsm("--json", "capture", "shop-api-discounts")).text.includes("Do you want to make this edit"));
  await person.page.waitForTimeout(1_500);
  await show(person, "desktop-terminals");
  await person.open("#/agents/shop-api-totals/changes");
  await person.page.getByText("item.discount").first().waitFor();
  await show(person, "desktop-changes");
  await person.leave();
}

const instance = await Instance.start(withModel);
const browser = await launch();
try {
  mkdirSync(OUT, { recursive: true });
  await prepare(instance);
  await phone(browser, instance);
  await desktop(browser, instance);
} finally {
  await browser.close();
  await instance.stop();
}
