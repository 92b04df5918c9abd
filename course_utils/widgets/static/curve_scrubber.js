// CurveScrubber: curves over one axis, at each stop of a slider; an image beside them, dots that move along.

async function build(frame) {
  const { label, stops, words, captions, note, x, curves, marks, legend: entries, tiles, tileOf } = frame.content;
  const { xTicks, yTicks, xLabel, yLabel } = frame.content;
  const longest = Math.max(...yTicks.map(([, text]) => text.length));
  const plot = new Plot(frame, "curves", { heightOf: width => clamp(0.6 * width, 220, 330) });
  const axes = new Axes(plot, { left: 26 + 6.5 * longest, right: 10, top: 8, bottom: 40 });
  const [curveLegend, paintLegend] = legend(entries, "square");
  const chart = make("div", { class: "plot" }, curveLegend, plot.canvas);
  if (note) chart.append(make("p", { class: "note" }, note));
  const showImage = tiles ? await imagePanel(frame, tiles, tileOf) : null;
  frame.stage.append(make("div", { class: "beside" }, ...(showImage ? [showImage.panel] : []), chart));
  const moveSlider = frame.slider({
    label, texts: stops, words, ticks: stops.length <= 12, onInput: index => frame.set({ index }),
  });

  frame.controls.classList.toggle("dense", stops.length * Math.max(...stops.map(text => text.length)) > 40);

  const across = u => axes.x(u / SPAN);
  const up = v => axes.y(v / SPAN);

  /** Line after line between the gaps of a curve; a number that stands alone is a dot. */
  const trace = (context, row, width) => {
    context.lineWidth = width;
    context.beginPath();
    row.forEach((v, i) => {
      if (v === null) return;
      if (drawn(row, i - 1)) context.lineTo(across(x[i]), up(v));
      else context.moveTo(across(x[i]), up(v));
    });
    context.stroke();
    row.forEach((v, i) => {
      if (v !== null && !drawn(row, i - 1) && !drawn(row, i + 1)) dot(context, across(x[i]), up(v), 1.4 * width);
    });
  };
  const drawCurve = (context, theme, { colour, rows }, index) => {
    context.strokeStyle = context.fillStyle = theme.visible(colour);
    const row = rows[index % rows.length];
    if (row.some((v, i) => v !== rows[0][i])) {
      context.globalAlpha = 0.35;
      trace(context, rows[0], 2);
      context.globalAlpha = 1;
    }
    trace(context, row, 2.5);
  };
  const drawPath = (context, theme, mark) => {
    context.strokeStyle = context.fillStyle = theme.visible(mark.colour);
    context.globalAlpha = 0.35;
    context.lineWidth = 1.5;
    axes.trace(context, mark.x.map(u => u / SPAN), mark.y.map(v => v / SPAN));
    context.stroke();
    mark.x.forEach((u, k) => dot(context, across(u), up(mark.y[k]), 2.5));
    context.globalAlpha = 1;
  };
  const drawMark = (context, theme, mark, index) => {
    context.fillStyle = theme.visible(mark.colour);
    context.strokeStyle = theme.ink;
    context.lineWidth = 1.5;
    dot(context, across(mark.x[index]), up(mark.y[index]), 6);
    context.stroke();
  };

  return theme => {
    const index = frame.get("index");
    const context = plot.begin(theme, "", layer => {
      axes.draw(layer, theme, { xTicks, yTicks, xLabel, yLabel });
      for (const mark of marks) drawPath(layer, theme, mark);
    });
    context.lineJoin = "round";
    axes.inside(context, () => {
      for (const curve of curves) drawCurve(context, theme, curve, index);
    });
    for (const mark of marks) drawMark(context, theme, mark, index);
    showImage?.show(index, theme);
    paintLegend(theme);
    moveSlider(index);
    return captions[index];
  };
}

/** Whether a curve has a number at a place. */
function drawn(row, i) { return (row[i] ?? null) !== null; }

/** The image of a stop, in a panel as wide as its shape asks for. */
async function imagePanel(frame, { width, height }, tileOf) {
  const atlas = await Atlas.load(frame);
  const picture = new PixelCanvas(width, height, "image");
  const panel = make("div", { class: "panel image" }, picture.canvas);
  panel.style.setProperty("--basis", `${clamp((260 * width) / height, 130, 360)}px`);
  frame.onResize(panel, () => picture.fit(panel.clientWidth, 290));
  return { panel, show: (index, theme) => picture.show(atlas, tileOf ? tileOf[index] : index, theme) };
}
