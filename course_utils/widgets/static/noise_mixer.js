// NoiseMixer: images and noise, mixed here for every step of one or several schedules; numbers that are read are texts.

async function build(frame) {
  const { label, names, count, gap, noiseReach, colours, kept, million, sentence, shares, parts } = frame.content;
  const { factors, factorNames, stepTicks, factorTicks } = frame.content;
  const { reach, bins, top, normal, pixelsName, normalName, valueTicks, densityTicks } = frame.content;
  const several = names.length > 1;
  const last = kept[0].length - 1;
  const atlas = await Atlas.load(frame);
  const [ink, upper, lower] = [0, 1, 2].map(part => readTiles(atlas, part * count, count));
  const x0 = Float32Array.from(ink, byte => byte / 127.5 - 1);
  const noise = Float32Array.from(upper, (byte, i) => noiseReach * ((256 * byte + lower[i]) / 32767.5 - 1));
  const rows = new MixedRows(atlas, count, names.length, gap);
  const texts = factors.map(pair => pair.map(text => text.split(" ")));
  const said = several ? shares.map(text => text.split(" ")) : mapValues(parts, text => text.split(" "));

  const room = make("div", { class: "picture" }, rows.picture.canvas);
  const rowNames = make("div", { class: "names" }, ...names.map(name => make("span", {}, name)));
  const curves = new Plot(frame, "curves", { heightOf: width => clamp(0.55 * width, 150, 210), mode: "dragging" });
  const histogram = new Plot(frame, "histogram", { heightOf: width => clamp(0.55 * width, 150, 210) });
  const plane = new Axes(curves, { left: 42, right: 8, top: 8, bottom: 36 });
  const rack = new Axes(histogram, { left: 42, right: 8, top: 8, bottom: 36 });
  const values = factorNames.map(() => make("b"));
  const [factorLegend, paintFactors] = legend(factorNames.map((name, i) => (
    { name: make("span", {}, name, values[i]), colour: [colours.signal, colours.noise][i] }
  )), "square");
  const pixelsLabel = make("span");
  const [pixelLegend, paintPixels] = legend([{ name: pixelsLabel, colour: colours.pixels }], "square");
  pixelLegend.append(make("span", {}, make("i", { class: "dash" }), normalName));
  frame.stage.append(
    make("div", { class: "rows" }, ...(several ? [rowNames] : []), room),
    make("div", { class: "beside" },
      make("div", { class: "plot" }, factorLegend, curves.canvas),
      make("div", { class: "plot" }, pixelLegend, histogram.canvas)),
  );
  const steps = Array.from({ length: last + 1 }, (_, t) => String(t));
  const moveSlider = frame.slider({
    label, texts: steps, words: steps.map(t => `${label} = ${t}`), ticks: last < 12,
    onInput: index => frame.set({ index }),
  });
  const showSchedule = several
    ? frame.choice({ label: "curves of", names, onInput: shown => frame.set({ shown }) })
    : () => {};
  frame.onResize(room, () => {
    rows.picture.fit(room.clientWidth, 400);
    rowNames.style.height = rows.picture.canvas.style.width && `${rows.picture.canvas.clientHeight}px`;
  });
  curves.onDrag(frame, x => frame.set({ index: clamp(Math.round(plane.shares(x, 0)[0] * last), 0, last) }));

  /** What signal and noise are multiplied by at step t of a schedule. */
  const factorsAt = (schedule, t) => {
    const share = kept[schedule][t] / million;
    return [Math.sqrt(share), Math.sqrt(1 - share)];
  };
  const across = kept[0].map((_, t) => t / last);
  const drawCurves = (context, theme, schedule) => {
    plane.draw(context, theme, { xTicks: stepTicks, yTicks: factorTicks, xLabel: label, yLabel: "factor" });
    context.lineWidth = 2.5;
    [colours.signal, colours.noise].forEach((colour, part) => {
      context.strokeStyle = theme.visible(colour);
      plane.trace(context, across, across.map((_, t) => factorsAt(schedule, t)[part]));
      context.stroke();
    });
  };
  const drawMarker = (context, theme, schedule, t) => {
    context.strokeStyle = theme.ink;
    context.lineWidth = 1.5;
    line(context, plane.x(across[t]), plane.y(0), plane.x(across[t]), plane.y(1));
    factorsAt(schedule, t).forEach((factor, part) => {
      context.fillStyle = theme.visible([colours.signal, colours.noise][part]);
      dot(context, plane.x(across[t]), plane.y(factor), 5.5);
    });
  };
  const drawBars = (context, theme, counts) => {
    const perCount = bins / (2 * reach * x0.length * top); // from a count to a share of the plot's height
    const heights = Array.from(counts, found => Math.min(1, found * perCount));
    context.fillStyle = theme.visible(colours.pixels);
    context.globalAlpha = 0.7;
    context.beginPath(); // one path, which has no seams between bars
    context.moveTo(rack.x(0), rack.y(0));
    heights.forEach((height, bin) => {
      context.lineTo(rack.x(bin / bins), rack.y(height));
      context.lineTo(rack.x((bin + 1) / bins), rack.y(height));
    });
    context.lineTo(rack.x(1), rack.y(0));
    context.fill();
    context.globalAlpha = 1;
    counts.forEach((found, bin) => {
      if (found * perCount > 1) triangle(context, rack.x((bin + 0.5) / bins), rack.y(1), 0, -1);
    });
  };
  const drawNormal = (context, theme) => {
    context.strokeStyle = theme.ink;
    context.lineWidth = 1.5;
    context.setLineDash([5, 4]);
    rack.trace(context, normal.map((_, i) => i / (normal.length - 1)), normal);
    context.stroke();
    context.setLineDash([]);
  };

  return theme => {
    const [index, shown] = [frame.get("index"), frame.get("shown")];
    const schedule = several ? names.indexOf(shown) : 0;
    const counts = new Uint32Array(bins);
    names.forEach((_, row) => {
      const mixed = rows.mix(row, x0, noise, ...factorsAt(row, index));
      if (row === schedule) countInto(counts, mixed, reach);
    });
    rows.show(theme);
    drawMarker(curves.begin(theme, schedule, layer => drawCurves(layer, theme, schedule)), theme, schedule, index);
    const context = histogram.begin(theme, "", layer => rack.draw(layer, theme, {
      xTicks: valueTicks, yTicks: densityTicks, xLabel: "pixel value", yLabel: "density",
    }));
    drawBars(context, theme, counts);
    drawNormal(context, theme);
    values.forEach((node, part) => { node.textContent = texts[schedule][part][index]; });
    pixelsLabel.textContent = several ? `${pixelsName}, ${shown}` : pixelsName;
    paintFactors(theme);
    paintPixels(theme);
    moveSlider(index);
    showSchedule(shown);
    const fields = several
      ? { shares: names.map((name, i) => `${said[i][index]} (${name})`).join(", ") }
      : { ...mapValues(said, list => list[index]), name: names[0] };
    return fill(sentence, { label, t: index, ...fields });
  };
}

