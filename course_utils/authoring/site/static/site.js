// What is wider than the page scrolls by itself: then the keyboard must reach it, and a screen reader say what it is.
"use strict";

function markScrollers() {
  for (const node of document.querySelectorAll("pre, .scroll")) {
    const scrolls = node.scrollWidth > node.clientWidth;
    const marks = { tabindex: "0", role: "group", "aria-label": "scrolls sideways" };
    for (const [name, value] of Object.entries(marks)) {
      if (scrolls) node.setAttribute(name, value);
      else node.removeAttribute(name);
    }
  }
}

addEventListener("resize", markScrollers);
document.fonts.ready.then(markScrollers);
for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", markScrollers);
