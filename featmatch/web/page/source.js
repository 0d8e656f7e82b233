// Where groups come from: a service, or the page itself, which holds them.

import { about, may } from "./about.js";
import { address, ask, record, thumbnail } from "./api.js";
import { judge, pairsOf } from "./verdicts.js";

const PAGE = 200; // groups of one request

/**
 * @typedef {object} Source
 * @property {string} key what tells its decisions from others'
 * @property {boolean} remembers whether "not duplicates" is told to the index
 * @property {() => AsyncIterable<{groups: any[], totals: any, behind: number, made: string}>} pages
 * @property {(member: any, px: number) => string | null} thumbnail
 * @property {(member: any) => string[]} pictures the smallest first
 * @property {(member: any) => any} record
 * @property {(name: string) => string} path
 * @property {(member: any, original: any) => (() => Promise<any>) | null} points asks for the pairs of points that agree
 * @property {(member: any) => string | null} page of its details
 * @property {(ids: number[], verdict: string | null) => Promise<void>} judge
 */

/** The groups that the service made. @type {Source} */
export const served = {
  key: location.pathname,
  get remembers() { return may.write; },
  async *pages() {
    let after = 0;
    do {
      const page = await ask(`v1/groups?limit=${PAGE}&after=${after}`);
      yield page;
      after = page.next;
    } while (after);
  },
  thumbnail: (member, px) => thumbnail(member.id, px),
  pictures: (member) => [thumbnail(member.id, 320), thumbnail(member.id, 1280), ...(about.can.files ? [address(`v1/images/${member.id}/file`)] : [])],
  record: (member) => record(member.id),
  path: (name) => name,
  points: (member, original) => () => ask(`v1/images/${member.id}/with/${original.id}/points`),
  page: (member) => `#/images/${member.id}`,
  judge: (ids, verdict) => judge(pairsOf(ids), verdict),
};
