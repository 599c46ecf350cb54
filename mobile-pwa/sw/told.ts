// What a push says: the declarative form, which newer browsers show by themselves.

export interface Told {
  badge: number | undefined;
  notification: {
    title: string;
    body: string;
    tag?: string;
    silent?: boolean;
    requireInteraction?: boolean;
    renotify?: boolean;
    timestamp?: number;
    actions?: Array<{ action: string; title: string }>;
    data: { navigate: string; agent?: string; question?: string; whole?: boolean };
  };
}

interface Declared {
  notification?: {
    title?: string;
    body?: string;
    navigate?: string;
    tag?: string;
    silent?: boolean;
    require_interaction?: boolean;
    requireInteraction?: boolean;
    renotify?: boolean;
    timestamp?: number;
    actions?: Array<{ action?: string; title?: string }>;
    /** `whole`: the body holds all of the question. */
    data?: { agent?: string; question?: string; whole?: boolean };
  };
  app_badge?: number | string;
}

/** Reads it; one that can't be read still says that something happened. */
export function read(text: string | undefined): Told {
  let declared: Declared = {};
  try {
    declared = JSON.parse(text ?? "{}") as Declared;
  } catch {
    // Shown as what it is: something of wsm's.
  }
  const said = declared.notification ?? {};
  const count = Number(declared.app_badge);
  const actions = (said.actions ?? []).flatMap(({ action, title }) => (action && title ? [{ action, title }] : []));
  return {
    badge: declared.app_badge !== undefined && Number.isFinite(count) ? count : undefined,
    notification: {
      title: said.title ?? "wsm",
      body: said.body ?? "",
      ...(said.tag ? { tag: said.tag } : {}),
      ...(said.silent ? { silent: true } : {}),
      ...((said.require_interaction ?? said.requireInteraction) ? { requireInteraction: true } : {}),
      // Without a tag there is nothing to notify again of, and browsers refuse.
      ...(said.renotify && said.tag ? { renotify: true } : {}),
      ...(said.timestamp ? { timestamp: said.timestamp } : {}),
      ...(actions.length > 0 ? { actions } : {}),
      data: { ...(said.data ?? {}), navigate: local(said.navigate) },
    },
  };
}

/** A place within the app: whatever a push says, it leads nowhere else. */
export function local(navigate: string | undefined): string {
  const hash = /#\/.*$/.exec(navigate ?? "")?.[0];
  return `/${hash ?? "#/"}`;
}
