// The page: what is shown to the model, and what it answers. The last input wins: an earlier one is given up.

import { drawingPad } from "./drawing.js";
import { byId } from "./elements.js";
import { showModel, showSamples } from "./model.js";
import { picturesIn, readable } from "./pictures.js";
import { Refused, ask, useKey } from "./service.js";
import { showEnergy, showNothing, showOriginal, showPrediction, showSeen, showTime, showWhy } from "./result.js";
import { showPreparation, showSteps } from "./steps.js";
import { tabsIn } from "./tabs.js";

const RAW = "application/octet-stream";
let model = null;
let running = new AbortController();

function tell(words) {
  byId("notice").hidden = !words;
  byId("notice").textContent = words ?? "";
}

function failed(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) {
    byId("key-form").hidden = false;
    byId("key").focus();
  }
  tell(error instanceof Refused ? error.message : "The browser cannot read this picture. Use a PNG or JPEG file.");
}

async function learn() {
  const [described, samples] = await Promise.all([ask("ui/model"), ask("ui/samples")]);
  model = described;
  showModel(described);
  showSamples(samples.images, (pixels) =>
    look({ pixels, steps: ["A sample is sent as it is: 28 x 28 grey pixels."] }),
  );
}

function query({ blob, without }) {
  const wanted = new URLSearchParams({ probabilities: true });
  if (blob) wanted.set("prepare", "photo");
  if (without?.size) wanted.set("without", [...without].join(","));
  return wanted;
}

// `input` has pixels of 28 x 28 and steps in words; or a picture as a blob, and steps of its preparation to leave out.
async function look(input) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  byId("result").setAttribute("aria-busy", "true");
  try {
    const picture = input.blob && (await readable(input.blob));
    const bitmap = picture && (await createImageBitmap(picture));
    const began = performance.now();
    const answer = await ask(
      `predict?${query(input)}`,
      picture ? { body: picture, type: picture.type, signal } : { body: input.pixels, type: RAW, signal },
    );
    const inAll = performance.now() - began;
    if (answer.model_uri !== model?.model_uri) await learn();
    if (signal.aborted) return;
    const prepared = answer.preparation;
    const pixels = prepared ? Uint8Array.from(prepared.image) : input.pixels;
    tell(null);
    showPrediction(answer.predictions[0], model.class_names);
    showOriginal(bitmap);
    showSeen(pixels);
    if (prepared) showPreparation(prepared.steps, input.without, (without) => look({ ...input, without }));
    else showSteps(input.steps);
    showTime(answer, inAll);
    let energy = null;
    let explanation = null;
    try {
      // What another model says of the image does not explain this answer.
      [energy, explanation] = (
        await Promise.all([
          ask("ui/energy", { body: pixels, type: RAW, signal }),
          ask("explain", { body: pixels, type: RAW, signal }),
        ])
      ).map((each) => (each.model_uri === answer.model_uri ? each : null));
    } catch (error) {
      failed(error); // the answer itself stays
    }
    if (signal.aborted) return;
    showEnergy(energy);
    showWhy(explanation, pixels);
  } catch (error) {
    // An earlier answer would look like that to this input.
    if (error.name !== "AbortError") showNothing();
    failed(error);
  } finally {
    if (!signal.aborted) byId("result").setAttribute("aria-busy", "false");
  }
}

const select = tabsIn(byId("tabs"));
const tool = () => document.querySelector('input[name="tool"]:checked').value;
const pad = drawingPad(byId("pad"), byId("cursor"), tool, () => {
  if (!pad.isBlank()) look({ pixels: pad.pixels(), steps: ["The pad has 28 x 28 pixels: the drawing is sent as it is."] });
});
byId("clear").addEventListener("click", () => pad.clear());
picturesIn({
  inputs: [byId("file"), byId("photo")],
  drop: byId("drop"),
  pasteButton: byId("paste"),
  given(blob) {
    select("tab-picture");
    look({ blob, without: new Set() });
  },
  refused: tell,
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("key").value = "";
  learn().then(() => {
    byId("key-form").hidden = true;
    tell(null);
  }, failed);
});
if (document.documentElement.dataset.key === "needed") {
  byId("key-form").hidden = false;
  byId("serving").textContent = "Type an API key to begin.";
} else {
  learn().catch(failed);
}
