// DuelTrainer: live, buttons train two networks in the kernel; in the twin, a slider moves through recorded turns.

const BREATH = 60; // ms between two turns of "play", in which the kernel can see to other things

async function build(frame) {
  const { label, stops, words, colours, strength, xTicks, yTicks, withoutKernel } = frame.content;
  const plot = new Plot(frame, "field", { heightOf: width => width - 10 });
  const plane = new Axes(plot, { left: 36, right: 8, top: 8, bottom: 26 });
  const chart = new Plot(frame, "losses", { heightOf: width => clamp(0.75 * width, 150, 210) });
  const rack = new Axes(chart, { left: 36, right: 12, top: 8, bottom: 36 });
  const [points, paintPoints] = legend([
    { name: "real points", colour: colours.data }, { name: "fakes", colour: colours.model },
  ]);
  const [curves, paintCurves] = legend([
    { name: "loss of D", colour: colours.data }, { name: "loss of G", colour: colours.model },
  ], "square");
  const bar = make("i");
  bar.style.opacity = strength;
  const scale = make("p", { class: "scale" }, "D says: fake", bar, "real");
  frame.stage.append(make("div", { class: "beside" },
    make("div", { class: "plot large" }, plot.canvas),
    make("div", { class: "panel wide duel" },
      points, scale, make("p", { class: "note" }, "Arrows show where G is pushed."),
      make("div", { class: "plot" }, curves, chart.canvas))));
  const heat = new Heat(strength, [colours.model, colours.data]);
  let failure = "";
  const kernel = new Kernel(frame, {
    take: () => {}, // the picture is state: it has moved already
    end: text => {
      failure = text;
      frame.stage.setAttribute("aria-busy", false);
      turns?.next(!text);
      frame.redraw();
    },
  });
  const press = name => {
    failure = "";
    frame.stage.setAttribute("aria-busy", true);
    kernel.ask({ press: name });
    frame.redraw();
  };
  const turns = kernel.present ? addButtons(frame, press) : null;
  const see = await (kernel.present ? liveViews(frame) : recordedViews(frame));
  const moveSlider = kernel.present
    ? () => {}
    : frame.slider({ label, texts: stops, words, onInput: index => frame.set({ index }) });
  if (!kernel.present) frame.controls.after(make("p", { class: "note" }, withoutKernel));

  const place = ([xs, ys], i) => [plane.x(xs[i] / SPAN), plane.y(ys[i] / SPAN)];
  const size = () => clamp(plot.width / 500, 0.7, 1); // of what is drawn: less on a narrow page
  const drawPoints = (context, theme, at, colour) => {
    context.fillStyle = theme.visible(colour);
    at[0].forEach((_, i) => dot(context, ...place(at, i), 2.4 * size()));
  };
  const drawArrows = (context, theme, from, along) => {
    const to = from.map((places, axis) => places.map((place, i) => place + along[axis][i]));
    context.fillStyle = context.strokeStyle = theme.faint(0.75);
    context.lineWidth = size();
    from[0].forEach((_, i) => arrow(context, place(from, i), place(to, i), size(), 5 * size()));
  };
  const drawLosses = (theme, { x, y, xTicks, yTicks }) => {
    const ticks = { xTicks, yTicks, xLabel: "updates" };
    const context = chart.begin(theme, JSON.stringify(ticks), layer => rack.draw(layer, theme, ticks));
    context.lineWidth = 1.5;
    y.forEach((heights, player) => {
      const at = x.map((_, i) => i).filter(i => heights[i] !== null);
      context.strokeStyle = theme.visible([colours.data, colours.model][player]);
      rack.trace(context, at.map(i => x[i] / SPAN), at.map(i => heights[i] / SPAN));
      context.stroke();
    });
  };

  return theme => {
    const view = see();
    const context = plot.begin(theme, "", layer => plane.draw(layer, theme, { xTicks, yTicks }));
    plane.inside(context, () => {
      heat.draw(context, theme, view, plane);
      drawPoints(context, theme, view.real, colours.data);
      drawPoints(context, theme, view.fake, colours.model);
      drawArrows(context, theme, view.fake, view.arrows);
    });
    drawLosses(theme, view.losses);
    paintPoints(theme);
    paintCurves(theme);
    const ends = [colours.model, colours.data].map(colour => theme.visible(colour));
    bar.style.background = `linear-gradient(to right, ${ends[0]}, transparent, ${ends[1]})`;
    moveSlider(frame.get("index"));
    return tell(frame, theme, failure) || view.caption;
  };
}

