// node --test: what the pages' scripts decide without a page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alsoSent, baseOf, goesOnFrom, ifMatch, isSavedSince, refused, stillUnknown } from './web/base.js';
import { compare } from './web/diff.js';
import { Request } from './web/request.js';
import { Tabs } from './web/tabs.js';
import { Unsaved, newID, parse } from './web/unsaved.js';
import {
  alsoOpen, askWords, clock, editedBy, holderName, idleWarning, isElsewhere, isOthers, lastTyped, newerVersion, refusal,
  requestWords, sentences, since, span, stateOf,
} from './web/words.js';

// What differs, as "-" before a line of ours and "+" before one of theirs.
const diff = (ours, theirs) => {
  const marked = compare(ours, theirs);
  assert.equal(marked.ours.map(({ text }) => text).join('\n'), ours);
  assert.equal(marked.theirs.map(({ text }) => text).join('\n'), theirs);
  const same = (lines) => lines.filter((line) => line.same).map(({ text }) => text);
  assert.deepEqual(same(marked.ours), same(marked.theirs));
  const only = (lines, sign) => lines.filter((line) => !line.same).map(({ text }) => sign + text);
  return [...only(marked.ours, '-'), ...only(marked.theirs, '+')].join(' ');
};

test('compare marks the lines that the other text does not have', () => {
  for (const [ours, theirs, want] of [
    ['', '', ''],
    ['a\nb', 'a\nb', ''],
    ['', 'a', '- +a'],
    ['a\nb\nc', 'a\nx\nc', '-b +x'],
    ['a\nb', 'a\nb\nc', '+c'],
    ['b\nc', 'a\nb\nc', '+a'],
    ['a\na', 'a\na\na', '+a'],
    ['a\nb\nc\nd\ne', 'a\nc\nx\nd\ny\ne', '-b +x +y'],
    ['x\na\nb\nc', 'a\nb\nc\nx', '-x +x'],
    ['a\n', 'a', '-'],
  ]) assert.equal(diff(ours, theirs), want, JSON.stringify([ours, theirs]));
});

test('compare finds what is common to texts that differ at both ends', () => {
  const middle = Array.from({ length: 1000 }, (_, i) => `line ${i}`).join('\n');
  assert.equal(diff(`a\n${middle}\nb`, `c\n${middle}\nd`), '-a -b +c +d');
});

test('compare gives up on what would take too long, and still tells all lines', () => {
  const many = (name) => Array.from({ length: 3000 }, (_, i) => `${name} ${i % 2 ? i : ''}`).join('\n');
  const started = performance.now();
  const { ours } = compare(`a\n${many('x')}\nz`, `a\n${many('y')}\nz`);
  assert.equal(ours.filter(({ same }) => same).length, 2);
  assert.ok(performance.now() - started < 1000);
});

