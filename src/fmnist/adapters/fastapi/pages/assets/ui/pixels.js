// Draws images of 28 x 28 pixels on canvases.

export const SIDE = 28;
const FOR = [255, 157, 46];
const AGAINST = [61, 139, 255];
const WEAK = 0.12;

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export function drawGrey(canvas, pixels) {
  draw(canvas, (index) => [pixels[index], pixels[index], pixels[index]]);
}

// The image, dimmed, with a colour where a part speaks for the class or against it. The strongest part has the full
// colour, and weak ones have none, because a little of it looks like dirt.
export function drawMap(canvas, pixels, map) {
  const most = Math.max(...map.map(Math.abs), 1e-6);
  draw(canvas, (index) => {
    const strength = 0.95 * Math.max(0, Math.abs(map[index]) / most - WEAK) / (1 - WEAK);
    const colour = map[index] > 0 ? FOR : AGAINST;
    return colour.map((part) => 0.5 * pixels[index] * (1 - strength) + part * strength);
  });
}

function draw(canvas, colourOf) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  for (let index = 0; index < SIDE * SIDE; index += 1) {
    image.data.set([...colourOf(index), 255], 4 * index);
  }
  context.putImageData(image, 0, 0);
}
