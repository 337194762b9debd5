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

// `reading`: the browser was reading a picture.
function failed(error, reading = false) {
  if (error.name === "AbortError") return;
  if (error.status === 401) {
    byId("key-form").hidden = false;
    byId("key").focus();
  }
  if (error instanceof Refused) tell(error.message);
  else if (reading) tell("The browser cannot read this picture. Use a PNG or JPEG file.");
  else tell("The page failed. Reload it, and try again.");
}

async function learn() {
  const [described, samples] = await Promise.all([ask("ui/model"), ask("ui/samples")]);
  const is_known = described.model_uri === model?.model_uri && described.since === model?.since;
  model = described;
  if (is_known) return; // a button of a sample may have the focus
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
  let reading = true;
  try {
    const picture = input.blob && (await readable(input.blob));
    const bitmap = picture && (await createImageBitmap(picture));
    if (signal.aborted) return;
    reading = false;
    const began = performance.now();
    const answer = await ask(
      `predict?${query(input)}`,
      picture ? { body: picture, type: picture.type, signal } : { body: input.pixels, type: RAW, signal },
    );
    const inAll = performance.now() - began;
    if (answer.model_uri !== model?.model_uri) {
      await learn().catch((error) => {
        if (model === null) throw error; // else the answer can be shown with the names of the model before
      });
    }
    if (signal.aborted) return;
    const prepared = answer.preparation;
    const pixels = prepared ? Uint8Array.from(prepared.image) : input.pixels;
    tell(null);
    showPrediction(answer.predictions[0], model.class_names);
    // Those of the input before must not stand beside this answer.
    showEnergy(null);
    showWhy(null);
    showOriginal(bitmap);
    showSeen(pixels);
    if (prepared) showPreparation(prepared.steps, input.without, (without) => look({ ...input, without }));
    else showSteps(input.steps);
    showTime(answer, inAll);
    const [energy, explanation] = await Promise.allSettled([
      ask("ui/energy", { body: pixels, type: RAW, signal }),
      ask("explain", { body: pixels, type: RAW, signal }),
    ]);
    if (signal.aborted) return;
    for (const each of [energy, explanation]) if (each.reason) failed(each.reason); // the answer itself stays
    // What another model says of the image does not explain this answer.
    const own = ({ value }) => (value?.model_uri === answer.model_uri ? value : null);
    showEnergy(own(energy));
    showWhy(own(explanation), pixels);
    const other = [energy, explanation].some((each) => each.value && !own(each));
    if (other) tell("Another version than the one that answered serves now, so this answer is not explained.");
  } catch (error) {
    if (signal.aborted) return;
    showNothing(); // an earlier answer would look like that to this input
    failed(error, reading);
  } finally {
    if (!signal.aborted) byId("result").setAttribute("aria-busy", "false");
  }
}

const select = tabsIn(byId("tabs"));
const tool = () => document.querySelector('input[name="tool"]:checked').value;
const pad = drawingPad(byId("pad"), byId("cursor"), tool, () => {
  if (!pad.isBlank()) look({ pixels: pad.pixels(), steps: ["The pad has 28 x 28 pixels: the drawing is sent as it is."] });
});
byId("clear").addEventListener("click", () => {
  running.abort();
  pad.clear();
  showNothing();
  byId("result").setAttribute("aria-busy", "false");
});
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
  begin();
}

// Until there is a model, ask for it again.
function begin() {
  learn().catch((error) => {
    failed(error);
    byId("serving").textContent = "No model answers yet.";
    setTimeout(begin, 5000);
  });
}
