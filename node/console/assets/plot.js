// A line plot over time, in SVG. All plots share one cursor, so that one can read the latency of the instant a rate fell.
import { el, clock } from './dom.js';

const NS = 'http://www.w3.org/2000/svg';
const SPAN = 600e3, LEAST = 60e3, GAP = 3500; // ms: shown at most and at least, and without a line in between
const LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 22;
const plots = [];
let cursor = null; // the time pointed at, ms

function svg(tag, attributes, text) {
  const e = document.createElementNS(NS, tag);
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  if (text !== undefined) e.textContent = text;
  return e;
}

// step is the smallest of 1, 2, 5 times a power of ten that is not below v.
function step(v) {
  const p = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].find(m => m * p >= v * 0.999) * p;
}

function point(t) {
  cursor = t;
  for (const p of plots) p.mark();
}

export class Plot {
  // series are [{label, value(sample)}], a value of null being none; axis and read write a number for the axis and the readout.
  constructor(host, readout, title, series, axis, read) {
    Object.assign(this, { host, readout, title, series, axis, read, samples: [] });
    this.svg = svg('svg', { role: 'img', tabindex: 0 });
    this.frame = svg('g');
    this.pointer = svg('g');
    this.svg.append(this.frame, this.pointer);
    host.append(this.svg);
    this.svg.addEventListener('pointermove', e => this.x && point(this.time(e.clientX - this.svg.getBoundingClientRect().left)));
    this.svg.addEventListener('pointerleave', () => point(null));
    this.svg.addEventListener('blur', () => point(null));
    this.svg.addEventListener('keydown', e => this.key(e));
    new ResizeObserver(() => this.draw()).observe(host);
    plots.push(this);
  }

  key(e) {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60 }[e.key];
    if (!by || !this.samples.length) return;
    e.preventDefault();
    const i = this.samples.indexOf(this.nearest(cursor ?? Infinity)) + by;
    point(this.samples[Math.min(this.samples.length - 1, Math.max(0, i))].t);
  }

  show(samples) {
    this.samples = samples;
    this.draw();
  }

  draw() {
    const w = this.host.clientWidth, h = this.host.clientHeight, all = this.samples;
    if (!w || !h || !all.length) return;
    const end = all.at(-1).t, start = Math.min(end - LEAST, Math.max(all[0].t, end - SPAN));
    const highest = Math.max(0, ...all.flatMap(s => this.series.map(f => f.value(s) ?? 0)));
    const tick = highest ? step(highest / 3) : 1, top = Math.max(1, Math.ceil(highest / tick)) * tick;
    this.x = t => LEFT + (t - start) / (end - start) * (w - LEFT - RIGHT);
    this.y = v => h - BOTTOM - v / top * (h - TOP - BOTTOM);
    this.time = x => start + (x - LEFT) / (w - LEFT - RIGHT) * (end - start);
    this.svg.setAttribute('viewBox', `0 0 ${w} ${h}`);
    this.svg.setAttribute('aria-label', `${this.title} from ${clock(start)} to ${clock(end)}, at most ${this.read(highest)}. Arrow keys read single values.`);
    const parts = [];
    for (let i = 0; i * tick <= top * 1.001; i++) {
      const y = this.y(i * tick);
      parts.push(svg('path', { class: 'grid', d: `M${LEFT} ${y}H${w - RIGHT}` }), svg('text', { x: LEFT - 8, y: y + 4, 'text-anchor': 'end' }, this.axis(i * tick)));
    }
    parts.push(...this.times(start, end, w, h));
    this.series.forEach((f, i) => parts.push(...this.lines(f.value, i, h)));
    this.frame.replaceChildren(...parts);
    this.mark();
  }

  // times writes as many round times as have room.
  times(start, end, w, h) {
    const every = [10, 15, 30, 60, 120, 300].map(s => s * 1000).find(d => this.x(start + d) - LEFT >= 72) || SPAN;
    const parts = [];
    for (let t = Math.ceil(start / every) * every; t <= end; t += every) {
      const x = this.x(t);
      if (x > LEFT + 12 && x < w - RIGHT - 20) parts.push(svg('text', { x, y: h - 5, 'text-anchor': 'middle' }, every < 60e3 ? clock(t) : clock(t).slice(0, 5)));
    }
    return parts;
  }

  lines(value, i, h) {
    let line = '', area = '', first = null, last = null;
    const close = () => { if (last) area += `L${this.x(last.t)} ${h - BOTTOM}H${this.x(first.t)}Z`; };
    for (const s of this.samples) {
      const v = value(s);
      if (v === null) continue;
      const at = `${this.x(s.t).toFixed(1)} ${this.y(v).toFixed(1)}`;
      if (!last || s.t - last.t > GAP) {
        close();
        first = s;
        line += `M${at}h0`; // h0: one alone is a dot
        area += `M${at}`;
      } else {
        line += `L${at}`;
        area += `L${at}`;
      }
      last = s;
    }
    close();
    const parts = [svg('path', { class: `line s${i}`, d: line })];
    if (i === this.series.length - 1) parts.unshift(svg('path', { class: `area s${i}`, d: area }));
    return parts;
  }

  nearest(t) {
    return this.samples.reduce((a, b) => Math.abs(b.t - t) < Math.abs(a.t - t) ? b : a, this.samples.at(-1));
  }

  // mark shows the sample at the cursor, or else says the newest one.
  mark() {
    if (!this.x) return;
    const s = cursor === null ? this.samples.at(-1) : this.nearest(cursor);
    const values = this.series.map(f => f.value(s));
    this.readout.replaceChildren(clock(s.t), ...this.series.flatMap((f, i) =>
      ['  ', el('b', { className: 's' + i }, f.label), ' ', values[i] === null ? '–' : this.read(values[i])]));
    if (cursor === null) return this.pointer.replaceChildren();
    const x = this.x(s.t);
    this.pointer.replaceChildren(svg('path', { class: 'cursor', d: `M${x} ${TOP}V${this.host.clientHeight - BOTTOM}` }),
      ...values.flatMap((v, i) => v === null ? [] : [svg('circle', { class: `dot s${i}`, cx: x, cy: this.y(v), r: 3.5 })]));
  }
}
