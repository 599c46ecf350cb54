// Users of the host: an administrator's page.

import { useState } from "preact/hooks";
import type { User } from "../api/api.gen";
import { call } from "../api/client";
import { who } from "../live/store";
import { confirm } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { say, tell } from "../ui/toast";
import { Section } from "./section";

export function Users() {
  const users = useLoad(() => call("get /v1/users"), []);
  return (
    <Section title="Users">
      <Shown of={users}>
        {(all) => (
          <ul class="panel">
            {all.map((user) => (
              <Row key={user.name} user={user} again={users.again} />
            ))}
          </ul>
        )}
      </Shown>
      <Add done={users.again} />
    </Section>
  );
}

function Row({ user, again }: { user: User; again: () => void }) {
  const me = user.name === who.value?.user;
  const act = async (ask: () => Promise<unknown>) => {
    try {
      await ask();
      again();
    } catch (error) {
      tell(error);
    }
  };
  const role = (role: string) => act(() => call("post /v1/users/{user}/role", { path: { user: user.name }, body: { role } }));
  const remove = async () => {
    const text = "All tokens, devices and shares of theirs end at once. Their agents stay.";
    if (!(await confirm(`Remove ${user.name}?`, text, "Remove", true))) return;
    await act(() => call("delete /v1/users/{user}", { path: { user: user.name } }));
  };
  return (
    <li>
      <Icon name="people" />
      <div class="grow">
        <p>
          <b>{user.name}</b> {user.uid !== null && <span class="soft">uid {user.uid}</span>}
        </p>
        <p class="muted small">
          {user.agents} agents, {user.devices} devices, {user.tokens} tokens
        </p>
      </div>
      <select class="short" aria-label={`Role of ${user.name}`} disabled={me} value={user.role} onChange={(event) => void role(event.currentTarget.value)}>
        <option value="member">member</option>
        <option value="admin">admin</option>
      </select>
      <button class="icon-button" disabled={me} aria-label={`Remove ${user.name}`} onClick={() => void remove()}>
        <Icon name="close" />
      </button>
    </li>
  );
}

function Add({ done }: { done: () => void }) {
  const [name, write] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      await call("post /v1/users", { body: { name: name.trim(), role: "member" } });
      say(`${name.trim()} was added`);
      write("");
      done();
    } catch (error) {
      tell(error);
    }
  };
  return (
    <form class="inline-form" aria-label="Add a user" onSubmit={(event) => void submit(event)}>
      <label class="field wide">
        <span>Add a user</span>
        <input type="text" required autocapitalize="off" spellcheck={false} placeholder="name" value={name} onInput={(event) => write(event.currentTarget.value)} />
      </label>
      <button class="button">Add</button>
    </form>
  );
}
