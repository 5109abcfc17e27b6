// The editor page. EditLock says whether this page may be typed into; here is what that means for the text.
//
// The rule: what was typed leaves the editor only into an entry of Unsaved, and an entry goes only when the
// server has its text or when its writer discards it.

import { EditLock } from '/editlock.js';
import { alsoSent, baseOf, goesOnFrom, ifMatch, isSavedSince, refused, stillUnknown } from './base.js';
import { follow } from './follow.js';
import { copyKept } from './kept.js';
import { $, beforeUserChanges, pause, send, user } from './page.js';
import { Request } from './request.js';
import { Tabs } from './tabs.js';
import { Unsaved, newID, parse } from './unsaved.js';
import { note, show } from './view.js';
import { NOT_SAVED, askEnded, isElsewhere, newerVersion, notHandedOver, refusal } from './words.js';

const IDLE_MINUTES = 30;

const uid = decode(location.pathname.split('/')[2]);
const lockURL = `/api/lock/${encodeURIComponent(uid)}/`;
const draftURL = `/api/drafts/${encodeURIComponent(uid)}`;
const editor = $('text');

const lock = new EditLock(lockURL, { scope: 'session', idleAfter: IDLE_MINUTES * 60 * 1000 });
const unsaved = new Unsaved(storage('localStorage'), user, uid);
const opened = performance.timeOrigin;
const tabs = new Tabs(storage('localStorage'), window, user, uid, opened);

let id = newID(); // of the entry that this page's editor writes to
let base = baseOf({ text: '' }); // the draft as the server has it
let sent = []; // the texts of saves whose outcome is not known
let ready = false; // the editor has the text that this hold goes on from
let resuming = false; // the page was left while it was edited, is back, and asks for its lock
let cached = false; // it is back from the back-forward cache, and has not heard of its lock yet
let loaded = false; // base is what the server has said
let started = false; // the lock has answered, or failed to
let idled = false; // the hold was given back for idleness
let waited = false; // another user had the lock
let stale = false; // it was a save that told of the loss
let problem = ''; // why the server answers nothing else
let asked = false; // this page has asked, and waits
let told = false; // the answer to that was there
const request = new Request(); // what the others ask
let handing = false; // the lock is being handed over
let handed = false; // this page has handed it over
let idling = false; // the lock is soon released for idleness
let stopFollowing = null;

const render = () => show({
  user, lock, opened, saved: base.text, resuming, started, idled, waited, stale, problem, idleMinutes: IDLE_MINUTES,
  told, handing, handed, idling, request,
  entry: keptEntry(), writable: writable(), dirty: dirty(),
});

// What is no uid is for the server to refuse.
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function storage(name) {
  try {
    return window[name];
  } catch {
    return null; // switched off
  }
}

// --- the text ---

const writable = () => ready && !handing && (lock.state === 'held' || resuming);
const dirty = () => ready && editor.value !== base.text;

function setText(text) {
  if (editor.value !== text) editor.value = text;
}

// keep writes what was typed to the page's entry, or ends the entry when the server has it all.
function keep() {
  if (!dirty()) return unsaved.remove(id);
  if (!unsaved.put({ id, text: editor.value, base, sent })) note('This browser cannot keep unsaved text. Save often.');
}

// setAside ends the editing of what is in the editor: what is not saved stays as an entry.
function setAside() {
  if (dirty()) {
    keep();
    id = newID();
    sent = []; // the entry has them: they are no base of what comes into the editor now
  }
  ready = false;
  setText(base.text);
}

// keptEntry is the newest text that is not saved and not in the editor. What another page has put may be
// in another tab's editor.
function keptEntry() {
  for (const entry of unsaved.list()) {
    if (loaded && entry.text === base.text) unsaved.remove(entry.id); // a save whose answer was lost
    else if (entry.id !== id && (unsaved.isOwn(entry.id) || !isElsewhere(lock, user) && !lock.sessions)) return entry;
  }
  return null;
}

// goOnFrom puts the draft that the server has under the editing: what was typed into just that text goes on
// in the editor, what was typed into another one stays aside, to be compared. It reports whether it does.
function goOnFrom(draft) {
  const { text } = draft;
  const aside = dirty() && editor.value !== text && !goesOnFrom(text, { base, sent });
  if (aside) setAside();
  else if (sent.includes(text)) tabs.tell(draft);
  const typed = dirty();
  sent = stillUnknown(sent, base, draft);
  base = baseOf(draft);
  if (!typed) setText(text);
  if (lock.state === 'held' && !ready) {
    const entry = keptEntry();
    ready = true;
    if (entry && goesOnFrom(text, entry)) moveIntoEditor(entry);
  }
  if (ready) keep();
  return aside;
}

// tellOfNewer says whose the draft is that was loaded. Under this page's fence nobody else can have saved; where each
// tab has a fence of its own, the tab has left word.
async function tellOfNewer({ kept }) {
  const by = await tabs.saver(base), own = by !== null || base.fence === lock.fence;
  if (lock.state === 'held' || resuming) note(newerVersion({ own, opened: by, kept }));
}

