// The ways in for a picture: a file, a photo, a drop, and the clipboard. Each calls `given` with a blob.

const READ = ["image/png", "image/jpeg"];

export function picturesIn({ inputs, drop, pasteButton, given, refused }) {
  for (const input of inputs) {
    input.addEventListener("change", () => {
      if (input.files.length) given(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  // The whole window takes drops. Otherwise the browser would leave the page for a file that missed the field.
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  window.addEventListener("dragleave", () => drop.classList.remove("over"));
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer, given, refused);
  });
  window.addEventListener("paste", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.type === "password") return;
    take(event.clipboardData, given, refused);
  });
  pasteButton.hidden = !navigator.clipboard?.read;
  pasteButton.addEventListener("click", async () => {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((each) => each.startsWith("image/"));
        if (type) return given(await item.getType(type));
      }
      refused("There is no picture in the clipboard.");
    } catch {
      refused("The browser does not let this page read the clipboard. Press Ctrl+V, or Cmd+V, instead.");
    }
  });
}

function take(transfer, given, refused) {
  const file = [...transfer.files].find((each) => each.type.startsWith("image/"));
  if (file) given(file);
  else refused("That was no picture. Use a PNG or JPEG file.");
}

// A larger file, or a picture of another format such as WebP, is sent as a PNG of at most this side.
const MOST_BYTES = 4e6;
const MOST_SIDE = 1600;

export async function readable(blob) {
  if (READ.includes(blob.type) && blob.size <= MOST_BYTES) return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
