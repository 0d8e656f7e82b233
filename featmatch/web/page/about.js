// What the service is and allows, and what this reader may do.

import { ask } from "./api.js";

/** GET /v1, as it was last. @type {any} */
export const about = { index: { images: 0 }, can: {}, limits: {}, scope: "read" };

/** What this reader may do: what the service allows and the key allows. */
export const may = {
  get write() { return about.can.write && about.scope !== "read"; },
  get upload() { return about.can.upload && about.scope !== "read"; },
  get jobs() { return about.can.jobs && about.scope === "admin"; },
  get add_paths() { return about.can.add_paths && about.scope === "admin"; },
};

/** Asks again. */
export async function learn() {
  Object.assign(about, await ask("v1"));
  return about;
}