function moveIntoEditor(entry) {
  setText(entry.text);
  unsaved.remove(entry.id);
  keep();
}

let loads = 0, failing = false;
let loading = Promise.resolve();
// load fetches the draft, and again until it comes.
const load = () => (loading = fetchDraft(++loads));

async function fetchDraft(turn) {
  for (let wait = 1000; ; wait = Math.min(2 * wait, 15000)) {
    const { status, data } = await send('GET', draftURL);
    if (turn !== loads) return;
    if (status === 200) {
      if (failing) note('');
      failing = false;
      loaded = true;
      const aside = goOnFrom(data);
      render();
      if (aside) await tellOfNewer({ kept: true });
      return;
    }
    if (status >= 400 && status < 500) return note(data?.message ?? `The server answered ${status}.`);
    failing = true;
    note('The draft cannot be loaded right now. It is tried again.');
    await pause(wait);
    if (turn !== loads) return;
  }
}

// --- the lock ---

lock.addEventListener('change', ({ detail: { type, reason, status, message } }) => {
  started = true;
  if (type !== 'offline') problem = '';
  switch (type) {
    case 'acquired':
      resuming = idled = waited = stale = handed = false;
      load().then(asked ? begin : null);
      break;
    case 'lost':
      if (cached && reason === 'moved') { // where each page has a fence of its own, that need not be a loss
        resuming = true;
        lock.acquire();
        break;
      }
      stale = false;
      note('');
      setAside();
      load();
      break;
    case 'released':
      setAside();
      if (reason === 'idle') {
        note('');
        idled = true;
        lock.watch();
      }
      break;
    case 'denied':
      if (resuming) setAside();
      resuming = idled = false;
      waited = true;
      handed = false;
      load();
      break;
    case 'handed':
      setAside();
      waited = handed = true;
      load();
      break;
    case 'freed':
      handed = false;
      load();
      break;
    case 'asked':
    case 'updated':
      if (lock.state === 'held') request.hear(lock.askedBy);
      else if (asked && !lock.asking) note(askEnded(IDLE_MINUTES));
      break;
    case 'idling':
      idling = true;
      break;
    case 'active':
      idling = false;
      break;
    case 'online':
      request.failed = '';
      if (lock.state === 'held') note(dirty() ? 'Connected again. Your text is not saved yet.' : 'Connected again.');
      break;
    case 'expired':
      note('The lock has run out meanwhile, so others may edit. You can go on typing.');
      break;
    case 'forbidden':
      note(message ?? 'Taking over is not allowed.');
      break;
    case 'error':
      problem = message ?? `The server answered ${status}.`;
      if (resuming) setAside();
      resuming = false;
      if (lock.state !== 'idle') note(problem); // else the banner says it
      break;
  }
  if (type === 'online') told = true;
  if (type !== 'offline') cached = false;
  asked = lock.asking;
  if (lock.state !== 'held') {
    idling = false;
    request.hear(null);
  }
  followTheHold();
  render();
});

// begin lets who has asked type at once, unless they are busy with another field.
function begin() {
  if (!writable() || document.activeElement?.matches('input')) return;
  note('It is your turn: you can type now.');
  editor.focus();
}

// A holder hears of a loss and of an ask at the next renewal; this hears of it at once. It is no renewal, which would
// count as input.
function followTheHold() {
  if (lock.state !== 'held') {
    stopFollowing?.();
    stopFollowing = null;
  } else {
    stopFollowing ??= follow(lockURL, ({ mine, fence, asked_by: by }) => {
      if (lock.state !== 'held') return;
      if (!mine || fence !== lock.fence) return void lock.acquire();
      request.hear(by && { id: by.user_id, name: by.user_name });
      render();
    });
  }
}

// --- what people do ---

let last = Promise.resolve(true);

// One save at a time, in the order of the asking.
function save() {
  const place = id;
  last = last.then(() => put(place, true));
  return last;
}

const noteSaved = () => note(`Saved at ${new Date().toLocaleTimeString()}.`);

// put saves what is in the editor, unless that is no more what it was when the save was asked for: the entry's id is
// place no longer.
async function put(place, again) {
  await loading; // a page that was reloaded may be typed into before it knows what it goes on from
  if (lock.state !== 'held' || !ready || id !== place) return false; // the banner or the note says why
  const text = editor.value, hold = lock.fence, from = base;
  sent = alsoSent(sent, text);
  keep();
  const answer = await send('PUT', draftURL, { headers: { ...lock.saveHeaders(), ...ifMatch(from) }, body: { text } });
  if (answer.status === 200) {
    tabs.tell(answer.data);
    request.failed = '';
    if (base === from && lock.fence === hold && ready) {
      base = baseOf({ ...answer.data, text });
      sent = [];
      keep();
      noteSaved();
    } else await load();
    render();
    return true;
  }
  if (isSavedSince(answer)) {
    await load();
    if (lock.state !== 'held') return false;
    switch (refused({ text, from, base, aside: id !== place, dirty: dirty() })) {
      case 'saved':
        noteSaved();
        return true;
      case 'aside':
        return false;
      case 'nothing typed':
        await tellOfNewer({ kept: false });
        return false;
    }
    if (again) return put(place, false);
  } else if (await isStale(answer)) {
    if (lock.state !== 'held') return false; // the banner says so
    if (again && answer.status !== 409) return put(place, false);
    await load();
  }
  note(refusal('Saved', answer));
  render();
  return false;
}

