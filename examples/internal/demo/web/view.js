// Shows how the lock and the text stand. It decides nothing: everything that counts is in what show is given.

import { showKept } from './kept.js';
import { $, announce, user, write } from './page.js';
import { alsoOpen, isOthers, sentences, since, stateOf } from './words.js';

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

let shown = null;

// tick counts on how long the lock has been held; nobody wants to hear that read out.
function tick() {
  const known = shown && WITH_SINCE.includes($('banner').dataset.state) && shown.lock.heldFor > 0;
  write($('since'), known ? since(shown.lock.heldFor) : '');
}
setInterval(tick, 1000);

/**
 * view is what stateOf and sentences want, and: entry, the text that is kept aside; saved, the text as the
 * server has it; opened, when this tab was; writable, dirty.
 */
export function show(view) {
  shown = view;
  const { lock, entry, saved, opened, stale, resuming, writable, dirty } = view;
  const state = stateOf(view), held = state === 'held', others = isOthers(lock, user);
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
  $('edit').hidden = !user || writable || held || state === 'loading' || others;
  write($('edit'), state === 'lost' ? 'Edit again' : state === 'elsewhere' && lock.sessions ? 'Edit here, too' : 'Edit');
  $('take-over').hidden = !others || held || !lock.canTakeOver;
  $('save').hidden = $('publish').hidden = $('release').hidden = !held;
  $('to-kept').hidden = !entry;
  showKept(entry, saved, held && writable);

  // Where a button was that has gone, its user is led on to what comes next.
  if (focused !== document.body && focused?.closest('[hidden]')) {
    (held ? $('text') : $('edit').hidden ? $('banner') : $('edit')).focus();
  }
}
