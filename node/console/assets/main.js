// The head of the page, its figures and plots, shards and streams; the other panels are files of their own.
import { $, el, say, rows, count, things, compact, rate, signed, millis, bytes, ask, poll } from './dom.js';
import { Plot } from './plot.js';
import * as audiences from './audiences.js';
import * as profile from './profile.js';
import * as sent from './sent.js';
import * as tail from './tail.js';

const KEEP = 600e3; // ms of history
let samples = [];

const latency = q => s => s[q] > 0 ? s[q] : null; // a second without events has none
const plots = [
  new Plot($('rate-plot'), $('rate-readout'), 'Events a second', [{ label: 'events/s', value: s => s.events }], compact, rate),
  new Plot($('latency-plot'), $('latency-readout'), 'Latency',
    [{ label: 'p50', value: latency('p50_ms') }, { label: 'p99', value: latency('p99_ms') }], v => v ? compact(v) + ' ms' : '0', v => millis(v) + ' ms'),
];

async function history() {
  const after = samples.length ? '?after=' + encodeURIComponent(samples.at(-1).at) : '';
  const fresh = JSON.parse(await ask('console/history' + after)) || [];
  if (!fresh.length) return;
  for (const s of fresh) s.t = Date.parse(s.at);
  const all = samples.concat(fresh);
  samples = all.filter(s => s.t >= all.at(-1).t - KEEP);
  for (const p of plots) p.show(samples);
  const now = samples.at(-1), before = samples.find(s => s.t >= now.t - 60e3);
  say($('out'), rate(now.activations));
  say($('profiles-more'), signed(now.profiles - before.profiles) + ' in a minute');
}

function head(st) {
  say($('cluster'), st.cluster);
  say($('cookbook'), st.cookbook.hash);
  $('cookbook').title = `${things(st.cookbook.attributes, 'attribute')} and ${things(st.cookbook.audiences, 'audience')} from ${(st.cookbook.recipes || []).join(', ')}`;
  say($('uptime'), st.uptime);
  say($('version'), st.version);
  const trouble = [...(st.trouble || [])];
  if (st.log.error) trouble.push('log: ' + st.log.error);
  state(trouble.length ? 'trouble' : st.ready ? 'ready' : 'not ready', trouble, trouble.length || !st.ready);
  const recovery = st.power_loss && st.recovery || ''; // of a start as usual the note of the shards tells
  $('recovery').hidden = !recovery;
  say($('recovery'), recovery);
}

function state(text, trouble, bad) {
  say($('state'), text);
  $('state').classList.toggle('bad', Boolean(bad));
  $('trouble').hidden = !trouble.length;
  if ($('trouble').textContent !== trouble.join('')) $('trouble').replaceChildren(...trouble.map(t => el('li', {}, t)));
  document.title = bad ? `${text} · dashi` : 'dashi';
}

function figures(st) {
  const { events, memory, activations } = st;
  say($('rate'), rate(events.per_second));
  say($('rate-more'), events.held_back ? 'held back' : 'applied just now');
  say($('applied'), count(events.applied));
  $('applied').title = events.applied;
  say($('applied-more'), `${things(events.repeated, 'repeat', 'repeats', compact)} dropped`);
  say($('profiles'), count(st.profiles));
  say($('memory'), bytes(memory.profiles));
  $('memory').title = `profiles ${bytes(memory.profiles)}, message ids ${bytes(memory.recent)}, heap ${bytes(memory.heap)}`;
  say($('memory-more'), `of ${bytes(memory.limit)} allowed`);
  say($('latency'), `${millis(st.latency.p50_ms)} / ${millis(st.latency.p99_ms)} ms`);
  say($('out-more'), `${compact(activations.made)} made` + (activations.withheld ? `, ${compact(activations.withheld)} withheld` : ''));
  say($('waiting'), count(activations.waiting));
  const why = Object.entries(events.rejected || {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  say($('rejected'), count(why.reduce((sum, [, n]) => sum + n, 0)));
  say($('rejected-more'), why.map(([reason, n]) => `${reason.replaceAll('_', ' ')} ${compact(n)}`).join(', ') || 'all could be read');
  $('rejected').title = `by this node since its start, ${new Date(st.started).toLocaleString()}; dashi dead shows what there is`;
}

function tables(st) {
  const shards = st.shards || [], streams = st.kafka.streams || [];
  rows($('shards').tBodies[0], shards.map(s => [s.id, count(s.profiles), count(s.events), bytes(s.bytes),
    s.outbox_entries ? `${count(s.outbox_entries)} (${bytes(s.outbox_bytes)})` : '0', count(s.index), count(s.durable), s.leader || 'none',
    (s.replicas || []).filter(r => r.silent || r.lag).map(r => r.node + ' ' + (r.silent ? 'silent' : count(r.lag))).join(', ') || '–']));
  const nodes = st.nodes || [], directory = st.directory || {};
  $('ring').hidden = nodes.length < 2;
  rows($('nodes').tBodies[0], nodes.map(n => [n.id + (n.self ? ' (this)' : ''), n.state, n.zone || '–', n.replicas, n.leads, n.http]));
  say($('nodes-note'), `directory at epoch ${directory.epoch}, led by ${directory.leader || 'nobody'}`);
  rows($('streams').tBodies[0], streams.map(s => [s.topic, s.partition, count(s.read), count(s.applied), count(s.durable), s.lag === undefined ? '–' : count(s.lag)]));
  const behind = streams.reduce((sum, s) => sum + (s.lag || 0), 0);
  say($('shards-note'), `log ${bytes(st.log.bytes)}, ${st.log.durability}`);
  $('shards-note').title = st.recovery || '';
  say($('streams-note'), (behind ? `${things(behind, 'event')} behind, ` : '') + (st.kafka.embedded ? 'embedded broker, ' : '') + (st.kafka.brokers || []).join(', '));
}

async function status() {
  try {
    const st = JSON.parse(await ask('v1/status'));
    audiences.setProfiles(st.profiles);
    head(st);
    figures(st);
    tables(st);
  } catch (e) {
    state('no answer', [`The node does not answer; what you see is old, and this page keeps asking. ${e.message}`], true);
  }
}

poll(1000, status);
poll(1000, history);
profile.start(audiences.start());
sent.start();
tail.start();
