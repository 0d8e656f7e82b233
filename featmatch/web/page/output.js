// The marked files as a list or a script. featmatch deletes nothing.

import { download, h } from "./dom.js";
import { t } from "./i18n.js";
import { nameBytes, shellWord, shownName } from "./names.js";
import { field } from "./saving.js";
import { say } from "./toast.js";
import { difference } from "./words.js";

const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);

/** Marked files. @param {import("./group.js").Group[]} groups @param {(name: string) => string} pathOf */
export function markedFiles(groups, pathOf) {
  return groups.flatMap((group) => group.members.flatMap((member) => member.names.filter((name) => group.decisions.marked.has(name))
    .map((name) => ({ name, path: pathOf(name), member, group }))));
}

/** A script that does something with each file, below a folder of its own, and overwrites none. */
const script = (files, command, source) => [
  `#!/bin/sh\n# ${t("script.about")}\nset -eu\nto=\${1:-marked}\n`,
  ...files.flatMap(({ path }) => {
    const inside = path.replace(/^\/+/, "");
    return ['mkdir -p -- "$to"/', shellWord(folderOf(inside) || "."), `\n${command} `, ...source(path), ' "$to"/', shellWord(inside), "\n"];
  }),
];

/** Each gives the parts of a file. @type {Object<string, {name: string, parts: (files: any[]) => BlobPart[]}>} */
export const FORMS = {
  nul: { name: "marked-files", parts: (files) => files.flatMap(({ path }) => [nameBytes(path), "\0"]) },
  csv: { name: "marked-files.csv", parts: (files) => [
    "group,name,bytes,original,difference\r\n",
    ...files.map(({ path, member, group }) => `${[group.number, shownName(path), member.bytes, shownName(group.original.names[0]),
      member === group.original ? "" : difference(member, group.original)].map(field).join()}\r\n`),
  ] },
  json: { name: "marked-files.json", parts: (files) => [JSON.stringify(files.map(({ path, member, group }) => ({
    group: group.number, name: path, bytes: member.bytes, original: group.original.names[0],
  })), null, 1)] },
  move: { name: "move-marked.sh", parts: (files) => script(files, "mv -n --", (path) => [shellWord(path)]) },
  link: { name: "link-marked.sh", parts: (files) => script(files, "ln -s --",
    (path) => path.startsWith("/") ? [shellWord(path)] : ['"$PWD"/', shellWord(path)]) },
};

/** Copies the names, or says where they can be copied from. */
async function copyNames(files) {
  const text = files.map(({ path }) => `${shownName(path)}\n`).join("");
  try {
    await navigator.clipboard.writeText(text);
    say(t("copied"));
  } catch {
    const dialog = h("dialog", { class: "small", "aria-label": t("output.names"), onclose: () => dialog.remove() }, h("p", {}, t("copy.by_hand")),
      h("textarea", { readonly: true, rows: 12, "aria-label": t("output.names") }, text), h("form", { method: "dialog" }, h("button", {}, t("close"))));
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("textarea").select();
  }
}

/** Asks what is wanted of the marked files. */
export function showOutput(files) {
  const dialog = h("dialog", { class: "small output", "aria-labelledby": "output-title", onclose: () => dialog.remove() },
    h("h2", { id: "output-title" }, t("output.title", { n: files.length })), h("p", { class: "quiet" }, t("output.about")),
    h("ul", {}, h("li", {}, h("button", { "data-form": "names", onclick: () => copyNames(files) }, t("output.names")), h("span", { class: "quiet" }, t("output.names.about"))),
      Object.entries(FORMS).map(([form, { name, parts }]) => h("li", {},
        h("button", { "data-form": form, onclick: () => download(parts(files), name) }, t(`output.${form}`)), h("span", { class: "quiet" }, t(`output.${form}.about`))))),
    h("form", { method: "dialog" }, h("button", {}, t("close"))));
  document.body.append(dialog);
  dialog.showModal();
}
