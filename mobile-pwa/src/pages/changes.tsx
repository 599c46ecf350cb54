// What an agent changed, and bringing it back.

import { useState } from "preact/hooks";
import type { Agent, Diff as Changed, Merge } from "../api/api.gen";
import { call, words } from "../api/client";
import { who } from "../live/store";
import { owns } from "../model/rights";
import { Dialog } from "../ui/dialog";
import { Diff, Sums } from "../ui/diff";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { say } from "../ui/toast";

export const Changes = ({ agent }: { agent: Agent }) => <Looked key={agent.id} agent={agent} />;

function Looked({ agent }: { agent: Agent }) {
  // What is shown stays while it is asked again: an agent that commits closes nobody's dialog.
  const diff = useLoad(() => call("get /v1/agents/{agent}/diff", { path: { agent: agent.id } }), [agent.id, agent.sync.head], 0, true);
  return (
    <div class="scroll" tabIndex={0}>
      <div class="body">
        <Shown of={diff}>{(value) => <All agent={agent} diff={value} again={diff.again} />}</Shown>
      </div>
    </div>
  );
}

function All({ agent, diff, again }: { agent: Agent; diff: Changed; again: () => void }) {
  const sum = (of: "added" | "removed") => diff.files.reduce((total, file) => total + file[of], 0);
  const loose = new Set(diff.files.filter((file) => file.uncommitted).map((file) => file.path));
  if (diff.files.length === 0 && diff.commits === 0) {
    return (
      <div class="empty">
        <h2>Nothing changed</h2>
        <p>
          {agent.branch} is where it started, at {diff.base.slice(0, 10)}.
        </p>
        <button class="button" onClick={again}>
          Look again
        </button>
      </div>
    );
  }
  return (
    <>
      <div class="changes-head">
        <p class="grow">
          {diff.commits} {diff.commits === 1 ? "commit" : "commits"}, {diff.files.length} {diff.files.length === 1 ? "file" : "files"}{" "}
          <Sums added={sum("added")} removed={sum("removed")} />
          {loose.size > 0 && <span class="muted"> ({loose.size} not committed)</span>}
        </p>
        <button class="icon-button" aria-label="Look again" onClick={again}>
          <Icon name="restart" />
        </button>
        {owns(agent, who.value) && <Bring agent={agent} loose={loose.size} done={again} />}
      </div>
      {diff.truncated && <p class="muted changes-cut">The patch is longer than what is shown here.</p>}
      <Diff patch={diff.patch} uncommitted={loose} />
    </>
  );
}

function Bring({ agent, loose, done }: { agent: Agent; loose: number; done: () => void }) {
  const [open, show] = useState<"merge" | "apply" | undefined>(undefined);
  return (
    <>
      <button class="button" onClick={() => show("apply")}>
        Apply
      </button>
      <button class="button primary" onClick={() => show("merge")}>
        Merge
      </button>
      {open === "merge" && <MergeDialog agent={agent} loose={loose} close={() => show(undefined)} done={done} />}
      {open === "apply" && <ApplyDialog agent={agent} close={() => show(undefined)} done={done} />}
    </>
  );
}

interface DialogProps {
  agent: Agent;
  close: () => void;
  done: () => void;
}

/** Does it once, and tells what came of it. */
function useAct(close: () => void, done: () => void) {
  const [busy, work] = useState(false);
  const [error, fail] = useState("");
  const run = async (act: () => Promise<string>) => {
    work(true);
    fail("");
    try {
      say(await act());
      close();
      done();
    } catch (why) {
      fail(words(why));
    } finally {
      work(false);
    }
  };
  return { busy, error, run };
}

function MergeDialog({ agent, loose, close, done }: DialogProps & { loose: number }) {
  const [squash, setSquash] = useState(false);
  const [leave, setLeave] = useState(false);
  const [message, setMessage] = useState("");
  const { busy, error, run } = useAct(close, done);
  const merge = () =>
    run(async () => {
      const body: Merge = { squash, leave_uncommitted: leave, ...(message.trim() ? { message: message.trim() } : {}) };
      const merged = await call("post /v1/agents/{agent}/merge", { path: { agent: agent.id }, body });
      const left = merged.left ? ` Left behind: ${merged.left}.` : "";
      return merged.how === "nothing" ? "There was nothing to merge." : `Merged into ${merged.into}: ${merged.commits} commits.${left}`;
    });
  return (
    <Dialog title={`Merge ${agent.branch}`} close={close}>
      <p class="soft">Into the branch that is checked out in {agent.repository}. Conflicts are told before anything changes.</p>
      <label class="check">
        <input type="checkbox" checked={squash} onChange={(event) => setSquash(event.currentTarget.checked)} />
        One commit instead of all
      </label>
      {loose > 0 && (
        <label class="check">
          <input type="checkbox" checked={leave} onChange={(event) => setLeave(event.currentTarget.checked)} />
          Leave what is not committed ({loose} {loose === 1 ? "file" : "files"})
        </label>
      )}
      <label class="field">
        <span>Message of a merge or squash commit</span>
        <input type="text" value={message} onInput={(event) => setMessage(event.currentTarget.value)} />
      </label>
      <Foot busy={busy} error={error} close={close} act={() => void merge()} label="Merge" />
    </Dialog>
  );
}

function ApplyDialog({ agent, close, done }: DialogProps) {
  const { busy, error, run } = useAct(close, done);
  const apply = () =>
    run(async () => {
      const applied = await call("post /v1/agents/{agent}/apply", { path: { agent: agent.id } });
      return applied.how === "nothing" ? "There was nothing to apply." : `Staged on ${applied.into}: ${applied.files} files.`;
    });
  return (
    <Dialog title="Apply as staged changes" close={close}>
      <p class="soft">The difference is staged in {agent.repository}, and nothing is committed.</p>
      <Foot busy={busy} error={error} close={close} act={() => void apply()} label="Apply" />
    </Dialog>
  );
}

interface FootProps {
  busy: boolean;
  error: string;
  close: () => void;
  act: () => void;
  label: string;
}

function Foot({ busy, error, close, act, label }: FootProps) {
  return (
    <>
      {error && (
        <p class="problem" role="alert">
          {error}
        </p>
      )}
      <div class="actions">
        <button class="button" onClick={close}>
          Cancel
        </button>
        <button class="button primary" disabled={busy} onClick={act}>
          {busy ? "Working" : label}
        </button>
      </div>
    </>
  );
}
