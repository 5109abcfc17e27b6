// The editor page: the lock's part of it is POST to start, a heartbeat, DELETE to stop, and a look now
// and then while another user edits.
import { announce, beforeUserChanges, holder, send, user, whileVisible } from './page.js';

const $ = (id) => document.getElementById(id);
const uid = decode(location.pathname.split('/')[2]);
const lockURL = `/api/lock/${encodeURIComponent(uid)}/`;
const draftURL = `/api/drafts/${encodeURIComponent(uid)}`;

let state = 'loading'; // free, denied (another user edits), elsewhere (my lock, not this page's), held, lost
let lock = {}; // the status last seen
let fence = 0; // of the hold under which the text was loaded
let session = newSession(); // this page's claim; an ended one is refused
let saved = ''; // the text as the server has it
let heartbeat;

// What is no uid is for the server to refuse.
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Not crypto.randomUUID, which is missing on plain http.
function newSession() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

function endSession() {
  clearTimeout(heartbeat);
  session = newSession();
}

const dirty = () => $('text').value !== saved;
const note = (text) => {
  $('note').textContent = text;
  if (text) announce(text);
};

const texts = {
  free: () => (user ? 'Nobody is editing. Press Edit to start.' : 'Say who you are above to edit.'),
  denied: () => `${holder(lock)} is editing.`,
  // Without a session it is what lingers after a reload.
  elsewhere: () => (lock.sessions ? 'You are editing this in another tab.' : 'You have the lock. Press Edit to go on.'),
  held: () => 'You are editing. Nobody else can save.',
  lost: () => (lock.locked && !lock.mine
    ? `${holder(lock)} is editing now: you have lost the lock.`
    : 'You have lost the lock: somebody else may have edited since.'),
};

function show(next = state) {
  const changed = next !== state;
  state = next;
  const held = state === 'held';
  const text = texts[state]();
  $('banner').dataset.state = state;
  $('state').textContent = text;
  if (changed) announce(text);
  // Read-only, not disabled: the text can still be selected and copied.
  $('text').readOnly = !held;
  $('edit').hidden = held;
  $('edit').disabled = !user || (lock.locked && !lock.mine);
  for (const id of ['save', 'publish', 'release']) $(id).hidden = !held;
  $('save').disabled = held && !dirty();
  $('take-over').hidden = held || !lock.can_take_over;
}

// Text that nobody saved must not vanish when newer text takes its place.
function keep() {
  if (!dirty()) return;
  $('kept-text').value = $('text').value;
  $('kept').hidden = false;
}

async function load() {
  const { status, data } = await send('GET', draftURL);
  if (status !== 200) {
    note(data?.message ?? 'The draft cannot be loaded right now.');
    return false;
  }
  keep();
  $('text').value = saved = data.text;
  return true;
}

// start acquires the lock and then loads the text: what was shown before may be older than the lock.
async function start(path = '', body = undefined) {
  note('');
  const answer = await send('POST', lockURL + path, { headers: { 'Lock-Session': session }, body });
  if (answer.status !== 200) {
    if (answer.status !== 409 && answer.status !== 423) note(answer.data?.message ?? 'The server cannot be reached.');
    return look();
  }
  hold(answer.data);
  show('held');
  $('text').readOnly = true; // until it is there
  if (!await load()) return stop();
  if (state !== 'held') return;
  show();
  $('text').focus();
}

function hold(data) {
  fence = data.fence;
  lock = { locked: true, mine: true };
  clearTimeout(heartbeat);
  heartbeat = setTimeout(beat, data.expires_in_ms / 3);
}

// beat renews the hold under its fence, so that a lapse in which somebody else held the lock is noticed.
async function beat() {
  const mine = session;
  const { status, data } = await send('POST', lockURL, {
    headers: { 'Lock-Session': mine, 'If-Match': `"${fence}"` },
  });
  if (mine !== session) return; // it ended while the answer was on its way
  if (status === 200) hold(data);
  else if (status === 412 || status === 423) lose();
  else {
    if (status === 410) session = newSession();
    // Not known is not lost: the fence protects what others save meanwhile.
    heartbeat = setTimeout(beat, 1000);
  }
}

async function lose() {
  endSession();
  $('text').readOnly = true;
  const { status, data } = await send('GET', lockURL);
  lock = status === 200 ? data : {};
  show('lost');
  note(dirty() ? 'Your text is kept, but it is not saved.' : '');
}

async function save() {
  const text = $('text').value;
  const { status, data } = await send('PUT', draftURL, {
    headers: { 'Lock-Fence': fence, 'Lock-Session': session }, body: { text },
  });
  if (status === 200) {
    saved = text;
    note(`Saved at ${new Date().toLocaleTimeString()}.`);
    show();
  } else if (status === 412 || status === 423 || status === 409) {
    await lose();
  } else {
    note(data?.message ?? 'Not saved: the server cannot be reached. Try again.');
  }
  return status === 200;
}

// publish releases the lock with its success.
async function publish() {
  if (dirty() && !await save()) return;
  const { status, data } = await send('POST', `${draftURL}/publish`, {
    headers: { 'Lock-Fence': fence, 'Lock-Session': session },
  });
  if (status === 200) {
    endSession();
    lock = {};
    show('free');
    note('Published.');
    await look();
  } else if (status === 412 || status === 423 || status === 409) {
    await lose();
  } else {
    note(data?.message ?? 'Not published: the server cannot be reached. Try again.');
  }
}

async function stop() {
  const ended = session;
  endSession();
  await send('DELETE', lockURL, { headers: { 'Lock-Session': ended } });
  keep();
  $('text').value = saved;
  lock = {};
  show('free');
  await look();
}

// look asks who holds the lock, while this page does not.
async function look() {
  if (state === 'held') return;
  if (!user) return show('free');
  const { status, data } = await send('GET', lockURL);
  if (status !== 200 || state === 'held') return;
  const wasLocked = lock.locked && !lock.mine;
  lock = data;
  if (state === 'lost') return show();
  show(!lock.locked ? 'free' : lock.mine ? 'elsewhere' : 'denied');
  if (wasLocked && !lock.locked) await load(); // what the other user saved
}

$('edit').addEventListener('click', () => start());
$('take-over').addEventListener('click', () => start('takeover/', { fence: lock.fence }));
$('save').addEventListener('click', save);
$('publish').addEventListener('click', publish);
$('release').addEventListener('click', stop);
$('discard').addEventListener('click', () => { $('kept').hidden = true; });
$('text').addEventListener('input', () => {
  note('');
  show();
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 's' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  if (state === 'held') save();
});
beforeUserChanges(() => (state === 'held' ? stop() : undefined));

// The lock lingers for a moment, so that a reload does not flash "free" to those who wait.
addEventListener('pagehide', () => {
  if (state !== 'held') return;
  send('DELETE', lockURL, { keepalive: true, headers: { 'Lock-Session': session, 'Lock-Linger': '3' } });
  endSession();
});
addEventListener('pageshow', ({ persisted }) => {
  if (persisted && state === 'held') beat();
});

document.title = `${uid} - draft`;
$('title').textContent = uid;
await load();
whileVisible(2000, look);