/** Rows of images in one picture, with gaps between; a value of -1 is the page, 1 is ink, what lies beyond is cut. */
class MixedRows {
  constructor({ width, height }, columns, count, gap) {
    const pitch = width + gap;
    this.picture = new PixelCanvas(columns * pitch - gap, count * (height + gap) - gap, "rows");
    this.image = new ImageData(this.picture.canvas.width, this.picture.canvas.height);
    this.stride = 4 * (height + gap) * this.image.width; // bytes from a row of images to the next
    this.mixed = new Float32Array(columns * height * width);
    // Where the opacity of each pixel of the first row lies.
    this.places = Uint32Array.from(this.mixed, (_, i) => {
      const [column, y, x] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
      return 4 * (y * this.image.width + column * pitch + x) + 3;
    });
  }

  /** Mix one row, and return its values, which the next call overwrites. */
  mix(row, x0, noise, signal, sigma) {
    const { mixed, places } = this;
    const { data } = this.image; // rounds and clips what is assigned
    const from = row * this.stride;
    for (let i = 0; i < mixed.length; i++) {
      const value = signal * x0[i] + sigma * noise[i];
      mixed[i] = value;
      data[from + places[i]] = 127.5 * (value + 1);
    }
    return mixed;
  }

  show(theme) {
    if (this.ink !== theme.ink) {
      this.ink = theme.ink;
      const rgb = channels(theme.ink);
      for (let i = 0; i < this.image.data.length; i += 4) this.image.data.set(rgb, i);
    }
    this.picture.context.putImageData(this.image, 0, 0);
  }
}

/** The bytes that the tiles from `first` on hold. */
function readTiles(atlas, first, count) {
  const { width, height, columns, canvas } = atlas;
  const { data } = atlas.context.getImageData(0, 0, canvas.width, canvas.height);
  return Uint8Array.from({ length: count * height * width }, (_, i) => {
    const tile = first + Math.floor(i / (height * width));
    const x = (tile % columns) * width + (i % width);
    const y = Math.floor(tile / columns) * height + (Math.floor(i / width) % height);
    return data[4 * (y * canvas.width + x) + 3]; // an atlas keeps brightness as opacity
  });
}

/** Count values into equal bins over -reach..reach; what lies beyond is in none. */
function countInto(counts, values, reach) {
  const perUnit = counts.length / (2 * reach);
  for (let i = 0; i < values.length; i++) {
    const bin = Math.floor((values[i] + reach) * perUnit);
    if (bin >= 0 && bin < counts.length) counts[bin] += 1;
  }
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}
