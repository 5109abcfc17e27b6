// Shows how the lock and the text stand. It decides nothing: everything that counts is in what show is given.

import { showKept } from './kept.js';
import { $, announce, user, write } from './page.js';
import {
  alsoOpen, askWords, holderName, idleWarning, isElsewhere, isOthers, lastTyped, requestWords, sentences,
  since, stateOf,
} from './words.js';

const NEXT = ['edit', 'edit-here', 'stop-asking'];
const WITH_SINCE = ['held', 'denied', 'elsewhere', 'lost'];

/** Says what became of the last action, until something else is to be said. */
export function note(text, canUndo = false) {
  write($('note'), text);
  $('undo').hidden = !canUndo;
  if (text) announce('note', text);
}

// notice shows what goes on for a while, beside the state.
function notice(name, text) {
  $(name).hidden = !text;
  if (text && $(name).textContent !== text) announce(name, text);
  write($(name), text);
}

function showRequest(asker, how) {
  const words = asker ? requestWords(asker, how) : '';
  if (words && words !== $('request-words').textContent) announce('request', words);
  strip('request', words);
  $('hand-over').hidden = $('not-now').hidden = how.handing;
}

function showWarning(words) {
  if (words && $('idling').hidden) announce('idling', words); // once, not with each second
  strip('idling', words);
}

let shown = null;

// tick counts on what time changes; nobody wants to hear that read out.
function tick() {
  if (!shown) return;
  const { lock, user, idling, idleMinutes } = shown;
  const known = WITH_SINCE.includes($('banner').dataset.state) && lock.heldFor > 0;
  write($('since'), known ? since(lock.heldFor) : '');
  write($('last-typed'), typedElsewhere(lock, user));
  if (idling) write($('idling-words'), idleWarning(lock.idleFor, idleMinutes * 60000));
}

// typedElsewhere says when they last typed who have the lock in place of this page.
function typedElsewhere(lock, user) {
  if (lock.state !== 'denied' && lock.state !== 'lost') return '';
  if (isOthers(lock, user)) return lastTyped(lock.idleFor, holderName(lock.holder.id, lock.holder.name));
  return isElsewhere(lock, user) ? lastTyped(lock.idleFor, null) : '';
}

// strip shows something that asks for a decision, and leaves the focus where it is.
function strip(name, words) {
  $(name).hidden = !words;
  write($(`${name}-words`), words);
}

setInterval(tick, 1000);

/**
 * view is what stateOf and sentences want, and: entry, the text that is kept aside; saved, the text as the
 * server has it; opened, when this tab was; writable, dirty; request, what others ask; handing, whether the lock
 * is being handed over; idling, whether the lock is soon released for idleness.
 */
export function show(view) {
  shown = view;
  const { lock, entry, saved, opened, stale, resuming, writable, dirty, request, handing, idling, idleMinutes } = view;
  const state = stateOf(view), held = state === 'held';
  const others = !held && isOthers(lock, user), elsewhere = !held && isElsewhere(lock, user);
  const focused = document.activeElement;

  document.body.dataset.online = lock.online;
  $('banner').dataset.state = state;
  $('banner').dataset.reason = [lock.reason, state === 'lost' && stale && 'stale'].filter(Boolean).join(' ');
  const [lead, advice] = sentences(state, { ...view, kept: !!entry });
  const news = lead !== $('state').textContent || advice !== $('advice').textContent;
  write($('state'), lead);
  write($('advice'), advice);
  if (news && state !== 'loading') announce('state', `${lead} ${advice}`.trim());
  tick();
  notice('other-tab', held && lock.sessions > 0 ? alsoOpen(opened) : '');
  notice('offline', lock.online ? '' : held || resuming
    ? 'The server does not answer. Go on typing: your text is kept in this browser until it can be saved.'
    : 'The server does not answer. What you see may be out of date.');

  $('text').readOnly = !writable;
  $('read-only').hidden = writable;
  $('unsaved').hidden = !dirty;
  $('edit').hidden = !user || writable || held || state === 'loading' || others || elsewhere || lock.asking;
  write($('edit'), state === 'lost' ? 'Edit again' : state === 'elsewhere' && lock.sessions ? 'Edit here, too' : 'Edit');
  $('take-over').hidden = !others || !lock.canTakeOver;
  $('edit-here').hidden = !elsewhere;
  $('ask').hidden = !others || lock.asking;
  if (others) write($('ask'), askWords(lock.holder));
  $('stop-asking').hidden = held || !lock.asking;
  $('save').hidden = $('publish').hidden = $('release').hidden = !held || handing;
  showRequest(held ? request.shown : null, { handing, failed: request.failed });
  showWarning(held && idling ? idleWarning(lock.idleFor, idleMinutes * 60000) : '');
  $('to-kept').hidden = !entry;
  showKept(entry, saved, held && writable);

  // Where a button was that has gone, its user is led on to what comes next.
  if (focused !== document.body && focused?.closest('[hidden]')) {
    (held ? $('text') : NEXT.map($).find((button) => !button.hidden) ?? $('banner')).focus();
  }
}
