"use strict";
// Draws every contender's requests in the part of the run that the reader chose, and says what became of the one pointed at.
// What is drawn was decided in labs/timeline.py; times are seconds on each contender's own clock.

const { tracks, windows, typical, trouble } = JSON.parse(document.getElementById("data").textContent);
const last = Math.max(0.001, ...tracks.flatMap((track) => track.lives.map((life) => life.spans.at(-1)[2])));
const whole = { subjects: [], zeros: tracks.map(() => 0), start: -0.02 * last, end: 1.02 * last };
const BARS = 340, ROW = 8.5, HEAD = 26, FOOT = 26, LEFT = 36, RIGHT = 8; // pixels
let chosen = windows.length ? typical : -1; // a window's place; -1 is the whole run

const milliseconds = (seconds) => `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms`;

function add(parent, name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return parent.appendChild(element);
}

/** A round step of 1, 2 or 5 times a power of ten, so that about `count` of them fill `length`. */
function step(length, count) {
  const power = 10 ** Math.floor(Math.log10(length / count));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= length / count);
}

/** What became of a request, in a sentence. */
function tell(life) {
  const asked = `Request ${life.index} on connection ${life.connection}, asked at ${life.spans[0][1].toFixed(3)} s, `;
  const seen = life.spans.at(-1)[2] - life.spans[0][1];
  const answered = `was answered after ${milliseconds(life.latency)}.`;
  const fate = life.latency === null ? `was last seen after ${milliseconds(seen)} and never answered.` : answered;
  const held = life.spans.filter(([stage]) => stage === "held").reduce((sum, [, start, end]) => sum + end - start, 0);
  const turn = held > 0.0005 ? ` It had waited ${milliseconds(held)} for its own turn.` : "";
  if (!life.innocent) return `${asked}${fate} It is a culprit: a ${trouble}.${turn}`;
  if (life.heldBy === null) return `${asked}${fate} Nothing held it up.`;
  return `${asked}${fate} Of that, it was held up ${held ? `for ${milliseconds(held)} ` : ""}by request ${life.heldBy}.`;
}

class Panel {
  constructor(root, place) {
    this.place = place;
    this.track = tracks[place];
    this.svg = root.querySelector("svg");
    this.slider = root.querySelector("input");
    this.output = root.querySelector("output");
    this.slider.addEventListener("input", () => this.pick(Number(this.slider.value)));
    for (const event of ["pointermove", "pointerdown"])
      this.svg.addEventListener(event, ({ clientY }) => {
        const row = Math.floor((clientY - this.svg.getBoundingClientRect().top - HEAD) / this.row);
        if (row >= 0 && row < this.shown.length) this.pick(row);
      });
    new ResizeObserver(() => this.draw()).observe(root);
  }

  show({ subjects, zeros, start, end }) {
    this.zero = zeros[this.place];
    [this.start, this.end] = [this.zero + start, this.zero + end];
    this.shown = this.track.lives.filter(({ spans }) => this.start <= spans[0][1] && spans[0][1] <= this.end);
    this.slider.max = Math.max(0, this.shown.length - 1);
    const subject = this.shown.findIndex((life) => life.index === subjects[this.place] && !life.innocent);
    this.picked = Math.max(0, subject >= 0 ? subject : this.shown.findIndex((life) => !life.innocent));
    this.draw();
  }

  x(time) {
    const { start, end } = this;
    return LEFT + ((Math.min(Math.max(time, start), end) - start) / (end - start)) * (this.width - LEFT - RIGHT);
  }

  y(row) {
    return HEAD + (row + 0.5) * this.row;
  }

