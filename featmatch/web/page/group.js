// A group of copies as the page has it: its members, which is the original now, and what may go.

import { between, comparison } from "./words.js";

/** Reasons for which a file stays whatever picture it holds. */
export const LOCKED = new Set(["same file", "a link", "a page of a file", "stands for other images as well", "a link leads to it"]);

export class Group {
  /** @param {any} told as `groups --json` has it @param {import("./decisions.js").Decisions} decisions */
  constructor(told, decisions) {
    this.number = told.group;
    this.told = told;
    this.decisions = decisions;
    this.members = told.members;
    this.spared = told.spared ?? {};
    this.safe = new Set(told.marked);
    this.key = this.members.map(({ names }) => names[0]).sort().join("\n");
    this.members.forEach((member, at) => { member.by_word = at > 0 && !member.homography; });
    this.text = this.members.flatMap(({ names }) => names).join("\n").toLowerCase();
    this.kinds = this.members.map((member) => kindsOf(member));
  }

  get original() {
    const chosen = this.decisions.originals.get(this.key);
    return this.members.find(({ names }) => names[0] === chosen) ?? this.members[0];
  }

  /** The original first. */
  get ordered() {
    const { original } = this;
    return [original, ...this.members.filter((member) => member !== original)];
  }

  /** "kept", "rejected", "marked", or "" while nothing is decided. */
  get state() {
    return this.decisions.done.get(this.key) ?? (this.names.some((name) => this.decisions.marked.has(name)) ? "marked" : "");
  }

  get names() {
    return this.members.flatMap(({ names }) => names);
  }

  /** Names of files that can be marked at all. */
  markable(member) {
    return member.names.filter((name) => !this.isLocked(name, member));
  }

  isLocked(name, member) {
    return member.same_file.includes(name) || LOCKED.has(this.spared[name]);
  }

  /** Bytes that are saved if all copies go. */
  get gain() {
    return this.members.reduce((sum, { bytes, names, same_file }) => sum + bytes * (names.length - same_file.length), 0) - this.original.bytes;
  }

  get least() {
    return Math.min(...this.members.map(({ probability }) => probability));
  }

  get newest() {
    return Math.max(...this.members.map(({ taken }) => (taken ? Date.parse(taken) : 0) || 0));
  }

  /** Whether every file of it is marked: then the picture would be lost. */
  get isLost() {
    return this.names.every((name) => this.decisions.marked.has(name) || this.members.some(({ same_file }) => same_file.includes(name)));
  }

  /** Px of a member to px of the original; null where that is not known. */
  matrixOf(member) {
    return between(member, this.original);
  }
}

/** Kinds by which a member is found. */
function kindsOf(member) {
  const { relation } = member;
  return [
    member.names.length - member.same_file.length > 1 && "identical", relation?.kind, relation && Math.abs(relation.scale - 1) >= 0.02 && "resized",
    relation && Math.abs(relation.rotation_deg) >= 0.5 && "rotated", relation?.mirrored && "mirrored", relation?.negative && "negative",
  ].filter(Boolean);
}

/** What a member is to a kept one, as what is asked for by kind: "copy", "crop", "more", "whole picture", "larger", "word". */
export function riskOf(member, kept) {
  if (member === kept) return "copy";
  if (member.relation?.kind === "whole picture" || kept.relation?.kind === "whole picture") return "whole picture";
  const seen = comparison(member, kept);
  if (!seen) return "word";
  if (seen.within < 0.95) return "more";
  if (seen.covers < 0.9) return "crop";
  return seen.scale > 1.1 ? "larger" : "copy";
}
