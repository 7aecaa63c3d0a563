// The tail of activations. A message costs nothing until it is drawn: of thousands a second, the newest 200 are read.
import { $, el, say, clock, count, profileLink } from './dom.js';

const ROWS = 200, DRAW = 400, AGAIN = 3000; // rows; ms between two drawings, and before a new attempt
const body = $('tail').querySelector('tbody');
let source = null, waiting = [], held = 0, paused = false, state = 'connecting';

function open() {
  if (source || document.hidden) return;
  source = new EventSource('v1/activations/stream');
  source.onopen = () => { state = 'live'; };
  source.onmessage = e => {
    waiting.push(e.data);
    held++;
    if (waiting.length > 2 * ROWS) waiting = waiting.slice(-ROWS);
  };
  source.onerror = () => {
    state = 'reconnecting';
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    close();
    setTimeout(open, AGAIN);
  };
}

function close() {
  source?.close();
  source = null;
}

// Colours of transitions.
const KINDS = { enter: 'enter', exit: 'exit', change: 'change', event: 'event', session_start: 'enter', session_end: 'exit' };

function row(data) {
  const a = JSON.parse(data);
  const name = a.audience || a.activation;
  const detail = [a.activation !== name ? a.activation : '', a.attribute, a.session, a.type].filter(Boolean).join(', ');
  const what = el('td', {}, name);
  if (detail) what.append(' ', el('span', { className: 'note' }, detail));
  const kind = KINDS[a.transition] || '';
  return el('tr', {}, el('td', { title: `event time ${a.event_time}` }, clock(a.at)), el('td', { className: kind }, a.transition), what, el('td', {}, profileLink(a.profile)));
}

function draw() {
  const pointed = matchMedia('(hover: hover)').matches && body.matches(':hover');
  const news = held ? `, ${count(held)} new` : '';
  say($('tail-note'), paused ? 'paused' + news : pointed && held ? 'held while you point at it' + news : state);
  if (paused || pointed || !waiting.length) return;
  const fresh = waiting.slice(-ROWS).reverse().map(row);
  waiting = [];
  held = 0;
  body.prepend(...fresh);
  while (body.rows.length > ROWS) body.deleteRow(-1);
}

export function start() {
  $('pause').addEventListener('click', () => {
    paused = !paused;
    $('pause').setAttribute('aria-pressed', paused);
    say($('pause'), paused ? 'Go on' : 'Pause');
    draw();
  });
  document.addEventListener('visibilitychange', () => document.hidden ? close() : open());
  setInterval(draw, DRAW);
  open();
}
