// What all panels use: elements out of text, numbers and times for people, and questions to the node.

// el makes an element. Children are nodes or text; text stays text, whatever is in it.
export function el(tag, props, ...children) {
  const e = document.createElement(tag);
  Object.assign(e, props);
  e.append(...children.map(c => c instanceof Node ? c : String(c)));
  return e;
}

export const $ = id => document.getElementById(id);

// say changes a text only when it is another one, so that a selection survives.
export function say(e, text) {
  if (e.textContent !== String(text)) e.textContent = text;
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const exact = new Intl.NumberFormat('en', { maximumFractionDigits: 6 });

export const count = n => n < 1e9 ? whole.format(n) : short.format(n);
export const compact = n => short.format(n);
export const number = n => exact.format(n);
// things is a number of them: 1 update, 2 updates.
export const things = (n, noun, many = noun + 's', show = count) => `${show(n)} ${n === 1 ? noun : many}`;
export const signed = n => n > 0 ? '+' + count(n) : n < 0 ? '−' + count(-n) : '0';
export const rate = n => n > 0 && n < 10 ? n.toFixed(1) : count(n);
export const millis = ms => ms >= 100 ? count(ms) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return (i === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)) + ' ' + units[i];
}

export const clock = t => new Date(t).toLocaleTimeString('en-GB');

function ago(t) {
  const s = Math.round((Date.now() - t) / 1000);
  if (s < -5 || s >= 86400) return new Date(t).toLocaleString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });
  if (s < 5) return 'just now';
  return s < 60 ? `${s} s ago` : s < 3600 ? `${Math.floor(s / 60)} min ago` : `${Math.floor(s / 3600)} h ago`;
}

// when shows an RFC 3339 time, and keeps "2 min ago" true.
export function when(text) {
  return el('time', { dateTime: text, title: text }, ago(Date.parse(text)));
}
setInterval(() => { if (!document.hidden) for (const e of document.querySelectorAll('time')) say(e, ago(Date.parse(e.dateTime))); }, 1000);

// bar is a horizontal one, filled to part of 1.
export function bar(part) {
  const fill = el('i');
  fill.style.width = `${100 * Math.min(1, Math.max(0, part || 0))}%`;
  return el('span', { className: 'track' }, fill);
}

// rows shows a table of texts in the rows that are there already.
export function rows(body, data) {
  while (body.rows.length > data.length) body.deleteRow(-1);
  data.forEach((texts, i) => {
    const row = body.rows[i] || body.insertRow();
    texts.forEach((text, j) => say(row.cells[j] || row.insertCell(), text));
  });
}

export const profileLink = id => el('a', { className: 'id', href: '#' + encodeURIComponent(id) }, id);

// ask gets the text of a path of the node. What goes wrong is an Error with the node's own words and the status, if it did answer.
export async function ask(path, options) {
  const r = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(10000), ...options });
  const text = await r.text();
  if (r.ok) return text;
  let message = `${r.status} ${r.statusText}`;
  try {
    const e = JSON.parse(text).error;
    message = e.hint ? `${e.message} (${e.hint})` : e.message;
  } catch { /* not an answer of dashi: a proxy's, say */ }
  throw Object.assign(new Error(message), { status: r.status });
}

export const lines = text => text.split('\n').filter(Boolean).map(l => JSON.parse(l));

// poll calls fn again and again, each time ms after the last call has ended, while the page is to be seen.
export function poll(ms, fn) {
  (async function turn() {
    if (document.hidden) await new Promise(go => document.addEventListener('visibilitychange', go, { once: true }));
    else await fn().catch(e => console.warn(e));
    setTimeout(turn, document.hidden ? 0 : ms);
  })();
}
