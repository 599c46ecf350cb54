// Offers of agents: to accept, to decline, to take back.

import "../style/agent.css";
import "../style/pages.css";
import type { Agent, Offer } from "../api/api.gen";
import { call } from "../api/client";
import { now, rows, who } from "../live/store";
import { since, stamp } from "../model/time";
import { Shown, useLoad } from "../ui/load";
import { say, tell } from "../ui/toast";

/** Offers of one agent, or all that concern whoever is signed in. */
export function Offers({ agent }: { agent?: Agent }) {
  const newest = rows.value.find((row) => row.verb.startsWith("handoff"))?.seq ?? 0;
  const offers = useLoad(() => call("get /v1/handoffs"), [newest], 0, true);
  if (offers.error) return null;
  return (
    <Shown of={offers}>
      {(all) => {
        const found = agent ? all.filter((offer) => offer.id === agent.id) : all;
        return found.length === 0 ? null : (
          <section class="section" aria-label="Handing over">
            <h2>Handing over</h2>
            {found.map((offer) => (
              <One key={offer.id} offer={offer} again={offers.again} />
            ))}
          </section>
        );
      }}
    </Shown>
  );
}

function One({ offer, again }: { offer: Offer; again: () => void }) {
  const mine = offer.to === who.value?.user;
  const answer = async (act: "accept" | "decline") => {
    try {
      await call(`post /v1/handoffs/{offered}/${act}`, { path: { offered: offer.id } });
      say(act === "accept" ? `${offer.agent} is yours` : "The offer is over");
    } catch (error) {
      tell(error);
    }
    again();
  };
  return (
    <article class="offer">
      <p>
        <b>{offer.from}</b> offers <b>{offer.agent}</b> to <b>{mine ? "you" : offer.to}</b>{" "}
        <span class="muted">{since(offer.made, now.value)}, until {stamp(offer.expires)}</span>
      </p>
      {offer.note && <blockquote>{offer.note}</blockquote>}
      <pre class="log" tabIndex={0} aria-label="How it is">{offer.summary}</pre>
      {offer.uses.map((own) => (
        <p class="soft" key={own.name}>
          It will use {mine ? "your" : "their"} {own.secret} {own.visible ? "and see its value" : `for ${own.hosts.join(", ")}`}
        </p>
      ))}
      {offer.shares.length > 0 && <p class="soft">It stays shared with {offer.shares.map((share) => `${share.user} (${share.role})`).join(", ")}</p>}
      {offer.missing.length > 0 && <p class="problem">It uses secrets that {mine ? "you lack" : "they lack"}: {offer.missing.join(", ")}</p>}
      {offer.logins.length > 0 && <p class="soft">Logins that are removed when it is accepted: {offer.logins.join(", ")}</p>}
      <p class="muted small">Its files stay those of the account {offer.account}.</p>
      <div class="actions">
        {mine && (
          <button class="button primary" onClick={() => void answer("accept")}>
            Accept
          </button>
        )}
        <button class="button" onClick={() => void answer("decline")}>
          {mine ? "Decline" : "Take back"}
        </button>
      </div>
    </article>
  );
}
