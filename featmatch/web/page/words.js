// Data as sentences: the server sends kinds, codes and numbers, and never a sentence.

import { area, corners, flat, motion, product, inverse, project, within } from "./geometry.js";
import { bytes, has, listed, number, percent, t } from "./i18n.js";

const degrees = (value) => t("degrees", { value: number(Math.round(value)) });

function edits({ rotation_deg: turn, mirrored, negative }) {
  return [
    Math.abs(turn) >= 0.5 && t(turn > 0 ? "edit.turned_left" : "edit.turned_right", { angle: degrees(Math.abs(turn)) }),
    mirrored && t("edit.mirrored"),
    negative && t("edit.negative"),
  ];
}

/** What a match is to the query. @returns {string} */
export function sentence(match) {
  const relation = match.relation;
  const shares = { share: percent(match.reference_overlap), own: percent(match.query_overlap) };
  const kind = has(`is.${relation.kind}`) ? t(`is.${relation.kind}`, shares) : relation.kind;
  const sized = relation.kind === "copy" && Math.abs(relation.scale - 1) >= 0.02;
  return listed([kind, ...edits(relation), sized && t("edit.size", { share: percent(relation.scale) })]);
}

/** What supports a match. @returns {string} */
export function support(match) {
  if (match.relation.kind === "whole picture") return t("support.whole");
  return t("support.points", { n: match.inliers });
}

/** What a share of 0 to 1 means, in one word and never by colour alone. */
export function certainty(probability) {
  return t(probability >= 0.99 ? "certain.sure" : probability >= 0.8 ? "certain.likely" : "certain.unproven");
}

/**
 * How a picture of a group differs from its original.
 * @param {any} member
 * @param {any} original
 */
export function difference(member, original) {
  const seen = comparison(member, original);
  const parts = [];
  if (seen) {
    if (seen.within < 0.95 && seen.covers < 0.95) parts.push(t("differs.overlap", { share: percent(seen.covers) }));
    else if (seen.within < 0.95) parts.push(t("differs.more", { share: percent(1 - seen.within) }));
    else if (seen.covers < 0.95) parts.push(t("differs.crop", { share: percent(seen.covers) }));
    parts.push(...edits({ rotation_deg: seen.degrees, mirrored: seen.mirrored, negative: seen.negative }));
    if (Math.abs(seen.scale - 1) >= 0.02) {
      parts.push(t(seen.scale < 1 ? "differs.smaller" : "differs.larger", { share: percent(seen.scale) }));
    }
  } else if (member.relation === null) parts.push(t("differs.word"));
  if (member.relation?.kind === "whole picture") parts.push(t("is.whole picture"));
  const less = member.bytes / original.bytes - 1;
  if (Math.abs(less) >= 0.02) parts.push(t(less < 0 ? "differs.fewer_bytes" : "differs.more_bytes", { share: percent(Math.abs(less)) }));
  return listed(parts) || t("differs.nothing", { size: bytes(member.bytes) });
}

/** The homography from a picture of a group to another one of it; null where one is there by a person's word. */
export function between(member, original) {
  const [from, to] = [member, original].map((one) => one.homography ? flat(one.homography) : one.relation === null && !one.by_word ? null : undefined);
  if (from === undefined || to === undefined) return null;
  if (to === null) return from;
  return from === null ? inverse(to) : product(inverse(to), from);
}

/** How a picture lies on its original: shares of both, size, turn. */
export function comparison(member, original) {
  const matrix = between(member, original);
  if (!matrix) return null;
  const seen = within(corners(member.width, member.height).map((point) => project(matrix, point)), original.width, original.height);
  const back = inverse(matrix);
  const own = within(corners(original.width, original.height).map((point) => project(back, point)), member.width, member.height);
  const { scale, degrees, mirrored } = motion(back, [original.width / 2, original.height / 2]);
  return {
    covers: area(seen) / (original.width * original.height), within: area(own) / (member.width * member.height),
    scale, degrees, mirrored, negative: Boolean(member.relation?.negative) !== Boolean(original.relation?.negative),
  };
}

/** What went wrong, and what to do. @param {any} error @param {any} [limits] @returns {string} */
export function trouble(error, limits = {}) {
  const code = error?.code ?? "internal";
  const places = { limit: bytes(limits.upload_bytes ?? 0), size: error?.size ? bytes(error.size) : "", pixels: limits.pixels ?? 0 };
  return t(has(`error.${code}`) ? `error.${code}` : "error.other", { ...places, code });
}
