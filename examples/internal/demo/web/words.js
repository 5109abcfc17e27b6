// What the pages say. Each sentence says what is the case and what can be done.

/** A holder as people know it. A refusal tells the id alone, and the server may hide both. */
export const holderName = (id, name) => name ?? (typeof id === 'number' ? `User ${id}` : id ?? 'Another user');

/** A time span, in two units. */
export function span(ms) {
  const s = Math.floor(ms / 1000), min = Math.floor(s / 60), h = Math.floor(min / 60);
  if (h) return `${h} h ${min % 60} min`;
  return min ? `${min} min ${s % 60} s` : `${s} s`;
}

/** A time of day, with the day unless it is today. */
export function clock(time, now = new Date()) {
  const then = new Date(time);
  const day = then.toDateString() === now.toDateString() ? '' : `${then.toLocaleDateString()} `;
  return day + then.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

/** Since when: the clock on the wall is the reader's own, counted back from now. */
export const since = (heldFor, now = new Date()) => `since ${clock(now - heldFor, now)}, for ${span(heldFor)}`;

/** A newer version is there. own: this user has saved it; opened: in the tab that was opened then, if that is known. */
export function newerVersion({ own, opened, kept }, now = new Date()) {
  const tab = opened === null ? 'Another tab or device of yours' : `Your tab opened at ${clock(opened, now)}`;
  const what = own ? `${tab} saved this draft since.` : 'There is a newer version.';
  return kept ? `${what} Your text is kept below.` : what;
}

/** What an editor says whose user holds the lock in other tabs, too. */
export const alsoOpen = (opened, now = new Date()) =>
  `Also open in another tab or device of yours; this tab was opened at ${clock(opened, now)}. ` +
  'What one of them has saved, the other does not overwrite.';

/**
 * The banner's state. resuming: the page was reloaded and asks for its lock; idled: it was given back
 * for idleness; started: an answer was there.
 */
export function stateOf({ user, lock, resuming, idled, started }) {
  if (!user) return 'nobody';
  if (lock.state === 'idle') return resuming || !started ? 'loading' : idled ? 'released-idle' : 'idle';
  if (lock.state !== 'free') return lock.state;
  return idled ? 'released-idle' : lock.holder ? 'elsewhere' : 'free';
}

/** Whether another user has the lock, as far as is known. */
export const isOthers = ({ holder }, user) => !!holder && String(holder.id) !== user;

/** What the banner says in that state, and what it adds. kept: text that is not saved is shown; waited: another had it. */
export function sentences(state, { user, lock, resuming, waited, stale, kept, idleMinutes, problem }) {
  const name = isOthers(lock, user) ? holderName(lock.holder.id, lock.holder.name) : null;
  const keptBelow = kept ? 'Your unsaved text is kept below.' : '';
  switch (state) {
    case 'loading': return resuming ? ['Getting your lock back.', 'You can go on typing.'] : ['Asking who is editing.', ''];
    case 'nobody': return ['You are nobody yet.', 'Say who you are, above, to edit.'];
    case 'idle': return [problem || 'You are not editing.', ''];
    case 'free': return [waited ? 'Free now.' : 'Nobody is editing.', keptBelow || 'You can edit.'];
    case 'denied': return [`${name} is editing.`, keptBelow || 'You can read now, and edit when it is free.'];
    case 'elsewhere': return lock.sessions
      ? ['You are editing this in another tab.', 'You can edit here, too.']
      : ['You were editing this a moment ago.', 'You can go on.'];
    case 'held': return ['You are editing.', 'Nobody else can save.'];
    case 'released-idle': return [`Nothing was typed for ${idleMinutes} minutes: others may edit now.`, keptBelow];
    case 'lost': return [
      `${stale ? 'Your save was refused' : 'You have lost the lock'}: ${lostTo(lock, name)}.`, keptBelow,
    ];
  }
}

function lostTo({ reason, brokenBy }, name) {
  if (reason === 'broken') return `${holderName(brokenBy.id, brokenBy.name)} has ended your edit${name ? `, and ${name} is editing now` : ''}`;
  if (name) return `${name} is editing now`;
  return reason === 'forgotten' ? 'the server does not know who has edited since' : 'somebody else has edited since';
}

/** What became of a request that was not answered as hoped. done is "Saved" or "Published". */
export function refusal(done, { status, data }) {
  const not = `Not ${done.toLowerCase()}`;
  if (status === 0) return `${not}: the server cannot be reached. Your text is kept in this browser. Try again.`;
  if (status === 503) return `${not}: the server is not available right now. Your text is kept in this browser. Try again.`;
  return `${not}: ${data?.message ?? `the server answered ${status}`}. Your text is kept in this browser.`;
}
