// LiveScrubber: frames that the kernel computes for chosen settings; what has been computed is kept here too.

async function build(frame) {
  const { label, choices, known, messages, withoutKernel } = frame.content;
  const [longest, quick] = [frame.content.pause, frame.content.quick].map(seconds => 1000 * seconds);
  const runs = new Map(); // positions of the chosen values, as JSON -> their run
  let [shown, asked, failure, timer] = [null, "", { key: "", text: "" }, 0];
  let [began, pause] = [0, longest]; // of the last request; ms without a further change before the next
  let [moveSlider, stopControl] = [null, null];
  const picture = new PixelCanvas(1, 1, "frame");
  const room = make("div", { class: "picture" }, picture.canvas);
  frame.stage.append(make("div", { class: "rows" }, room));

  // A text that was written has no position among values: it stands for itself.
  const positions = () => choices.map(({ name, values }) => {
    const chosen = frame.get("settings")[name];
    return values ? values.indexOf(chosen) : chosen;
  });
  const key = () => JSON.stringify(positions());
  const keep = (record, sheet) => {
    runs.set(JSON.stringify(record.positions), { ...record, atlas: new Atlas(sheet, record.tiles) });
  };
  const kernel = new Kernel(frame, {
    take: (record, [sheet]) => {
      pause = performance.now() - began > quick ? longest : 0;
      keep(record, imageOf(sheet, record.tiles));
      follow();
    },
    end: text => {
      if (text && asked === key()) failure = { key: asked, text };
      else ask();
      follow();
    },
  });
  const ask = () => {
    if (kernel.busy || runs.has(key())) return; // a busy kernel is asked for what is then newest once it has answered
    [asked, began] = [key(), performance.now()];
    kernel.ask({ positions: positions() });
    setTimeout(() => frame.redraw(), quick); // to say that it computes, should it still do so
  };

  /** Show what is chosen, if it is known, and say so if it is not. */
  const follow = () => {
    const run = runs.get(key());
    frame.stage.setAttribute("aria-busy", !run && failure.key !== key());
    if (run && run !== shown) show(run);
    frame.redraw();
  };
  const show = run => {
    const last = run.stops.length - 1;
    const [was, atLast] = [frame.get("index"), !shown || frame.get("index") >= shown.stops.length - 1];
    const index = shown && atLast ? last : Math.min(was, last);
    if (run.stops.join() !== shown?.stops.join()) offerStops(run);
    shown = run;
    fit();
    if (index !== was) frame.set({ index });
  };
  const offerStops = ({ stops, words }) => {
    stopControl?.remove();
    moveSlider = frame.slider({
      label, texts: stops, words, ticks: stops.length <= 12, onInput: index => frame.set({ index }),
    });
    stopControl = frame.controls.lastElementChild;
  };
  const fit = () => {
    const { width, height } = shown.atlas;
    if (picture.canvas.width !== width) picture.canvas.width = width;
    if (picture.canvas.height !== height) picture.canvas.height = height;
    picture.fit(room.clientWidth, 400);
  };

  const stored = new Blob([frame.get("pixels")]);
  for (const record of known) keep(record, await decoded(stored.slice(...record.bytes)));
  const choose = (at, position) => {
    const wanted = kernel.present
      ? positions().map((was, i) => (i === at ? position : was))
      : nearest(known, positions(), at, position);
    const values = choices.map(({ name, values }, i) => [name, values ? values[wanted[i]] : wanted[i]]);
    frame.set({ settings: Object.fromEntries(values) });
  };
  const moveChoices = choices.map((choice, at) => {
    const onInput = position => choose(at, position);
    if (kernel.present && !choice.values) return field(frame, choice, onInput);
    const all = kernel.present ? choice.values.keys() : known.map(({ positions }) => positions[at]);
    const offered = [...new Set(all)];
    if (choice.values) offered.sort((a, b) => a - b);
    return offered.length > 1 ? offer(frame, choice, offered, onInput) : () => {};
  });
  const possible = choices.reduce((count, { values }) => count * (values?.length ?? Infinity), 1);
  if (!kernel.present && known.length < possible) {
    frame.controls.after(make("p", { class: "note" }, withoutKernel));
  }
  if (!kernel.present && !runs.has(key())) choose(0, known[0].positions[0]);
  frame.watch("change:settings", () => {
    clearTimeout(timer);
    failure = { key: "", text: "" };
    if (!runs.has(key())) {
      if (pause) timer = setTimeout(ask, pause);
      else ask(); // before the settings themselves are sent, which the answer does not wait for
    }
    follow();
  });
  frame.onResize(room, () => shown && fit());
  show(runs.get(key()) ?? runs.get(JSON.stringify(known[0].positions)));
  if (!runs.has(key())) ask();
  follow();

  return theme => {
    const at = Math.min(frame.get("index"), shown.stops.length - 1);
    picture.show(shown.atlas, shown.tileOf ? shown.tileOf[at] : at, theme);
    moveSlider(at);
    moveChoices.forEach((move, i) => move(positions()[i]));
    // An answer that comes at once is not announced: the caption stays until there is another.
    const soon = pause === 0 && performance.now() - began < quick;
    const said = runs.has(key()) ? shown.captions[at] : soon ? frame.caption.textContent : messages.busy;
    return tell(frame, theme, failure.key === key() && !runs.has(key()) ? failure.text : "") || said;
  };
}

