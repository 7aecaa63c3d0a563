// The table of audiences: sizes that move, and the first members of the one that is open.
import * as stats from './stats.js';
import { $, el, say, count, signed, bar, profileLink, when, ask, lines, poll } from './dom.js';

const MINUTE = 60e3, REFRESH = 2000, MEMBERS = 20;
const body = $('audiences').querySelector('tbody');
const known = new Map(); // name -> its row
const past = [];         // sizes of the last minute: {t, sizes}
let sort = { by: 'size', down: true };
let profiles = 0;

export function setProfiles(n) {
  if (n === profiles) return;
  profiles = n;
  for (const r of known.values()) drawShare(r);
}

// drawShare says how many of all profiles are in it: nothing while there are none, nor of accounts, whose number is another.
function drawShare(r) {
  const part = profiles && !r.of ? r.size / profiles : null;
  r.bar.style.visibility = part === null ? 'hidden' : '';
  r.bar.firstChild.style.width = `${100 * Math.min(1, part || 0)}%`;
  say(r.percent, part === null ? '' : part > 0 && part < 0.001 ? '< 0.1 %' : `${(100 * part).toFixed(1)} %`);
}

function row(name) {
  const r = { name, more: null };
  const cell = className => el('td', { className });
  r.button = el('button', { type: 'button', className: 'open', onclick: () => toggle(r) }, name);
  r.button.setAttribute('aria-expanded', 'false');
  r.text = el('div', { className: 'note' });
  r.sizeCell = cell('number');
  r.changeCell = cell('number');
  r.bar = bar(0);
  r.percent = el('span', { className: 'number note' });
  const share = cell('wide');
  share.append(el('div', { className: 'share' }, r.bar, r.percent));
  r.tr = el('tr', {}, el('td', {}, r.button, r.text), r.sizeCell, share, r.changeCell);
  return r;
}

async function toggle(r) {
  const open = !r.more;
  r.button.setAttribute('aria-expanded', open);
  if (!open) {
    r.more.remove();
    r.more = null;
    return;
  }
  const list = el('ul', { className: 'members' }, el('li', { className: 'note' }, 'asking'));
  const past = el('div', { className: 'members' });
  r.more = el('tr', {}, el('td', { colSpan: 4 }, past, list));
  r.tr.after(r.more);
  stats.show(past, r.name);
  try {
    const members = await firstMembers(r.name, MEMBERS);
    list.replaceChildren(...members.map(m => el('li', {}, profileLink(m.id), ' ', when(m.since))));
    if (!members.length) list.append(el('li', { className: 'note' }, 'nobody at the moment'));
  } catch (e) {
    list.replaceChildren(el('li', { className: 'down' }, e.message));
  }
}

async function firstMembers(name, limit) {
  const all = lines(await ask(`v1/audiences/${encodeURIComponent(name)}/members?limit=${limit}`));
  return all.filter(m => m.id);
}

// example is the id of somebody, or null: a member of some audience.
export async function example() {
  const some = [...known.values()].filter(r => r.size > 0);
  if (!some.length) return null;
  const members = await firstMembers(some[Math.floor(Math.random() * some.length)].name, 50);
  return members.length ? members[Math.floor(Math.random() * members.length)].id : null;
}

async function refresh() {
  const { audiences } = JSON.parse(await ask('v1/audiences'));
  const now = Date.now();
  past.push({ t: now, sizes: new Map(audiences.map(a => [a.name, a.size])) });
  while (past[0].t < now - MINUTE - REFRESH) past.shift(); // the first one is a minute old, or from when the page was opened
  let fresh = false;
  for (const a of audiences) {
    let r = known.get(a.name);
    if (!r) {
      known.set(a.name, r = row(a.name));
      fresh = true;
    }
    r.size = a.size;
    r.of = a.of;
    r.change = a.size - (past[0].sizes.get(a.name) ?? a.size);
    say(r.text, a.of ? `of ${a.of}${a.description ? ': ' + a.description : ''}` : a.description);
    say(r.sizeCell, count(a.size));
    drawShare(r);
    say(r.changeCell, signed(r.change));
    r.changeCell.className = 'number ' + (r.change > 0 ? 'up' : r.change < 0 ? 'down' : 'note');
  }
  for (const [name, r] of known) {
    if (past.at(-1).sizes.has(name)) continue;
    r.tr.remove();
    r.more?.remove();
    known.delete(name);
  }
  say($('audiences-note'), known.size === 0 ? 'the cookbook has none' : now - past[0].t < MINUTE - REFRESH ? 'changes since this page was opened' : '');
  // Rows do not move away from under a pointer.
  if (fresh || !body.matches(':hover, :focus-within')) order();
}

function order() {
  const list = [...known.values()].sort((a, b) =>
    (sort.by === 'name' ? a.name.localeCompare(b.name) : a[sort.by] - b[sort.by]) * (sort.down ? -1 : 1) || a.name.localeCompare(b.name));
  const want = list.flatMap(r => r.more ? [r.tr, r.more] : [r.tr]);
  if (want.some((tr, i) => body.children[i] !== tr)) body.replaceChildren(...want);
}

for (const button of $('audiences').querySelectorAll('[data-sort]')) {
  button.addEventListener('click', () => {
    const by = button.dataset.sort;
    sort = { by, down: sort.by === by ? !sort.down : by !== 'name' };
    for (const th of $('audiences').querySelectorAll('th')) th.removeAttribute('aria-sort');
    button.parentNode.setAttribute('aria-sort', sort.down ? 'descending' : 'ascending');
    order();
  });
}

// start resolves when the audiences are there for the first time.
export function start() {
  return new Promise(done => poll(REFRESH, async () => { await refresh(); done(); }));
}
