// ArrowField: dots and arrows in a plane, one picture at each stop of a slider.

const BOTH = "both";
const LOOKS = [{ width: 4.5, head: 11 }, { width: 1.5, head: 6 }]; // CSS pixels: the second field lies inside the first

async function build(frame) {
  const { label, stops, words, captions, points, starts, ends, names, legend: entries, xTicks, yTicks } = frame.content;
  const fields = entries.slice(1);
  const plot = new Plot(frame, "field", { heightOf: width => width - 10 });
  const axes = new Axes(plot, { left: 36, right: 8, top: 8, bottom: 26 });
  const [fieldLegend, paintLegend] = legend(entries, "column");
  frame.stage.append(make("div", { class: "beside" },
    make("div", { class: "plot large" }, plot.canvas),
    make("div", { class: "panel narrow" }, fieldLegend,
      make("p", { class: "note" }, "Arrows have their true length, in the units of the axes."))));
  const moveSlider = frame.slider({
    label, texts: stops, words, ticks: stops.length <= 12, onInput: index => frame.set({ index }),
  });
  const showArrows = fields.length > 1
    ? frame.choice({ label: "arrows", names, onInput: shown => frame.set({ shown }) })
    : () => {};

  const place = ([xs, ys], i) => [axes.x(xs[i] / SPAN), axes.y(ys[i] / SPAN)];
  const scale = () => clamp(plot.width / 500, 0.7, 1); // thinner on a narrow page, where arrows are shorter

  const drawDots = (context, theme, dots) => {
    context.fillStyle = theme.visible(entries[0].colour);
    context.globalAlpha = 0.75;
    dots[0].forEach((_, i) => dot(context, ...place(dots, i), 2.2 * scale()));
    context.globalAlpha = 1;
  };
  const drawArrows = (context, theme, field, index) => {
    const [width, head] = [LOOKS[field].width * scale(), LOOKS[field].head * scale()];
    context.fillStyle = context.strokeStyle = theme.visible(fields[field].colour);
    context.lineWidth = width;
    starts[0].forEach((_, i) => arrow(context, place(starts, i), place(ends[field][index], i), width, head));
  };

  return theme => {
    const [index, shown] = [frame.get("index"), frame.get("shown")];
    const context = plot.begin(theme, "", layer => axes.draw(layer, theme, { xTicks, yTicks }));
    axes.inside(context, () => {
      drawDots(context, theme, points[index]);
      fields.forEach(({ name }, field) => {
        if (shown === BOTH || shown === name) drawArrows(context, theme, field, index);
      });
    });
    paintLegend(theme);
    moveSlider(index);
    showArrows(shown);
    return captions[index];
  };
}