/** One button for each press, and one that presses again and again. Returns what continues that: next(going). */
function addButtons(frame, press) {
  const { presses, turn } = frame.content;
  let [playing, timer] = [false, 0];
  const play = going => {
    playing = going;
    clearTimeout(timer);
    again.textContent = playing ? "pause" : "play";
  };
  const add = (name, onPress) => {
    const button = make("button", { type: "button" }, name);
    frame.listen(button, "click", onPress);
    return button;
  };
  const again = add("play", () => {
    play(!playing);
    if (playing) press(turn);
  });
  const buttons = presses.map(name => add(name, () => {
    play(false);
    press(name);
  }));
  buttons.splice(-1, 0, again); // before "reset"
  frame.controls.append(make("div", { class: "buttons" }, ...buttons));
  return {
    next(going) {
      if (playing && going && frame.host.isConnected) timer = setTimeout(() => press(turn), BREATH);
      else play(false);
    },
  };
}

/** What the kernel has sent last: (g * g) bytes of heat beside it. */
function liveViews(frame) {
  frame.watch("change:now", () => frame.redraw());
  return () => {
    const now = frame.get("now");
    const { buffer, byteOffset, byteLength } = now.heat;
    return { ...now, key: now, bytes: new Uint8Array(buffer, byteOffset, byteLength) };
  };
}

/** The recorded turns, whose heat comes as the tiles of a picture. */
async function recordedViews(frame) {
  const { recorded } = frame.content;
  const atlas = await Atlas.load(frame);
  const { width, height, columns } = atlas;
  return () => {
    const index = frame.get("index");
    const [left, top] = [(index % columns) * width, Math.floor(index / columns) * height];
    const { data } = atlas.context.getImageData(left, top, width, height);
    const bytes = data.filter((_, i) => i % 4 === 3); // an atlas keeps brightness as opacity
    return { real: recorded[0].real, ...recorded[index], key: recorded[index], bytes, grid: width };
  };
}

/** A grid of probabilities as colour: none where D is undecided, more of one of two the surer it is. */
class Heat {
  constructor(strength, colours) {
    Object.assign(this, { strength, colours, canvas: make("canvas") });
  }

  draw(context, theme, { key, bytes, grid }, plane) {
    if (this.key !== key || this.ink !== theme.ink) {
      Object.assign(this, { key, ink: theme.ink });
      this.#paint(theme, bytes, grid);
    }
    // The outer places of the grid lie on the edges of the plane: half of their squares lies beyond.
    const [width, height] = [plane.width / (grid - 1), plane.height / (grid - 1)];
    context.imageSmoothingEnabled = true;
    context.drawImage(
      this.canvas, plane.x(0) - width / 2, plane.y(1) - height / 2, grid * width, grid * height,
    );
  }

  #paint(theme, bytes, grid) {
    const ends = this.colours.map(colour => channels(theme.visible(colour)));
    const image = new ImageData(grid, grid);
    bytes.forEach((byte, i) => {
      const sure = (byte - 127) / 127; // from -1, certainly fake, to 1, certainly real
      image.data.set([...ends[sure < 0 ? 0 : 1], 255 * this.strength * Math.abs(sure)], 4 * i);
    });
    this.canvas.width = this.canvas.height = grid;
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }
}
