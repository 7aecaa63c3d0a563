// Why a score is what it is: what each input adds to the sum behind it, to the right what makes it larger, to the left what makes it smaller.
import { el, number, ask } from './dom.js';

const INPUTS = 12; // that are shown, the largest first
let drawn = null;  // what the box shows
let without = null; // the cookbook has no scores, as of this answer: it is not asked again for this profile

const signed = v => (v < 0 ? '−' : '+') + Math.abs(v).toFixed(3);
const shown = v => v === null ? 'not known' : typeof v === 'number' ? number(v) : typeof v === 'boolean' ? (v ? 'yes' : 'no') : String(v);

function factor(f, most) {
  const fill = el('i', { className: f.adds < 0 ? 'less' : '' });
  const part = 50 * Math.abs(f.adds) / (most || 1);
  fill.style.width = `${part}%`;
  fill.style.marginLeft = `${f.adds < 0 ? 50 - part : 50}%`;
  return [el('span', {}, f.input, ' ', el('span', { className: 'note' }, shown(f.value))), el('span', { className: 'track' }, fill), el('span', {}, signed(f.adds))];
}

function score(s) {
  const factors = s.factors.filter(f => f.adds);
  const most = Math.max(...factors.map(f => Math.abs(f.adds)), 0);
  const parts = factors.slice(0, INPUTS).flatMap(f => factor(f, most));
  if (factors.length > INPUTS) parts.push(el('span', { className: 'note' }, `${factors.length - INPUTS} more`));
  return el('div', {}, el('dt', {}, s.score), el('dd', {}, shown(s.value), ' ',
    el('span', { className: 'note' }, `${s.unit} ${signed(s.base)} to begin with`), el('div', { className: 'tally factors' }, ...parts)));
}

export function clear(box) {
  drawn = without = null;
  box.hidden = true;
}

// show asks for the scores of a profile when it is another one or has another version.
export async function show(box, id, version) {
  const key = `${version} ${id}`;
  if (key === drawn || id === without) return;
  drawn = key;
  const answer = await ask('v1/profiles/' + encodeURIComponent(id) + '/scores').catch(() => null);
  if (drawn !== key) return; // another one was asked for meanwhile
  const scores = answer ? JSON.parse(answer).scores : [];
  if (answer && !scores.length) without = id;
  box.hidden = !scores.length;
  box.replaceChildren(el('h3', {}, 'Why these scores'), el('dl', { className: 'pairs' }, ...scores.map(score)));
}
