// What other branches add to the API; goes away with them.
import "./api.gen";

declare module "./api.gen" {
  interface Question {
    id: string;
    kind: string;
    tool: string;
    command: string;
    detail: string;
    diff: string;
    since: string;
    answerable: boolean;
    confidence: string;
  }
  interface Spent {
    tokens_in: number;
    tokens_out: number;
    cost_usd: string;
  }
  interface Agent {
    confidence?: string;
    questions?: Question[];
    usage?: Spent;
  }
  interface Param {
    name: string;
    type: string;
    default?: string | null;
    choices: string[];
    pattern?: string | null;
    required: boolean;
  }
  interface TemplateInfo {
    kind?: string;
    prompt?: boolean;
    params?: Param[];
  }
  interface Repository {
    name: string;
    user: string;
    path: string;
    by: string;
    created: string;
  }
  interface NewAgent {
    repository?: string | null;
  }
  interface Pressure {
    cpu: number;
    memory: number;
    io: number;
  }
  interface Used {
    cpu_milli?: number | null;
    memory_bytes?: number | null;
    oom_kills?: number;
    pressure?: null | Pressure;
  }
  interface UsageSample extends Used {
    at: string;
    seconds: number;
    services?: Record<string, Used>;
  }
  interface Usage {
    agent: string;
    cpu_limit_milli?: number | null;
    memory_limit_bytes?: number | null;
    samples: UsageSample[];
    hosts: HostTraffic[];
  }
  interface Preview {
    url: string;
    own_origin: boolean;
  }
  interface Routes {
    "post /v1/agents/{agent}/approve": { body: { question?: string | null; note?: string | null }; answer: Agent };
    "post /v1/agents/{agent}/deny": { body: { question?: string | null; message?: string | null }; answer: Agent };
    "get /v1/agents/{agent}/usage": { query: { since?: string | null }; answer: Usage };
    "post /v1/agents/{agent}/previews": { body: { port: string; path?: string }; answer: Preview };
    "get /v1/repositories": { answer: Repository[] };
    "post /v1/links/open": { body: { code: string }; answer: unknown };
  }
}
