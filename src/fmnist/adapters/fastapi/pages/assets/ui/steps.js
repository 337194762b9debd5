// The steps from the input to the image that the model sees. Some steps of a photograph's preparation can be left out.

import { byId, element } from "./elements.js";

const ORDER = ["orientation", "transparency", "grey", "background", "inversion", "crop", "resize"];
const OPTIONAL = ["orientation", "background", "inversion", "crop"];

export function showSteps(words) {
  byId("steps").replaceChildren(...words.map((each) => element("li", {}, [each])));
}

// `changed` is called with the set of steps to leave out, when a person changes it.
export function showPreparation(steps, without, changed) {
  const list = byId("steps");
  const focused = list.contains(document.activeElement) ? document.activeElement.value : null;
  const done = new Map(steps.map(({ step, what }) => [step, what]));
  const items = ORDER.filter((step) => done.has(step) || without.has(step)).map((step) => {
    const words = `${title(step)}: ${done.get(step) ?? "left out"}`;
    if (!OPTIONAL.includes(step)) return element("li", {}, [words]);
    const box = element("input", { type: "checkbox", value: step });
    box.checked = !without.has(step);
    box.addEventListener("change", () => {
      const others = [...without].filter((each) => each !== step);
      changed(new Set(box.checked ? others : [...others, step]));
    });
    return element("li", {}, [element("label", {}, [box, element("span", {}, [words])])]);
  });
  list.replaceChildren(...items);
  if (focused) list.querySelector(`[value="${focused}"]`)?.focus();
}

function title(step) {
  return step[0].toUpperCase() + step.slice(1);
}
