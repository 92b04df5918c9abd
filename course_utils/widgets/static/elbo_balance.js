// ElboBalance: the curve of q(z|x) to shape, and below it what that does to the balance of the evidence.

const ROWS = { top: 22, heading: 20, bar: 16, step: 44, patch: 10 }; // CSS pixels: a row is a line of text above a bar
const BELOW = 36; // CSS pixels for the axis of nats

async function build(frame) {
  const { colours, z, prior, posterior, bell, means, stds, peaks, zTicks, densityTicks } = frame.content;
  const { evidence, elbo, reconstruction, natsTicks, evidenceText, texts, meanTexts, stdTexts, sentence } = frame.content;
  const curves = new Plot(frame, "curves", { heightOf: width => clamp(0.32 * width, 170, 230), mode: "shaping" });
  const balance = new Plot(frame, "balance", { heightOf: () => ROWS.top + 3 * ROWS.step + BELOW });
  const plane = new Axes(curves, { left: 42, right: 8, top: 8, bottom: 36 });
  const nats = new Axes(balance, { left: 8, right: 8, top: ROWS.top, bottom: BELOW });
  const [curveLegend, paintLegend] = legend([
    { name: "prior p(z)", colour: colours.prior },
    { name: "posterior p(z|x)", colour: colours.posterior },
    { name: "q(z|x)", colour: colours.q },
  ], "square");
  frame.stage.append(
    curveLegend,
    make("div", { class: "plot" }, curves.canvas),
    make("p", { class: "note" }, "Drag the top of q, sideways or up and down, or use the sliders."),
    make("div", { class: "plot" }, balance.canvas),
  );
  const moveMean = frame.slider({
    label: "mean", texts: meanTexts, words: meanTexts.map(text => `mean ${text}`),
    onInput: index => frame.set({ mean_index: index }),
  });
  const moveStd = frame.slider({
    label: "standard deviation", texts: stdTexts, words: stdTexts.map(text => `standard deviation ${text}`),
    onInput: index => frame.set({ std_index: index }),
  });

  curves.onDrag(frame, (x, y) => {
    const [u, v] = plane.shares(x, y);
    frame.set({ mean_index: nearest(means, u), std_index: nearest(peaks, v) });
  });

  const drawFixed = (context, theme) => {
    plane.draw(context, theme, { xTicks: zTicks, yTicks: densityTicks, xLabel: "z", yLabel: "density" });
    plane.inside(context, () => {
      context.lineWidth = 2;
      for (const [heights, name, dashes] of [[prior, "prior", [6, 4]], [posterior, "posterior", []]]) {
        context.setLineDash(dashes);
        context.strokeStyle = theme.visible(colours[name]);
        plane.trace(context, z, heights);
        context.stroke();
      }
    });
  };
  const drawQ = (context, theme, m, s) => {
    const [us, vs] = [bell[0].map(at => means[m] + at * stds[s]), bell[1].map(height => height * peaks[s])];
    context.strokeStyle = context.fillStyle = theme.visible(colours.q);
    plane.inside(context, () => {
      plane.trace(context, us, vs);
      context.globalAlpha = 0.15;
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = 2.5;
      context.stroke();
    });
    const x = plane.x(means[m]);
    if (peaks[s] <= 1) dot(context, x, plane.y(peaks[s]), 6);
    else triangle(context, x, plane.y(1), 0, -1); // q goes on above
  };

  const barTop = row => ROWS.top + row * ROWS.step + ROWS.heading;
  /** A bar from one share of the axis of nats to another; where it leaves the axis, a mark. */
  const bar = (context, theme, row, low, high, name) => {
    const [left, right] = [low, high].map(share => nats.x(clamp(share, 0, 1)));
    context.fillStyle = theme.visible(colours[name]);
    context.fillRect(left, barTop(row), right - left, ROWS.bar);
    if (low < 0) triangle(context, nats.x(0), barTop(row) + ROWS.bar / 2, -1, 0);
  };
  /** What a row's bars are, each name behind a patch of its colour. */
  const heading = (context, theme, row, names) => {
    let x = nats.x(0) + 6;
    const y = barTop(row) - ROWS.heading / 2;
    context.font = `12px ${theme.font}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (const [name, text] of names) {
      const width = context.measureText(text).width;
      context.clearRect(x - 2, y - 8, ROWS.patch + width + 9, 16); // nothing runs through the words
      context.fillStyle = theme.visible(colours[name]);
      context.fillRect(x, y - ROWS.patch / 2, ROWS.patch, ROWS.patch);
      context.fillStyle = theme.ink;
      context.fillText(text, x + ROWS.patch + 5, y);
      x += ROWS.patch + 21 + width;
    }
  };
  /** A faint line down from the end of a bar to the bar that goes on from there. */
  const plumb = (context, theme, share, from, to) => {
    if (share < 0) return;
    context.strokeStyle = theme.faint(0.45);
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    line(context, nats.x(share), barTop(from) + ROWS.bar, nats.x(share), barTop(to));
    context.setLineDash([]);
  };

  return theme => {
    const [m, s] = [frame.get("mean_index"), frame.get("std_index")];
    drawQ(curves.begin(theme, "", layer => drawFixed(layer, theme)), theme, m, s);
    const context = balance.begin(theme, "", layer => nats.draw(layer, theme, { xTicks: natsTicks, xLabel: "nats" }));
    const [fixed, bound, rebuilt] = [evidence, elbo[m][s], reconstruction[m][s]].map(place => place / SPAN);
    const text = Object.fromEntries(Object.entries(texts).map(([name, rows]) => [name, rows[m][s]]));
    plumb(context, theme, bound, 0, 2);
    plumb(context, theme, rebuilt, 1, 2);
    bar(context, theme, 0, -1, bound, "elbo");
    bar(context, theme, 0, bound, fixed, "gap"); // its mark, if it has one, covers that of the ELBO
    bar(context, theme, 1, -1, rebuilt, "reconstruction");
    bar(context, theme, 2, bound, rebuilt, "kl");
    drawEvidence(context, theme, nats, fixed, `log p(x) = ${evidenceText}`);
    heading(context, theme, 0, [["elbo", `ELBO ${text.elbo}`], ["gap", `+ gap ${text.gap}`]]);
    heading(context, theme, 1, [["reconstruction", `reconstruction ${text.reconstruction}`]]);
    heading(context, theme, 2, [["kl", `- KL ${text.kl}`]]);
    paintLegend(theme);
    moveMean(m);
    moveStd(s);
    return fill(sentence, { ...text, mean: meanTexts[m], std: stdTexts[s], evidence: evidenceText });
  };
}

/** The line that never moves, with its name above. */
function drawEvidence(context, theme, axes, share, text) {
  const x = axes.x(share);
  context.strokeStyle = context.fillStyle = theme.ink;
  context.lineWidth = 2;
  line(context, x, axes.y(1), x, axes.y(0));
  context.font = `600 12px ${theme.font}`;
  context.textAlign = "center";
  const half = context.measureText(text).width / 2;
  context.fillText(text, clamp(x, half, axes.plot.width - half), axes.gutter.top - 11);
}

/** The position of the share nearest to `wanted`. */
function nearest(shares, wanted) {
  let found = 0;
  shares.forEach((share, at) => {
    if (Math.abs(share - wanted) < Math.abs(shares[found] - wanted)) found = at;
  });
  return found;
}
