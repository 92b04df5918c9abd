// NetworkAnatomy: a network as a U of blocks; beside it the feature maps of the chosen one, at each stop of a slider.

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const REACH = 14; // CSS pixels around a block in which it answers
const ROOM = 300; // CSS pixels; height of the maps
const GAP = 6; // CSS pixels between them, as in the style

async function build(frame) {
  const { label, stops, words, captions, blocks, flow, skips, height, pitch, colour } = frame.content;
  const names = blocks.map(block => block.name);
  const atlas = await Atlas.load(frame);
  const plot = new Plot(frame, "network", { heightOf: () => height, mode: "picking" });
  plot.canvas.tabIndex = 0;
  const most = Math.max(...blocks.map(({ maps }) => maps.count));
  const tiles = Array.from({ length: most }, (_, m) => new PixelCanvas(1, 1, `map-${m}`));
  for (const tile of tiles.slice(1)) tile.canvas.setAttribute("aria-hidden", "true"); // all bear the same caption
  const grid = make("div", { class: "maps" }, ...tiles.map(tile => tile.canvas));
  const [nameText, shapeText] = [make("b"), make("span")];
  frame.stage.append(make("div", { class: "beside" },
    make("div", { class: "plot network" }, plot.canvas,
      make("p", { class: "note" },
        `Click a block, or walk with the arrow keys.${skips.length ? " Dashed lines are skips." : ""}`)),
    make("div", { class: "panel shown" },
      make("p", { class: "heading" }, nameText, shapeText),
      make("p", { class: "note" }, "The larger a value, the more ink."), grid)));
  const moveSlider = frame.slider({
    label, texts: stops, words, ticks: stops.length <= 12, onInput: index => frame.set({ index }),
  });
  const showBlock = frame.choice({
    label: "block", names, onInput: name => frame.set({ selected: names.indexOf(name) }),
  });
  frame.controls.classList.toggle("dense", stops.length * Math.max(...stops.map(text => text.length)) > 40);
  frame.onResize(grid, () => {});

  const middle = ({ box }) => [box.middle * plot.width, box.top + box.height / 2];
  /** Choose the block for which `cost(i)` is smallest, if that is finite. */
  const choose = cost => {
    const costs = blocks.map((_, i) => cost(i));
    const least = Math.min(...costs);
    if (least < Infinity) frame.set({ selected: costs.indexOf(least) });
  };
  frame.listen(plot.canvas, "pointerdown", event => {
    const [x, y] = plot.point(event);
    choose(i => {
      const { middle, half, top, height } = blocks[i].box;
      const aside = Math.max(0, Math.abs(x - middle * plot.width) - half * plot.width);
      const away = Math.hypot(aside, Math.max(0, top - y, y - top - height));
      return away <= REACH ? away : Infinity;
    });
  });
  frame.listen(plot.canvas, "keydown", event => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = middle(blocks[frame.get("selected")]);
    choose(i => {
      const [dx, dy] = [middle(blocks[i])[0] - x, middle(blocks[i])[1] - y];
      const [ahead, aside] = [dx * step[0] + dy * step[1], Math.abs(dx * step[1] + dy * step[0])];
      return ahead > 1 ? 1000 * ahead + aside : Infinity; // the next column or level, there the nearest
    });
  });

  const drawNetwork = (context, theme, selected) => {
    context.lineWidth = 1.5;
    context.strokeStyle = context.fillStyle = theme.faint(0.5);
    for (const path of flow) arrow(context, path.map(([u, y]) => [u * plot.width, y]), []);
    for (const path of skips) arrow(context, path.map(([u, y]) => [u * plot.width, y]), [5, 3]);
    context.font = `11px ${theme.font}`;
    const widest = Math.max(...names.map(name => context.measureText(name).width));
    const size = clamp((11 * (plot.width * pitch - 3)) / widest, 9, 12);
    context.textAlign = "center";
    blocks.forEach(({ name, box }, i) => {
      drawBox(context, theme, box, i === selected);
      context.font = `${size}px ${theme.font}`;
      context.fillStyle = theme.ink;
      context.fillText(name, box.middle * plot.width, box.top + box.height + 13);
    });
  };
  const drawBox = (context, theme, { middle, half, top, height }, chosen) => {
    const rectangle = [(middle - half) * plot.width, top, 2 * half * plot.width, height];
    context.fillStyle = chosen ? theme.visible(colour) : theme.faint(0.1);
    context.strokeStyle = chosen ? theme.ink : theme.faint(0.5);
    context.clearRect(...rectangle);
    context.fillRect(...rectangle);
    context.strokeRect(...rectangle);
  };
  const drawMaps = (theme, { top, columns, width, height, count }, index) => {
    const sheet = atlas.ink(theme);
    const across = columnsFor(count, width, height, grid.clientWidth);
    const down = Math.ceil(count / across);
    grid.style.gridTemplateColumns = `repeat(${across}, max-content)`;
    tiles.forEach((tile, m) => {
      tile.canvas.hidden = m >= count;
      if (m >= count) return;
      Object.assign(tile.canvas, { width, height });
      const at = index * count + m;
      tile.context.drawImage(sheet, (at % columns) * width, top + Math.floor(at / columns) * height, width, height,
        0, 0, width, height);
      tile.fit(share(grid.clientWidth, across), share(ROOM, down));
    });
  };

  return theme => {
    const [selected, index] = [frame.get("selected"), frame.get("index")];
    const { name, shape, role, maps } = blocks[selected];
    plot.begin(theme, selected, layer => drawNetwork(layer, theme, selected));
    drawMaps(theme, maps, index);
    nameText.textContent = name;
    shapeText.textContent = shape;
    moveSlider(index);
    showBlock(name);
    return `${name}, ${shape}. ${role} ${captions[index]}`;
  };
}

/** The length that each of `count` things in a row may have. */
function share(length, count) { return (length - GAP * (count - 1)) / count; }

/** How many columns let `count` maps be largest, enlarged by whole device pixels from two on. */
function columnsFor(count, width, height, room) {
  const factor = columns => {
    const scale = Math.min(share(room, columns) / width, share(ROOM, Math.ceil(count / columns)) / height);
    return scale * devicePixelRatio < 2 ? scale * devicePixelRatio : Math.floor(scale * devicePixelRatio);
  };
  const factors = Array.from({ length: count }, (_, i) => factor(i + 1));
  return factors.lastIndexOf(Math.max(...factors)) + 1;
}

/** A line around corners, with a head at its end. */
function arrow(context, path, dashes) {
  context.setLineDash(dashes);
  context.beginPath();
  for (const [x, y] of path) context.lineTo(x, y);
  context.stroke();
  context.setLineDash([]);
  const [[x0, y0], [x1, y1]] = path.slice(-2);
  const length = Math.hypot(x1 - x0, y1 - y0);
  const [dx, dy] = [(5 * (x1 - x0)) / length, (5 * (y1 - y0)) / length];
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - dx - 0.6 * dy, y1 - dy + 0.6 * dx);
  context.lineTo(x1 - dx + 0.6 * dy, y1 - dy - 0.6 * dx);
  context.fill();
}
