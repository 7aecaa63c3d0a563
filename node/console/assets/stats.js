// What became of an audience: its size by the hour, who came and went, with whom it shares people, what its transitions sent.
import { el, count, things, ask } from './dom.js';

const NS = 'http://www.w3.org/2000/svg', WIDTH = 220, HEIGHT = 34, SHARED = 4;

function svg(tag, attributes, ...children) {
  const e = document.createElementNS(NS, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// sparkline draws a number for each hour; one alone is a level line. text says what it shows.
export function sparkline(numbers, text) {
  const most = Math.max(1, ...numbers), last = Math.max(1, numbers.length - 1);
  const points = numbers.map((n, i) => `${(i / last * WIDTH).toFixed(1)} ${(HEIGHT - 2 - n / most * (HEIGHT - 4)).toFixed(1)}`);
  if (points.length === 1) points.push(points[0].replace(/^\S+/, WIDTH));
  return svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: 'img', 'aria-label': text },
    svg('title', {}, text), svg('path', { d: 'M' + points.join('L') }));
}

const sum = (list, of) => list.reduce((n, x) => n + of(x), 0);

function parts(st) {
  if (!st.hours.length) return [el('span', { className: 'note' }, 'nobody came or went within two weeks')];
  const flow = (title, hours) => el('div', {}, el('span', { className: 'note' }, title), ' ',
    el('span', { className: 'up' }, `+${count(sum(hours, h => h.entered))}`), ' ', el('span', { className: 'down' }, `−${count(sum(hours, h => h.left))}`));
  const shared = st.overlap.slice(0, SHARED).map(o => el('div', {}, el('span', { className: 'note' }, 'also in '), o.audience, ' ',
    el('span', { className: 'note' }, `${count(o.both)}, ${(100 * o.both / Math.max(1, st.size)).toFixed(0)} %`)));
  const sent = st.activations.filter(a => a.sent).map(a => el('div', {}, el('span', { className: 'note' }, 'sent '), a.activation, ' ', el('span', { className: 'note' }, count(a.sent))));
  const sizes = st.hours.map(h => h.size);
  return [sparkline(sizes, `${things(sizes.length, 'hour')}, at most ${things(Math.max(...sizes), 'person', 'people')}`), el('div', {}, flow('24 h', st.hours.slice(-24)), flow('14 days', st.hours)), el('div', {}, ...shared), el('div', {}, ...sent)];
}

// show asks once, when an audience is opened.
export async function show(box, name) {
  try {
    box.replaceChildren(...parts(JSON.parse(await ask(`v1/audiences/${encodeURIComponent(name)}/stats`))));
  } catch (e) {
    box.replaceChildren(el('span', { className: 'down' }, e.message));
  }
}
