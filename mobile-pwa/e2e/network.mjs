// What becomes of a page when its network, its daemon or its session goes away.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./people.mjs";
import { until } from "./wait.mjs";

export function network(shared) {
  test("offline it shows what was known, and when; the shell opens without any network", async () => {
    const person = await Person.come(shared.browser, shared.instance, "phone");
    await person.signIn(shared.instance.token("own"));
    await person.page.getByRole("link", { name: /billing/ }).waitFor();
    await person.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await person.page.waitForFunction(() => localStorage.getItem("wsm.known")?.includes("billing"));
    await person.open("#/agents/billing/text");
    await person.page.getByRole("log").getByText("agent@billing").first().waitFor();
    await person.page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("wsm.text.")));
    await person.context.setOffline(true);
    await person.page.getByText("No network").waitFor();
    await person.page.reload();
    // The page of an agent has what it showed last, and what is written now waits.
    await person.page.getByText(/Its text of/).waitFor();
    await person.page.getByRole("log").getByText("agent@billing").first().waitFor();
    await person.page.getByRole("textbox", { name: "Message to billing" }).fill("echo waited-$((40+2))");
    await person.page.getByRole("button", { name: "Send", exact: true }).tap();
    await person.page.getByText("when wsm is there").waitFor();
    await person.isAccessible("an agent without a network");
    await person.page.getByRole("link", { name: "All agents" }).tap();
    await person.page.getByRole("link", { name: /billing/ }).waitFor();
    await person.page.getByText("What you see is from").waitFor();
    await person.context.setOffline(false);
    await person.page.getByText("What you see is from").waitFor({ state: "detached" });
    await person.open("#/agents/billing/text");
    await person.shows("waited-42");
    await person.leave();
  });

  test("a daemon that is killed is come back to, and the picture goes on", async () => {
    const person = await Person.come(shared.browser, shared.instance, "desktop");
    await person.signIn(shared.instance.token("own"));
    await person.terminal("shop-api-refactor");
    await person.type("echo before-$((1+1))\n");
    await person.shows("before-2");
    // It is back within a blink: what was shown meanwhile is remembered.
    await person.page.evaluate(() => {
      globalThis.seen = "";
      const look = () => (globalThis.seen += document.querySelector(".term-bar")?.textContent ?? "");
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    shared.instance.killDaemon();
    await person.page.waitForFunction(() => globalThis.seen.includes("Reconnecting"));
    await person.page.locator(".term-bar").waitFor({ state: "detached" });
    await person.type("echo after-$((1+1))\n");
    await person.shows("after-2");
    await person.leave();
  });

  test("a session that has ended asks to sign in again, and goes on where it was", async () => {
    const { instance } = shared;
    const person = await Person.come(shared.browser, instance, "phone");
    const made = instance.json("token", "new", "--scope", "own");
    await person.signIn(made.value);
    await person.open("#/agents/billing/services");
    await person.page.getByRole("tab", { name: "Services", selected: true }).waitFor();
    endSession(instance, made);
    await person.page.getByText("Your session has ended").waitFor({ timeout: 60_000 });
    await person.page.getByLabel("Token").fill(instance.token("own"));
    await person.page.getByRole("button", { name: "Sign in" }).click();
    await person.page.getByRole("tab", { name: "Services", selected: true }).waitFor();
    await person.leave();
  });

  test("on a slow network the list is there, and a message is sent once", async () => {
    const person = await Person.come(shared.browser, shared.instance, "phone");
    await person.signIn(shared.instance.token("own"));
    const wire = await person.context.newCDPSession(person.page);
    await wire.send("Network.emulateNetworkConditions", { offline: false, latency: 400, downloadThroughput: 50_000, uploadThroughput: 20_000 });
    await person.open("#/agents/billing/text");
    await person.page.getByRole("textbox", { name: "Message to billing" }).fill("echo slow-$((1+1))");
    const send = person.page.getByRole("button", { name: "Send", exact: true });
    await send.tap();
    // Impatience sends nothing twice.
    await send.tap({ force: true, timeout: 2_000 }).catch(() => undefined);
    await person.shows("slow-2");
    const text = () => JSON.parse(shared.instance.wsm("--json", "capture", "billing")).text;
    await until("the prompt is back", () => text().trimEnd().endsWith("$"));
    assert.equal(text().split("\nslow-2").length - 1, 1);
    await person.leave();
  });
}

/** Ends a token, and with it what was begun with it. */
function endSession(instance, made) {
  instance.wsm("token", "rm", made.token.id);
}
