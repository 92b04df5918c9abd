// WordMaps: the words of a prompt as radio buttons; the map of the chosen one, or the one pointed at, over an image.

const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
const HEIGHT = 400; // CSS pixels that the image may take
const TINT = 0.5; // opacity behind the word with the largest share: text on it keeps 4.5 : 1 on a dark page, too
const RAMP = 256; // pixels of the scale

async function build(frame) {
  const { content } = frame;
  const { label, words, sentences, slider, stops, bytes, map, tints, darkest } = content;
  const stored = new Blob([frame.get("pixels")]);
  const image = await pixelsOf(stored.slice(0, bytes));
  const maps = await pixelsOf(stored.slice(bytes));
  const colours = content.colours.match(/../g).map(digits => parseInt(digits, 16));
  let pointed = null; // the word below the mouse

  const buttons = words.map(word => make("button", { type: "button", role: "radio", "data-word": word }, word));
  const line = make("div", { class: "prompt", role: "radiogroup", "aria-label": label }, ...buttons);
  const picture = new PixelCanvas(image.width, image.height, "picture");
  const scale = new PixelCanvas(RAMP, 1, "scale");
  scale.canvas.setAttribute("aria-hidden", true); // it bears the same caption
  const [tintRamp, scaleEnd, scaleNote] = [make("i"), make("span"), make("p", { class: "note" })];
  const room = make("div", { class: "picture" }, picture.canvas);
  frame.stage.append(
    make("p", { class: "note" }, label), line,
    make("div", { class: "mapped" }, room, make("div", { class: "keys" },
      make("p", { class: "note" }, "Behind a word: its share of all attention."),
      make("div", { class: "ramp" }, "0", tintRamp, content.largest),
      scaleNote, make("div", { class: "ramp" }, "0", scale.canvas, scaleEnd))));
  const moveSlider = stops.length > 1 ? frame.slider({
    label: slider, texts: stops, words: stops, onInput: index => frame.set({ index }),
  }) : () => {};
  const check = { alone: checkbox(frame, "alone", "map alone"), own: checkbox(frame, "own", "each word by itself") };
  frame.onResize(room, () => picture.fit(room.clientWidth, HEIGHT));

  const point = at => {
    pointed = at;
    frame.redraw();
  };
  const choose = at => {
    pointed = null;
    frame.set({ selected: at });
  };
  buttons.forEach((button, at) => {
    frame.listen(button, "pointerenter", () => point(at));
    frame.listen(button, "pointerleave", () => point(null));
    frame.listen(button, "click", () => choose(at));
  });
  frame.listen(line, "keydown", event => {
    const last = words.length - 1;
    const ends = { Home: 0, End: last };
    if (!(event.key in STEPS || event.key in ends)) return;
    event.preventDefault();
    const at = ends[event.key] ?? (frame.get("selected") + STEPS[event.key] + words.length) % words.length;
    choose(at);
    buttons[at].focus();
  });

  /** The parts of its maximum, 0..255, that a word's map holds at a step. */
  const partsOf = (index, word) => {
    const [height, width] = map;
    const first = (index * words.length + word) * height * width;
    return Float32Array.from({ length: height * width }, (_, i) => maps.data[4 * (first + i)]);
  };
  /** Paint shares of 0..1, one for each pixel of a canvas: over an image, or as colours. */
  const paint = ({ canvas, context }, shares, alone, pixels) => {
    const painted = context.createImageData(canvas.width, canvas.height);
    shares.forEach((share, i) => {
      const colour = 3 * Math.round(255 * share);
      for (let c = 0; c < 3; c += 1) {
        const bright = darkest + (1 - darkest) * share;
        painted.data[4 * i + c] = alone ? colours[colour + c] : Math.round(bright * pixels(4 * i + c));
      }
      painted.data[4 * i + 3] = 255;
    });
    context.putImageData(painted, 0, 0);
  };

  return theme => {
    const [selected, alone, own] = ["selected", "alone", "own"].map(name => frame.get(name));
    const index = stops.length > 1 ? frame.get("index") : 0;
    const word = pointed ?? selected;
    const most = own ? 255 : 255 / content.ratios[index][word];
    const shares = enlarge(partsOf(index, word), map, image.width / map[1]).map(part => part / most);
    paint(picture, shares, alone, i => image.data[i]);
    paint(scale, Float32Array.from({ length: RAMP }, (_, i) => i / (RAMP - 1)), alone, () => 255);
    const tint = share => `rgba(${channels(content.tint).join(", ")}, ${TINT * share})`;
    tintRamp.style.background = `linear-gradient(to right, ${tint(0)}, ${tint(1)})`;
    buttons.forEach((button, at) => {
      button.style.background = tint(tints[index][at]);
      button.setAttribute("aria-checked", at === selected);
      button.tabIndex = at === selected ? 0 : -1;
      button.classList.toggle("pointed", at === pointed);
    });
    moveSlider(index);
    check.alone(alone);
    check.own(own);
    scaleNote.textContent = alone ? "The map: how much the word is read." : "The image: dark where the word is not read.";
    scaleEnd.textContent = own ? content.most[index][word] : content.mostOfAll[index];
    return fill(`${sentences.word} ${alone ? sentences.alone : sentences.image}`, {
      word: words[word], n: word + 1, count: words.length, when: stops.length > 1 ? `, ${stops[index]}` : "",
      share: content.shares[index][word], place: content.places[index][word],
      most: scaleEnd.textContent, whose: own ? sentences.own : sentences.all,
    });
  };
}

/** A labelled checkbox for a trait that is true or false. Returns its mover. */
function checkbox(frame, name, label) {
  const id = `control-${frame.controls.childElementCount}`;
  const input = make("input", { type: "checkbox", id });
  frame.controls.append(make("div", { class: "control check" }, input, make("label", { for: id }, label)));
  frame.listen(input, "input", () => frame.set({ [name]: input.checked }));
  return value => { input.checked = value; };
}

/** The pixels of a PNG file: width, and red, green, blue, opacity of each. */
async function pixelsOf(file) {
  const bitmap = await decoded(file);
  const context = make("canvas", { width: bitmap.width, height: bitmap.height }).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Bilinear: values of (height, width) places, `factor` times as fine; constant beyond the outermost centres. */
function enlarge(values, [height, width], factor) {
  const places = count => Array.from({ length: count * factor }, (_, i) => {
    const at = clamp((i + 0.5) / factor - 0.5, 0, count - 1);
    const low = Math.floor(at);
    return [low, Math.min(low + 1, count - 1), at - low];
  });
  const columns = places(width);
  const mix = (row, [left, right, part]) =>
    (1 - part) * values[row * width + left] + part * values[row * width + right];
  return Float32Array.from(places(height).flatMap(([above, below, part]) =>
    columns.map(column => (1 - part) * mix(above, column) + part * mix(below, column))));
}
