// LatentWalk: one image of a grid, chosen by two sliders, or by a walk past all of them.

const BEAT = 150; // ms between two steps of the walk

async function build(frame) {
  const { labels, stops, captions, path, tileOf } = frame.content;
  const atlas = await Atlas.load(frame);
  const picture = new PixelCanvas(atlas.width, atlas.height, "frame");
  const room = make("div", { class: "picture" }, picture.canvas);
  frame.stage.append(room);
  frame.onResize(room, () => picture.fit(room.clientWidth, 300));

  const movers = ["row", "column"].map((name, axis) => frame.slider({
    label: labels[axis], texts: stops[axis], words: stops[axis],
    onInput: at => {
      walk(false);
      frame.set({ [name]: at });
    },
  }));
  const button = make("button", { type: "button" }, "play");
  frame.controls.append(make("div", { class: "control" }, button));
  frame.listen(button, "click", () => walk(button.textContent === "play"));

  let timer = 0;
  function walk(going) {
    clearInterval(timer);
    button.textContent = going ? "pause" : "play";
    if (going) timer = setInterval(step, BEAT);
  }
  function step() {
    if (!frame.host.isConnected) return walk(false);
    const here = path.findIndex(([row, column]) => row === frame.get("row") && column === frame.get("column"));
    const [row, column] = path[(here + 1) % path.length];
    frame.set({ row, column });
  }

  return theme => {
    const [row, column] = [frame.get("row"), frame.get("column")];
    const shown = row * stops[1].length + column;
    picture.show(atlas, tileOf ? tileOf[shown] : shown, theme);
    movers[0](row);
    movers[1](column);
    return captions[row][column];
  };
}
