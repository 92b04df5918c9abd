// Requests to the kernel: numbered, and answered one after the other. Who asks is busy until the newest is answered.

class Kernel {
  // Begins anywhere: no view of a widget takes the answer to another view's request for its own.
  #number = Math.floor(Math.random() * 2 ** 40);
  #timer = 0;

  /** `take(answer, buffers)` gets every answer that is no error, `end(failure)` is told how the newest request ended. */
  constructor(frame, { take, end }) {
    Object.assign(this, { frame, take, end, busy: false });
    if (!this.present) return;
    frame.watch("msg:custom", (answer, buffers) => this.#hear(answer, buffers));
    frame.watch("change:busy", () => this.busy && this.#wait());
    frame.watch("comm_live_update", () => this.#miss()); // the kernel was restarted
  }

  /** Whether there is anybody to ask: the twin has no kernel. */
  get present() { return "send" in this.frame.model; }

  ask(request) {
    this.busy = true;
    this.#wait();
    try {
      this.frame.model.send({ ...request, number: (this.#number += 1) });
    } catch { // the line to the kernel is closed, and nothing will come
      this.#miss();
    }
  }

  async #hear(answer, buffers) {
    const failed = "error" in answer;
    if (!failed) await this.take(answer, buffers);
    if (answer.number === this.#number) this.#close(failed ? fill(this.frame.content.messages.failed, answer) : "");
  }

  #wait() {
    clearTimeout(this.#timer);
    const late = () => (this.#atWork() ? this.#wait() : this.#miss());
    this.#timer = setTimeout(late, 1000 * this.frame.content.patience);
  }

  /** A kernel that is busy with this widget may take its time, unless it has died of it: then it is no longer busy. */
  #atWork() {
    const manager = this.frame.model.widget_manager ?? {};
    const gone = "kernel" in manager && manager.kernel?.status !== "busy"; // not every front end tells
    return this.frame.get("busy") && !gone;
  }

  #miss() {
    this.frame.model.set("busy", false);
    if (this.busy) this.#close(this.frame.content.messages.silent);
  }

  #close(failure) {
    clearTimeout(this.#timer);
    this.busy = false;
    this.end(failure);
  }
}

/** Mark the caption as a failure, or as none. Returns what it is to say about it. */
function tell(frame, theme, failure) {
  frame.caption.classList.toggle("failed", failure !== "");
  frame.host.style.setProperty("--failed", theme.visible(frame.content.warning));
  return failure;
}
