// Coming in: a second browser by a code and a number, a passkey, a link for somebody without an account.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./people.mjs";

export function coming(shared) {
  test("a second browser is paired by the code and the number, and signed out by the first", async () => {
    const { instance, browser } = shared;
    const first = await Person.come(browser, instance, "desktop");
    await first.pair();
    await first.open("#/settings");
    await first.page.getByRole("button", { name: "Add a device" }).click();
    const dialog = first.page.getByRole("dialog", { name: "Add a device" });
    await dialog.getByRole("img", { name: "A code to scan" }).waitFor();
    await first.isAccessible("adding a device");
    const address = (await dialog.locator(".address").textContent()).trim();
    const second = await Person.come(browser, instance, "phone", { userAgent: "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0" });
    await second.page.goto(address);
    const number = (await second.page.locator(".pair-number").textContent()).trim();
    assert.match(number, /^\d{6}$/);
    await second.isAccessible("pairing");
    await dialog.locator(".pair-number").getByText(number).waitFor();
    await dialog.getByRole("button", { name: "Yes, let it in" }).click();
    await second.isIn();
    // The code is good once.
    const third = await Person.come(browser, instance, "phone");
    await third.page.goto(address);
    await third.page.getByRole("alert").waitFor();
    await third.leave();
    const devices = first.page.getByRole("region", { name: "Devices" });
    await devices.getByText("this one").waitFor();
    await devices.getByRole("button", { name: "Sign out Firefox on Android" }).click();
    await first.page.getByRole("dialog").getByRole("button", { name: "Sign it out" }).click();
    await second.page.getByText("Your session has ended").waitFor();
    await second.leave();
    await first.leave();
  });

  test("a passkey is made, and signs in without anything to copy", async () => {
    const { instance, browser } = shared;
    const person = await Person.come(browser, instance, "desktop");
    await person.pair();
    const wire = await person.context.newCDPSession(person.page);
    await wire.send("WebAuthn.enable");
    const { authenticatorId } = await wire.send("WebAuthn.addVirtualAuthenticator", {
      options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    });
    await person.open("#/settings");
    await person.page.getByRole("button", { name: "Make a passkey" }).click();
    await person.page.getByText("The passkey is made").waitFor();
    const { credentials } = await wire.send("WebAuthn.getCredentials", { authenticatorId });
    assert.equal(credentials.length, 1);
    assert.equal(credentials[0].rpId, "localhost");
    const devices = person.page.getByRole("region", { name: "Devices" });
    await devices.getByText("passkey").first().waitFor();
    await person.page.getByRole("button", { name: "Sign out", exact: true }).click();
    await person.page.getByRole("button", { name: "Use a passkey" }).click();
    await person.isIn();
    await person.page.getByText("root").first().waitFor();
    // One that is ended signs nobody in any more.
    const key = instance.json("device", "ls").find((device) => device.kind === "passkey" && device.state === "good");
    instance.wsm("device", "rm", key.id);
    await person.page.getByText("Your session has ended").waitFor({ timeout: 60_000 });
    await person.page.getByRole("button", { name: "Use a passkey" }).click();
    await person.page.getByRole("alert").waitFor();
    await person.leave();
  });

  test("a link to watch by shows one agent, read-only, to a fresh browser, until it is ended", async () => {
    const { instance, browser } = shared;
    const owner = await Person.come(browser, instance, "desktop");
    await owner.pair();
    await owner.terminal("billing");
    await owner.type("echo watched-$((40+2))\n");
    await owner.shows("watched-42");
    await owner.open("#/agents/billing/people");
    const links = owner.page.getByRole("region", { name: "Links to watch by" });
    await links.getByRole("combobox").selectOption({ label: "for an hour" });
    await links.getByRole("button", { name: "Make a link" }).click();
    const dialog = owner.page.getByRole("dialog", { name: "A link to watch by" });
    const address = (await dialog.locator(".address").textContent()).trim();
    await owner.isAccessible("a link");
    await dialog.getByRole("button", { name: "Close" }).click();
    const guest = await Person.come(browser, instance, "phone");
    await guest.page.goto(address);
    await guest.page.getByRole("heading", { name: "billing" }).waitFor();
    await guest.shows("watched-42", "billing");
    await guest.isAccessible("watching by a link");
    // What a guest may not do is not offered.
    assert.equal(await guest.page.getByRole("textbox").count(), 0);
    assert.equal(await guest.page.getByRole("button", { name: /^Actions/ }).count(), 0);
    assert.deepEqual(await guest.page.getByRole("tab").allTextContents(), ["Terminal", "Text"]);
    const refused = await guest.page.evaluate(async () => {
      const send = { method: "POST", headers: { "content-type": "application/json", "x-wsm": "1" }, body: JSON.stringify({ text: "x", enter: true }) };
      const [typed, log] = await Promise.all([fetch("/v1/agents/billing/send", send), fetch("/v1/agents/billing/log?service=setup")]);
      return [typed.status, log.status];
    });
    assert.deepEqual(refused, [403, 403]);
    await owner.open("#/agents/billing/terminal");
    await owner.type("echo live-$((40+2))\n");
    await guest.shows("live-42", "billing");
    await owner.open("#/agents/billing/people");
    await links.getByRole("button", { name: /^End the link/ }).click();
    await owner.page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
    await guest.page.getByText(/has ended/).first().waitFor();
    await guest.page.goto(address);
    await guest.page.getByText("It does not open anything any more.").waitFor();
    await guest.leave();
    await owner.leave();
  });
}
