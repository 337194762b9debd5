// The result: class, confidence, how usual the input is, what the model saw, and why.

import { byId, element } from "./elements.js";
import { drawGrey, drawMap } from "./pixels.js";

const percent = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
// Up to this share of the validation images have a lower energy.
const STRANGE = 0.01;
const UNUSUAL = 0.05;
// Below this change of the confidence, a map would show noise.
const CLEAR = 0.01;

export function showNothing() {
  byId("empty").hidden = false;
  byId("answer").hidden = true;
  byId("short").hidden = true;
}

export function showPrediction(prediction, names) {
  byId("empty").hidden = true;
  byId("answer").hidden = false;
  byId("verdict").replaceChildren(
    prediction.class_name,
    " ",
    element("span", {}, [percent.format(prediction.confidence)]),
  );
  byId("short").hidden = false;
  byId("short").textContent = `${prediction.class_name}, ${percent.format(prediction.confidence)}: see why`;
  const list = byId("bars");
  if (list.children.length !== names.length) list.replaceChildren(...names.map(bar));
  for (const [index, row] of [...list.children].entries()) {
    const share = prediction.probabilities[index];
    row.classList.toggle("best", index === prediction.class_id);
    row.querySelector(".name").textContent = names[index];
    row.querySelector(".fill").style.width = `${100 * share}%`;
    row.querySelector(".share").textContent = percent.format(share);
  }
}

function bar() {
  return element("li", {}, [
    element("span", { class: "name" }),
    element("span", { class: "track", "aria-hidden": true }, [element("span", { class: "fill" })]),
    element("span", { class: "share" }),
  ]);
}

export function showEnergy(energy) {
  const badge = byId("clothing");
  const figures = byId("energy");
  figures.textContent = "";
  if (energy === null || energy.share === null) {
    delete badge.dataset.kind;
    badge.textContent = energy === null ? "" : "This model cannot tell whether it is clothing";
    badge.hidden = energy === null;
    return;
  }
  badge.hidden = false;
  const { share } = energy;
  badge.dataset.kind = share < STRANGE ? "strange" : share < UNUSUAL ? "unusual" : "usual";
  badge.textContent = {
    strange: "Does not look like clothing: do not trust the answer",
    unusual: "Unusual for clothing",
    usual: "Looks like clothing",
  }[badge.dataset.kind];
  figures.textContent = `Energy ${energy.energy}: ${whole.format(share)} of the validation images are not more usual.`;
}

export function showSeen(pixels) {
  drawGrey(byId("seen"), pixels);
}

export function showOriginal(bitmap) {
  byId("original-view").hidden = !bitmap;
  if (!bitmap) return;
  const canvas = byId("original");
  const scale = Math.min(1, 400 / Math.max(bitmap.width, bitmap.height));
  [canvas.width, canvas.height] = [Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale)];
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

export function showWhy(explanation, pixels) {
  const text = byId("why-text");
  byId("why-view").hidden = explanation === null;
  if (explanation === null) return text.replaceChildren();
  const map = explanation.map.flat();
  const most = Math.max(...map);
  const least = Math.min(...map);
  drawMap(byId("why"), pixels, Math.max(most, -least) < CLEAR ? map.map(() => 0) : map);
  if (Math.max(most, -least) < CLEAR) {
    text.textContent = "No single part decides: covering any of them changes the confidence by less than 1 %.";
  } else {
    text.replaceChildren(
      element("span", { class: "for" }, [`Speaks for ${explanation.class_name}`]),
      `: covering the ${where(map, most)} lowers the confidence by up to ${points(most)}. `,
      ...(least < -CLEAR
        ? [element("span", { class: "against" }, ["Speaks against"]), `: the ${where(map, least)}, by ${points(-least)}.`]
        : []),
    );
  }
  byId("why").setAttribute("aria-label", `Occlusion map. ${text.textContent}`);
}

function points(share) {
  const value = Math.round(100 * share);
  return value === 1 ? "1 point" : `${Math.max(value, 0)} points`;
}

function where(map, value) {
  const at = map.indexOf(value);
  const third = (place) => Math.min(2, Math.floor((3 * place) / 28));
  const row = ["top", "middle", "bottom"][third(Math.floor(at / 28))];
  const column = ["left", "", "right"][third(at % 28)];
  return column ? `${row} ${column}` : row;
}

export function showTime(answer, inAll) {
  const inService = answer.processing_time_ms.toFixed(1);
  byId("time").textContent =
    `${inService} ms in the service, ${Math.round(inAll)} ms with the way there and back, by ${answer.model_uri}.`;
}
