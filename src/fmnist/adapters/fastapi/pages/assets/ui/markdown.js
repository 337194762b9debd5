// Shows a model card: the headings, paragraphs, lists and tables of Markdown that a card has. All else stays text.

import { element } from "./elements.js";

export function markdown(text) {
  return text.trim().split(/\n{2,}/).map(block);
}

function block(text) {
  const lines = text.split("\n");
  if (lines[0].startsWith("#")) return element("h3", {}, inline(lines.join(" ").replace(/^#+\s*/, "")));
  if (lines.every((line) => line.startsWith("* "))) {
    return element("ul", {}, lines.map((line) => element("li", {}, inline(line.slice(2)))));
  }
  if (lines[0].startsWith("|")) return table(lines);
  return element("p", {}, inline(lines.join(" ")));
}

function table([head, , ...rows]) {
  const cells = (line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim());
  const titles = cells(head);
  const isTitled = titles.some(Boolean);
  const body = rows.map((row) => {
    const [first, ...others] = cells(row);
    return element("tr", {}, [
      element("th", { scope: "row" }, inline(first)),
      ...others.map((cell) => element("td", {}, inline(cell))),
    ]);
  });
  const top = titles.map((title) => element(title ? "th" : "td", title ? { scope: "col" } : {}, inline(title)));
  return element("table", {}, [...(isTitled ? [element("tr", {}, top)] : []), ...body]);
}

function inline(text) {
  return text.split(/(`+)(.+?)\1/).flatMap((part, index) => {
    if (index % 3 === 0) return [part.replace(/\\(.)/g, "$1")];
    return index % 3 === 2 ? [element("code", {}, [part.trim()])] : [];
  });
}
