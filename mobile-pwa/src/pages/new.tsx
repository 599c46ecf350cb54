// A new agent, of a template and a repository that is registered here.

import { useState } from "preact/hooks";
import type { Param, Repository, TemplateInfo } from "../api/api.gen";
import { Refusal, call, words } from "../api/client";
import { shared, taken } from "../live/shared";
import { learn } from "../live/store";
import { type Values, initial, request, settings, wrong, wrongName } from "../model/form";
import { go, to } from "../route";
import { wide } from "../settings";
import "../style/pages.css";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";

export function NewAgentPage() {
  const found = useLoad(() => Promise.all([call("get /v1/templates"), call("get /v1/repositories")]), []);
  return (
    <main class="page" id="main">
      <header class="bar">
        {!wide.value && (
          <a class="icon-button" href="#/" aria-label="All agents">
            <Icon name="back" />
          </a>
        )}
        <h1>New agent</h1>
      </header>
      <div class="scroll" tabIndex={0}>
        <div class="body narrow">
          <Shown of={found}>
            {([templates, repositories]) => (repositories.length === 0 ? <NoRepository /> : <Form templates={templates} repositories={repositories} />)}
          </Shown>
        </div>
      </div>
    </main>
  );
}

const NoRepository = () => (
  <div class="empty">
    <h2>No repository is registered</h2>
    <p>
      On that machine, in its directory: <code>wsm repo add</code>. Then agents can be made of it from here.
    </p>
  </div>
);

function Form({ templates, repositories }: { templates: TemplateInfo[]; repositories: Repository[] }) {
  const before = last();
  const [template, choose] = useState(templates.find((it) => it.name === before.template) ?? templates[0]);
  const [repository, setRepository] = useState((repositories.find((it) => it.name === before.repository) ?? repositories[0])?.name ?? "");
  const [name, setName] = useState("");
  const [prompt, setPrompt] = useState(shared.peek());
  const [base, setBase] = useState("");
  const [values, setValues] = useState<Values>(initial(template?.params ?? []));
  const [busy, work] = useState(false);
  const [failed, fail] = useState<unknown>(undefined);
  // What is the whole of the prompt is asked for once.
  const params = (template?.params ?? []).filter((param) => !param.prompt);
  const bad = wrongName(name) !== "" || params.some((param) => wrong(param, values[param.name] ?? "") !== "");
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!template || bad) return;
    work(true);
    fail(undefined);
    try {
      const body = request({ template: template.name, repository, name, prompt, base, set: settings(params, values) });
      const made = await call("post /v1/agents", { body });
      if ("state" in made) {
        remember(template.name, repository);
        taken();
        learn(made);
        go(to("agents", made.name), { replace: true });
      }
    } catch (why) {
      fail(why);
      work(false);
    }
  };
  return (
    <form class="form section" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span>Template</span>
        <select
          value={template?.name}
          onChange={(event) => {
            const found = templates.find((it) => it.name === event.currentTarget.value);
            choose(found);
            setValues(initial(found?.params ?? []));
          }}
        >
          {templates.map((it) => (
            <option key={it.name} value={it.name}>
              {it.name}
            </option>
          ))}
        </select>
        <small>{template?.description}</small>
      </label>
      <label class="field">
        <span>Repository</span>
        <select value={repository} onChange={(event) => setRepository(event.currentTarget.value)}>
          {repositories.map((it) => (
            <option key={it.name} value={it.name}>
              {it.name}
            </option>
          ))}
        </select>
        <small class="mono">{repositories.find((it) => it.name === repository)?.path}</small>
      </label>
      <label class="field">
        <span>Name</span>
        <input type="text" autocapitalize="off" spellcheck={false} placeholder="made for you" value={name} onInput={(event) => setName(event.currentTarget.value)} />
        <small class={wrongName(name) ? "problem" : ""}>{wrongName(name) || "shop-api-refactor stands under shop, api"}</small>
      </label>
      {template?.prompt && (
        <label class="field">
          <span>What it shall do</span>
          <textarea rows={4} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
        </label>
      )}
      {params.map((param) => (
        <Field key={`${template?.name} ${param.name}`} param={param} value={values[param.name] ?? ""} put={(value) => setValues({ ...values, [param.name]: value })} />
      ))}
      <label class="field">
        <span>Start from</span>
        <input type="text" autocapitalize="off" spellcheck={false} placeholder="HEAD" value={base} onInput={(event) => setBase(event.currentTarget.value)} />
        <small>A branch, a tag or a commit</small>
      </label>
      {failed !== undefined && <Failure why={failed} />}
      <div class="actions">
        <button class="button primary" disabled={busy || bad || !template}>
          {busy ? "Making it" : "Make the agent"}
        </button>
      </div>
    </form>
  );
}

const LAST = "wsm.new";

/** What was made last on this device is what is made next, mostly. */
function last(): { template?: string; repository?: string } {
  try {
    return (JSON.parse(localStorage.getItem(LAST) ?? "{}") ?? {}) as { template?: string; repository?: string };
  } catch {
    return {};
  }
}

function remember(template: string, repository: string): void {
  try {
    localStorage.setItem(LAST, JSON.stringify({ template, repository }));
  } catch {
    // It is asked for again then.
  }
}

function Failure({ why }: { why: unknown }) {
  const details = why instanceof Refusal ? why.details : [];
  return (
    <div class="problem" role="alert">
      <p>{why instanceof Refusal ? `${why.message}${why.hint ? `. ${why.hint}` : ""}` : words(why)}</p>
      {details.length > 0 && (
        <ul>
          {details.map((line) => (
            <li key={line} class="mono">
              {line}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Field({ param, value, put }: { param: Param; value: string; put: (value: string) => void }) {
  const problem = value === "" ? "" : wrong(param, value);
  if (param.type === "bool") {
    return (
      <label class="check">
        <input type="checkbox" checked={value === "true"} onChange={(event) => put(String(event.currentTarget.checked))} />
        <span>
          {param.name}
          {param.description && <small class="muted block">{param.description}</small>}
        </span>
      </label>
    );
  }
  return (
    <label class="field">
      <span>
        {param.name}
        {param.required && " (needed)"}
      </span>
      {param.choices.length > 0 ? (
        <select value={value} onChange={(event) => put(event.currentTarget.value)}>
          {!param.required && <option value="">–</option>}
          {param.choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      ) : (
        <input
          type="text"
          inputMode={param.type === "int" ? "numeric" : "text"}
          required={param.required}
          autocapitalize="off"
          value={value}
          onInput={(event) => put(event.currentTarget.value)}
        />
      )}
      {(problem || param.description || param.pattern) && (
        <small class={problem ? "problem" : ""}>{problem || [param.description, param.pattern && `like ${param.pattern}`].filter(Boolean).join(", ")}</small>
      )}
    </label>
  );
}
