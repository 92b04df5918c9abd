// Axes: a rectangle of a plot, with ticks. Places inside of it are given as shares (0..1) of both its ranges.

class Axes {
  /** `gutter`: CSS pixels around the rectangle, {left, right, top, bottom}. */
  constructor(plot, gutter) { Object.assign(this, { plot, gutter }); }

  get width() { return this.plot.width - this.gutter.left - this.gutter.right; }
  get height() { return this.plot.height - this.gutter.top - this.gutter.bottom; }

  /** CSS pixels of a share. */
  x(u) { return this.gutter.left + u * this.width; }
  y(v) { return this.gutter.top + (1 - v) * this.height; }

  /** The share that lies at a place in CSS pixels. */
  shares(x, y) { return [(x - this.gutter.left) / this.width, 1 - (y - this.gutter.top) / this.height]; }

  /** Paint what must not leave the rectangle. */
  inside(context, paint) {
    context.save();
    context.beginPath();
    context.rect(this.x(0), this.y(1), this.width, this.height);
    context.clip();
    paint();
    context.restore();
  }

  /** A line through places given as shares, ready to be filled or stroked. */
  trace(context, us, vs) {
    context.beginPath();
    us.forEach((u, i) => context.lineTo(this.x(u), this.y(vs[i])));
  }

  /** The frame, its ticks [share, text] with faint rules across, and the names of both axes. */
  draw(context, theme, { xTicks = [], yTicks = [], xLabel = "", yLabel = "" }) {
    context.font = `11px ${theme.font}`;
    context.lineWidth = 1;
    context.strokeStyle = theme.faint(0.1);
    context.fillStyle = theme.faint(0.75);
    context.textBaseline = "middle";
    context.textAlign = "center";
    for (const [u, text] of xTicks) {
      line(context, this.x(u), this.y(0), this.x(u), this.y(1));
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(this.x(u), this.plot.width - half), this.y(0) + 11);
    }
    context.textAlign = "right";
    for (const [v, text] of yTicks) {
      line(context, this.x(0), this.y(v), this.x(1), this.y(v));
      context.fillText(text, this.gutter.left - 5, Math.max(this.y(v), 6));
    }
    context.strokeStyle = theme.faint(0.3);
    context.strokeRect(this.x(0) + 0.5, this.y(1) + 0.5, this.width - 1, this.height - 1);
    context.font = `12px ${theme.font}`;
    context.textAlign = "center";
    context.fillText(xLabel, this.x(0.5), this.plot.height - 7);
    context.save();
    context.rotate(-Math.PI / 2);
    context.fillText(yLabel, -this.y(0.5), 8);
    context.restore();
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/** A mark that points out of the plot: what ends at it goes on there. */
function triangle(context, x, y, dx, dy) {
  const size = 7;
  context.beginPath();
  context.moveTo(x + size * dx, y + size * dy);
  context.lineTo(x + size * dy, y + size * dx);
  context.lineTo(x - size * dy, y - size * dx);
  context.fill();
}

const SLENDER = 0.5; // half the width of a head as a share of its length

/** An arrow whose tip lies at its end; a short one is nearly all head, one of no length a dot. */
function arrow(context, [x0, y0], [x1, y1], width, head) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 1) return dot(context, x0, y0, width / 2);
  const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
  const long = Math.min(head, 0.7 * length);
  const [x, y] = [x1 - long * dx, y1 - long * dy];
  line(context, x0, y0, x + 0.5 * dx, y + 0.5 * dy);
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x - SLENDER * long * dy, y + SLENDER * long * dx);
  context.lineTo(x + SLENDER * long * dy, y - SLENDER * long * dx);
  context.fill();
}
