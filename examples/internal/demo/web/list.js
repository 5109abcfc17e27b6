// The list page: who edits what, in one request for all drafts.

import { follow } from './follow.js';
import { $, announce, user } from './page.js';
import { editedBy } from './words.js';

const path = (uid) => `/drafts/${encodeURIComponent(uid)}`;

const drafts = new Map();
for (const item of document.querySelectorAll('#drafts li')) {
  const link = document.createElement('a');
  link.href = path(item.dataset.uid);
  link.textContent = item.dataset.uid;
  const state = document.createElement('span');
  state.className = 'state';
  item.append(link, state);
  drafts.set(item.dataset.uid, { item, state });
}

function show(uid, name, text) {
  const { item, state } = drafts.get(uid);
  if (state.textContent === text) return;
  if (state.textContent) announce(uid, `${uid}: ${text}.`);
  state.textContent = text;
  item.dataset.state = name;
}

function showLock(lock) {
  const { uid, locked, mine } = lock;
  if (locked === null) show(uid, 'unknown', 'Not known right now');
  else if (!locked) show(uid, 'free', 'Free');
  else show(uid, mine ? 'held' : 'denied', editedBy(lock));
}

// A single failure is no news: what was known a second ago stays.
function failed(failures) {
  for (const [uid, { item }] of drafts) {
    if (failures > 1 || !item.dataset.state) show(uid, 'unknown', 'Not known right now');
  }
}

if (user) {
  const query = new URLSearchParams([...drafts.keys()].map((uid) => ['uid', uid]));
  follow(`/api/locks/?${query}`, ({ locks }) => locks.forEach(showLock), failed);
} else $('hint').hidden = false;

const open = $('open');
open.addEventListener('submit', (event) => {
  event.preventDefault();
  const uid = open.uid.value.trim();
  // The rule of the server, which would answer 400.
  const allowed = uid && !/[/% \p{Cc}]/u.test(uid) && uid !== '.' && uid !== '..' &&
    new TextEncoder().encode(uid).length <= 255;
  $('uid-error').textContent = allowed ? '' : 'A uid has 1 to 255 bytes, without space, / and %.';
  if (allowed) location.href = path(uid);
});
