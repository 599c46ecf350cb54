// Every page on every screen: it is there, nothing is broken, and axe finds nothing serious.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEVICES } from "./browser.mjs";
import { Person } from "./people.mjs";

const PAGES = [
  ["#/", "Agents"],
  ["#/agents/shop-web-cart/text", "text of an agent"],
  ["#/agents/shop-web-cart/terminal", "terminal"],
  ["#/agents/shop-web-cart/changes", "changes"],
  ["#/agents/shop-web-cart/services", "services"],
  ["#/agents/shop-web-cart/resources", "resources"],
  ["#/agents/shop-web-cart/recordings", "recordings"],
  ["#/agents/shop-web-cart/people", "people"],
  ["#/agents/shop-web-cart/details", "details"],
  ["#/new", "a new agent"],
  ["#/trash", "the trash"],
  ["#/activity", "activity"],
  ["#/settings", "settings"],
];

export function looks(shared) {
  for (const device of Object.keys(DEVICES)) {
    test(`signs in on a ${device} and finds every page usable`, async () => {
      const person = await Person.come(shared.browser, shared.instance, device, { colorScheme: device === "tablet" ? "light" : "dark" });
      await person.open("");
      await person.page.getByLabel("Token").waitFor();
      await person.isAccessible("sign in");
      await person.pair();
      await person.page.getByRole("link", { name: /refactor/ }).waitFor();
      for (const [hash, name] of PAGES) {
        await person.open(hash);
        await person.page.locator("#main").waitFor();
        await person.page.locator("#main .spin").first().waitFor({ state: "detached" });
        await person.isAccessible(name);
        if (device === "phone") await fits(person, name);
      }
      await person.leave();
    });
  }

  test("a token that is none is refused in words", async () => {
    const person = await Person.come(shared.browser, shared.instance, "phone");
    await person.open("");
    await person.page.getByLabel("Token").fill("wsm_nothing");
    await person.page.getByRole("button", { name: "Sign in" }).click();
    await person.page.getByRole("alert").getByText("not known").waitFor();
    await person.leave();
  });

  test("searches, and opens what was found by keyboard alone", async () => {
    const person = await Person.come(shared.browser, shared.instance, "desktop");
    await person.signIn(shared.instance.token("own"));
    await person.page.getByRole("link", { name: /billing/ }).waitFor();
    await person.page.keyboard.press("/");
    await person.page.keyboard.type("refactor");
    await person.page.getByRole("link", { name: /billing/ }).waitFor({ state: "detached" });
    await person.page.keyboard.press("Tab");
    await person.page.keyboard.press("Enter");
    await person.page.getByRole("heading", { name: /refactor/ }).waitFor();
    await person.leave();
  });
}

/** Nothing is wider than the screen, and what is touched is large enough for a finger. */
async function fits({ page }, name) {
  const found = await page.evaluate(() => {
    const over = document.documentElement.scrollWidth - innerWidth;
    const small = [...document.querySelectorAll("button, a, select, input:not([type=radio]):not([type=checkbox])")]
      .filter((it) => it.checkVisibility() && !it.closest("p, .xterm, .hidden") && !it.matches(".hidden"))
      .filter((it) => it.getBoundingClientRect().height < 43.5)
      .map((it) => it.outerHTML.slice(0, 90));
    return { over, small };
  });
  assert.deepEqual(found, { over: 0, small: [] }, name);
}
