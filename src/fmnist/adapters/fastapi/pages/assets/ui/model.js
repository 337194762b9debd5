// The model that answers: its facts, its card, and the samples that were saved with it.

import { byId, element } from "./elements.js";
import { markdown } from "./markdown.js";
import { drawGrey, fromBase64 } from "./pixels.js";

const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function showModel(model) {
  const [, name, version] = model.model_uri.match(/^models:\/(.+)\/(\d+)$/) ?? [null, model.model_uri, "?"];
  byId("serving").replaceChildren(element("strong", {}, [`Version ${version} answers`]), name);
  const facts = {
    Model: `${name}, version ${version}`,
    Architecture: model.architecture,
    "Trained on": model.data_version ?? "unknown",
    [model.accuracy ? `Accuracy on ${model.accuracy.split}` : "Accuracy"]: accuracy(model.accuracy),
    Registered: times.format(new Date(model.registered)),
    "Answers since": times.format(new Date(model.since)),
  };
  byId("facts").replaceChildren(
    ...Object.entries(facts).map(([term, text]) =>
      element("div", {}, [element("dt", {}, [term]), element("dd", {}, [text].flat())]),
    ),
  );
  byId("links").replaceChildren(
    ...(model.run_url
      ? [element("a", { href: model.run_url, rel: "noreferrer" }, ["Training run and report in the tracker"])]
      : []),
  );
  byId("card").hidden = !model.card;
  byId("card-text").replaceChildren(...(model.card ? markdown(model.card) : []));
}

// The card says `92.75% (92.2%-93.2%)`.
function accuracy(found) {
  if (!found) return "not known here";
  const [value, low, high] = found.text.match(/[\d.]+%/g);
  return [value, " ", element("small", {}, [`95 % interval ${low} to ${high}`])];
}

export function showSamples(images, chosen) {
  const buttons = images.map((text, index) => {
    const pixels = fromBase64(text);
    const canvas = element("canvas", { width: 28, height: 28 });
    drawGrey(canvas, pixels);
    const button = element("button", { type: "button", "aria-label": `Sample ${index + 1}`, "aria-pressed": false }, [
      canvas,
    ]);
    button.addEventListener("click", () => {
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      chosen(pixels);
    });
    return button;
  });
  byId("sample-list").replaceChildren(
    ...(buttons.length ? buttons : [element("p", { class: "hint" }, ["This model has no samples."])]),
  );
}
