// Why a picture was or was not found: the stages of a search as a ladder.

import { about } from "./about.js";
import { ask } from "./api.js";
import { fill, h } from "./dom.js";
import { number, percent, t } from "./i18n.js";
import { shownName } from "./names.js";
import { sentence, trouble } from "./words.js";

const STAGES = ["index", "detail", "words", "votes", "shortlist", "geometry", "verdict", "probability"];
const PROVEN = 0.8;

/** What a stage says, in numbers. */
function told(stage, answer) {
  const { query_picture: query, image_picture: image, words, votes, match } = answer;
  switch (stage) {
    case "index": return t(image ? "stage.index.there" : "stage.index.not");
    case "detail": return t("stage.detail.said", { query: query.features, image: image?.features ?? 0 });
    case "words": return words && t("stage.words.said", { common: words.common, all: words.looked_up });
    case "votes": return votes && t("stage.votes.said", { hits: votes.hits, votes: number(votes.votes, { maximumFractionDigits: 1 }) });
    case "shortlist": return votes && t(votes.rank ? "stage.shortlist.said" : "stage.shortlist.beyond", { rank: votes.rank ?? 0, needed: votes.shortlist, of: votes.ranked });
    case "geometry": return answer.matches === null ? null : t("stage.geometry.said", { inliers: answer.inliers, matches: answer.matches });
    case "verdict": return t(match?.verdict ? `verdict.was_${match.verdict}` : "stage.verdict.none");
    default: return match && t("stage.probability.said", { probability: percent(match.probability, 2), needed: percent(PROVEN) });
  }
}

function ladder(answer) {
  const lostAt = answer.lost ? STAGES.indexOf(answer.lost) : STAGES.length;
  return h("ol", { class: "ladder" }, STAGES.map((stage, at) => {
    const state = at < lostAt ? "passed" : at === lostAt ? "lost" : "after";
    const said = told(stage, answer);
    return h("li", { class: state }, h("details", { open: state === "lost" },
      h("summary", {}, h("b", {}, t(`stage.${stage}`)), " ", h("span", { class: "state-word" }, t(`stage.${state}`))),
      said && h("p", {}, said), state === "lost" && h("p", {}, t(`stage.${stage}.lost`))));
  }));
}

/** What would let it pass: a button where the page can do it. */
function ways(query, answer, dialog) {
  if (answer.proven) return null;
  const rows = answer.options.map((option) => option === "all=true"
    ? h("button", { onclick: () => { dialog.close(); query.options.all = true; query.search(about.limits); } }, t("options.all")) : h("code", {}, option));
  return rows.length > 0 && h("div", { class: "ways" }, h("h3", {}, t("explain.ways")), rows.map((row) => h("p", {}, row)));
}

/**
 * Shows the ladder of a query and one image.
 * @param {import("./queries.js").Query} query
 * @param {{id?: number, name?: string}} image
 */
export async function explain(query, image) {
  const body = h("div", { "aria-live": "polite" }, h("p", {}, t("searching")));
  const dialog = h("dialog", { class: "small explain", "aria-labelledby": "explain-title", onclose: () => dialog.remove() },
    h("h2", { id: "explain-title" }, t("explain.title")), body, h("form", { method: "dialog" }, h("button", {}, t("close"))));
  document.body.append(dialog);
  dialog.showModal();
  try {
    const answer = await ask("v1/explain", { method: "POST", body: { image: { query: query.answer.query_id }, ...image } });
    fill(body, h("p", { class: "name" }, h("bdi", {}, shownName(answer.name))),
      h("p", { class: answer.proven ? "good" : "warn" }, answer.proven ? t("explain.proven", { words: sentence(answer.match) }) : t("explain.lost", { stage: t(`stage.${answer.lost}`) })),
      ladder(answer), ways(query, answer, dialog));
  } catch (error) {
    fill(body, h("p", { class: "warn" }, trouble(error, about.limits)));
  }
}