  draw() {
    this.width = this.svg.parentElement.clientWidth;
    if (this.width <= LEFT + RIGHT) return; // not laid out yet
    this.row = Math.min(ROW, BARS / Math.max(1, this.shown.length));
    this.bottom = HEAD + this.row * this.shown.length;
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.bottom + FOOT}`);
    this.svg.classList.toggle("dense", this.row < 4);
    this.scale();
    this.shown.forEach((life, row) => this.bar(life, row));
    this.marks = add(this.svg, "g", {});
    this.written = -Infinity; // how far down the last words are
    this.shown.forEach((life, row) => life.innocent || this.culprit(life, row));
    this.pick(this.picked);
  }

  scale() {
    const { zero, start, end } = this;
    const every = step(end - start, this.width / 80);
    const short = end - start < 3;
    for (let tick = Math.ceil((start - zero) / every); zero + tick * every <= end; tick++) {
      const x = this.x(zero + tick * every);
      const text = short ? `${Math.round(1000 * tick * every)} ms` : `${+(tick * every).toFixed(1)} s`;
      add(this.svg, "line", { class: "grid", x1: x, x2: x, y1: HEAD - 6, y2: this.bottom });
      if (x < this.width - 24) add(this.svg, "text", { x, y: this.bottom + 17, "text-anchor": "middle" }, text.replace("-", "−"));
    }
    const rows = step(this.shown.length, 6);
    this.shown.forEach((life, row) => {
      if (life.index % rows) return;
      add(this.svg, "text", { x: LEFT - 8, y: this.y(row) + 4, "text-anchor": "end" }, life.index);
    });
  }

  bar(life, row) {
    const thick = this.row < 3 ? this.row : 0.74 * this.row;
    for (const [stage, start, end] of life.spans) {
      if (end < this.start || start > this.end) continue;
      const height = stage === "queued" ? thick / 4 : thick;
      const x = this.x(start);
      add(this.svg, "rect", { class: stage, x, y: this.y(row) - height / 2, width: Math.max(0.5, this.x(end) - x), height });
    }
  }

  culprit(life, row) {
    if (life.spans.at(-1)[2] > this.end) return; // its end is out of sight
    const [x, y, size] = [this.x(life.spans.at(-1)[2]), this.y(row), chosen < 0 ? 4 : 7];
    add(this.svg, "path", { class: "culprit", d: `M${x - size} ${y}l${size} ${-size}l${size} ${size}l${-size} ${size}z` });
    if (chosen < 0 || y < this.written + 15) return;
    this.written = y;
    const waited = this.track.lives.filter((other) => other.innocent && other.heldBy === life.index).length;
    const beside = x + 120 < this.width; // to the right of a culprit is always room, if the window reaches that far
    const place = beside ? { x: x + 24, y: y + 4 } : { x, y: y - 9, "text-anchor": "end" };
    add(this.svg, "text", { class: "said", ...place }, `${waited || "nobody"} waited`);
  }

  /** Point at a row: outline it, join it to the culprit it waited for or to those who waited for it, and say so. */
  pick(row) {
    this.marks.replaceChildren();
    const life = this.shown[row];
    if (!life) return;
    this.picked = row;
    const [left, right, half] = [this.x(life.spans[0][1]), this.x(life.spans.at(-1)[2]), Math.max(3, this.row / 2)];
    add(this.marks, "rect", { class: "picked", x: left - 2, y: this.y(row) - half, width: right - left + 4, height: 2 * half });
    const culprit = life.innocent ? life.heldBy : life.index;
    const group = this.shown.flatMap((other, at) => (other.index === culprit || (other.innocent && other.heldBy === culprit) ? [at] : []));
    if (culprit !== null && group.length > 1) {
      const x = this.x(Math.max(...group.map((at) => this.shown[at].spans.at(-1)[2]))) + 10;
      const ends = life.innocent ? [group[0], row] : [group[0], group.at(-1)];
      add(this.marks, "path", { class: "picked", d: `M${x - 4} ${this.y(ends[0])}h4V${this.y(ends[1])}h-8` });
    }
    this.slider.value = row;
    this.slider.setAttribute("aria-valuetext", tell(life));
    this.output.textContent = tell(life);
  }
}

const timeline = document.getElementById("timeline");
const [select, previous, next, all] = ["which", "previous", "next", "whole"].map((id) => document.getElementById(id));
const panels = [...timeline.querySelectorAll(".track")].map((root, place) => new Panel(root, place));

function choose(place) {
  chosen = place;
  select.value = String(place);
  all.setAttribute("aria-pressed", String(place < 0));
  for (const panel of panels) panel.show(place < 0 ? whole : windows[place]);
}

select.addEventListener("change", () => choose(Number(select.value)));
previous.addEventListener("click", () => choose((Math.max(chosen, 0) + windows.length - 1) % windows.length));
next.addEventListener("click", () => choose((chosen + 1) % windows.length));
all.addEventListener("click", () => choose(-1));
timeline.hidden = false;
choose(chosen);