// isStale asks the lock about a refusal that may mean a loss.
async function isStale({ status }) {
  if (status !== 412 && status !== 423 && status !== 409) return false;
  stale = await lock.afterSave({ status: status === 409 ? 412 : status }) === 'lost';
  render();
  return true;
}

// Publishing releases the lock with its success.
async function publish() {
  if (dirty() && !await save()) return;
  const answer = await send('POST', `${draftURL}/publish`, { headers: lock.saveHeaders() });
  if (answer.status === 200) {
    await stop();
    note('Published. Others can edit now.');
  } else {
    const lost = await isStale(answer) && lock.state !== 'held';
    if (!lost) note(refusal('Published', answer));
  }
}

async function stop() {
  await last;
  await Promise.race([lock.release(), pause(2000)]);
  if (user) lock.watch();
}

// handOver saves, and only then hands over. Nothing is typed meanwhile.
async function handOver() {
  note('');
  handing = true;
  request.failed = '';
  render();
  await last;
  if (dirty() && (!await save() || dirty())) {
    request.failed = NOT_SAVED;
  } else if (await lock.handOver() === 'held') {
    if (request.who) request.failed = notHandedOver(lock.online);
    else note('Nobody asks any longer. You are still editing.');
  }
  handing = false;
  render();
}

function press(name, action) { $(name).addEventListener('click', action); }

press('edit', () => {
  note('');
  lock.acquire({ fresh: true }); // the text is loaded then
});
press('take-over', () => {
  note('');
  lock.takeOver();
});
press('edit-here', () => {
  note('');
  lock.takeOver(); // from oneself
});
press('ask', async () => {
  note('');
  told = false;
  asked = true;
  const answer = lock.ask();
  render();
  await answer;
  told = lock.online;
  render();
});
press('stop-asking', () => {
  lock.stopAsking();
  asked = false;
  render();
});
press('hand-over', handOver);
press('not-now', () => {
  request.decline();
  render();
});
press('keep-editing', () => lock.touch());
press('save', save);
press('publish', publish);
press('release', () => {
  note('');
  stop();
});

press('kept-copy', async () => note(await copyKept() ? 'Copied.' : 'The browser does not let the page copy. Select the text and copy it.'));
press('kept-restore', () => {
  const entry = keptEntry();
  if (dirty()) setAside();
  ready = true;
  moveIntoEditor(entry);
  note('Restored. It is not saved yet.');
  render();
});
let discarded = null;
press('kept-discard', () => {
  discarded = keptEntry();
  unsaved.remove(discarded.id);
  note('Discarded.', true);
  render();
});
press('undo', () => {
  unsaved.put(discarded);
  note('');
  render();
});

editor.addEventListener('input', () => {
  note('');
  keep();
  render();
});
document.addEventListener('keydown', (event) => {
  if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  event.preventDefault();
  if (lock.state === 'held') save();
  else if (writable()) note('Not saved yet: the server has not given the lock back. Your text is kept in this browser.');
});
beforeUserChanges(() => lock.release());

// --- a reload ---

// The note that a page leaves to itself: only in this tab, and only from pagehide to the next page, since
// window.open copies it.
const RESUME = `resume:${JSON.stringify([user, uid])}`;
const tab = storage('sessionStorage');

addEventListener('pagehide', () => {
  if (!writable()) return;
  try {
    tab?.setItem(RESUME, JSON.stringify({ id, text: editor.value, base, sent }));
  } catch {
    // No room: then the next page starts afresh, and unsaved text is where keep has put it.
  }
});
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  tab?.removeItem(RESUME);
  cached = writable();
  asked = lock.asking; // it has ended when the page was left
  if (cached) load(); // another tab may have saved
  render();
});

// resume takes up the editing that a reload has interrupted: the text is there, and may be typed into,
// before the lock is.
function resume() {
  const left = parse(tab?.getItem(RESUME) ?? 'null');
  tab?.removeItem(RESUME);
  const [{ type } = {}] = performance.getEntriesByType('navigation');
  if (!left || !user || (type !== 'reload' && type !== 'back_forward')) return false;
  ({ base, sent } = left);
  ready = loaded = resuming = true;
  moveIntoEditor(left);
  return true;
}

// Who has typed nothing goes on from what another tab saves.
tabs.onSave(() => {
  if (!dirty()) load();
});

document.title = `${uid} · draft`;
$('title').textContent = uid;
if (resume()) lock.acquire({ fresh: true });
else {
  if (user) lock.watch();
  load();
}
render();
