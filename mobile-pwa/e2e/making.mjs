// A new agent from a phone, and what it serves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./people.mjs";
import { until } from "./wait.mjs";

export function making(shared) {
  test("a new agent with typed parameters is made from a phone", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    const { page } = person;
    await page.getByRole("link", { name: "New agent" }).tap();
    await page.getByLabel("Template").selectOption("site");
    const make = page.getByRole("button", { name: "Make the agent" });
    // What is needed is said before anything is asked for.
    assert.ok(await make.isDisabled(), "a colour is needed");
    await page.getByLabel("colour (needed)").selectOption("green");
    await page.getByLabel("workers").fill("many");
    await page.getByText("A whole number.").waitFor();
    assert.ok(await make.isDisabled(), "workers are a number");
    await page.getByLabel("workers").fill("3");
    await page.getByText("Processes that serve").waitFor();
    await page.getByLabel("verbose").check();
    await page.getByLabel("Name").fill("Shop New");
    await page.getByText("Small letters, digits and single dashes").waitFor();
    await page.getByLabel("Name").fill("shop-new");
    await person.isAccessible("a new agent");
    await make.tap();
    await page.getByRole("heading", { name: /new/ }).waitFor({ timeout: 60_000 });
    await until("it runs", () => instance.json("ls").some((it) => it.name === "shop-new" && ["working", "idle"].includes(it.state)), 60_000);
    assert.equal(instance.wsm("exec", "shop-new", "--", "sh", "-c", "echo $COLOUR $WORKERS $VERBOSE").trim(), "green 3 true");
    // A name that is taken is refused in words, and nothing is lost.
    await person.open("#/new");
    await page.getByLabel("colour (needed)").selectOption("red");
    await page.getByLabel("Name").fill("shop-new");
    await make.tap();
    await page.getByRole("alert").getByText("shop-new").waitFor();
    assert.equal(await page.getByLabel("Name").inputValue(), "shop-new");
    await person.leave();
  });

  test("a preview opens in an origin of its own, whose page reads nothing of wsm's", async () => {
    const { instance } = shared;
    const workspace = instance.json("ls").find((it) => it.name === "shop-web-cart").workspace;
    const spy = `<!doctype html><title>Spy</title><p id=seen></p><script>
      const ask = (path) => fetch("${instance.url}" + path, { credentials: "include" }).then((answer) => "answered " + answer.status, () => "refused");
      Promise.all([ask("/v1/whoami"), ask("/v1/agents")]).then((answers) =>
        document.getElementById("seen").textContent = JSON.stringify({ cookie: document.cookie, kept: Object.keys(localStorage), answers, origin: location.origin }));
    </script>`;
    instance.run(["exec", "shop-web-cart", "--", "sh", "-c", `cat > ${workspace}/spy.html`], { input: spy });
    const person = await Person.come(shared.browser, instance, "desktop");
    await person.pair();
    await person.page.waitForFunction(() => localStorage.getItem("wsm.known") !== null);
    await person.open("#/agents/shop-web-cart/services");
    const ports = person.page.getByRole("region", { name: "Ports" });
    const opened = person.context.waitForEvent("page");
    await ports.getByRole("button", { name: "Open" }).click();
    const preview = await opened;
    await preview.getByText("Welcome.").waitFor();
    const { origin } = new URL(preview.url());
    assert.equal(origin, `http://web--shop-web-cart.localhost:${instance.port}`);
    await preview.goto(`${origin}/spy.html`);
    const seen = JSON.parse(await preview.locator("#seen").filter({ hasText: "{" }).textContent());
    assert.deepEqual(seen, { cookie: "", kept: [], answers: ["refused", "refused"], origin });
    // What the agent's server was sent has no cookie of ours in it.
    const sent = await person.context.cookies(origin);
    assert.ok(sent.every((cookie) => cookie.httpOnly), "what is there is out of the page's reach");
    await person.leave();
  });
}
