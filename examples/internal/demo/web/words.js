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

/** A time span as people say it, in whole minutes or hours. */
function roughly(ms) {
  const min = Math.max(1, Math.floor(ms / 60000)), h = Math.floor(min / 60);
  if (h) return h === 1 ? 'one hour' : `${h} hours`;
  return min === 1 ? 'one minute' : `${min} minutes`;
}

/** When the holder last typed. Their page says so now and then only, so less than a minute is not counted. */
export function lastTyped(idleFor, name) {
  if (idleFor === null) return '';
  const who = name ? `${name} last typed` : 'Last typed there';
  return idleFor < 60000 ? `${who} just now.` : `${who} ${roughly(idleFor)} ago.`;
}

/** Before a release for idleness. Seconds are counted in the last minute. */
export function idleWarning(idleFor, idleAfter) {
  const s = Math.max(0, Math.ceil((idleAfter - idleFor) / 1000));
  const left = s >= 60 ? roughly(s * 1000) : s === 1 ? 'one second' : `${s} seconds`;
  return `You have not typed for ${roughly(idleFor)}. Your lock is released in ${left}.`;
}

/** What the holder is told of an ask. handing: it is being handed over; failed: why that did not come about. */
export function requestWords(asker, { handing, failed }) {
  const name = holderName(asker.id, asker.name);
  return handing ? `Handing over to ${name}.` : `${name} asks to edit.${failed ? ` ${failed}` : ''}`;
}

/** Why this page asks no longer. */
export const askEnded = (idleMinutes) => `You ask no longer: you have not done anything for ${idleMinutes} minutes.`;

/** Why the lock was not handed over: the save before it failed. */
export const NOT_SAVED = 'Not handed over: your text is not saved. You are still editing.';

/** Why it was not, or perhaps was: without an answer that is known only later. */
export const notHandedOver = (answered) => (answered
  ? 'Not handed over: the server refused. You are still editing.'
  : 'The server has not answered: it is not known yet whether the lock was handed over.');

/** What the button says that asks the holder. */
export const askWords = ({ id, name }) =>
  (name === null && id === null ? 'Ask to hand over' : `Ask ${holderName(id, name)} to hand over`);

/** What the list says of a lock. The list edits nothing: what is one's own is in another tab, or a program's. */
export function editedBy({ mine, sessions, user_id: id, user_name: name }) {
  if (!mine) return `${holderName(id, name)} is editing`;
  return sessions ? 'You are editing in another tab' : 'You are editing';
}

/** A newer version is there. own: this user has saved it; opened: in the tab that was opened then, if that is known. */
export function newerVersion({ own, opened, kept }, now = new Date()) {
  const tab = opened === null ? 'Another tab, device or agent of yours' : `Your tab opened at ${clock(opened, now)}`;
  const what = own ? `${tab} saved this draft since.` : 'There is a newer version.';
  return kept ? `${what} Your text is kept below.` : what;
}

/** What an editor says whose user holds the lock in other tabs, too. */
export const alsoOpen = (opened, now = new Date()) =>
  `Also open in another tab, device or agent of yours; this tab was opened at ${clock(opened, now)}. ` +
  'What one of them has saved, the other does not overwrite.';

/**
 * The banner's state. resuming: the page is back, after a reload say, and asks for its lock; idled: it was given back
 * for idleness; started: an answer was there.
 */
export function stateOf({ user, lock, resuming, idled, started }) {
  if (!user) return 'nobody';
  if (resuming) return 'loading';
  if (lock.state === 'idle') return !started ? 'loading' : idled ? 'released-idle' : 'idle';
  if (lock.state === 'denied' && isElsewhere(lock, user)) return 'elsewhere';
  if (lock.state !== 'free') return lock.state;
  return idled ? 'released-idle' : lock.holder ? 'elsewhere' : 'free';
}

/** Whether another user has the lock, as far as is known. */
export const isOthers = ({ holder, elsewhere }, user) => !!holder && !elsewhere && String(holder.id) !== user;

/**
 * Whether it is this user who has the lock, and not in this page. A refusal names the user at once; that it is
 * another page of theirs is known with the first look.
 */
export const isElsewhere = ({ state, reason, holder, elsewhere }, user) =>
  elsewhere || (!!holder && String(holder.id) === user && (state === 'denied' || reason === 'taken'));

const IN_ANOTHER_TAB = 'in another tab, or an agent of yours is';

/** What who asks is told. told: the answer to the ask was there. */
function asking({ holderTold, online }, name, told) {
  if (holderTold) return `${name} is told that you ask. You can type here as soon as it is your turn.`;
  return told && online && name
    ? 'Somebody else asked first. You are asking, too, and wait for your turn.' : 'You are asking to edit.';
}

/**
 * What the banner says in that state, and what it adds. kept: text that is not saved is shown; waited: another had it;
 * handed: this page has handed it over.
 */
export function sentences(state, view) {
  const { user, lock, resuming, waited, handed, told, stale, kept, idleMinutes, problem } = view;
  const name = isOthers(lock, user) ? holderName(lock.holder.id, lock.holder.name) : null;
  const keptBelow = kept ? 'Your unsaved text is kept below.' : '';
  switch (state) {
    case 'loading': return resuming ? ['Getting your lock back.', 'You can go on typing.'] : ['Asking who is editing.', ''];
    case 'nobody': return ['You are nobody yet.', 'Say who you are, above, to edit.'];
    case 'idle': return [problem || 'You are not editing.', ''];
    case 'free': return [waited ? 'Free now.' : 'Nobody is editing.', keptBelow || 'You can edit.'];
    case 'denied':
      if (lock.asking) return [`${name} is editing.`, [asking(lock, name, told), keptBelow].join(' ').trim()];
      if (handed) return [`${name} has it now.`, keptBelow || 'You have handed over. You can edit again when it is free.'];
      return [`${name} is editing.`, keptBelow || 'You can read now, and edit when it is free.'];
    case 'elsewhere':
      if (isElsewhere(lock, user) && (lock.sessions || !lock.elsewhere)) {
        return [`You are editing ${IN_ANOTHER_TAB}.`, keptBelow || 'You can edit here instead.'];
      }
      return lock.sessions ? ['You are editing this in another tab.', 'You can edit here, too.']
      : ['You were editing this a moment ago.', 'You can go on.'];
    case 'held': return ['You are editing.', 'Nobody else can save.'];
    case 'released-idle': return [`Nothing was typed for ${idleMinutes} minutes: others may edit now.`, keptBelow];
    case 'lost': return [
      `${stale ? 'Your save was refused' : 'You have lost the lock'}: ${lostTo(lock, name, user)}.`, keptBelow,
    ];
  }
}

function lostTo(lock, name, user) {
  const { reason, brokenBy } = lock;
  if (reason === 'broken') return `${holderName(brokenBy.id, brokenBy.name)} has ended your edit${name ? `, and ${name} is editing now` : ''}`;
  if (name) return `${name} is editing now`;
  if (isElsewhere(lock, user)) return `you are editing ${IN_ANOTHER_TAB}`;
  return reason === 'forgotten' ? 'the server does not know who has edited since' : 'somebody has edited elsewhere since';
}

/** What became of a request that was not answered as hoped. done is "Saved" or "Published". */
export function refusal(done, { status, data }) {
  const not = `Not ${done.toLowerCase()}`;
  if (status === 0) return `${not}: the server cannot be reached. Your text is kept in this browser. Try again.`;
  if (status === 503) return `${not}: the server is not available right now. Your text is kept in this browser. Try again.`;
  return `${not}: ${data?.message ?? `the server answered ${status}`}. Your text is kept in this browser.`;
}
