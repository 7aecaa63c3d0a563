// One profile, by the identifier in the address of the page: #user_id%3Au7. So a look-up is a link, and Back goes back.
import { $, el, say, number, things, bar, when, profileLink, ask, poll } from './dom.js';
import { example } from './audiences.js';
import * as identity from './identity.js';
import * as scores from './scores.js';

const TALLY = 8;                                          // keys of a tally that are shown
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/; // as a profile writes them
let shown = null;                                         // the identifier
let offered = null;                                       // the example
let drawn = null;                                         // what the drawing of links shows
let text = null;                                          // the last answer: what has not changed is not drawn again

function asked() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

function value(v) {
  if (Array.isArray(v)) return el('ul', { className: 'chips' }, ...v.map(x => el('li', {}, value(x))));
  if (v && typeof v === 'object') return tally(v);
  if (typeof v === 'number') return number(v);
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  return TIME.test(v) ? when(v) : String(v);
}

function tally(v) {
  const all = Object.entries(v);
  if (all.some(([, n]) => typeof n !== 'number')) return JSON.stringify(v);
  all.sort((a, b) => b[1] - a[1]);
  const most = all.length ? all[0][1] : 0;
  const parts = all.slice(0, TALLY).flatMap(([k, n]) => [el('span', {}, k), bar(n / most), el('span', {}, number(n))]);
  if (all.length > TALLY) parts.push(el('span', { className: 'note' }, `${all.length - TALLY} more`));
  return el('div', { className: 'tally' }, ...parts);
}

function pairs(title, list) {
  if (!list.length) return [];
  return [el('h3', {}, title), el('dl', { className: 'pairs' },
    ...list.map(([name, ...parts]) => el('div', {}, el('dt', {}, name), el('dd', {}, ...parts))))];
}

// people draws who belongs to an account.
function people(p) {
  const { first, count, over } = p.people;
  const more = count - first.length;
  const parts = first.map(id => el('li', {}, profileLink(id)));
  if (more > 0) parts.push(el('li', { className: 'note' }, `and ${number(more)} more`));
  if (over) parts.push(el('li', { className: 'down' }, `${number(over)} turned away: the account has its fill`));
  return [el('h3', {}, `People (${number(count)})`), el('ul', { className: 'members' }, ...parts)];
}

function draw(p) {
  $('profile-body').replaceChildren(
    el('p', { className: 'id' }, p.id),
    ...pairs('Audiences', Object.entries(p.audiences).map(([name, a]) => [name, 'since ', when(a.since)])),
    ...pairs('Attributes', Object.entries(p.attributes).map(([name, v]) => [name, value(v)])),
    ...(p.people ? people(p) : []),
    ...pairs('Identifiers', p.identifiers.map(i => [i.namespace, el('span', { className: 'code' }, i.value), ' ',
      el('span', { className: 'note' }, 'first seen ', when(i.first_seen), ', last ', when(i.last_seen))])),
    ...pairs('Consent', Object.entries(p.consent).map(([purpose, c]) => [purpose, el('span', { className: c.granted ? 'up' : 'down' }, c.granted ? 'given' : 'refused'), ' ', when(c.since)])));
  explain(p);
  scores.show($('profile-scores'), shown, p.version);
  say($('profile-note'), things(p.version, 'update', 'updates', number));
}

// explain draws what hangs together with a profile, if anything does, and only when that has changed.
async function explain(p) {
  const box = $('profile-links'), id = shown;
  const key = JSON.stringify([p.id, p.identifiers.map(i => [i.namespace, i.value]), p.refused_links]);
  if (key === drawn) return;
  drawn = key;
  box.hidden = p.identifiers.length < 2 && !p.refused_links;
  if (box.hidden) return;
  const answer = await ask('v1/profiles/' + encodeURIComponent(id) + '/explain').catch(() => null);
  if (answer && id === shown) identity.draw(box, JSON.parse(answer));
  else drawn = null; // try again with the next answer
}

function wrong(message) {
  $('profile-error').hidden = !message;
  say($('profile-error'), message);
}

function clear() {
  text = drawn = null;
  $('profile-body').replaceChildren();
  $('profile-links').hidden = true;
  scores.clear($('profile-scores'));
  say($('profile-note'), '');
}

async function refresh() {
  const id = shown;
  if (!id) return;
  try {
    const answer = await ask('v1/profiles/' + encodeURIComponent(id));
    if (id !== shown) return;
    wrong('');
    if (answer === text) return;
    text = answer;
    draw(JSON.parse(answer));
  } catch (e) {
    if (id !== shown) return;
    wrong(e.message);
    if (e.status) clear(); // without an answer, what is known stays to be read
  }
}

async function suggest() {
  const id = await example().catch(() => null);
  offered = id;
  $('example').hidden = !id;
  if (id) $('example').querySelector('a').replaceWith(profileLink(id));
}

async function open() {
  shown = asked();
  $('identifier').value = shown;
  wrong('');
  clear();
  await refresh();
  if (shown) $('profile').scrollIntoView({ block: 'nearest' });
  if (shown === offered) suggest();
}

$('look').addEventListener('submit', e => {
  e.preventDefault();
  const hash = '#' + encodeURIComponent($('identifier').value.trim());
  if (location.hash === hash) open();
  else location.hash = hash;
});
$('identifier').addEventListener('focus', e => e.target.select()); // to type the next one
addEventListener('hashchange', open);

// start waits for the audiences because the example is a member of one.
export function start(audiences) {
  shown = asked();
  $('identifier').value = shown;
  poll(2000, refresh);
  audiences.then(suggest);
}
