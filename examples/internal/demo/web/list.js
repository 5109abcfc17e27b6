// The list page: who edits what, in one request for all drafts.
import { announce, holder, send, user, whileVisible } from './page.js';

const path = (uid) => `/drafts/${encodeURIComponent(uid)}`;

const states = new Map();
for (const item of document.querySelectorAll('#drafts li')) {
  const link = document.createElement('a');
  link.href = path(item.dataset.uid);
  link.textContent = item.dataset.uid;
  const state = document.createElement('span');
  state.className = 'state';
  item.append(link, state);
  states.set(item.dataset.uid, { item, state });
}

function show(lock) {
  const { item, state } = states.get(lock.uid);
  item.dataset.state = !lock.locked ? 'free' : lock.mine ? 'held' : 'denied';
  const text = !lock.locked ? 'Free' : lock.mine ? 'You are editing' : `${holder(lock)} is editing`;
  const changed = state.textContent !== '' && state.textContent !== text;
  state.textContent = text;
  if (changed) announce(`${lock.uid}: ${text}`);
}

async function look() {
  const query = new URLSearchParams([...states.keys()].map((uid) => ['uid', uid]));
  const { status, data } = await send('GET', `/api/locks/?${query}`);
  if (status === 200) return data.locks.forEach(show);
  for (const { item, state } of states.values()) {
    item.dataset.state = 'unknown';
    state.textContent = 'Not known right now';
  }
}

if (user) whileVisible(2000, look);
else document.getElementById('hint').hidden = false;

const open = document.getElementById('open');
open.addEventListener('submit', (event) => {
  event.preventDefault();
  const uid = open.uid.value.trim();
  // The rule of the server, which would answer 400.
  const allowed = !/[/% \p{Cc}]/u.test(uid) && uid !== '.' && uid !== '..' &&
    new TextEncoder().encode(uid).length <= 255;
  if (allowed && uid) location.href = path(uid);
  else document.getElementById('uid-error').textContent = 'A uid has 1 to 255 bytes, without space, / and %.';
});
