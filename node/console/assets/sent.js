// The table of activations: how often each has left, and of those with a goal what it brought, beside people who were held back.
import * as stats from './stats.js';
import { $, el, say, count, things, bar, ask, poll } from './dom.js';

const REFRESH = 5000;
const body = $('sent').querySelector('tbody');
const known = new Map(); // name -> its row

const percent = x => `${(100 * x).toFixed(1)} %`;
const points = x => (x < 0 ? '−' : '+') + (100 * Math.abs(x)).toFixed(1);
const note = text => el('span', { className: 'note' }, text);

function row(name) {
  const r = { name, more: null };
  const cell = () => el('td', { className: 'number' });
  r.button = el('button', { type: 'button', className: 'open', onclick: () => toggle(r) }, name);
  r.button.setAttribute('aria-expanded', 'false');
  r.text = el('div', { className: 'note' });
  r.day = cell();
  r.all = cell();
  r.all.className += ' wide';
  r.brings = cell();
  r.tr = el('tr', {}, el('td', {}, r.button, r.text), r.day, r.all, r.brings);
  return r;
}

// side is one side of the comparison: a bar as long as the rate, the longer of the two intervals fits.
function side(title, s, most) {
  const rate = s.rate ? [bar(s.rate.value / most), el('span', {}, percent(s.rate.value), ' ', note(`${percent(s.rate.low)} to ${percent(s.rate.high)}`))] : [bar(0), note('nobody yet')];
  return [el('span', {}, title, ' ', note(`${count(s.converted)} of ${count(s.exposed)}`)), ...rate];
}

function goal(g) {
  const most = Math.max(g.treated.rate?.high || 0, g.control.rate?.high || 0) || 1;
  const d = g.difference;
  const verdict = !d ? 'There is nobody to compare with yet.' :
    d.low > 0 ? 'More come to it who got it.' : d.high < 0 ? 'Fewer come to it who got it.' : 'So far the two may be the same.';
  return [el('div', { className: 'note' }, `Goal: ${g.on.map(e => e === '*' ? 'anything' : e).join(' or ')} within ${g.within}` + (g.hold_back ? `, ${g.hold_back} % held back` : '')),
    el('div', { className: 'tally goal' }, ...side('got it', g.treated, most), ...(g.hold_back ? side('held back', g.control, most) : [])),
    ...(g.hold_back ? [el('div', {}, d ? `${points(d.value)} points (${points(d.low)} to ${points(d.high)}, ${100 * g.confidence} %). ` : '', note(verdict))] : [])];
}

async function more(r) {
  const box = r.more.firstChild.firstChild;
  try {
    const a = JSON.parse(await ask(`v1/activations/${encodeURIComponent(r.name)}/stats`)), hours = a.hours || [];
    const line = hours.length ? [stats.sparkline(hours.map(h => h.sent), `${things(hours.length, 'hour')}, at most ${count(Math.max(...hours.map(h => h.sent)))} sent in one`)] : [note('none left within two weeks')];
    box.replaceChildren(el('div', {}, ...line), el('div', {}, ...(a.goal ? goal(a.goal) : [])));
  } catch (e) {
    box.replaceChildren(el('span', { className: 'down' }, e.message));
  }
}

function toggle(r) {
  const open = !r.more;
  r.button.setAttribute('aria-expanded', open);
  if (!open) {
    r.more.remove();
    r.more = null;
    return;
  }
  r.more = el('tr', {}, el('td', { colSpan: 4 }, el('div', { className: 'brought' }, note('asking'))));
  r.tr.after(r.more);
  more(r);
}

const about = { enter: 'when somebody enters', exit: 'when somebody leaves', change: 'when it changes:', event: 'with each', session_start: 'when it begins:', session_end: 'when it is over:' };

async function refresh() {
  const { activations } = JSON.parse(await ask('v1/activations'));
  for (const a of activations) {
    let r = known.get(a.activation);
    if (!r) {
      known.set(a.activation, r = row(a.activation));
      body.append(r.tr);
    }
    say(r.text, [`${about[a.on] || a.on} ${a.about === '*' ? 'event' : a.about}${a.of ? `, of ${a.of}` : ''}.`, a.description].filter(Boolean).join(' '));
    say(r.day, count(a.sent_24h));
    say(r.all, count(a.sent));
    const d = a.goal?.difference;
    say(r.brings, d ? `${points(d.value)} points` : a.goal?.treated.rate ? percent(a.goal.treated.rate.value) : '');
    r.brings.className = 'number ' + (!d ? 'note' : d.low > 0 ? 'up' : d.high < 0 ? 'down' : 'note');
    r.brings.title = d ? `${points(d.low)} to ${points(d.high)}` : '';
    if (r.more) more(r);
  }
  for (const [name, r] of known) {
    if (activations.some(a => a.activation === name)) continue;
    r.tr.remove();
    r.more?.remove();
    known.delete(name);
  }
  say($('sent-note'), known.size ? '' : 'the cookbook names none');
}

export function start() { poll(REFRESH, refresh); }
