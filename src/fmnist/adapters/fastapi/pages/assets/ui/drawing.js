// A drawing pad of 28 x 28 pixels, for mouse, touch, pen and keys. It calls `changed` after each stroke.

import { SIDE, drawGrey } from "./pixels.js";

const REACH = 1.6; // radius of the pen, in pixels
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CURSOR = 150;

export function drawingPad(canvas, announced, toolOf, changed) {
  const pixels = new Uint8Array(SIDE * SIDE);
  const cursor = { x: 14, y: 14, shown: false };
  let last = null;

  function stamp(x, y) {
    for (let row = 0; row < SIDE; row += 1) {
      for (let column = 0; column < SIDE; column += 1) {
        // Softer at its edge, like the smoothed images of the training.
        const cover = Math.min(1, Math.max(0, REACH + 0.5 - Math.hypot(column - x, row - y)));
        const at = SIDE * row + column;
        if (toolOf() === "eraser") pixels[at] = Math.min(pixels[at], 255 * (1 - cover));
        else pixels[at] = Math.max(pixels[at], 255 * cover);
      }
    }
  }

  function line(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y)));
    for (let step = 0; step <= steps; step += 1) {
      stamp(from.x + ((to.x - from.x) * step) / steps, from.y + ((to.y - from.y) * step) / steps);
    }
  }

  function fill(x, y) {
    const open = [[x, y]];
    while (open.length) {
      const [column, row] = open.pop();
      if (column < 0 || row < 0 || column >= SIDE || row >= SIDE) continue;
      const isEdge = pixels[SIDE * row + column] > 127;
      // The soft edge of a line becomes full, too. Otherwise a seam stays between line and filling.
      pixels[SIDE * row + column] = 255;
      if (isEdge) continue;
      open.push([column - 1, row], [column + 1, row], [column, row - 1], [column, row + 1]);
    }
  }

  function show() {
    const shown = pixels.slice();
    if (cursor.shown) {
      // A cross around the cursor, which leaves the pixel itself visible.
      for (const [x, y] of Object.values(STEPS)) {
        for (const far of [1, 2]) {
          const [column, row] = [cursor.x + far * x, cursor.y + far * y];
          if (column < 0 || row < 0 || column >= SIDE || row >= SIDE) continue;
          shown[SIDE * row + column] = pixels[SIDE * row + column] > 127 ? 255 - CURSOR : CURSOR;
        }
      }
    }
    drawGrey(canvas, shown);
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const at = (value) => Math.min(SIDE - 1, Math.max(0, (value * SIDE) / box.width - 0.5));
    return { x: at(event.clientX - box.left), y: at(event.clientY - box.top) };
  }

  function use(at) {
    if (toolOf() === "fill") fill(Math.round(at.x), Math.round(at.y));
    else line(last ?? at, at);
    last = at;
    show();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    cursor.shown = false;
    last = null;
    use(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last !== null && canvas.hasPointerCapture(event.pointerId) && toolOf() !== "fill") use(place(event));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      if (last === null) return;
      last = null;
      changed();
    });
  }
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if ((!step && event.key !== " ") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    cursor.shown = true;
    if (step) {
      cursor.x = Math.min(SIDE - 1, Math.max(0, cursor.x + step[0]));
      cursor.y = Math.min(SIDE - 1, Math.max(0, cursor.y + step[1]));
    }
    if (event.shiftKey || !step) {
      use(cursor);
      last = null;
      changed();
    }
    announced.textContent = `Column ${cursor.x + 1}, row ${cursor.y + 1}`;
    show();
  });
  canvas.addEventListener("blur", () => {
    cursor.shown = false;
    show();
  });

  show();
  return {
    pixels: () => pixels.slice(),
    isBlank: () => pixels.every((pixel) => pixel === 0),
    clear() {
      pixels.fill(0);
      show();
    },
  };
}
