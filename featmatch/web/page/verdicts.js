// What people say of pairs of images; the service remembers it by their content.

import { ask } from "./api.js";

const MOST = 10_000;

/** Says that pairs are copies ("accepted"), are none ("rejected"), or takes it back (null). @param {number[][]} pairs */
export async function judge(pairs, verdict) {
  const verdicts = pairs.map(([a, b]) => ({ a: { id: a }, b: { id: b }, verdict }));
  await ask("v1/verdicts", { method: "PUT", body: { verdicts } });
}

/** All pairs of some images; those with the first alone, where there are too many. @param {number[]} ids */
export function pairsOf(ids) {
  const all = ids.flatMap((a, at) => ids.slice(at + 1).map((b) => [a, b]));
  return all.length <= MOST ? all : ids.slice(1, MOST).map((id) => [id, ids[0]]);
}
