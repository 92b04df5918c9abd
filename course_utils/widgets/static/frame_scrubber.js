// FrameScrubber: one frame out of K, chosen by a slider.

async function build(frame) {
  const { label, stops, words, captions, rowLabels } = frame.content;
  const atlas = await Atlas.load(frame);
  const picture = new PixelCanvas(atlas.width, atlas.height, "frame");
  const room = make("div", { class: "picture" }, picture.canvas);
  const names = make("div", { class: "names" }, ...rowLabels.map(name => make("span", {}, name)));
  frame.stage.append(make("div", { class: "rows" }, ...(rowLabels.length ? [names] : []), room));
  const moveSlider = frame.slider({
    label, texts: stops, words, ticks: stops.length <= 12, onInput: index => frame.set({ index }),
  });
  frame.onResize(room, () => {
    picture.fit(room.clientWidth, 400);
    names.style.height = picture.canvas.style.width && `${picture.canvas.clientHeight}px`;
  });

  return theme => {
    const index = frame.get("index");
    picture.show(atlas, index, theme);
    moveSlider(index);
    return captions[index];
  };
}
