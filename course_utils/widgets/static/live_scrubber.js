// LiveScrubber: frames that the kernel computes for chosen settings; what has been computed is kept here too.

const PAUSE = 250; // ms without a further change, after which the kernel is asked

async function build(frame) {
  const { label, choices, known, messages, withoutKernel } = frame.content;
  const runs = new Map(); // positions of the chosen values, joined -> their run
  let [shown, asked, failure, timer] = [null, "", { key: "", text: "" }, 0];
  let [moveSlider, stopControl] = [null, null];
  const picture = new PixelCanvas(1, 1, "frame");
  const room = make("div", { class: "picture" }, picture.canvas);
  frame.stage.append(make("div", { class: "rows" }, room));

  const positions = () => choices.map(({ name, values }) => values.indexOf(frame.get("settings")[name]));
  const key = () => positions().join();
  const keep = async (record, file) => {
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    runs.set(record.positions.join(), { ...record, atlas: new Atlas(bitmap, record.tiles) });
  };
  const kernel = new Kernel(frame, {
    take: async (record, [sheet]) => {
      await keep(record, new Blob([sheet], { type: "image/png" }));
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
    asked = key();
    kernel.ask({ positions: positions() });
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
  for (const record of known) await keep(record, stored.slice(...record.bytes, "image/png"));
  const choose = (at, position) => {
    const wanted = kernel.present
      ? positions().map((was, i) => (i === at ? position : was))
      : nearest(known, positions(), at, position);
    frame.set({ settings: Object.fromEntries(choices.map(({ name, values }, i) => [name, values[wanted[i]]])) });
  };
  const moveChoices = choices.map((choice, at) => {
    const offered = choice.values.map((_, position) => position)
      .filter(position => kernel.present || known.some(({ positions }) => positions[at] === position));
    return offered.length > 1 ? offer(frame, choice, offered, position => choose(at, position)) : () => {};
  });
  if (!kernel.present && known.length < choices.reduce((count, { values }) => count * values.length, 1)) {
    frame.controls.after(make("p", { class: "note" }, withoutKernel));
  }
  if (!kernel.present && !runs.has(key())) choose(0, known[0].positions[0]);
  frame.watch("change:settings", () => {
    clearTimeout(timer);
    failure = { key: "", text: "" };
    if (!runs.has(key())) timer = setTimeout(ask, PAUSE);
    follow();
  });
  frame.onResize(room, () => shown && fit());
  show(runs.get(key()) ?? runs.get(known[0].positions.join()));
  if (!runs.has(key())) ask();
  follow();

  return theme => {
    const at = Math.min(frame.get("index"), shown.stops.length - 1);
    picture.show(shown.atlas, shown.tileOf ? shown.tileOf[at] : at, theme);
    moveSlider(at);
    moveChoices.forEach((move, i) => move(positions()[i]));
    const said = runs.has(key()) ? shown.captions[at] : messages.busy;
    return tell(frame, theme, failure.key === key() && !runs.has(key()) ? failure.text : "") || said;
  };
}

/** A control that offers some values of a choice: a slider through numbers, a selection of texts. Returns its mover. */
function offer(frame, { name, texts, numbers }, offered, onInput) {
  const names = offered.map(position => texts[position]);
  if (numbers) {
    const move = frame.slider({ label: name, texts: names, words: names, onInput: at => onInput(offered[at]) });
    return position => move(offered.indexOf(position));
  }
  const move = frame.choice({ label: name, names, onInput: text => onInput(texts.indexOf(text)) });
  return position => move(texts[position]);
}

/** Of what is known with this value of one choice, the positions that differ least from the present ones. */
function nearest(known, present, at, position) {
  const differences = other => other.filter((where, i) => where !== present[i]).length;
  return known.map(({ positions }) => positions).filter(other => other[at] === position)
    .reduce((best, other) => (differences(other) < differences(best) ? other : best));
}