// A Storage as browsers have it.
class Shelf {
  #items = new Map();
  room = Infinity;
  get length() { return this.#items.size; }
  key(i) { return [...this.#items.keys()][i]; }
  getItem(key) { return this.#items.get(key) ?? null; }
  setItem(key, value) {
    if (value.length > this.room) throw new DOMException('full', 'QuotaExceededError');
    this.#items.set(key, value);
  }
  removeItem(key) { this.#items.delete(key); }
}

const none = baseOf({ text: '' });
const texts = (unsaved) => unsaved.list().map(({ text }) => text);

test('unsaved text is there for the next page of the same user and draft, and for no other', () => {
  const shelf = new Shelf();
  const base = { text: 'saved', fence: 5, revision: 2 };
  new Unsaved(shelf, 'Ann', 'draft-7').put({ id: '1', text: 'typed', base, sent: ['type'] });
  const [entry] = new Unsaved(shelf, 'Ann', 'draft-7').list();
  assert.deepEqual({ ...entry, at: 0 }, { id: '1', text: 'typed', base, sent: ['type'], at: 0 });
  for (const [user, uid] of [['Bob', 'draft-7'], ['Ann', 'draft-70'], ['Ann', 'draft'], ['', 'draft-7'], ['Ann","draft', '7']]) {
    assert.deepEqual(new Unsaved(shelf, user, uid).list(), [], `${user} ${uid}`);
  }
});

test('each page has its own entry, and the newest comes first', (t) => {
  t.mock.timers.enable({ apis: ['Date'] });
  const shelf = new Shelf();
  const one = new Unsaved(shelf, 'Ann', 'a'), two = new Unsaved(shelf, 'Ann', 'a');
  one.put({ id: '1', text: 'first', base: none });
  t.mock.timers.tick(1000);
  two.put({ id: '2', text: 'second', base: none });
  assert.deepEqual(texts(one), ['second', 'first']);
  assert.deepEqual([one.isOwn('1'), one.isOwn('2')], [true, false]);
  t.mock.timers.tick(1000);
  one.put({ id: '1', text: 'first, longer', base: none });
  assert.deepEqual(texts(two), ['first, longer', 'second']);
  one.remove('1');
  assert.deepEqual(texts(two), ['second']);
  assert.equal(one.isOwn('1'), false);
});

test('where the browser keeps nothing, the page itself does, and says so', () => {
  const shelf = new Shelf();
  shelf.room = 10;
  for (const unsaved of [new Unsaved(null, 'Ann', 'a'), new Unsaved(shelf, 'Ann', 'a')]) {
    assert.equal(unsaved.put({ id: '1', text: 'typed', base: none }), false);
    assert.deepEqual(texts(unsaved), ['typed']);
    unsaved.remove('1');
    assert.deepEqual(texts(unsaved), []);
  }
  assert.equal(new Unsaved(new Shelf(), 'Ann', 'a').put({ id: '1', text: 'typed', base: none }), true);
});

test('what is no entry is passed over', () => {
  const shelf = new Shelf();
  const unsaved = new Unsaved(shelf, 'Ann', 'a');
  unsaved.put({ id: '1', text: 'typed', base: none });
  const key = shelf.key(0);
  for (const [i, value] of ['', '{', 'null', '{"id":1}', '{"id":"x","text":"t"}', '{"id":"x","text":"t","base":1}'].entries()) shelf.setItem(key + i, value);
  assert.deepEqual(texts(new Unsaved(shelf, 'Ann', 'a')), ['typed']);
});

test('an entry of an older page has a base without a revision, and goes on from the same texts', () => {
  for (const [sent, list] of [[null, []], [undefined, []], ['type', ['type']]]) {
    const entry = parse(JSON.stringify({ id: '1', text: 'typed', base: 'saved', sent, at: 5 }));
    const base = { text: 'saved', fence: null, revision: null };
    assert.deepEqual(entry, { id: '1', text: 'typed', base, sent: list, at: 5 });
    assert.deepEqual(ifMatch(entry.base), {});
    assert.ok(goesOnFrom('saved', entry));
    assert.equal(goesOnFrom('type', entry), list.length > 0);
  }
});

test('a save names the revision that its text goes on from', () => {
  const draft = { uid: 'a', text: 't', fence: 5, revision: 7 };
  assert.deepEqual(baseOf(draft), { text: 't', fence: 5, revision: 7 });
  assert.deepEqual(ifMatch(baseOf(draft)), { 'If-Match': '"7"' });
  assert.deepEqual(ifMatch(baseOf({ text: '', fence: 0, revision: 0 })), { 'If-Match': '"0"' });
  assert.deepEqual(ifMatch(baseOf({ text: '' })), {});
  assert.deepEqual(ifMatch(baseOf({ text: '', revision: '7' })), {});
});

test('only the 412 of the draft has a revision', () => {
  for (const [answer, want] of [
    [{ status: 412, data: { message: 'Draft was saved since', revision: 0 } }, true],
    [{ status: 412, data: { message: 'Lock was held by another user since', fence: 7 } }, false],
    [{ status: 412, data: null }, false],
    [{ status: 409, data: { revision: 7 } }, false],
    [{ status: 200, data: { revision: 7 } }, false],
  ]) assert.equal(isSavedSince(answer), want, JSON.stringify(answer));
});

test('what was typed goes on from its base, and from each text that was sent without an answer', () => {
  const entry = { base: baseOf({ text: 'base', revision: 3 }), sent: ['one', 'two'] };
  for (const [text, want] of [['base', true], ['one', true], ['two', true], ['three', false]]) {
    assert.equal(goesOnFrom(text, entry), want, text);
  }
  assert.deepEqual(alsoSent(['one', 'two'], 'one'), ['two', 'one']);
  assert.deepEqual(alsoSent(['1', '2', '3', '4'], '5'), ['2', '3', '4', '5']);
});

test('a save without an answer may come about as long as the draft has the old revision', () => {
  const base = baseOf({ text: '', revision: 3 });
  assert.deepEqual(stillUnknown(['one'], base, { text: '', revision: 3 }), ['one']);
  assert.deepEqual(stillUnknown(['one'], base, { text: 'other', revision: 4 }), []);
  assert.deepEqual(stillUnknown(['one'], none, { text: '', revision: 3 }), []);
});

test('a save that was refused because another one came first', () => {
  const from = baseOf({ text: 'old', revision: 1 }), base = (text) => baseOf({ text, revision: 2 });
  for (const [what, state, want] of [
    ['another text was saved, this one is put aside', { base: base('other'), aside: true, dirty: false }, 'aside'],
    ['put aside, and just what was sent was saved', { base: base('sent'), aside: true, dirty: false }, 'aside'],
    ['it had come about', { base: base('sent'), aside: false, dirty: false }, 'saved'],
    ['it had come about, and typing went on', { base: base('sent'), aside: false, dirty: true }, 'saved'],
    ['the old text was saved anew', { base: base('old'), aside: false, dirty: true }, 'again'],
    ['an earlier save without an answer had come about', { base: base('earlier'), aside: false, dirty: true }, 'again'],
    ['the draft did not come', { base: from, aside: false, dirty: true }, 'again'],
    ['the draft did not come, and nothing was typed', { base: from, text: 'old', aside: false, dirty: false }, 'again'],
    ['nothing was typed', { base: base('other'), text: 'old', aside: false, dirty: false }, 'nothing typed'],
  ]) assert.equal(refused({ text: 'sent', from, ...state }), want, what);
});

// The tabs of one browser: what one writes is an event for the others.
class Browser {
  shelf = new Shelf();
  #tabs = [];
  open(opened, { user = 'Ann', uid = 'a', storage = this.shelf } = {}) {
    const events = new EventTarget();
    const other = (key) => this.#tabs.filter((tab) => tab !== events)
      .forEach((tab) => tab.dispatchEvent(Object.assign(new Event('storage'), { key })));
    this.#tabs.push(events);
    const own = storage && {
      getItem: (key) => storage.getItem(key),
      setItem: (key, value) => {
        storage.setItem(key, value);
        other(key);
      },
    };
    return new Tabs(own, events, user, uid, opened);
  }
}

test('a tab tells the others that it has saved, and when it was opened', async () => {
  const browser = new Browser();
  const one = browser.open(100), two = browser.open(200);
  one.tell({ fence: 5, revision: 1 });
  assert.equal(await two.saver({ fence: 5, revision: 1 }), 100);
  two.tell({ fence: 5, revision: 2 });
  assert.equal(await one.saver({ fence: 5, revision: 2 }), 200);
  assert.equal(await browser.open(300).saver({ fence: 5, revision: 2 }), 200, 'a tab that was opened since');
});

test('a tab waits a moment for the one that has saved, and no longer', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const browser = new Browser();
  const one = browser.open(100), two = browser.open(200);
  const told = two.saver({ fence: 5, revision: 1 });
  browser.open(300, { uid: 'b' }).tell({ fence: 5, revision: 1 });
  browser.open(300, { user: 'Bob' }).tell({ fence: 5, revision: 1 });
  one.tell({ fence: 5, revision: 1 });
  assert.equal(await told, 100);

  for (const draft of [{ fence: 5, revision: 2 }, { fence: 6, revision: 1 }]) {
    const untold = two.saver(draft);
    t.mock.timers.tick(500);
    assert.equal(await untold, null, 'another device');
  }
});

test('what is told late does not take the place of what is newer, nor of what another tab has said of it', async () => {
  const browser = new Browser();
  const one = browser.open(100), two = browser.open(200);
  one.tell({ fence: 5, revision: 2 });
  for (const late of [{ fence: 5, revision: 1 }, { fence: 5, revision: 2 }, { fence: 4, revision: 3 }]) two.tell(late);
  assert.equal(await two.saver({ fence: 5, revision: 2 }), 100);
  two.tell({ fence: 6, revision: 1 });
  assert.equal(await one.saver({ fence: 6, revision: 1 }), 200, 'a store that counts anew');
});

test('the other tabs of a draft hear of a save', () => {
  const browser = new Browser(), heard = [];
  const hear = (opened, more) => {
    const tab = browser.open(opened, more);
    tab.onSave(() => heard.push(opened));
    return tab;
  };
  const one = hear(100);
  hear(200);
  hear(300, { uid: 'b' });
  one.tell({ fence: 5, revision: 1 });
  assert.deepEqual(heard, [200]);
});

test('where the browser keeps nothing, or nonsense, no tab has told', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const full = new Browser();
  full.shelf.room = 0;
  full.open(200).tell({ fence: 5, revision: 1 });
  new Browser().open(200, { storage: null }).tell({ fence: 5, revision: 1 });
  const broken = new Browser();
  broken.open(100).tell({ fence: 5, revision: 1 });
  for (const value of ['{', 'null', '7', '{"fence":5,"revision":1}']) {
    broken.shelf.setItem(broken.shelf.key(0), value);
    for (const tab of [new Browser().open(100, { storage: null }), full.open(100), broken.open(100)]) {
      const untold = tab.saver({ fence: 5, revision: 1 });
      t.mock.timers.tick(500);
      assert.equal(await untold, null);
    }
  }
});

test('ids are new each time', () => {
  assert.equal(new Set(Array.from({ length: 100 }, newID)).size, 100);
});

const bob = { id: 'Bob', name: 'Bob' };
const page = (more) => ({ user: 'Ann', lock: { state: 'free', holder: null, sessions: 0 }, started: true, ...more });
const locked = (state, more) => ({ state, holder: bob, sessions: 0, reason: null, ...more });

test('each state of the lock and the page has its name and its words', () => {
  const words = (view) => sentences(stateOf(view), { idleMinutes: 30, ...view }).join(' ').trim();
  const ann = { holder: { id: 'Ann', name: null } };
  for (const [view, state, want] of [
    [page({ user: '' }), 'nobody', 'You are nobody yet. Say who you are, above, to edit.'],
    [page({ lock: locked('idle'), started: false }), 'loading', 'Asking who is editing.'],
    [page({ lock: locked('idle'), resuming: true }), 'loading', 'Getting your lock back. You can go on typing.'],
    [page({ lock: locked('idle'), problem: 'No.' }), 'idle', 'No.'],
    [page({ lock: locked('idle'), idled: true, kept: true }), 'released-idle',
      'Nothing was typed for 30 minutes: others may edit now. Your unsaved text is kept below.'],
    [page(), 'free', 'Nobody is editing. You can edit.'],
    [page({ waited: true }), 'free', 'Free now. You can edit.'],
    [page({ lock: locked('free', { ...ann, sessions: 1 }) }), 'elsewhere', 'You are editing this in another tab. You can edit here, too.'],
    [page({ lock: locked('free', ann) }), 'elsewhere', 'You were editing this a moment ago. You can go on.'],
    [page({ idled: true }), 'released-idle', 'Nothing was typed for 30 minutes: others may edit now.'],
    [page({ idled: true, lock: locked('denied') }), 'denied', 'Bob is editing. You can read now, and edit when it is free.'],
    [page({ lock: locked('denied', { holder: { id: null, name: null } }) }), 'denied',
      'Another user is editing. You can read now, and edit when it is free.'],
    [page({ lock: locked('held', ann) }), 'held', 'You are editing. Nobody else can save.'],
    [page({ lock: locked('lost', { reason: 'taken' }), kept: true }), 'lost',
      'You have lost the lock: Bob is editing now. Your unsaved text is kept below.'],
    [page({ lock: locked('lost', { reason: 'taken' }), stale: true }), 'lost', 'Your save was refused: Bob is editing now.'],
    [page({ lock: locked('lost', { reason: 'moved', holder: null }) }), 'lost',
      'You have lost the lock: somebody has edited elsewhere since.'],
    [page({ lock: locked('lost', { reason: 'moved', ...ann }) }), 'lost',
      'You have lost the lock: somebody has edited elsewhere since.'],
    [page({ lock: locked('lost', { reason: 'broken', brokenBy: { id: 9, name: 'Root' }, holder: null }), kept: true }), 'lost',
      'You have lost the lock: Root has ended your edit. Your unsaved text is kept below.'],
    [page({ lock: locked('lost', { reason: 'broken', brokenBy: { id: null, name: null } }), stale: true }), 'lost',
      'Your save was refused: Another user has ended your edit, and Bob is editing now.'],
    [page({ lock: locked('lost', { reason: 'forgotten', holder: null }) }), 'lost',
      'You have lost the lock: the server does not know who has edited since.'],
  ]) assert.deepEqual([stateOf(view), words(view)], [state, want]);
});

test('another page of one\'s own, or an agent, is told as such, from the refusal on', () => {
  const words = (view) => sentences(stateOf(view), { idleMinutes: 30, ...view }).join(' ').trim();
  const ann = { holder: { id: 'Ann', name: null } }, seen = { elsewhere: true, sessions: 1 };
  for (const [lock, state, want] of [
    [locked('denied', ann), 'elsewhere', 'You are editing in another tab, or an agent of yours is. You can edit here instead.'],
    [locked('denied', { ...ann, ...seen }), 'elsewhere',
      'You are editing in another tab, or an agent of yours is. You can edit here instead.'],
    [locked('denied', { ...ann, ...seen, sessions: 0 }), 'elsewhere', 'You were editing this a moment ago. You can go on.'],
    [locked('lost', { ...ann, reason: 'taken' }), 'lost',
      'You have lost the lock: you are editing in another tab, or an agent of yours is.'],
    [locked('lost', { ...ann, ...seen, reason: 'moved' }), 'lost',
      'You have lost the lock: you are editing in another tab, or an agent of yours is.'],
  ]) {
    assert.deepEqual([stateOf(page({ lock })), words(page({ lock }))], [state, want]);
    assert.deepEqual([isOthers(lock, 'Ann'), isElsewhere(lock, 'Ann')], [false, true], want);
  }
  assert.equal(isElsewhere(locked('denied'), 'Ann'), false);
  assert.equal(isElsewhere(locked('held', ann), 'Ann'), false);
  assert.equal(isElsewhere(locked('free', { ...ann, sessions: 1 }), 'Ann'), false, 'in scope user it is no obstacle');
  assert.equal(isElsewhere(locked('lost', { ...ann, reason: 'moved' }), 'Ann'), false, 'in scope user');
});

test('an ask is shown until it ends, and after "Not now" only when it is another one', () => {
  const request = new Request(), carl = { id: 'Carl', name: null };
  const shown = (who) => {
    request.hear(who);
    return request.shown;
  };
  assert.equal(request.shown, null);
  assert.deepEqual([shown(bob), shown({ ...bob }), shown(null)], [bob, bob, null]);
  for (const [what, next] of [['somebody else asks', [carl]], ['asked again after the end', [null, bob]]]) {
    shown(bob);
    request.failed = 'Not saved.';
    request.decline();
    assert.deepEqual([shown({ ...bob }), request.failed], [null, 'Not saved.'], 'the ask is repeated');
    for (const who of next) assert.equal(shown(who), who, what);
    assert.equal(request.failed, '', what);
  }
});

test('who asks is told how the ask stands, and who has handed over is told who has it', () => {
  const advice = (more, lock) => sentences('denied', page({ lock: locked('denied', lock), ...more })).join(' ');
  const asks = { asking: true, online: true };
  for (const [more, lock, want] of [
    [{}, { ...asks, holderTold: true }, 'Bob is editing. Bob is told that you ask. You can type here as soon as it is your turn.'],
    [{}, asks, 'Bob is editing. You are asking to edit.'],
    [{ told: true }, asks, 'Bob is editing. Somebody else asked first. You are asking, too, and wait for your turn.'],
    [{ told: true }, { ...asks, online: false }, 'Bob is editing. You are asking to edit.'],
    [{ kept: true }, asks, 'Bob is editing. You are asking to edit. Your unsaved text is kept below.'],
    [{ handed: true }, {}, 'Bob has it now. You have handed over. You can edit again when it is free.'],
  ]) assert.equal(advice(more, lock), want.replaceAll('Bob', bob.name));
  assert.deepEqual([askWords(bob), askWords({ id: 7, name: null }), askWords({ id: null, name: null })],
    ['Ask Bob to hand over', 'Ask User 7 to hand over', 'Ask to hand over']);
});

test('the holder is told who asks, and why it was not handed over', () => {
  assert.equal(requestWords(bob, { handing: false, failed: '' }), 'Bob asks to edit.');
  assert.equal(requestWords({ id: null, name: null }, { handing: false, failed: '' }), 'Another user asks to edit.');
  assert.equal(requestWords(bob, { handing: true, failed: '' }), 'Handing over to Bob.');
  assert.equal(requestWords(bob, { handing: false, failed: 'Not saved.' }), 'Bob asks to edit. Not saved.');
});

test('when the holder last typed, where their page says so', () => {
  for (const [ms, name, want] of [
    [null, 'Bob', ''],
    [0, 'Bob', 'Bob last typed just now.'],
    [59_999, 'Bob', 'Bob last typed just now.'],
    [60_000, 'Bob', 'Bob last typed one minute ago.'],
    [299_000, 'Bob', 'Bob last typed 4 minutes ago.'],
    [3_600_000, 'Bob', 'Bob last typed one hour ago.'],
    [7_300_000, 'Bob', 'Bob last typed 2 hours ago.'],
    [240_000, null, 'Last typed there 4 minutes ago.'],
  ]) assert.equal(lastTyped(ms, name), want);
});

test('before a release for idleness, the time that is left is counted', () => {
  const min = 60_000, warning = (left) => idleWarning(30 * min - left, 30 * min);
  for (const [left, want] of [
    [min, 'You have not typed for 29 minutes. Your lock is released in one minute.'],
    [59_990, 'You have not typed for 29 minutes. Your lock is released in one minute.'],
    [45_000, 'You have not typed for 29 minutes. Your lock is released in 45 seconds.'],
    [900, 'You have not typed for 29 minutes. Your lock is released in one second.'],
    [-100, 'You have not typed for 30 minutes. Your lock is released in 0 seconds.'],
  ]) assert.equal(warning(left), want);
});

test('the list says what is one\'s own', () => {
  for (const [lock, want] of [
    [{ mine: true, sessions: 2, user_id: 7 }, 'You are editing in another tab'],
    [{ mine: true, sessions: 0, user_id: 7 }, 'You are editing'],
    [{ mine: false, sessions: 1, user_id: 8, user_name: null }, 'User 8 is editing'],
  ]) assert.equal(editedBy(lock), want);
});

test('a holder without a name is called as the server would call it', () => {
  assert.deepEqual([holderName(7, 'Ann'), holderName(7, null), holderName('Ann', null), holderName(null, null)],
    ['Ann', 'User 7', 'Ann', 'Another user']);
});

test('a number in the cookie is the number that the server tells', () => {
  assert.equal(isOthers({ holder: { id: 7, name: null } }, '7'), false);
  assert.equal(isOthers({ holder: { id: 8, name: null } }, '7'), true);
  assert.equal(isOthers({ holder: null }, '7'), false);
});

test('time spans have two units, and another day is named', () => {
  for (const [ms, want] of [[0, '0 s'], [59_999, '59 s'], [60_000, '1 min 0 s'], [3_599_999, '59 min 59 s'], [7_260_000, '2 h 1 min']]) {
    assert.equal(span(ms), want);
  }
  const now = new Date(2026, 4, 3, 12, 0);
  assert.match(since(3_600_000, now), /^since \S*11:00.*, for 1 h 0 min$/);
  assert.ok(since(24 * 3_600_000, now).includes(new Date(2026, 4, 2).toLocaleDateString()));
});

test('what came first is told with the tab that has saved it', () => {
  const now = new Date(2026, 4, 3, 12, 30), opened = new Date(2026, 4, 3, 12, 3).getTime(), at = clock(opened, now);
  assert.match(at, /^\S*12:03/);
  for (const [what, want] of [
    [{ own: true, opened, kept: true }, `Your tab opened at ${at} saved this draft since. Your text is kept below.`],
    [{ own: true, opened: null, kept: true },
      'Another tab, device or agent of yours saved this draft since. Your text is kept below.'],
    [{ own: true, opened, kept: false }, `Your tab opened at ${at} saved this draft since.`],
    [{ own: false, opened: null, kept: true }, 'There is a newer version. Your text is kept below.'],
  ]) assert.equal(newerVersion(what, now), want);
  assert.ok(alsoOpen(opened, now).includes(`this tab was opened at ${at}.`));
});

test('a refusal says what was not done, and that nothing is lost', () => {
  assert.match(refusal('Saved', { status: 0 }), /^Not saved: the server cannot be reached\. .*kept/);
  assert.match(refusal('Published', { status: 503, data: null }), /^Not published: the server is not available .*kept/);
  assert.match(refusal('Saved', { status: 413, data: { message: 'Body is too large' } }), /^Not saved: Body is too large\. .*kept/);
  assert.match(refusal('Saved', { status: 500, data: null }), /the server answered 500\. .*kept/);
});
