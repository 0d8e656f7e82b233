// What to keep of each group: rules in an order, each leaves those that it likes best; and what may be marked then.

import { recall, keep } from "./dom.js";
import { riskOf } from "./group.js";
import { area, corners, flat, project } from "./geometry.js";

const RAW = /^(dng|nef|cr2|cr3|arw|orf|rw2|raf|pef|srw|raw|heic|heif|avif)$/i;

/** Rules by name, in the order in which they begin. Each gives a file a number; the highest stay. */
export const RULES = {
  folder: (file, { folders }) => -(1 + folders.findIndex((pattern) => matches(pattern, file.name)) || 1e9),
  raw: ({ name, member }) => Number(RAW.test(member.format ?? "") || RAW.test(name.split(".").pop())),
  detail: ({ member, first }) => Number(member === first),
  scene: ({ member }) => sceneOf(member),
  pixels: ({ member }) => member.width * member.height,
  camera: ({ member }) => Number(Boolean(member.taken && member.camera)),
  oldest: ({ member }) => -((member.taken && Date.parse(member.taken)) || Infinity),
  name: ({ name }) => -name.length,
};
const TOLERANCE = { scene: 0.95 };

/** What is marked beside plain copies, where it is asked for. */
export const RISKS = ["crop", "more", "larger", "whole picture", "unsure"];
const SURE = 0.95;

/** Whether a name is what a pattern means: `*` is anything, else it is a folder. */
function matches(pattern, name) {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}`).test(name);
}

/** Area of a picture on the first one of its group, in px of that. */
function sceneOf(member) {
  const polygon = corners(member.width, member.height);
  return area(member.homography ? polygon.map((point) => project(flat(member.homography), point)) : polygon);
}

const fresh = () => ({ order: Object.keys(RULES), off: [], folders: [], risks: [] });

/** Rules as the browser keeps them. */
export function rules() {
  return checked(recall("rules", {}));
}

export const keepRules = (value) => keep("rules", value);

/** Rules of a file, or of an older page: what is not known is left out, what is missing comes last. */
export function checked(given) {
  const list = (name) => Array.isArray(given?.[name]) ? given[name].filter((one) => typeof one === "string") : fresh()[name];
  const known = list("order").filter((name) => name in RULES);
  return {
    order: [...new Set([...known, ...Object.keys(RULES)])], off: list("off").filter((name) => name in RULES), folders: list("folders").filter(Boolean),
    risks: list("risks").filter((name) => RISKS.includes(name)),
  };
}

/** The file of a group that is kept. @param {import("./group.js").Group} group */
export function best(group, { order, off, folders }) {
  let files = group.members.flatMap((member) => member.names.filter((name) => !member.same_file.includes(name))
    .map((name) => ({ name, member, first: group.members[0] })));
  for (const name of order) {
    if (off.includes(name) || (name === "folder" && !folders.length)) continue;
    const values = files.map((file) => RULES[name](file, { folders }));
    const most = Math.max(...values);
    const least = most > 0 ? most * (TOLERANCE[name] ?? 1) : most;
    files = files.filter((_, at) => values[at] >= least);
  }
  return files[0];
}

/**
 * What the rules would do with groups that nothing is decided about.
 * @param {import("./group.js").Group[]} groups
 * @returns {{groups: {group: import("./group.js").Group, kept: any, names: string[]}[], files: number, of: number, bytes: number}}
 */
export function plan(groups, given) {
  const found = { groups: [], files: 0, of: 0, bytes: 0 };
  for (const group of groups) {
    if (group.state) continue;
    const kept = best(group, given);
    const names = [];
    for (const member of group.members) {
      for (const name of group.markable(member)) {
        if (name === kept.name) continue;
        found.of++;
        if (!mayGo(group, member, kept.member, given.risks)) continue;
        names.push(name);
        found.bytes += member.bytes;
      }
    }
    found.files += names.length;
    if (names.length) found.groups.push({ group, kept: kept.member, names });
  }
  return found;
}

function mayGo(group, member, kept, risks) {
  if (member === kept) return true;
  const risk = riskOf(member, kept);
  const sure = Math.min(member.probability, kept.probability) >= SURE;
  if (risk === "word" || (!sure && !risks.includes("unsure"))) return false;
  if (risk !== "copy") return risks.includes(risk);
  // The engine compared pixels with its own original: what it spares there stays.
  return kept !== group.members[0] || member.names.some((name) => group.safe.has(name)) || risks.includes("crop");
}
