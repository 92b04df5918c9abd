// LatentSweep: one slider over models; images, codes and the use of each latent move together.

async function build(frame) {
  const { label, stops, words, captions, rowLabels, cloudLabels, barLabel } = frame.content;
  const { clouds, classes, labels, cloudTicks, ring, bars, active, barTicks, barColour } = frame.content;
  const atlas = await Atlas.load(frame);
  const picture = new PixelCanvas(atlas.width, atlas.height, "frame");
  const room = make("div", { class: "picture" }, picture.canvas);
  const names = make("div", { class: "names" }, ...rowLabels.map(name => make("span", {}, name)));
  const cloud = new Plot(frame, "cloud", { heightOf: width => width - 10 + (cloudLabels[0] ? 14 : 0) });
  const chart = new Plot(frame, "bars", { heightOf: () => (frame.host.clientWidth > 620 ? plane.y(0) + 8 : 180) });
  const plane = new Axes(cloud, { left: cloudLabels[1] ? 46 : 32, right: 8, top: 8, bottom: cloudLabels[0] ? 40 : 26 });
  const rack = new Axes(chart, { left: 36, right: 4, top: 8, bottom: 8 });
  const ringLabel = make("span");
  const ringLegend = make("p", { class: "heading" }, make("i", { class: "ring" }), ringLabel);
  const radius = clamp(50 / Math.sqrt(labels.length), 1.5, 3);
  const [classLegend, paintLegend] = legend(classes);
  frame.stage.append(
    make("div", { class: "rows" }, ...(rowLabels.length ? [names] : []), room),
    make("div", { class: "beside" },
      make("div", { class: "plot" }, ringLegend, cloud.canvas, classLegend),
      make("div", { class: "panel wide" },
        make("p", { class: "heading" }, barLabel),
        make("div", { class: "plot" }, chart.canvas))),
  );
  const moveSlider = frame.slider({
    label, texts: stops, words, ticks: stops.length <= 12, onInput: index => frame.set({ index }),
  });
  frame.onResize(room, () => {
    picture.fit(room.clientWidth, 260);
    names.style.height = picture.canvas.style.width && `${picture.canvas.clientHeight}px`;
  });

  const drawRing = (context, theme) => {
    context.strokeStyle = theme.faint(0.45);
    context.lineWidth = 1.5;
    context.setLineDash([5, 4]);
    context.beginPath();
    context.arc(plane.x(0.5), plane.y(0.5), ring.radius * plane.width, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
  };
  const drawCodes = (context, theme, [xs, ys]) => plane.inside(context, () => {
    context.globalAlpha = 0.85;
    labels.forEach((label, i) => {
      context.fillStyle = theme.visible(classes[label].colour);
      dot(context, plane.x(xs[i] / SPAN), plane.y(ys[i] / SPAN), radius);
    });
  });
  const drawBars = (context, theme, heights, used) => {
    const slot = rack.width / heights.length;
    context.fillStyle = theme.visible(barColour);
    heights.forEach((height, at) => {
      const [left, top] = [rack.x(0) + (at + 0.15) * slot, rack.y(Math.min(height, 1))];
      context.globalAlpha = used[at] ? 1 : 0.3;
      context.fillRect(left, top, 0.7 * slot, rack.y(0) - top);
      if (height > 1) triangle(context, rack.x(0) + (at + 0.5) * slot, top, 0, -1);
    });
    context.globalAlpha = 1;
  };

  return theme => {
    const index = frame.get("index");
    picture.show(atlas, index, theme);
    const context = cloud.begin(theme, "", layer => {
      plane.draw(layer, theme, {
        xTicks: cloudTicks, yTicks: cloudTicks, xLabel: cloudLabels[0], yLabel: cloudLabels[1],
      });
      drawRing(layer, theme);
    });
    drawCodes(context, theme, clouds[index]);
    const canvas = chart.begin(theme, "", layer => rack.draw(layer, theme, { yTicks: barTicks }));
    drawBars(canvas, theme, bars[index], active[index]);
    paintLegend(theme);
    moveSlider(index);
    ringLabel.textContent = ring.labels[index];
    return captions[index];
  };
}
