// Draws a picture and, above it, where the model looked.

const LARGEST = 900;  // pixels of a side: what is shown of a photo of any size

/** Return a canvas of (width, height). */
function canvas(width, height, properties) {
  return Object.assign(document.createElement("canvas"), { width, height, ...properties });
}

/** Show a picture in a frame; false if the browser cannot read it. */
async function drawPicture(frame, source, label) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(source);
  } catch {
    const text = Object.assign(document.createElement("p"), {
      className: "no-picture", textContent: "This browser cannot show this kind of picture.",
    });
    if (!frame.querySelector("canvas")) frame.replaceChildren(text);
    return false;
  }
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const made = canvas(
    Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)),
    { className: "picture", role: "img", ariaLabel: label },
  );
  // Of a digit of 28 x 28 every pixel counts.
  made.classList.toggle("pixels", Math.max(bitmap.width, bitmap.height) <= 64);
  const context = made.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, made.width, made.height);
  bitmap.close();
  // Very long pictures are shown whole, and small.
  frame.style.setProperty("--aspect", Math.min(Math.max(made.width / made.height, 0.4), 4));
  frame.replaceChildren(made);
  return true;
}

/** Lay a heat map over the picture in a frame: it covers `box` of the whole picture. */
async function drawHeat(frame, heat, label) {
  const image = new Image();
  image.src = heat.image;
  await image.decode();
  if (heat.box === null) {  // where it lies is not known: it is shown on what the model saw
    const seen = new Image();
    seen.src = heat.seen;
    await seen.decode();
    await drawPicture(frame, seen, label);
  }
  const below = frame.querySelector(".picture");
  if (!below) return;
  const [left, top, right, bottom] = heat.box ?? [0, 0, 1, 1];
  const times = Math.max(1, 320 / Math.max(below.width, below.height));
  const width = Math.round(below.width * times), height = Math.round(below.height * times);
  const made = canvas(width, height, { className: "heat", ariaHidden: "true" });
  const context = made.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(
    image, left * width, top * height, (right - left) * width, (bottom - top) * height,
  );
  frame.querySelector(".heat")?.remove();
  frame.append(made);
}
