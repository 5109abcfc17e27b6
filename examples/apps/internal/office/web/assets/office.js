// The pages' part of the lock.
import { EditLock } from '/editlock.js';

const draft = document.getElementById('draft');
const lock = draft && new EditLock(`/api/lock/${encodeURIComponent(draft.dataset.uid)}/`);
if (lock) edit();

// A page that holds a lock cannot release it once the log-in has gone: it does so before.
document.getElementById('logout')?.addEventListener('submit', async (event) => {
  if (!lock) return;
  event.preventDefault();
  await lock.close();
  event.target.submit();
});

listEditors();

function edit() {
  const [banner, editButton, takeOver, save, publish] =
    ['banner', 'edit', 'take-over', 'save', 'publish'].map((id) => document.getElementById(id));
  let loaded = false; // the text in the page is the one that this hold began with

  const render = () => {
    const editing = lock.state === 'held' && loaded;
    banner.textContent = words(lock);
    editButton.hidden = !['idle', 'free', 'lost'].includes(lock.state);
    takeOver.hidden = !lock.canTakeOver || lock.state === 'held';
    save.body.readOnly = !editing; // not disabled: what was typed can still be copied
    for (const button of document.querySelectorAll('#save button, #publish button')) button.disabled = !editing;
  };

  // Somebody may have changed the draft between the page's request for it and the lock.
  const load = async () => {
    loaded = false;
    const response = await fetch(`/api/drafts/${encodeURIComponent(draft.dataset.uid)}`);
    if (!response.ok) throw new Error(`the draft is not there: ${response.status}`);
    const { body, revision } = await response.json();
    save.body.value = body;
    save.revision.value = revision;
    loaded = true;
  };

  lock.addEventListener('change', async ({ detail }) => {
    render();
    if (detail.type !== 'acquired' || (detail.resumed && loaded)) return;
    try {
      await load();
      render();
      save.body.focus();
    } catch (error) {
      await lock.release();
      banner.textContent = `The newest text could not be loaded: ${error.message}`;
    }
  });
  editButton.onclick = () => lock.acquire();
  takeOver.onclick = () => lock.takeOver();

  // A form cannot send headers: the guard reads Lock-Fence and Lock-Session from the query as lock_fence and lock_session.
  for (const form of [save, publish]) {
    const action = form.getAttribute('action');
    form.addEventListener('submit', () => {
      const query = Object.entries(lock.saveHeaders())
        .map(([name, value]) => `${name.toLowerCase().replace('-', '_')}=${encodeURIComponent(value)}`);
      form.setAttribute('action', `${action}?${query.join('&')}`);
    });
  }

  render();
  if (location.hash === '#edit') { // after a save: go on
    history.replaceState(null, '', location.pathname);
    lock.acquire();
  } else lock.watch();
}

function words({ state, holder, reason, brokenBy, online }) {
  if (!online) return 'No connection to the server.';
  const who = holder?.name ?? 'Somebody else';
  switch (state) {
    case 'held': return 'You are editing.';
    case 'denied': return `${who} is editing.`;
    case 'free': return 'Nobody is editing.';
    case 'lost': return reason === 'broken' ? `${brokenBy.name ?? 'Somebody'} has ended your edit. Your text is still here, to copy.`
      : reason === 'taken' ? `${who} has taken over. Your text is still here, to copy.`
      : 'Somebody else has edited in between. Your text is still here, to copy.';
    default: return 'You are not editing.';
  }
}

// The list says once who is editing what.
async function listEditors() {
  const places = [...document.querySelectorAll('[data-editor-of]')];
  if (!places.length) return;
  const query = new URLSearchParams(places.map((place) => ['uid', place.dataset.editorOf]));
  const response = await fetch(`/api/locks/?${query}`);
  if (!response.ok) return;
  const { locks } = await response.json();
  locks.forEach(({ locked, mine, user_name: name }, i) => {
    places[i].textContent = !locked ? '' : mine ? 'you are editing' : `${name} is editing`;
  });
}
