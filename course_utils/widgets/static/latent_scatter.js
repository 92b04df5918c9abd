// LatentScatter: a cloud of dots, one an image; pointing at a dot shows its image and reconstruction.

const MARGIN = 12; // CSS pixels between the cloud and the canvas's edge
const REACH = 14; // CSS pixels around the pointer in which the nearest dot answers
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

async function build(frame) {
  const { embeddings, labels, errors, ranks, unit, names, sentence, classes } = frame.content;
  const atlas = await Atlas.load(frame);
  const count = labels.length;
  const nameOf = i => classes[labels[i]].name;
  const radius = clamp(60 / Math.sqrt(count), 1.8, 5);
  let pointedAt = null; // shown while the pointer is near; `selected` is what it falls back to

  const plot = new Plot(frame, "cloud", { heightOf: width => width, mode: "seeking" });
  plot.canvas.tabIndex = 0;
  const [classLegend, paintLegend] = legend(classes);
  const thumbs = ["image", "reconstruction"].map(part => new PixelCanvas(atlas.width, atlas.height, part));
  const figures = thumbs.map((thumb, i) => make("figure", {}, thumb.canvas, make("figcaption", {}, names[i])));
  const facts = ["label", "error"].map(name => [make("dt", {}, name), make("dd")]);
  for (const thumb of thumbs) thumb.fit(160, 160);
  frame.stage.append(make("div", { class: "beside" },
    make("div", { class: "plot" }, plot.canvas, classLegend),
    make("div", { class: "panel" },
      make("div", { class: "thumbs" }, ...figures),
      make("dl", {}, ...facts.flat()),
      make("p", { class: "note" }, "Point at a dot to see it, click to keep it.", make("br"),
        "Arrow keys walk from dot to dot.")),
  ));

  const numbers = labels.map((_, i) => String(i));
  const moveSlider = frame.slider({
    label: "image", texts: numbers, words: numbers.map((number, i) => `image ${number}, labelled ${nameOf(i)}`),
    onInput: selected => frame.set({ selected }),
  });
  const showEmbedding = frame.choice({
    label: "embedding", names: Object.keys(embeddings), onInput: embedding => frame.set({ embedding }),
  });

  const place = i => {
    const [xs, ys] = embeddings[frame.get("embedding")];
    const side = plot.width - 2 * MARGIN;
    return [MARGIN + (xs[i] / SPAN) * side, MARGIN + (1 - ys[i] / SPAN) * side];
  };

  /** The dot for which `cost(dx, dy)` seen from (x, y) is smallest and finite, or null. */
  const best = (x, y, cost) => {
    let found = null, lowest = Infinity;
    for (let i = 0; i < count; i++) {
      const [px, py] = place(i);
      const value = cost(px - x, py - y);
      if (value < lowest) [found, lowest] = [i, value];
    }
    return found;
  };
  const near = (x, y) => best(x, y, (dx, dy) => (Math.hypot(dx, dy) <= REACH ? Math.hypot(dx, dy) : Infinity));
  const point = i => {
    pointedAt = i;
    frame.redraw();
  };
  const keep = i => {
    if (i !== null) frame.set({ selected: i });
  };

  frame.listen(plot.canvas, "pointermove", event => point(near(...plot.point(event))));
  frame.listen(plot.canvas, "pointerleave", () => point(null));
  frame.listen(plot.canvas, "pointerdown", event => keep(near(...plot.point(event))));
  frame.listen(plot.canvas, "keydown", event => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    pointedAt = null;
    // Ahead within 45 degrees; what lies off the axis counts double.
    keep(best(...place(frame.get("selected")), (dx, dy) => {
      const [ahead, aside] = [dx * step[0] + dy * step[1], Math.abs(dx * step[1] + dy * step[0])];
      return ahead > 0 && aside <= ahead ? ahead + 2 * aside : Infinity;
    }));
  });

  const drawCloud = (context, theme) => {
    context.strokeStyle = theme.faint(0.18);
    context.strokeRect(0.5, 0.5, plot.width - 1, plot.height - 1);
    for (let i = 0; i < count; i++) dot(context, theme, i, radius, 0.85);
  };
  const dot = (context, theme, i, size, opacity) => {
    context.globalAlpha = opacity;
    context.fillStyle = theme.visible(classes[labels[i]].colour);
    context.beginPath();
    context.arc(...place(i), size, 0, 2 * Math.PI);
    context.fill();
    context.globalAlpha = 1;
  };

  return theme => {
    const shown = pointedAt ?? frame.get("selected");
    const context = plot.begin(theme, frame.get("embedding"), layer => drawCloud(layer, theme));
    dot(context, theme, shown, radius + 1.5, 1);
    context.strokeStyle = theme.ink;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...place(shown), radius + 5, 0, 2 * Math.PI);
    context.stroke();
    thumbs.forEach((thumb, i) => thumb.show(atlas, shown + i * count, theme));
    facts[0][1].textContent = nameOf(shown);
    facts[1][1].textContent = `${errors[shown]} ${unit}`;
    paintLegend(theme);
    moveSlider(shown);
    showEmbedding(frame.get("embedding"));
    return fill(sentence, { image: shown, label: nameOf(shown), error: errors[shown], unit, rank: ranks[shown] });
  };
}
