// What every widget shares: one frame (title, canvas, controls, caption), one theme, one way from state to picture.
//
// A family's file defines `async build(frame)`: it fills frame.stage and frame.controls and returns `draw(theme)`,
// which paints the present state and returns its caption. State lives in the model alone; a control only writes it and
// asks for a drawing, so a slider, a drag on the canvas and an assignment in Python take the same road.

/** Stands in for the live model where no kernel is: the same four methods, nothing on the other end. */
class StaticModel {
  #values;
  #listeners = {};

  constructor(values) { this.#values = values; }
  get(name) { return this.#values[name]; }
  on(event, listener) { (this.#listeners[event] ??= []).push(listener); }
  off(event, listener) { this.#listeners[event] = (this.#listeners[event] ?? []).filter(other => other !== listener); }
  set(name, value) {
    this.#values[name] = value;
    for (const listener of this.#listeners[`change:${name}`] ?? []) listener();
  }
  save_changes() {}
}

/** An element with attributes and children. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A sentence whose {places} are filled from `fields`. Numbers arrive as text: Python alone formats them. */
function fill(template, fields) {
  return template.replace(/\{(\w+)\}/g, (_, name) => fields[name]);
}

function clamp(value, low, high) { return Math.min(high, Math.max(low, value)); }

/** "rgb(1, 2, 3)", "rgba(1, 2, 3, 0.87)" or "#010203" as [1, 2, 3]. */
function channels(colour) {
  if (colour.startsWith("#")) return [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
  return colour.match(/[\d.]+/g).slice(0, 3).map(Number);
}

/** Relative luminance (WCAG 2): 0 black, 1 white. */
function luminance(rgb) {
  const linear = share => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = rgb.map(value => linear(value / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const LIGHT_ENOUGH = 0.2; // luminance that stands out from a dark page by more than 3 : 1

/** What drawing needs to know of the page: its ink, and colours that can be seen beside it. */
class Theme {
  constructor(host) {
    const ink = channels(getComputedStyle(host).color);
    this.ink = `rgb(${ink.join(", ")})`;
    this.dark = luminance(ink) > 0.5; // light ink: the page is dark, whatever the system prefers
    this.font = getComputedStyle(host).fontFamily;
  }

  /** The ink, thinned: for rules, labels and shades. */
  faint(share) { return this.ink.replace("rgb", "rgba").replace(")", `, ${share})`); }

  /** A colour of the course, brightened as far as a dark page needs it. */
  visible(colour) {
    let rgb = channels(colour);
    while (this.dark && luminance(rgb) < LIGHT_ENOUGH) {
      // Brighter first, which keeps the hue; paler only where a channel is at its end.
      const full = Math.max(...rgb) >= 250;
      rgb = rgb.map(value => Math.round(full ? value + (255 - value) * 0.06 : Math.min(255, value * 1.06 + 1)));
    }
    return `rgb(${rgb.join(", ")})`;
  }
}

/** The frame around one widget, alive until `close`. */
class Frame {
  #closing = new AbortController();
  #drawing = 0;
  #theme = null;
  #draw = null;

  constructor(model, host) {
    this.model = model;
    this.content = model.get("content");
    this.host = host;
    // JupyterLab would otherwise take the arrow keys of a focused slider for its own.
    host.setAttribute("data-lm-suppress-shortcuts", "true");
    this.stage = make("div", { class: "stage" });
    this.controls = make("div", { class: "controls" });
    this.caption = make("p", { class: "caption", "aria-live": "polite" });
    const title = make("p", { class: "title" }, this.content.title);
    const style = make("style", {}, STYLE);
    host.attachShadow({ mode: "open" }).append(
      style,
      make("div", { class: "frame", role: "group", "aria-label": this.content.title },
        title, this.stage, this.controls, this.caption),
    );
    this.#watchTheme();
  }

  /** Build the family's part; resolves when its first picture has been drawn. */
  async open(build) {
    this.#draw = await build(this);
    for (const name of this.content.state) {
      this.watch(`change:${name}`, () => this.redraw());
    }
    this.redraw();
    await new Promise(resolve => requestAnimationFrame(resolve));
  }

  close() { this.#closing.abort(); }

  get(name) { return this.model.get(name); }

  /** Write state: drawn in the next frame. A kernel is told too; ipywidgets keeps one message to it under way at most. */
  set(values) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    this.redraw();
    this.model.save_changes();
  }

  /** Ask for one drawing in the next animation frame, however often it is asked. */
  redraw() {
    this.#drawing ||= requestAnimationFrame(() => {
      this.#drawing = 0;
      if (!this.#draw || !this.host.isConnected) return; // taken out of the page: drawn again on its return
      const caption = this.#draw(this.#currentTheme());
      if (caption === this.caption.textContent) return;
      this.caption.textContent = caption;
      for (const canvas of this.stage.querySelectorAll("canvas")) canvas.setAttribute("aria-label", caption);
    });
  }

  listen(target, type, handler) { target.addEventListener(type, handler, { signal: this.#closing.signal }); }

  /** Call `handler` on an event of the model. */
  watch(event, handler) {
    this.model.on(event, handler);
    this.#onClose(() => this.model.off(event, handler));
  }

  onResize(node, handler) {
    const observer = new ResizeObserver(() => {
      handler();
      this.redraw();
    });
    observer.observe(node);
    this.#onClose(() => observer.disconnect());
  }

  /** A labelled slider over positions 0..n-1, with the text beside it and a screen reader's words. Returns its mover. */
  slider({ label, texts, words, ticks = false, onInput }) {
    const id = `control-${this.controls.childElementCount}`;
    const last = texts.length - 1;
    const input = make("input", { type: "range", id, min: 0, max: last, step: 1 });
    const value = make("output", { for: id });
    const track = make("div", { class: "track" }, input);
    value.style.minWidth = `${Math.max(...texts.map(text => text.length))}ch`;
    input.disabled = last === 0;
    const marks = ticks ? texts.map((text, at) => {
      const mark = make("span", { "aria-hidden": "true" }, text);
      mark.style.left = `${(100 * at) / Math.max(1, last)}%`;
      return mark;
    }) : [];
    if (ticks) track.append(make("div", { class: "ticks" }, ...marks));
    this.controls.append(make("div", { class: "control slider" }, make("label", { for: id }, label), track, value));
    this.listen(input, "input", () => onInput(input.valueAsNumber));
    return at => {
      input.value = at;
      input.setAttribute("aria-valuetext", words[at]);
      // The thumb is 16 px wide and stays inside the track, so its centre travels 16 px less.
      input.style.setProperty("--filled", `calc(8px + (100% - 16px) * ${at / Math.max(1, last)})`);
      value.textContent = texts[at];
      marks.forEach((mark, i) => mark.classList.toggle("current", i === at));
    };
  }

  /** A labelled choice among names. Returns its mover. */
  choice({ label, names, onInput }) {
    const id = `control-${this.controls.childElementCount}`;
    const select = make("select", { id }, ...names.map(name => make("option", { value: name }, name)));
    this.controls.append(make("div", { class: "control" }, make("label", { for: id }, label), select));
    this.listen(select, "input", () => onInput(select.value));
    return name => { select.value = name; };
  }

  #onClose(task) { this.#closing.signal.addEventListener("abort", task); }

  #watchTheme() {
    const forget = () => {
      this.#theme = null;
      this.redraw();
    };
    const observer = new MutationObserver(forget);
    for (const node of [document.documentElement, document.body]) observer.observe(node, { attributes: true });
    this.#onClose(() => observer.disconnect());
    this.listen(matchMedia("(prefers-color-scheme: dark)"), "change", forget);
  }

  #currentTheme() {
    if (!this.#theme) {
      this.#theme = new Theme(this.host);
      this.host.style.colorScheme = this.#theme.dark ? "dark" : "light";
      this.host.style.setProperty("--accent", this.#theme.visible(ACCENT));
      this.host.style.setProperty("--ink", this.#theme.ink);
    }
    return this.#theme;
  }
}

/** The PNG file in a blob, as an ImageBitmap of its very values. */
function decoded(blob) {
  return createImageBitmap(blob.slice(0, blob.size, "image/png"), { colorSpaceConversion: "none" });
}

/** Images side by side in one PNG. Grey ones become ink: the page's text colour, as opaque as the pixel is bright. */
class Atlas {
  static async load(frame) {
    return new Atlas(await decoded(new Blob([frame.get("pixels")])), frame.content.tiles);
  }

  /** `sheet` is an ImageBitmap or an ImageData. */
  constructor(sheet, { width, height, columns, grey }) {
    Object.assign(this, { width, height, columns, grey });
    this.canvas = make("canvas", { width: sheet.width, height: sheet.height });
    this.context = this.canvas.getContext("2d");
    if (sheet instanceof ImageData) this.context.putImageData(sheet, 0, 0);
    else this.context.drawImage(sheet, 0, 0);
    if (grey) this.#brightnessToOpacity();
  }

  /** Draw image `index` into a rectangle of `context`. */
  draw(context, index, theme, x = 0, y = 0, width = this.width, height = this.height) {
    this.ink(theme);
    const left = (index % this.columns) * this.width;
    const top = Math.floor(index / this.columns) * this.height;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, left, top, this.width, this.height, x, y, width, height);
  }

  /** The whole sheet in the page's ink. */
  ink(theme) {
    if (this.grey && this.colour !== theme.ink) {
      this.colour = theme.ink;
      this.context.globalCompositeOperation = "source-in"; // colours what is there, leaves its opacity alone
      this.context.fillStyle = theme.ink;
      this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    }
    return this.canvas;
  }

  #brightnessToOpacity() {
    const image = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 0; i < image.data.length; i += 4) image.data[i + 3] = image.data[i];
    this.context.putImageData(image, 0, 0);
  }
}

/** A canvas that holds one image at its own resolution; the page enlarges it by whole pixels. */
class PixelCanvas {
  constructor(width, height, part) {
    this.canvas = make("canvas", { class: "pixels", role: "img", width, height, "data-part": part });
    this.context = this.canvas.getContext("2d");
  }

  show(atlas, index, theme) {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    atlas.draw(this.context, index, theme);
  }

  /** As large as `room` x `height` CSS pixels allow; from two device pixels on, image pixels are whole ones. */
  fit(room, height) {
    const scale = Math.min(room / this.canvas.width, height / this.canvas.height) * devicePixelRatio;
    this.canvas.classList.toggle("smooth", scale < 2);
    this.canvas.style.width = `${(this.canvas.width * (scale < 2 ? scale : Math.floor(scale))) / devicePixelRatio}px`;
  }
}

/** A canvas for plots: drawn in CSS pixels, as sharp as the screen; what does not move is kept in a layer. */
class Plot {
  #layer = make("canvas");
  #layerKey = null;

  constructor(frame, part, { heightOf, mode = "" }) {
    this.heightOf = heightOf;
    this.canvas = make("canvas", { class: mode, role: "img", "data-part": part });
    this.context = this.canvas.getContext("2d");
    frame.onResize(this.canvas, () => this.#measure());
  }

  /** Begin a picture and return its context; `background` is drawn anew only if `key`, size or theme changed. */
  begin(theme, key, background) {
    const scale = devicePixelRatio;
    const size = [Math.round(this.width * scale), Math.round(this.height * scale)];
    const layerKey = [key, ...size, theme.ink].join();
    if (layerKey !== this.#layerKey) {
      this.#layerKey = layerKey;
      for (const canvas of [this.canvas, this.#layer]) [canvas.width, canvas.height] = size;
      const context = this.#layer.getContext("2d");
      context.scale(scale, scale);
      background(context);
    }
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, ...size);
    if (size[0] && size[1]) this.context.drawImage(this.#layer, 0, 0);
    this.context.scale(scale, scale);
    return this.context;
  }

  /** Where a pointer event happened, in CSS pixels from the canvas's corner. */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** Call `move(x, y)` while the pointer is held down on the canvas, wherever it then goes. */
  onDrag(frame, move) {
    frame.listen(this.canvas, "pointerdown", event => {
      this.canvas.setPointerCapture(event.pointerId);
      move(...this.point(event));
    });
    frame.listen(this.canvas, "pointermove", event => {
      if (this.canvas.hasPointerCapture(event.pointerId)) move(...this.point(event));
    });
  }

  get width() { return this.canvas.clientWidth; }
  get height() { return this.canvas.clientHeight; }

  #measure() { this.canvas.style.height = `${Math.round(this.heightOf(this.width))}px`; }
}

/** A legend of names, each behind a patch of its colour; patches follow the theme. Returns [node, paint(theme)]. */
function legend(entries, kind = "") {
  const patches = entries.map(() => make("i"));
  const items = entries.map(({ name }, i) => make("span", {}, patches[i], name));
  const paint = theme => patches.forEach((patch, i) => { patch.style.background = theme.visible(entries[i].colour); });
  return [make("div", { class: `legend ${kind}` }, ...items), paint];
}

/** The live widget: what anywidget calls for each view. */
async function render({ model, el }) {
  const host = make("div", { class: "course-widget-live" });
  el.append(host);
  const frame = new Frame(model, host);
  await frame.open(build);
  return () => frame.close();
}

/** Where the twin's script runs: its own widget, or all of its family where a page has moved scripts elsewhere. */
function hydrateAll(script, family) {
  const home = script?.closest(".course-widget");
  const all = () => document.querySelectorAll(`.course-widget[data-family="${family}"]`);
  for (const widget of home ? [home] : all()) hydrate(widget);
}

/** The static twin: put a working widget in the still picture's place. Should that fail, the picture comes back. */
async function hydrate(home) {
  if (home.courseWidget) return; // the same output, run twice
  home.courseWidget = true;
  const text = home.querySelector(".course-widget-data").textContent; // JSON, inside of a comment
  const { values, pixels } = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
  values.pixels = Uint8Array.from(atob(pixels), letter => letter.charCodeAt(0));
  home.querySelector(":scope > .course-widget-live")?.remove(); // a page saved by the browser holds an empty one
  const still = home.querySelector("figure");
  const host = make("div", { class: "course-widget-live" });
  home.append(host);
  still.hidden = true;
  try {
    await new Frame(new StaticModel(values), host).open(build);
  } catch (error) {
    host.remove();
    still.hidden = false;
    throw error;
  }
}
