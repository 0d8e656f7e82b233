// The page of `groups --html`: the groups are in it, and it opens from disk.

import { GroupsView } from "./groups.js";
import { fill, h, recall } from "./dom.js";
import { speak, t, wanted } from "./i18n.js";
import { always, showKeys, take } from "./keys.js";
import { here } from "./routes.js";
import { buildShell, setTheme } from "./shell.js";

const parsed = (selector) => JSON.parse(document.querySelector(selector).textContent);

const facts = parsed("#facts");
const pictures = new Map();
const files = new Map();
const stored = [...document.querySelectorAll("script.group")];

/** The thumbnail, and where the page lies on disk beside the files, the file itself. */
function picturesOf(member) {
  const thumbnail = pictures.get(member.id);
  const file = member.names.map((name) => files.get(name)).find((one) => one?.href);
  return [thumbnail, location.protocol === "file:" && file?.href].filter(Boolean);
}

/** @type {import("./source.js").Source} */
const own = {
  key: facts.key,
  remembers: false,
  async *pages() {
    const groups = [];
    for (const script of stored) {
      const group = JSON.parse(script.textContent);
      for (const member of group.members) {
        pictures.set(member.id, member.picture);
        for (const [name, file] of Object.entries(member.files)) files.set(name, file);
      }
      groups.push(group);
    }
    yield { groups, totals: facts.totals, behind: 0, made: "" };
  },
  thumbnail: (member) => pictures.get(member.id),
  pictures: picturesOf,
  record: (member) => member,
  path: (name) => files.get(name)?.path ?? name,
  points: () => null,
  page: () => null,
  judge: async () => {},
};

setTheme();
const lang = wanted(recall("language", null));
speak(lang, parsed(`#messages-${lang}`));
const shell = buildShell({ tabs: ["groups"] });
const view = new GroupsView(own);
fill(shell.main, h("p", { class: "quiet" }, t("report.about", { n: facts.images })), view.element);
document.title = `${t("groups.count", { n: facts.totals.groups })} – featmatch`;
always({ "/": { words: "filter.text", run: () => /** @type {HTMLElement} */ (view.element.querySelector("input.find"))?.focus() }, "?": { words: "keys.help", run: showKeys } });
take(view.keys);
await view.load();
addEventListener("hashchange", () => view.show(here()));
view.show(here());
