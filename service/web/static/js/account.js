// Who is signed in, where keys are asked for: pages beyond the key's scopes are left out.

import { ask, send } from "./api.js";
import { h, need } from "./dom.js";

const WANTED = { "/": "search", "/compare": "search", "/catalogue": "ingest", "/operations": "ingest" };

async function show() {
  const session = await ask("/api/v1/session");
  if (!session.keys_required || !session.name) return;
  for (const link of document.querySelectorAll(".top nav a")) {
    const wanted = WANTED[new URL(link.href).pathname];
    link.hidden = !session.scopes.includes("admin") && !session.scopes.includes(wanted);
  }
  need(".tools").prepend(h("button", {
    type: "button", class: "plain", title: `Signed in as ${session.name}`,
    onclick: async () => {
      await send("/logout", { method: "POST" });
      location.assign("/login");
    },
  }, "Sign out"));
}

show().catch(() => {}); // the page itself says what is wrong with the connection
