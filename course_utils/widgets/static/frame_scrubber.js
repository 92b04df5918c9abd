// FrameScrubber: one frame out of K, chosen by a slider; with choices, out of K for each combination of names.

async function build(frame) {
  const { label, stops, words, captions, rowLabels, choices = [], tileOf } = frame.content;
  const atlas = await Atlas.load(frame);
  const picture = new PixelCanvas(atlas.width, atlas.height, "frame");
  const room = make("div", { class: "picture" }, picture.canvas);
  const names = make("div", { class: "names" }, ...rowLabels.map(name => make("span", {}, name)));
  frame.stage.append(make("div", { class: "rows" }, ...(rowLabels.length ? [names] : []), room));
  const moveSlider = frame.slider({
    label, texts: stops, words, ticks: stops.length <= 12, onInput: index => frame.set({ index }),
  });
  const moveChoices = choices.map(({ label, names }, at) => frame.choice({
    label, names,
    onInput: name => frame.set({ chosen: frame.get("chosen").map((was, i) => (i === at ? names.indexOf(name) : was)) }),
  }));
  frame.onResize(room, () => {
    picture.fit(room.clientWidth, 400);
    names.style.height = picture.canvas.style.width && `${picture.canvas.clientHeight}px`;
  });

  return theme => {
    const index = frame.get("index");
    const row = choices.reduce((above, { names }, at) => above * names.length + frame.get("chosen")[at], 0);
    const shown = row * stops.length + index;
    picture.show(atlas, tileOf ? tileOf[shown] : shown, theme);
    moveSlider(index);
    moveChoices.forEach((move, at) => move(choices[at].names[frame.get("chosen")[at]]));
    return captions[shown % captions.length];
  };
}
