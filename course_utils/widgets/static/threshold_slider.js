// ThresholdSlider: two histograms of a score, and a threshold that splits both.

const HEIGHT = 210;
const GUTTER = { left: 58, right: 10, top: 8, bottom: 38 }; // CSS pixels around the histogram, for its axes

async function build(frame) {
  const { groups, edges, heights, places, scoreLabel, xTicks, yTicks } = frame.content;
  const { texts, words, counts, rates, sentence } = frame.content;
  const plot = new Plot(frame, "histogram", { heightOf: () => HEIGHT, mode: "dragging" });
  const [groupLegend, paintLegend] = legend(groups, "square");
  const [table, numbers, shares] = makeTable(groups);
  frame.stage.append(groupLegend, make("div", { class: "plot" }, plot.canvas), table);
  const moveSlider = frame.slider({ label: "threshold", texts, words, onInput: index => frame.set({ index }) });

  const width = () => plot.width - GUTTER.left - GUTTER.right;
  const bottom = () => plot.height - GUTTER.bottom;
  const across = share => GUTTER.left + share * width();
  const upward = share => bottom() - share * (bottom() - GUTTER.top);

  plot.onDrag(frame, x => {
    const share = (x - GUTTER.left) / width();
    let index = 0;
    places.forEach((place, at) => {
      if (Math.abs(place - share) < Math.abs(places[index] - share)) index = at;
    });
    frame.set({ index });
  });

  /** Both histograms as filled steps. */
  const drawSteps = (context, theme, opacity) => groups.forEach((group, g) => {
    context.fillStyle = context.strokeStyle = theme.visible(group.colour);
    context.beginPath();
    context.moveTo(across(edges[0]), bottom());
    heights[g].forEach((height, bin) => {
      context.lineTo(across(edges[bin]), upward(height));
      context.lineTo(across(edges[bin + 1]), upward(height));
    });
    context.lineTo(across(edges.at(-1)), bottom());
    context.globalAlpha = opacity;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.stroke();
  });
  const drawAxes = (context, theme) => {
    context.fillStyle = theme.faint(0.75);
    context.font = `11px ${theme.font}`;
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.strokeStyle = theme.faint(0.1);
    for (const [share, text] of yTicks) {
      context.fillText(text, GUTTER.left - 6, upward(share));
      rule(context, across(0), upward(share), across(1), upward(share));
    }
    context.textAlign = "center";
    context.strokeStyle = theme.faint(0.4);
    for (const [share, text] of xTicks) {
      context.fillText(text, across(share), bottom() + 12);
      rule(context, across(share), bottom(), across(share), bottom() + 4);
    }
    rule(context, across(0), bottom(), across(1), bottom());
    context.font = `12px ${theme.font}`;
    context.fillText(scoreLabel, across(0.5), plot.height - 8);
    context.save();
    context.rotate(-Math.PI / 2);
    context.fillText("share of each group", -upward(0.5), 8);
    context.restore();
  };

  return theme => {
    const index = frame.get("index");
    const context = plot.begin(theme, "", layer => {
      drawAxes(layer, theme);
      drawSteps(layer, theme, 0.16);
    });
    const x = across(places[index]);
    context.save();
    context.beginPath();
    context.rect(x, 0, plot.width - x, plot.height);
    context.clip();
    drawSteps(context, theme, 0.6);
    context.restore();
    context.strokeStyle = context.fillStyle = theme.ink;
    context.lineWidth = 2;
    rule(context, x, GUTTER.top, x, bottom());
    context.beginPath();
    context.arc(x, GUTTER.top, 5, 0, 2 * Math.PI);
    context.fill();
    numbers.forEach((node, at) => { node.textContent = counts[index][at]; });
    shares.forEach((node, row) => { node.textContent = rates[row][index]; });
    paintLegend(theme);
    moveSlider(index);
    return fill(sentence, { threshold: texts[index], false_alarms: rates[0][index], detection: rates[1][index] });
  };
}

/** The 2 x 2 table, in the picture's order: left of the threshold passes. Returns it with its live parts. */
function makeTable(groups) {
  const head = ["", "below: passed", "above: flagged", "share flagged"].map(text => make("th", { scope: "col" }, text));
  const numbers = groups.flatMap(() => [make("b"), make("b")]);
  const shares = groups.map(() => make("b"));
  const rows = groups.map((group, row) => {
    const parts = [numbers[2 * row], numbers[2 * row + 1], shares[row]];
    const cells = parts.map((part, at) => make("td", {}, part, " ", make("small", {}, group.cells[at])));
    return make("tr", {}, make("th", { scope: "row" }, group.name), ...cells);
  });
  return [make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)), numbers, shares];
}

function rule(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}
