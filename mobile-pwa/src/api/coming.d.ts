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
  interface Routes {
    "post /v1/agents/{agent}/approve": { body: { question?: string | null; note?: string | null }; answer: Agent };
    "post /v1/agents/{agent}/deny": { body: { question?: string | null; message?: string | null }; answer: Agent };
  }
}
