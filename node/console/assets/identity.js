// Who is whom: the identifiers that hang together with a profile, a column for each namespace, the strongest left. A line says that an
// event named both; a broken one that a rule kept them apart.
import { el, when } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const ROW = 46, TOP = 26, MARGIN = 8, MOST = 40, CHARS = 20; // beyond MOST a drawing is no help

function svg(tag, attributes, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

const namespace = id => id.slice(0, id.indexOf(':'));
const shown = id => {
  const v = id.slice(id.indexOf(':') + 1);
  return v.length > CHARS ? v.slice(0, CHARS - 1) + '…' : v;
};

// place gives every identifier its column and row. They come strongest first.
function place(identifiers, width) {
  const columns = [...new Set(identifiers.map(i => namespace(i.id)))];
  const filled = columns.map(() => 0), at = new Map();
  for (const i of identifiers) {
    const c = columns.indexOf(namespace(i.id));
    const x = columns.length === 1 ? width / 2 : MARGIN + c * (width - 2 * MARGIN) / (columns.length - 1);
    at.set(i.id, { x, y: TOP + ROW * (filled[c]++ + (c % 2 ? .8 : .3)), c }); // no line runs through a neighbour
  }
  const anchor = c => columns.length === 1 ? 'middle' : c === 0 ? 'start' : c === columns.length - 1 ? 'end' : 'middle';
  return { columns, at, anchor, height: TOP + ROW * (Math.max(...filled) + .5) };
}

function line(a, b, link) {
  const mid = (a.x + b.x) / 2;
  return svg('path', { class: link.verdict === 'joined' ? 'link' : 'link refused', d: `M${a.x} ${a.y}C${mid} ${a.y} ${mid} ${b.y} ${b.x} ${b.y}` },
    svg('title', {}, `${link.a} and ${link.b}: ${link.verdict}. ${link.rule}. First ${link.first_seen}, last ${link.last_seen}`));
}

function graph(e, width) {
  const { columns, at, anchor, height } = place(e.identifiers, width);
  const root = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': `Links of ${e.identifiers.length} identifiers` });
  columns.forEach((name, c) => {
    const first = [...at.values()].find(p => p.c === c);
    root.append(svg('text', { class: 'head', x: first.x, y: 12, 'text-anchor': anchor(c) }, name));
  });
  for (const l of e.links) if (at.has(l.a) && at.has(l.b)) root.append(line(at.get(l.a), at.get(l.b), l));
  for (const i of e.identifiers) {
    const p = at.get(i.id), own = i.profile === e.id;
    root.append(svg('circle', { class: own ? 'own' : 'other', cx: p.x, cy: p.y, r: 5 }, svg('title', {}, own ? i.id : `${i.id}, of ${i.profile}`)),
      svg('text', { class: own ? '' : 'other', x: p.x, y: p.y + 18, 'text-anchor': anchor(p.c) }, shown(i.id), svg('title', {}, i.id)));
  }
  return root;
}

let last = null, width = 0; // what is drawn, and how wide

function render(box) {
  const e = last;
  width = Math.max(box.clientWidth, 280);
  const refused = e.links.filter(l => l.verdict !== 'joined');
  const picture = e.identifiers.length > MOST ? el('p', { className: 'note' }, `${e.identifiers.length} identifiers hang together: too many to draw. dashi explain lists them.`)
    : graph(e, width);
  box.replaceChildren(el('h3', {}, 'Why these identifiers'), picture,
    ...refused.slice(0, 5).map(l => el('p', { className: 'note' }, el('span', { className: 'code' }, l.b), ' is kept apart from ', el('span', { className: 'code' }, l.a), `: ${l.rule}, `, when(l.last_seen))));
}

// draw shows an explanation in a box that is in the page already, and again when the box gets another width.
export function draw(box, e) {
  if (!last) new ResizeObserver(() => { if (!box.hidden && box.clientWidth !== width) render(box); }).observe(box);
  last = e;
  render(box);
}