/** A sheet of tiles as the kernel sends it, one byte a grey pixel or three a coloured one, as ImageData. */
function imageOf({ buffer, byteOffset, byteLength }, { width, columns, grey }) {
  const [bytes, depth] = [new Uint8Array(buffer, byteOffset, byteLength), grey ? 1 : 3];
  const image = new ImageData(width * columns, byteLength / (depth * width * columns));
  const { data } = image;
  for (let to = 0, from = 0; to < data.length; to += 4, from += depth) {
    for (let channel = 0; channel < 3; channel++) data[to + channel] = bytes[from + (grey ? 0 : channel)];
    data[to + 3] = 255;
  }
  return image;
}

/** A control that offers some values of a choice: a slider through numbers, a selection of texts. Returns its mover. */
function offer(frame, { name, texts, numbers }, offered, onInput) {
  const names = offered.map(position => (texts ? texts[position] : position));
  if (numbers) {
    const move = frame.slider({ label: name, texts: names, words: names, onInput: at => onInput(offered[at]) });
    return position => move(offered.indexOf(position));
  }
  const move = frame.choice({ label: name, names, onInput: text => onInput(offered[names.indexOf(text)]) });
  return position => move(names[offered.indexOf(position)]);
}

/** A field to write a text in, which counts when Enter is pressed or the field is left. Returns its mover. */
function field(frame, { name, most }, onInput) {
  const id = `control-${frame.controls.childElementCount}`;
  const input = make("input", {
    type: "text", id, maxlength: most, enterkeyhint: "go", autocomplete: "off", spellcheck: false,
  });
  const hint = make("span", { class: "note", "aria-hidden": true }, "press Enter");
  frame.controls.append(make("div", { class: "control field" }, make("label", { for: id }, name), input, hint));
  let present = "";
  const mark = () => hint.classList.toggle("pending", input.value.trim() !== present);
  frame.listen(input, "input", mark);
  const commit = () => {
    const text = input.value.trim();
    input.value = text;
    mark();
    if (text !== present) onInput(text);
  };
  frame.listen(input, "change", commit);
  frame.listen(input, "keydown", event => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault(); // JupyterLab has a use for this key, too, and would keep the browser from a change
    event.stopPropagation();
    commit();
  });
  return text => {
    if (text !== present) input.value = present = text; // else what is being written would be lost
    mark();
  };
}

/** Of what is known with this value of one choice, the positions that differ least from the present ones. */
function nearest(known, present, at, position) {
  const differences = other => other.filter((where, i) => where !== present[i]).length;
  return known.map(({ positions }) => positions).filter(other => other[at] === position)
    .reduce((best, other) => (differences(other) < differences(best) ? other : best));
}
