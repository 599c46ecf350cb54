// Work is looked at and brought back, people are asked in, and what is kept for agents is listed.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Person } from "./people.mjs";
import { until } from "./wait.mjs";

export function bringing(shared) {
  const git = (...args) => execFileSync("git", ["-C", shared.instance.repository, ...args], { encoding: "utf8" }).trim();
  const inside = (agent, line) => shared.instance.wsm("exec", agent, "--", "sh", "-c", line);

  test("what an agent did is read and merged from a phone, and a conflict is told before anything changes", async () => {
    const { instance } = shared;
    instance.agent("notes");
    inside("notes", "echo from-the-agent >NOTES && git add NOTES && git commit -q -m 'notes: a beginning'");
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    const { page } = person;
    await person.open("#/agents/notes/changes");
    await page.getByText("1 commit, 1 file").waitFor();
    await page.getByText("from-the-agent").waitFor();
    await person.isAccessible("changes");
    const merge = async (message) => {
      await page.getByRole("button", { name: "Merge", exact: true }).tap();
      const dialog = page.getByRole("dialog");
      if (message) {
        await dialog.getByLabel("One commit instead of all").check();
        await dialog.getByLabel("Message of a merge or squash commit").fill(message);
      }
      await dialog.getByRole("button", { name: "Merge", exact: true }).tap();
      return dialog;
    };
    // The agent goes on while somebody writes: what is open stays as it is.
    await page.getByRole("button", { name: "Merge", exact: true }).tap();
    const open = page.getByRole("dialog");
    await open.getByLabel("Message of a merge or squash commit").fill("half a sentence");
    inside("notes", "echo more >MORE && git add MORE && git commit -q -m 'notes: more'");
    await page.getByText("2 commits, 2 files").waitFor();
    assert.equal(await open.getByLabel("Message of a merge or squash commit").inputValue(), "half a sentence");
    await open.getByRole("button", { name: "Cancel" }).tap();
    await merge("notes by an agent");
    await page.getByText("Merged into main").waitFor();
    assert.equal(readFileSync(join(instance.repository, "NOTES"), "utf8"), "from-the-agent\n");
    assert.equal(git("log", "-1", "--format=%s"), "notes by an agent");
    // Both go on in the same line.
    inside("notes", "echo agents-line >NOTES && git commit -q -a -m agents");
    writeFileSync(join(instance.repository, "NOTES"), "humans-line\n");
    git("commit", "-q", "-a", "-m", "humans");
    const before = git("rev-parse", "HEAD");
    await page.getByRole("button", { name: "Look again" }).first().tap();
    await page.getByText("agents-line").waitFor();
    const dialog = await merge();
    const told = dialog.getByRole("alert");
    await told.waitFor();
    assert.match(await told.textContent(), /NOTES/);
    await person.isAccessible("a merge that does not go");
    assert.equal(git("rev-parse", "HEAD"), before);
    assert.equal(git("status", "--porcelain", "--untracked-files=no"), "");
    await person.leave();
  });

  test("what is not committed is staged in the main checkout from a desk", async () => {
    const { instance } = shared;
    instance.agent("draft");
    inside("draft", "echo loose >draft.txt");
    const person = await Person.come(shared.browser, instance, "desktop");
    await person.pair();
    const { page } = person;
    await person.open("#/agents/draft/changes");
    await page.getByText("(1 not committed)").waitFor();
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByText("Staged on main: 1 files").waitFor();
    assert.equal(git("diff", "--cached", "--name-only"), "draft.txt");
    git("reset", "-q", "--hard");
    await person.leave();
  });

  test("somebody is asked in from a page, comes on a phone, and sees nothing that was not shared", async () => {
    const { instance, browser } = shared;
    instance.wsm("user", "add", "boss", "--role", "admin");
    const boss = await Person.come(browser, instance, "desktop");
    await boss.signIn(instance.token("admin", "--user", "boss"));
    await boss.open("#/settings");
    await boss.page.getByRole("button", { name: "Invite somebody" }).click();
    const shown = boss.page.getByRole("dialog");
    await shown.getByText("#invite=").first().waitFor();
    await boss.isAccessible("an invitation");
    const url = (await shown.locator(".address").textContent()).trim();
    const bea = await Person.come(browser, instance, "phone");
    await bea.page.goto(url);
    await bea.page.getByRole("textbox").fill("bea");
    await bea.isAccessible("being invited");
    await bea.page.getByRole("button", { name: "Come in" }).tap();
    await bea.isIn();
    await bea.page.getByText("No agents").first().waitFor();
    const users = JSON.parse(instance.wsm("--json", "user", "ls"));
    assert.equal(users.find((user) => user.name === "bea").role, "member");
    // An invitation is good once.
    const late = await Person.come(browser, instance, "tablet");
    await late.page.goto(url);
    await late.page.getByRole("textbox").fill("carl");
    await late.page.getByRole("button", { name: "Come in" }).click();
    await late.page.getByRole("alert").first().waitFor();
    // Who is removed is out at once.
    instance.wsm("user", "rm", "bea");
    await bea.page.reload();
    await until("bea is signed out", async () => (await bea.page.getByLabel("Token").count()) > 0);
    for (const person of [boss, bea, late]) await person.leave();
  });

  test("secrets are listed by name and use, never by value", async () => {
    const { instance } = shared;
    instance.run(["secret", "set", "registry-token", "--to", "registry.example"], { input: "value-that-nobody-sees\n" });
    const person = await Person.come(shared.browser, instance, "tablet");
    await person.pair();
    await person.open("#/settings");
    const row = person.page.getByRole("listitem").filter({ hasText: "registry-token" });
    await row.getByText("for registry.example, never used").waitFor();
    assert.doesNotMatch(await person.page.content(), /value-that-nobody-sees/);
    await person.isAccessible("secrets");
    await person.leave();
  });
}
