// LatentMap: a plane of two latent numbers; each place on its grid has been decoded beforehand.

const GUTTER = { left: 46, right: 9, top: 9, bottom: 30 }; // CSS pixels around the map: axes, half a crosshair
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

async function build(frame) {
  const { axes, axisTexts, axisTicks, aspect } = frame.content;
  const { codes, labels, classes, distances, inHole, sentences, backgrounds } = frame.content;
  const atlas = await Atlas.load(frame);
  const grid = axes[0].length;
  const radius = clamp(40 / Math.sqrt(labels.length), 1.2, 3.5);
  let behind = backgrounds[0];

  const plot = new Plot(frame, "map", {
    heightOf: width => innerWidth(width) * aspect + GUTTER.top + GUTTER.bottom,
    mode: "free",
  });
  plot.canvas.tabIndex = 0;
  const [classLegend, paintLegend] = legend(classes);
  const decoded = new PixelCanvas(atlas.width, atlas.height, "decoded");
  const under = make("figcaption");
  decoded.fit(320, 320);
  frame.stage.append(make("div", { class: "beside" },
    make("div", { class: "plot" }, plot.canvas, classLegend),
    make("div", { class: "panel" },
      make("div", { class: "thumbs" }, make("figure", {}, decoded.canvas, under)),
      make("p", { class: "note" }, "Drag on the map, or use the sliders.")),
  ));

  const moveSliders = ["z1", "z2"].map((name, axis) => frame.slider({
    label: name, texts: axisTexts[axis], words: axisTexts[axis].map(text => `${name} = ${text}`),
    onInput: at => frame.set({ [name]: axes[axis][at] }),
  }));
  const showBehind = frame.choice({
    label: "background", names: backgrounds, onInput: name => {
      behind = name;
      frame.redraw();
    },
  });

  function innerWidth(width) { return width - GUTTER.left - GUTTER.right; }
  const size = () => [innerWidth(plot.width), plot.height - GUTTER.top - GUTTER.bottom];
  /** CSS pixels of a place given as shares (0..1) of both axes. */
  const place = (u, v) => [GUTTER.left + u * size()[0], GUTTER.top + (1 - v) * size()[1]];
  /** The grid position nearest to the present z on one axis. */
  const position = axis => {
    const [low, high] = [axes[axis][0], axes[axis][grid - 1]];
    return clamp(Math.round(((frame.get(`z${axis + 1}`) - low) / (high - low)) * (grid - 1)), 0, grid - 1);
  };
  const moveTo = (j, i) => frame.set({ z1: axes[0][clamp(j, 0, grid - 1)], z2: axes[1][clamp(i, 0, grid - 1)] });

  plot.onDrag(frame, (x, y) => {
    const [width, height] = size();
    const [u, v] = [(x - GUTTER.left) / width, 1 - (y - GUTTER.top) / height];
    moveTo(Math.round(u * (grid - 1)), Math.round(v * (grid - 1)));
  });
  frame.listen(plot.canvas, "keydown", event => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    moveTo(position(0) + step[0], position(1) + step[1]);
  });

  /** Calls paint(tile, x, y, width, height) for each tile, in whole pixels so that no seams show. */
  const eachTile = paint => {
    const shares = Array.from({ length: grid + 1 }, (_, k) => (k - 0.5) / (grid - 1));
    const edges = shares.map(share => place(share, share).map(Math.round));
    for (let i = 0; i < grid; i++) {
      for (let j = 0; j < grid; j++) {
        const [left, right, bottom, top] = [edges[j][0], edges[j + 1][0], edges[i][1], edges[i + 1][1]];
        paint(i * grid + j, left, top, right - left, bottom - top);
      }
    }
  };
  const backgroundPainters = {
    "holes shaded": (context, theme) => {
      context.fillStyle = theme.faint(0.13);
      eachTile((at, ...box) => { if (inHole[at]) context.fillRect(...box); });
    },
    "decoded images": (context, theme) => {
      context.globalAlpha = 0.45;
      eachTile((at, ...box) => atlas.draw(context, at, theme, ...box));
      context.globalAlpha = 1;
    },
    "nothing": () => {},
  };
  const drawMap = (context, theme) => {
    const [width, height] = size();
    context.save();
    context.beginPath();
    context.rect(GUTTER.left, GUTTER.top, width, height);
    context.clip();
    backgroundPainters[behind](context, theme);
    context.globalAlpha = 0.85;
    labels.forEach((label, i) => {
      context.fillStyle = theme.visible(classes[label].colour);
      context.beginPath();
      context.arc(...place(codes[0][i] / SPAN, codes[1][i] / SPAN), radius, 0, 2 * Math.PI);
      context.fill();
    });
    context.restore();
    drawAxes(context, theme);
  };
  const drawAxes = (context, theme) => {
    const [width, height] = size();
    context.strokeStyle = theme.faint(0.3);
    context.strokeRect(GUTTER.left + 0.5, GUTTER.top + 0.5, width - 1, height - 1);
    context.fillStyle = theme.faint(0.75);
    context.font = `11px ${theme.font}`;
    context.textBaseline = "middle";
    axisTicks[0].forEach(([u, text]) => {
      context.textAlign = "center";
      context.fillText(text, Math.min(place(u, 0)[0], plot.width - 8), plot.height - GUTTER.bottom + 11);
    });
    axisTicks[1].forEach(([v, text]) => {
      context.textAlign = "right";
      context.fillText(text, GUTTER.left - 5, Math.max(place(0, v)[1], 6));
    });
    context.font = `600 12px ${theme.font}`;
    context.textAlign = "center";
    context.fillText("z1", place(0.5, 0)[0], plot.height - 6);
    context.fillText("z2", 9, place(0, 0.5)[1]);
  };
  const drawCrosshair = (context, theme, x, y) => {
    const [left, bottom] = place(0, 0), [right, top] = place(1, 1);
    context.strokeStyle = theme.faint(0.45);
    context.lineWidth = 1;
    context.beginPath();
    const lines = [[left, y, x - 9, y], [x + 9, y, right, y], [x, top, x, y - 9], [x, y + 9, x, bottom]];
    for (const [x0, y0, x1, y1] of lines) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    context.stroke();
    context.strokeStyle = theme.ink;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    context.stroke();
  };

  return theme => {
    const [j, i] = [position(0), position(1)];
    const at = i * grid + j;
    const context = plot.begin(theme, behind, layer => drawMap(layer, theme));
    drawCrosshair(context, theme, ...place(j / (grid - 1), i / (grid - 1)));
    decoded.show(atlas, at, theme);
    under.textContent = `decoded from (${axisTexts[0][j]}, ${axisTexts[1][i]})`;
    paintLegend(theme);
    moveSliders[0](j);
    moveSliders[1](i);
    showBehind(behind);
    const sentence = sentences[inHole[at] ? "hole" : "near"];
    return fill(sentence, { z1: axisTexts[0][j], z2: axisTexts[1][i], distance: distances[at] });
  };
}
