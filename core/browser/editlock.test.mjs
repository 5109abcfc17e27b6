// node --test. Each test is one page with its own clocks, timers, worker and server; nothing really waits.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { EditLock } from './editlock.js';

const URL = '/api/lock/draft-7/';
const FENCE = 1790000000000000;
const SECOND = 1000, MINUTE = 60 * SECOND;
const SESSION = /^[A-Za-z0-9_-]{1,64}$/;

mock.method(Math, 'random', () => 0.5); // jitter: 75 % of each back-off, 1.5 s between plain polls

// What the contract says, answer by answer.
const json = (status, body, headers = {}) => new Response(body === undefined ? null : JSON.stringify(body), {
  status, headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers },
});
const granted = (more) => json(200, {
  uid: 'draft-7', user_id: 1, fence: FENCE, renewed: false, sessions: 1, held_ms: 0, expires_in_ms: MINUTE,
  asked_by: null, ...more,
});
const inUse = (fence = FENCE + 1, expires = 41337) => json(423, {
  message: 'Resource is already in use by another user', user_id: 2,
}, {
  'Retry-After': String(Math.ceil(expires / 1000)), 'Lock-Expires-In': String(expires), 'Lock-Fence': String(fence),
});
const moved = () => json(412, { message: 'Lock was held by another user since', fence: FENCE + 1 });
const broken = (by = { user_id: 9, user_name: 'Root' }) =>
  json(412, { message: 'Lock was broken since', fence: FENCE + 1, broken_by: by });
const forgotten = () => json(412, { message: 'The hold is no longer remembered', fence: null });
const ended = () => json(410, { message: 'Session has ended' });
const unavailable = (after = 1) => json(503, { message: 'Not known' }, { 'Retry-After': String(after) });
const bobs = (more) => ({
  uid: 'draft-7', locked: true, mine: false, user_id: 2, user_name: 'Bob', fence: FENCE + 1, sessions: 1,
  held_ms: 18663, expires_in_ms: 41337, can_take_over: false, asked_by: null, idle_ms: 20000, ...more,
});
const nobodys = (more) => ({
  uid: 'draft-7', locked: false, mine: false, user_id: null, user_name: null, fence: FENCE + 1, sessions: 0,
  held_ms: 0, expires_in_ms: 0, can_take_over: false, asked_by: null, idle_ms: null, ...more,
});
// Of this page's user, Ann: by another session of hers, by a linger or by a hand-over.
const own = (more) => bobs({ mine: true, user_id: 1, user_name: 'Ann', can_take_over: true, ...more });
const inUseElsewhere = (fence = FENCE + 1) => json(423, {
  message: 'Resource is already in use in another session of yours', user_id: 1,
}, { 'Retry-After': '42', 'Lock-Expires-In': '41337', 'Lock-Fence': String(fence) });
const ann = { user_id: 1, user_name: 'Ann' }, cid = { user_id: 3, user_name: 'Cid' };
const status = (body, etag = 'W/"1"', waited) => json(200, body, {
  ETag: etag, ...(waited && { 'Preference-Applied': 'wait=25' }),
});
const unchanged = (waited, expires = 30000, etag = 'W/"1"') => json(304, undefined, {
  ETag: etag, 'Lock-Expires-In': String(expires), ...(waited && { 'Preference-Applied': 'wait=25' }),
});
const done = () => json(204);

const settle = async () => { for (let i = 0; i < 4; i++) await new Promise((go) => setImmediate(go)); };

class Page {
  calls = [];
  events = [];
  workers = [];
  heard = [];
  throttled = false; // the page's own timers stand still, as in a hidden tab
  #timers = new Map();
  #ids = 0;
  #now = 5000;
  #date = 1_790_000_000_000;

  constructor(options = {}, { Worker } = {}) {
    const page = this;
    this.window = Object.assign(new EventTarget(), {
      addEventListener(type, ...rest) {
        page.heard.push(type);
        EventTarget.prototype.addEventListener.call(this, type, ...rest);
      },
      document: { visibilityState: 'visible' },
      performance: { now: () => page.#now },
      Date: { now: () => page.#date },
      setTimeout: (run, ms) => page.#at(run, ms, true),
      clearTimeout: (id) => page.#timers.delete(id),
      fetch(url, init) {
        assert.equal(this, undefined, 'a browser throws "Illegal invocation" for fetch called as a method');
        return page.#fetch(url, init);
      },
      Worker: Worker ?? class {
        constructor(url, init) {
          Object.assign(this, { url: String(url), init, alive: true });
          page.workers.push(this);
        }
        postMessage(ms) {
          assert.ok(this.alive);
          page.#timers.delete(this.id);
          this.id = page.#at(() => this.onmessage({ data: 0 }), ms, false);
        }
        terminate() {
          this.alive = false;
          page.#timers.delete(this.id);
        }
      },
    });
    this.lock = new EditLock(URL, { window: this.window, ...options });
    this.lock.addEventListener('change', ({ detail }) => this.events.push(detail));
  }

  #at(run, ms, own) {
    this.#timers.set(++this.#ids, { run, own, at: this.#now + ms });
    return this.#ids;
  }

  #fetch(url, init) {
    const call = { url, ...init, at: this.#now, headers: new Headers(init.headers) };
    this.calls.push(call);
    return new Promise((resolve, reject) => {
      call.answer = resolve;
      call.fail = () => reject(new TypeError('Failed to fetch'));
      // Deaf: stands for an answer that was on its way already.
      init.signal?.addEventListener('abort', () => { call.aborted = true; this.deaf || reject(init.signal.reason); });
      const answer = this.server?.(call);
      if (answer) resolve(answer);
    });
  }

  get timers() { return this.#timers.size; }
  get last() { return this.calls.at(-1); }
  get types() { return this.events.map(({ type }) => type); }
  of(method) { return this.calls.filter((call) => call.method === method); }
  jump(ms) { this.#now += ms; this.#date += ms; }
  setBack(ms) { this.#date -= ms; }

  // The machine sleeps: timers and performance.now stand still, the wall clock does not.
  sleep(ms) { this.#date += ms; }

  async pass(ms) {
    await settle();
    const end = this.#now + ms;
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < 2000, 'a timer fires without end');
      const due = [...this.#timers].filter(([, { at, own }]) => at <= end && !(own && this.throttled));
      if (!due.length) break;
      const [id, { at, run }] = due.reduce((a, b) => (b[1].at < a[1].at ? b : a));
      this.#timers.delete(id);
      this.jump(Math.max(0, at - this.#now));
      run();
      await settle();
    }
    this.jump(end - this.#now);
  }

  async on(type, properties = {}) {
    this.window.dispatchEvent(Object.assign(new Event(type), properties));
    await settle();
  }

  async show(visible) {
    this.window.document.visibilityState = visible ? 'visible' : 'hidden';
    await this.on('visibilitychange');
  }

  async answer(response) {
    this.last.answer(response);
    await settle();
  }

  forget() { this.calls.length = this.events.length = 0; }
}

// A page that holds the lock, with a server that renews it and stands by otherwise.
async function holding(options, environment) {
  const page = new Page(options, environment);
  page.server = ({ method }) => (
    method === 'DELETE' ? done() : method === 'POST' ? granted({ renewed: true }) : undefined
  );
  assert.equal(await page.lock.acquire(), 'held');
  page.session = page.last.headers.get('Lock-Session');
  page.forget();
  return page;
}

// A page that was refused, has looked, and now waits.
async function waiting(options, seen = bobs()) {
  const page = new Page(options);
  const acquired = page.lock.acquire();
  await page.answer(inUse());
  assert.equal(await acquired, 'denied');
  await page.answer(status(seen));
  return page;
}

test('acquire: one POST under a session name, no If-Match', async () => {
  const page = new Page({ headers: () => ({ 'X-CSRF-Token': 'abc' }) });
  const acquired = page.lock.acquire();
  assert.equal(page.calls.length, 1);
  assert.equal(page.last.url, URL);
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.body, undefined);
  assert.match(page.last.headers.get('Lock-Session'), SESSION);
  assert.equal(page.last.headers.get('If-Match'), null);
  assert.equal(page.last.headers.get('X-CSRF-Token'), 'abc');
  assert.equal(page.lock.state, 'idle');
  await page.answer(granted({ sessions: 3, held_ms: 500 }));
  assert.equal(await acquired, 'held');
  assert.equal(page.lock.state, 'held');
  assert.equal(page.lock.reason, null);
  assert.equal(page.lock.fence, FENCE);
  assert.equal(page.lock.sessions, 2);
  assert.deepEqual(page.lock.holder, { id: 1, name: null });
  assert.deepEqual(page.events, [{ type: 'acquired', state: 'held', reason: null, resumed: false }]);
  assert.deepEqual(page.lock.saveHeaders(), {
    'Lock-Fence': '1790000000000000', 'Lock-Session': page.last.headers.get('Lock-Session'),
  });
});

test('the url may lack its last slash', async () => {
  const page = new Page();
  const lock = new EditLock('/api/lock/draft-7', { window: page.window });
  lock.acquire();
  assert.equal(page.last.url, URL);
});

test('acquire called twice at once shares one request and one promise', async () => {
  const page = new Page();
  const first = page.lock.acquire(), second = page.lock.acquire();
  assert.equal(first, second);
  await page.answer(granted());
  assert.equal(await second, 'held');
  assert.equal(page.calls.length, 1);
});

test('denied: tells the holder from the 423, then from the status', async () => {
  const page = new Page();
  const acquired = page.lock.acquire();
  await page.answer(inUse());
  assert.equal(await acquired, 'denied');
  assert.deepEqual(page.lock.holder, { id: 2, name: null });
  assert.equal(page.lock.expiresIn, 41337);
  assert.equal(page.lock.heldFor, 0);
  assert.deepEqual(page.lock.saveHeaders(), {});
  assert.equal(page.last.method, 'GET');
  assert.equal(page.last.headers.get('If-None-Match'), null);
  assert.equal(page.last.headers.get('Prefer'), null);
  assert.equal(page.last.headers.get('Lock-Session'), null);
  await page.answer(status(bobs({ can_take_over: true })));
  assert.deepEqual(page.lock.holder, { id: 2, name: 'Bob' });
  assert.equal(page.lock.canTakeOver, true);
  assert.equal(page.lock.heldFor, 18663);
  assert.equal(page.lock.sessions, 0);
  assert.deepEqual(page.types, ['denied', 'updated']);
  await page.pass(1000);
  assert.equal(page.lock.heldFor, 19663);
  assert.equal(page.lock.expiresIn, 40337);
});

test('a hidden holder is a holder without a name', async () => {
  const page = await waiting({}, bobs({ user_id: null, user_name: null }));
  assert.deepEqual(page.lock.holder, { id: null, name: null });
});

test('renews at a third of the timeout, under the same session, with If-Match', async () => {
  const page = await holding();
  await page.pass(20 * SECOND - 1);
  assert.equal(page.calls.length, 0);
  await page.pass(1);
  assert.equal(page.calls.length, 1);
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
  assert.equal(page.last.headers.get('Lock-Session'), page.session);
  await page.pass(MINUTE);
  assert.equal(page.calls.length, 4);
  assert.ok(page.calls.every((call) => call.headers.get('If-Match') === `"${FENCE}"`));
  assert.deepEqual(page.types, ['renewed', 'renewed', 'renewed', 'renewed']);
  assert.equal(page.events[0].resumed, true);
});

test('the time counts from before the request was sent', async () => {
  const page = new Page();
  page.lock.acquire();
  page.jump(4 * SECOND);
  await page.answer(granted({ held_ms: 100 }));
  assert.equal(page.lock.expiresIn, 56 * SECOND);
  assert.equal(page.lock.heldFor, 4100);
  page.forget();
  await page.pass(16 * SECOND);
  assert.equal(page.of('POST').length, 1);
});

test('elapsed time is the larger of two clocks: a sleep', async () => {
  const page = await holding();
  page.sleep(50 * SECOND);
  assert.equal(page.lock.expiresIn, 10 * SECOND);
  await page.on('resume');
  assert.equal(page.calls.length, 1);
});

test('elapsed time is the larger of two clocks: a clock set back', async () => {
  const page = await holding();
  page.setBack(60 * MINUTE);
  await page.pass(20 * SECOND);
  assert.equal(page.lock.expiresIn, MINUTE);
  assert.equal(page.calls.length, 1);
});

test('a lapse is noticed: 412 with a newer fence', async () => {
  const page = await holding();
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(moved());
  assert.equal(page.lock.state, 'lost');
  assert.equal(page.lock.reason, 'moved');
  assert.equal(page.events.at(-1).type, 'lost');
  assert.equal(page.lock.holder, null);
  // The old fence goes with a late save, which the server refuses by it; the session has no lease.
  assert.deepEqual(page.lock.saveHeaders(), { 'Lock-Fence': String(FENCE) });
  await page.pass(5 * MINUTE);
  assert.equal(page.of('POST').length, 1, 'a page that lost the lock must not renew it');
});

test('a hold that somebody has broken: the page knows who, until it is over with', async () => {
  for (const [by, want] of [
    [{ user_id: 9, user_name: 'Root' }, { id: 9, name: 'Root' }],
    [{ user_id: 'root', user_name: null }, { id: 'root', name: null }],
    [{ user_id: null, user_name: null }, { id: null, name: null }], // hidden
  ]) {
    const page = await holding();
    assert.equal(page.lock.brokenBy, null);
    page.server = null;
    await page.pass(20 * SECOND);
    await page.answer(broken(by));
    assert.equal(page.lock.state, 'lost');
    assert.equal(page.lock.reason, 'broken');
    assert.deepEqual(page.lock.brokenBy, want);
    assert.deepEqual(page.types.slice(-1), ['lost']);
    assert.equal(page.events.at(-1).reason, 'broken');
    assert.equal(page.lock.holder, null);
    assert.deepEqual(page.lock.saveHeaders(), { 'Lock-Fence': String(FENCE) });
    // Somebody else acquires it: it is still a broken hold.
    await page.answer(status(bobs()));
    assert.equal(page.lock.reason, 'broken');
    assert.deepEqual(page.lock.brokenBy, want);
    page.server = () => granted({ fence: FENCE + 2 });
    assert.equal(await page.lock.acquire(), 'held');
    assert.equal(page.lock.brokenBy, null);
    page.server = moved;
    await page.pass(20 * SECOND);
    assert.equal(page.lock.reason, 'moved');
    assert.equal(page.lock.brokenBy, null);
  }
});

test('afterSave: a break is told of', async () => {
  const page = await holding();
  page.server = () => broken();
  assert.equal(await page.lock.afterSave({ status: 423 }), 'lost');
  assert.deepEqual(page.lock.brokenBy, { id: 9, name: 'Root' });
  page.server = () => done();
  await page.lock.release();
  assert.equal(page.lock.brokenBy, null);
});

test('a lapse is noticed: 412 with fence null', async () => {
  const page = await holding();
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(forgotten());
  assert.equal(page.lock.state, 'lost');
  assert.equal(page.lock.reason, 'forgotten');
});

test('a takeover by another user is noticed: 423 while held', async () => {
  const page = await holding();
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(inUse());
  assert.equal(page.lock.state, 'lost');
  assert.equal(page.lock.reason, 'taken');
  assert.deepEqual(page.lock.holder, { id: 2, name: null });
  assert.deepEqual(page.types, ['lost']);
  await page.answer(status(bobs()));
  assert.deepEqual(page.lock.holder, { id: 2, name: 'Bob' });
  assert.equal(page.lock.state, 'lost');
});

test('a loss stays one when the lock becomes free, even with autoAcquire, until acquire takes it afresh', async () => {
  const page = await holding({ autoAcquire: true });
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(inUse());
  await page.answer(status(bobs()));
  await page.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(page.lock.state, 'lost');
  assert.deepEqual(page.types, ['lost', 'updated', 'freed']);
  assert.equal(page.of('POST').length, 1);
  page.forget();
  const acquired = page.lock.acquire();
  assert.equal(page.last.headers.get('If-Match'), null);
  assert.notEqual(page.last.headers.get('Lock-Session'), page.session);
  await page.answer(granted({ fence: FENCE + 2 }));
  assert.equal(await acquired, 'held');
  assert.equal(page.lock.fence, FENCE + 2);
  assert.equal(page.events[0].resumed, false);
  await page.pass(20 * SECOND);
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE + 2}"`);
});

test('acquire after a loss, refused: denied, and the text is to be loaded when the turn comes', async () => {
  const page = await holding({ autoAcquire: true });
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(inUse());
  page.lock.acquire();
  await page.answer(inUse());
  assert.equal(page.lock.state, 'denied');
  assert.equal(page.lock.reason, null);
  assert.equal(page.lock.fence, null);
  await page.answer(status(nobodys()));
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.headers.get('If-Match'), null);
  await page.answer(granted({ fence: FENCE + 2 }));
  assert.equal(page.events.at(-1).resumed, false);
});

test('free: the page is told and offers it; nothing is acquired', async () => {
  const page = await waiting();
  await page.pass(3 * SECOND);
  await page.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(page.lock.state, 'free');
  assert.equal(page.lock.holder, null);
  assert.deepEqual(page.types, ['denied', 'updated', 'freed']);
  await page.pass(10 * SECOND);
  assert.equal(page.lock.heldFor, 0);
  assert.equal(page.lock.expiresIn, 0);
  assert.equal(page.of('POST').length, 1);
  // It goes on following: another one may be quicker.
  assert.equal(page.last.headers.get('If-None-Match'), 'W/"2"');
  await page.answer(status(bobs({ user_id: 3, fence: FENCE + 3 }), 'W/"3"', true));
  assert.equal(page.lock.state, 'denied');
  assert.equal(page.events.at(-1).type, 'denied');
});

test('autoAcquire: acquires at once when the lock becomes free', async () => {
  const page = await waiting({ autoAcquire: true });
  await page.pass(3 * SECOND);
  await page.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.headers.get('If-Match'), null);
  await page.answer(granted({ fence: FENCE + 2 }));
  assert.equal(page.lock.state, 'held');
  assert.deepEqual(page.types, ['denied', 'updated', 'acquired']);
  assert.equal(page.events.at(-1).resumed, false);
});

test('autoAcquire: another one was quicker', async () => {
  const page = await waiting({ autoAcquire: true });
  await page.answer(status(nobodys(), 'W/"2"', true));
  await page.answer(inUse());
  assert.equal(page.lock.state, 'denied');
  assert.equal(page.last.method, 'GET');
  assert.equal(page.last.headers.get('If-None-Match'), null, 'who it was is not known yet');
});

test('autoAcquire: not for a page that only watches, nor for one that nobody sits at', async () => {
  const watcher = new Page({ autoAcquire: true });
  watcher.lock.watch();
  await watcher.answer(status(bobs()));
  await watcher.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(watcher.lock.state, 'free');
  assert.equal(watcher.of('POST').length, 0);

  const past = await waiting({ autoAcquire: true });
  past.lock.release();
  past.lock.watch();
  assert.equal(past.last.headers.get('If-None-Match'), null, 'the first look does not wait');
  await past.answer(status(bobs()));
  await past.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(past.lock.state, 'free');

  const idler = await waiting({ autoAcquire: true, idleAfter: 10 * SECOND });
  await idler.pass(20 * SECOND);
  await idler.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(idler.lock.state, 'free');
  assert.equal(idler.of('POST').length, 1);
});

test('watch: looks without acquiring; the same user elsewhere is no obstacle', async () => {
  const page = new Page();
  const watched = page.lock.watch();
  assert.equal(page.last.method, 'GET');
  await page.answer(status(bobs({ mine: true, user_id: 1, user_name: 'Ann', sessions: 2 })));
  assert.equal(await watched, 'free');
  assert.equal(page.lock.sessions, 2);
  assert.equal(page.of('POST').length, 0);
});

test('takeOver, 200: with the fence last seen, and it holds the lock under the new one', async () => {
  const page = await waiting({}, bobs({ can_take_over: true, fence: FENCE + 7 }));
  const poll = page.last;
  const taken = page.lock.takeOver();
  assert.equal(poll.aborted, true);
  assert.equal(page.last.url, `${URL}takeover/`);
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.body, `{"fence":${FENCE + 7}}`);
  assert.match(page.last.headers.get('Lock-Session'), SESSION);
  assert.equal(page.last.headers.get('If-Match'), null);
  await page.answer(granted({ fence: FENCE + 8 }));
  assert.equal(await taken, 'held');
  assert.equal(page.lock.fence, FENCE + 8);
  assert.equal(page.lock.canTakeOver, false);
  assert.equal(page.events.at(-1).type, 'acquired');
  assert.equal(page.events.at(-1).resumed, false);
  await page.pass(20 * SECOND);
  assert.equal(page.last.url, URL, 'the heartbeat is no takeover');
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE + 8}"`);
});

test('takeOver knows the fence from the 423 alone', async () => {
  const page = new Page();
  page.lock.acquire();
  await page.answer(inUse(FENCE + 5));
  page.lock.takeOver();
  assert.equal(page.last.body, `{"fence":${FENCE + 5}}`);
});

test('takeOver, 409: somebody else came in between', async () => {
  const page = await waiting({}, bobs({ can_take_over: true }));
  const taken = page.lock.takeOver();
  await page.answer(json(409, bobs({ user_id: 3, user_name: 'Cid', fence: FENCE + 9, can_take_over: true })));
  assert.equal(await taken, 'denied');
  assert.deepEqual(page.lock.holder, { id: 3, name: 'Cid' });
  assert.equal(page.events.at(-1).type, 'denied');
  page.lock.takeOver();
  assert.equal(page.last.body, `{"fence":${FENCE + 9}}`);
});

test('takeOver, 403: told, and the page goes on waiting', async () => {
  const page = await waiting();
  const taken = page.lock.takeOver();
  await page.answer(json(403, { message: 'Takeover is not allowed' }));
  assert.equal(await taken, 'denied');
  const told = page.events.at(-1);
  assert.deepEqual([told.type, told.status, told.message], ['forbidden', 403, 'Takeover is not allowed']);
  await page.pass(MINUTE);
  assert.equal(page.last.method, 'GET');
  assert.equal(page.of('POST').length, 2);
});

test('takeOver is not repeated after a failure, and not sent after a release', async () => {
  const page = await waiting();
  const taken = page.lock.takeOver();
  page.last.fail();
  await settle();
  assert.equal(await taken, 'denied');
  assert.equal(page.events.at(-1).type, 'offline');
  await page.pass(MINUTE);
  assert.equal(page.of('POST').length, 2);

  const other = await waiting();
  other.lock.takeOver();
  other.lock.release();
  await other.answer(granted());
  assert.equal(other.lock.state, 'idle');
  assert.equal(other.last.method, 'DELETE');
  await other.on('pagehide', { persisted: true });
  other.lock.takeOver();
  other.lock.release();
  await other.on('pageshow', { persisted: true });
  other.lock.acquire();
  assert.equal(other.last.url, URL);
});

test('takeOver during an acquire replaces it', async () => {
  const page = new Page();
  page.deaf = true;
  const acquired = page.lock.acquire();
  const [post] = page.calls;
  const taken = page.lock.takeOver();
  assert.equal(post.aborted, true);
  assert.equal(page.last.body, '{"fence":1}');
  post.answer(inUse());
  await settle();
  assert.equal(page.lock.state, 'idle', 'the answer to the acquire is out of date');
  await page.answer(granted());
  assert.deepEqual(await Promise.all([acquired, taken]), ['held', 'held']);
});

test('takeOver while held is a renewal', async () => {
  const page = await holding();
  assert.equal(await page.lock.takeOver(), 'held');
  assert.equal(page.last.url, URL);
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
});

test('release: DELETE by name, at once idle; the next acquire has a new name and the old fence', async () => {
  const page = await holding();
  const released = page.lock.release();
  assert.equal(page.lock.state, 'idle');
  assert.equal(page.lock.reason, 'released');
  assert.equal(page.lock.holder, null);
  assert.deepEqual(page.types, ['released']);
  assert.equal(page.last.method, 'DELETE');
  assert.equal(page.last.url, URL);
  assert.equal(page.last.headers.get('Lock-Session'), page.session);
  assert.equal(page.last.headers.get('Lock-Linger'), null);
  assert.equal(page.last.headers.get('If-Match'), null);
  await released;
  await page.pass(5 * MINUTE);
  assert.equal(page.calls.length, 1);
  assert.equal(page.timers, 0);
  assert.equal(await page.lock.acquire(), 'held');
  assert.match(page.last.headers.get('Lock-Session'), SESSION);
  assert.notEqual(page.last.headers.get('Lock-Session'), page.session);
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
  assert.equal(page.events.at(-1).resumed, true);
  assert.equal(page.lock.reason, null);
});

test('acquire after a release: somebody was there in between, so lost; fresh does not mind', async () => {
  const page = await holding();
  await page.lock.release();
  page.server = null;
  const acquired = page.lock.acquire();
  await page.answer(moved());
  assert.equal(await acquired, 'lost');

  // Whoever releases after a loss was told of it, too.
  await page.lock.release();
  assert.deepEqual(page.lock.saveHeaders(), {});
  page.lock.acquire();
  assert.equal(page.last.headers.get('If-Match'), null);

  const reloaded = await holding();
  await reloaded.lock.release();
  reloaded.lock.acquire({ fresh: true });
  assert.equal(reloaded.last.headers.get('If-Match'), null);
});

test('release during a POST: the answer does not bring the lock back', async () => {
  const page = new Page();
  page.deaf = true;
  const acquired = page.lock.acquire();
  const [post] = page.calls;
  const released = page.lock.release();
  assert.equal(await acquired, 'idle');
  assert.equal(page.last.method, 'DELETE');
  assert.equal(page.last.headers.get('Lock-Session'), post.headers.get('Lock-Session'));
  post.answer(granted());
  await settle();
  assert.equal(page.lock.state, 'idle');
  assert.equal(page.lock.fence, null);
  await page.answer(done());
  await released;
  assert.equal(page.timers, 0);
  assert.deepEqual(page.events, []);
});

test('a release that fails resolves all the same', async () => {
  const page = await holding();
  page.server = null;
  const released = page.lock.release();
  page.last.fail();
  await released;
  assert.equal(page.lock.state, 'idle');
});

test('nothing is released where nothing was acquired', async () => {
  const page = await waiting();
  await page.lock.release();
  assert.equal(page.lock.state, 'idle');
  assert.equal(page.of('DELETE').length, 0, 'the refused session has no lease, and the server remembers only 64');
  await page.on('pagehide', { persisted: false });
  assert.equal(page.of('DELETE').length, 0);
});

test('pagehide: DELETE with keepalive, the session and a linger', async () => {
  const page = await holding();
  await page.on('pagehide', { persisted: false });
  assert.equal(page.calls.length, 1);
  assert.equal(page.last.method, 'DELETE');
  assert.equal(page.last.keepalive, true);
  assert.equal(page.last.headers.get('Lock-Session'), page.session);
  assert.equal(page.last.headers.get('Lock-Linger'), '3');
  assert.equal(page.last.signal, undefined, 'the DELETE must outlive the page');
  assert.deepEqual(page.workers.map(({ alive }) => alive), [false]);
  await page.pass(5 * MINUTE);
  assert.equal(page.calls.length, 1);
  assert.equal(page.timers, 0);
});

test('pagehide with a POST under way: aborted, and its session ended by name', async () => {
  const page = await holding();
  page.server = null;
  await page.pass(20 * SECOND);
  const renewal = page.last;
  page.deaf = true;
  await page.on('pagehide', { persisted: true });
  assert.equal(renewal.aborted, true);
  assert.equal(page.last.method, 'DELETE');
  assert.equal(page.last.headers.get('Lock-Session'), renewal.headers.get('Lock-Session'));
  renewal.answer(moved());
  await settle();
  assert.equal(page.lock.state, 'held', 'a late answer counts for nothing');
  assert.equal(page.timers, 0);
});

test('pagehide before the first answer ends the session, too; the promise is kept after the return', async () => {
  const page = new Page();
  const acquired = page.lock.acquire();
  const [post] = page.calls;
  await page.on('pagehide', { persisted: true });
  assert.equal(page.last.method, 'DELETE');
  assert.equal(page.last.headers.get('Lock-Session'), post.headers.get('Lock-Session'));
  await page.on('pageshow', { persisted: true });
  assert.equal(page.last.method, 'POST');
  await page.answer(granted());
  assert.equal(await acquired, 'held');
});

test('pagehide aborts the long poll, and the return resumes it', async () => {
  const page = await waiting();
  const poll = page.last;
  assert.equal(poll.headers.get('Prefer'), 'wait=25');
  await page.on('pagehide', { persisted: true });
  assert.equal(poll.aborted, true);
  assert.equal(page.last, poll);
  assert.equal(page.timers, 0);
  await page.on('pageshow', { persisted: true });
  assert.notEqual(page.last, poll);
  assert.equal(page.last.method, 'GET');
});

test('back-forward cache: acquires again, under a new name, with the fence of before', async () => {
  const page = await holding();
  await page.on('pagehide', { persisted: true });
  page.forget();
  page.jump(5 * MINUTE);
  await page.on('pageshow', { persisted: true });
  assert.equal(page.calls.length, 1);
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
  assert.match(page.last.headers.get('Lock-Session'), SESSION);
  assert.notEqual(page.last.headers.get('Lock-Session'), page.session);
  assert.deepEqual(page.types, ['renewed']);
  assert.deepEqual(page.workers.map(({ alive }) => alive), [false, true]);
  await page.pass(20 * SECOND);
  assert.equal(page.calls.length, 2);
});

test('back-forward cache: somebody else edited meanwhile', async () => {
  const page = await holding();
  await page.on('pagehide', { persisted: true });
  page.server = null;
  await page.on('pageshow', { persisted: true });
  await page.answer(moved());
  assert.equal(page.lock.state, 'lost');
});

test('back-forward cache: a long absence is no idleness, since somebody came back', async () => {
  const page = await holding();
  await page.on('pagehide', { persisted: true });
  page.jump(60 * MINUTE);
  await page.on('pageshow', { persisted: true });
  assert.equal(page.lock.state, 'held');
});

test('the first pageshow of a page asks for nothing', async () => {
  const page = await holding();
  await page.on('pageshow', { persisted: false });
  await page.pass(5 * SECOND);
  assert.equal(page.calls.length, 0);
});

test('410: a new name once, with If-Match', async () => {
  const page = await holding();
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(ended());
  assert.equal(page.calls.length, 2);
  assert.notEqual(page.last.headers.get('Lock-Session'), page.session);
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
  await page.answer(granted());
  assert.equal(page.lock.state, 'held');
  assert.deepEqual(page.types, ['renewed']);
});

test('410 again and again is no loop', async () => {
  const page = await holding();
  page.server = ended;
  await page.pass(20 * SECOND);
  assert.equal(page.calls.length, 2);
  assert.deepEqual(page.types, ['error']);
  assert.equal(page.events[0].status, 410);
  await page.pass(10 * MINUTE);
  assert.ok(page.calls.length < 40, `${page.calls.length} requests in ten minutes`);

  const first = new Page();
  first.server = ended;
  assert.equal(await first.lock.acquire(), 'idle');
  await first.pass(10 * MINUTE);
  assert.equal(first.calls.length, 2);
});

test('410 on a takeover: taken over under a new name', async () => {
  const page = await waiting();
  page.lock.takeOver();
  const name = page.last.headers.get('Lock-Session');
  await page.answer(ended());
  assert.equal(page.last.url, `${URL}takeover/`);
  assert.equal(page.last.body, `{"fence":${FENCE + 1}}`);
  assert.notEqual(page.last.headers.get('Lock-Session'), name);
});

test('offline: stays held and typable, backs off with jitter, and comes back', async () => {
  const page = await holding();
  page.server = (call) => { queueMicrotask(call.fail); };
  await page.pass(20 * SECOND);
  assert.equal(page.lock.state, 'held');
  assert.equal(page.lock.online, false);
  assert.deepEqual(page.types, ['offline']);
  assert.equal(page.events[0].retryIn, 750);
  await page.pass(100 * SECOND);
  assert.equal(page.lock.state, 'held');
  assert.deepEqual(page.types, ['offline', 'expired'], 'told once, and not called lost');
  assert.equal(page.lock.expiresIn, 0);
  const gaps = page.calls.slice(1).map((call, i) => call.at - page.calls[i].at);
  assert.deepEqual(gaps.slice(0, 6), [750, 1500, 3000, 6000, 12000, 22500]);
  page.server = () => granted();
  await page.on('online');
  assert.equal(page.lock.online, true);
  assert.deepEqual(page.types, ['offline', 'expired', 'renewed', 'online']);
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
  assert.equal(page.lock.expiresIn, MINUTE);
  page.forget();
  await page.pass(20 * SECOND);
  assert.equal(page.calls.length, 1, 'the heartbeat is the ordinary one again');
  // A second outage is met and told as the first one.
  page.forget();
  page.server = (call) => { queueMicrotask(call.fail); };
  await page.pass(90 * SECOND);
  assert.deepEqual(page.types, ['offline', 'expired']);
  assert.equal(page.events[0].retryIn, 750);
});

test('the back-off begins anew after an answer', async () => {
  const page = await holding();
  let fails = 3;
  page.server = (call) => (fails-- > 0 ? void queueMicrotask(call.fail) : granted());
  await page.pass(30 * SECOND);
  assert.equal(page.lock.online, true);
  fails = 1;
  await page.pass(20 * SECOND);
  assert.deepEqual(page.events.filter(({ type }) => type === 'offline').map(({ retryIn }) => retryIn), [750, 750]);
});

test('a network that comes back right after a failure is tried at once', async () => {
  const page = await holding();
  page.server = (call) => { queueMicrotask(call.fail); };
  await page.pass(20 * SECOND);
  page.server = () => granted();
  await page.pass(100);
  await page.on('online');
  assert.equal(page.lock.online, true);
});

test('408 and 429 are met as a 503 is', async () => {
  for (const code of [408, 429]) {
    const page = await holding();
    page.server = () => json(code, { message: 'Later' }, { 'Retry-After': '5' });
    await page.pass(20 * SECOND);
    assert.deepEqual([page.events[0].type, page.events[0].retryIn], ['offline', 5750]);
  }
});

test('offline, then lost: a 412 says so', async () => {
  const page = await holding();
  page.server = (call) => { queueMicrotask(call.fail); };
  await page.pass(2 * MINUTE);
  page.server = moved;
  await page.on('online');
  assert.equal(page.lock.state, 'lost');
  assert.equal(page.lock.online, true);
});

test('a request that hangs is given up before the hold ends', async () => {
  const page = await holding();
  page.server = null;
  page.deaf = true;
  await page.pass(20 * SECOND);
  const hung = page.last;
  await page.pass(10 * SECOND);
  assert.equal(hung.aborted, true);
  assert.deepEqual(page.types, ['offline']);
  await page.pass(SECOND);
  assert.equal(page.calls.length, 2);
  await page.answer(granted());
  hung.answer(inUse());
  await settle();
  assert.equal(page.lock.state, 'held', 'an older answer that comes later counts for nothing');
  assert.deepEqual(page.types, ['offline', 'renewed', 'online']);
});

test('503 with Retry-After: not before that, and not called lost', async () => {
  const page = await holding();
  page.server = () => unavailable(7);
  await page.pass(20 * SECOND);
  assert.equal(page.lock.state, 'held');
  assert.deepEqual([page.events[0].type, page.events[0].status, page.events[0].retryIn], ['offline', 503, 7750]);
  page.server = null;
  await page.pass(7749);
  assert.equal(page.calls.length, 1);
  await page.pass(1);
  assert.equal(page.calls.length, 2);
});

test('a first acquire that gets no answer resolves idle and goes on trying', async () => {
  const page = new Page();
  page.server = () => unavailable();
  assert.equal(await page.lock.acquire(), 'idle');
  page.server = () => granted();
  await page.pass(2 * SECOND);
  assert.equal(page.lock.state, 'held');
  assert.deepEqual(page.types, ['offline', 'acquired', 'online']);
  assert.equal(page.calls[0].headers.get('Lock-Session'), page.calls[1].headers.get('Lock-Session'));
});

test('a 200 that is no answer of the lock is none: a log-in page, a captive portal', async () => {
  const page = await holding();
  page.server = () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } });
  await page.pass(20 * SECOND);
  assert.equal(page.lock.state, 'held');
  assert.equal(page.lock.fence, FENCE);
  assert.deepEqual(page.types, ['offline']);
});

for (const code of [400, 401, 403, 404, 405, 413]) {
  test(`${code}: an error event and no loop`, async () => {
    const refused = () => json(code, { message: 'No' });
    const page = new Page();
    page.server = refused;
    assert.equal(await page.lock.acquire(), 'idle');
    assert.deepEqual([page.events[0].type, page.events[0].status, page.events[0].message], ['error', code, 'No']);
    await page.pass(10 * MINUTE);
    assert.equal(page.calls.length, 1);
    assert.equal(page.timers, 0);

    const holder = await holding();
    holder.server = refused;
    await holder.pass(20 * SECOND);
    assert.equal(holder.lock.state, 'held', 'only a 412 or a 423 says lost');
    assert.equal(holder.events[0].type, 'error');
    await holder.pass(10 * MINUTE);
    assert.ok(holder.calls.length < 20, `${holder.calls.length} requests in ten minutes`);
    holder.server = () => granted();
    await holder.show(true);
    assert.equal(holder.events.at(-1).type, 'renewed');

    const waiter = await waiting();
    waiter.server = refused;
    waiter.last.answer(refused());
    await waiter.pass(10 * MINUTE);
    assert.ok(waiter.calls.length < 20, `${waiter.calls.length} requests in ten minutes`);
    assert.equal(waiter.lock.state, 'denied');
  });
}

test('the long poll: If-None-Match and Prefer, again at once after 25 s, whole states', async () => {
  const page = await waiting();
  assert.equal(page.calls.length, 3, 'the first look is followed by the wait at once');
  assert.equal(page.last.headers.get('If-None-Match'), 'W/"1"');
  assert.equal(page.last.headers.get('Prefer'), 'wait=25');
  await page.pass(25 * SECOND);
  assert.equal(page.last.aborted, undefined);
  await page.answer(unchanged(true, 55000));
  assert.equal(page.calls.length, 4);
  assert.equal(page.lock.expiresIn, 55000, 'as old as the answer, not as the request');
  assert.equal(page.lock.heldFor, 43663);
  assert.deepEqual(page.lock.holder, { id: 2, name: 'Bob' });
  assert.deepEqual(page.types, ['denied', 'updated'], 'a 304 is no news');
  await page.pass(5 * SECOND);
  await page.answer(status(bobs({ user_id: 3, user_name: 'Cid', held_ms: 0 }), 'W/"2"', true));
  assert.equal(page.calls.length, 5);
  assert.equal(page.last.headers.get('If-None-Match'), 'W/"2"');
  assert.equal(page.lock.heldFor, 0);
});

test('a long poll that hangs is given up', async () => {
  const page = await waiting();
  await page.pass(36 * SECOND);
  assert.deepEqual(page.types, ['denied', 'updated', 'offline']);
  assert.equal(page.calls.length, 4);
});

test('where the answer does not wait: plain polls, at most one a second', async () => {
  const page = await waiting();
  page.server = () => unchanged(false);
  page.last.answer(unchanged(false));
  await settle();
  page.forget();
  await page.pass(30 * SECOND);
  assert.equal(page.calls.length, 20);
  const gaps = page.calls.slice(1).map((call, i) => call.at - page.calls[i].at);
  assert.ok(gaps.every((gap) => gap >= 1000), String(gaps));
});

test('never more than once a second: changes in a row, no ETag, waits that end at once', async () => {
  for (const reply of [
    (n) => status(bobs(), `W/"${n}"`, true), () => unchanged(true), () => json(200, bobs()), () => status(bobs()),
  ]) {
    const page = await waiting();
    let n = 0;
    page.server = () => reply(++n);
    page.last.answer(reply(++n));
    await settle();
    page.forget();
    await page.pass(20 * SECOND);
    assert.ok(page.calls.length > 5 && page.calls.length <= 20, `${page.calls.length} polls in 20 s`);
  }
});

test('polls meet a 503 as renewals do', async () => {
  const page = await waiting();
  page.server = () => unavailable();
  page.last.answer(unavailable());
  await page.pass(30 * SECOND);
  assert.ok(page.calls.length < 10, `${page.calls.length} requests`);
  assert.equal(page.lock.state, 'denied');
  assert.equal(page.lock.online, false);
  page.server = (call) => (call.headers.get('Prefer') && page.lock.online ? undefined : unchanged(true));
  await page.on('online');
  assert.equal(page.lock.online, true);
  assert.equal(page.types.at(-1), 'online');
});

test('after an outage the first poll does not wait for a change, so that the page learns that it is over', async () => {
  const page = await waiting();
  page.last.answer(unavailable());
  await page.pass(2 * SECOND);
  assert.equal(page.last.headers.get('If-None-Match'), 'W/"1"');
  assert.equal(page.last.headers.get('Prefer'), null);
  await page.answer(unchanged(false));
  assert.equal(page.lock.online, true);
  await page.pass(2 * SECOND);
  assert.equal(page.last.headers.get('Prefer'), 'wait=25');
});

test('hidden: polls pause and are aborted, and the page looks at once when it is visible again', async () => {
  const page = await waiting();
  const poll = page.last;
  await page.show(false);
  assert.equal(poll.aborted, true);
  await page.pass(10 * MINUTE);
  assert.equal(page.last, poll);
  await page.show(true);
  assert.notEqual(page.last, poll);
  assert.equal(page.last.headers.get('If-None-Match'), 'W/"1"');
});

test('hidden: an acquire under way goes on', async () => {
  const page = new Page();
  page.lock.acquire();
  await page.show(false);
  assert.equal(page.last.aborted, undefined);
  await page.answer(granted());
  assert.equal(page.lock.state, 'held');
});

test('hidden: flipping through tabs does not ask more than once a second', async () => {
  const page = await waiting();
  await page.pass(5 * SECOND);
  page.forget();
  for (let i = 0; i < 20; i++) {
    await page.show(i % 2 === 1);
    await page.pass(100);
  }
  assert.ok(page.calls.length <= 2, `${page.calls.length} polls in 2 s`);
});

test('hidden: heartbeats go on by the worker while the page\'s timers stall', async () => {
  const page = await holding();
  await page.show(false);
  page.throttled = true;
  await page.pass(MINUTE);
  assert.equal(page.calls.length, 3);
  assert.equal(page.lock.state, 'held');
});

test('the worker: this module itself, only while held', async () => {
  const page = await holding();
  assert.equal(page.workers.length, 1);
  assert.equal(page.workers[0].url, new globalThis.URL('./editlock.js', import.meta.url).href);
  assert.equal(page.workers[0].init.type, 'module');
  await page.pass(MINUTE);
  assert.equal(page.workers.length, 1);
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(moved());
  assert.equal(page.workers[0].alive, false);
  const waiter = await waiting();
  assert.equal(waiter.workers.length, 0);
});

test('a worker that cannot start: the page\'s timers do', async () => {
  let tries = 0;
  class Worker { constructor() { tries++; throw new DOMException('no', 'SecurityError'); } }
  const page = await holding({}, { Worker });
  await page.pass(MINUTE);
  assert.equal(page.calls.length, 3);
  assert.equal(tries, 1);
  // One that starts and never says anything, as where a policy refuses the file later.
  const mute = await holding({}, { Worker: class { postMessage() {} terminate() {} } });
  await mute.pass(MINUTE);
  assert.equal(mute.calls.length, 3);
  const without = await holding({ worker: false });
  await without.pass(MINUTE);
  assert.equal(without.calls.length, 3);
  assert.equal(without.workers.length, 0);
});

test('the worker\'s own part: one message when the time has come, also across a sleep', async () => {
  const posted = [], intervals = new Map();
  let now = 0, asleep = 0, ids = 0, wakes = 0;
  const stand = {
    self: { name: 'editlock-ticker' },
    postMessage: (data) => posted.push(data),
    onmessage: undefined,
    performance: { now: () => now },
    Date: Object.assign(class extends Date {}, { now: () => 1_790_000_000_000 + now + asleep }),
    setInterval: (run, ms) => { intervals.set(++ids, { run, ms, at: now + ms }); return ids; },
    clearInterval: (id) => intervals.delete(id),
  };
  const before = Object.keys(stand).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  const pass = (ms) => {
    for (const end = now + ms; now < end;) {
      now += 50;
      for (const timer of [...intervals.values()]) {
        if (timer.at > now) continue;
        timer.at += timer.ms;
        wakes++;
        timer.run();
      }
    }
  };
  try {
    for (const [name, value] of Object.entries(stand)) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
    await import('./editlock.js?worker');
    globalThis.onmessage({ data: 20000 });
    pass(19900);
    assert.deepEqual(posted, []);
    pass(1100);
    assert.deepEqual(posted, [0]);
    assert.ok(wakes <= 21);
    pass(60000);
    assert.deepEqual(posted, [0]);
    globalThis.onmessage({ data: 20000 });
    globalThis.onmessage({ data: 40000 });
    pass(39000);
    assert.equal(posted.length, 1, 'a new message replaces the one before');
    pass(2000);
    assert.equal(posted.length, 2);
    globalThis.onmessage({ data: 250 });
    pass(300);
    assert.equal(posted.length, 3);
    globalThis.onmessage({ data: 20000 });
    asleep += 3600_000;
    pass(1100);
    assert.equal(posted.length, 4, 'told within a second after a sleep');
    assert.equal(intervals.size, 0);
  } finally {
    for (const [name, own] of before) {
      if (own) Object.defineProperty(globalThis, name, own);
      else delete globalThis[name];
    }
  }
});

test('looks again at once: visible, online, resume', async () => {
  for (const wake of [(p) => p.show(true), (p) => p.on('online'), (p) => p.on('resume')]) {
    const page = await holding();
    await page.pass(5 * SECOND);
    await wake(page);
    assert.equal(page.calls.length, 1);
    assert.equal(page.last.method, 'POST');
  }
});

test('such events come in bunches: one request', async () => {
  const page = await holding();
  await page.pass(5 * SECOND);
  await Promise.all([page.show(true), page.on('resume'), page.on('online')]);
  await page.pass(5 * SECOND);
  assert.ok(page.calls.length <= 2, `${page.calls.length} requests`);
});

test('after a sleep the page is told that it lost the lock, not that it was idle', async () => {
  const page = await holding();
  page.server = inUse;
  page.sleep(8 * 60 * MINUTE);
  await page.show(true);
  assert.equal(page.lock.state, 'lost');
  assert.equal(page.lock.reason, 'taken');
});

test('out of order: a poll that was aborted by acquire counts for nothing', async () => {
  const page = await waiting();
  await page.pass(2 * SECOND);
  const poll = page.last;
  page.deaf = true;
  page.lock.acquire();
  assert.equal(poll.aborted, true);
  await page.answer(granted({ fence: FENCE + 2 }));
  poll.answer(status(bobs()));
  await settle();
  assert.equal(page.lock.state, 'held');
  assert.deepEqual(page.lock.holder, { id: 1, name: null });
  assert.equal(page.types.at(-1), 'acquired');
});

test('out of order: an answer to the session before a return counts for nothing', async () => {
  const page = new Page();
  page.deaf = true;
  page.lock.acquire();
  const [old] = page.calls;
  await page.on('pagehide', { persisted: true });
  await page.on('pageshow', { persisted: true });
  await page.answer(granted({ fence: FENCE + 4 }));
  old.answer(granted());
  await settle();
  assert.equal(page.lock.fence, FENCE + 4);
});

test('out of order: nothing counts after close', async () => {
  const page = new Page();
  page.deaf = true;
  const acquired = page.lock.acquire();
  const [post] = page.calls;
  page.lock.close();
  assert.equal(await acquired, 'idle');
  post.answer(granted());
  await settle();
  assert.equal(page.lock.state, 'idle');
  assert.equal(page.timers, 0);
});

test('idle: releases after 30 minutes without input, and says so', async () => {
  const page = await holding();
  await page.pass(30 * MINUTE - 1);
  assert.equal(page.lock.state, 'held');
  await page.pass(1);
  assert.equal(page.lock.state, 'idle');
  assert.equal(page.lock.reason, 'idle');
  assert.deepEqual(page.events.at(-1), { type: 'released', state: 'idle', reason: 'idle' });
  assert.equal(page.last.method, 'DELETE');
  assert.equal(page.last.headers.get('Lock-Session'), page.session);
  page.forget();
  await page.pass(60 * MINUTE);
  assert.equal(page.calls.length, 0);
  assert.equal(page.timers, 0);
  assert.equal(await page.lock.acquire(), 'held');
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
});

test('idle: an option that is undefined is the default', async () => {
  const page = await holding({ idleAfter: undefined, worker: undefined });
  await page.pass(30 * MINUTE);
  assert.equal(page.lock.reason, 'idle');
  assert.equal(page.workers.length, 1);
});

test('idle: input, keydown, pointerdown and touch() put it off; idleAfter sets it', async () => {
  for (const sign of ['input', 'keydown', 'pointerdown', null]) {
    const page = await holding({ idleAfter: 10 * MINUTE });
    await page.pass(9 * MINUTE);
    if (sign) await page.on(sign);
    else page.lock.touch();
    await page.pass(9 * MINUTE);
    assert.equal(page.lock.state, 'held');
    await page.pass(MINUTE);
    assert.equal(page.lock.state, 'idle');
  }
  const page = await holding({ idleAfter: Infinity });
  await page.pass(60 * MINUTE);
  assert.equal(page.lock.state, 'held');
});

test('afterSave: 412 and 423 are asked about at once, and the answer decides', async () => {
  const page = await holding();
  assert.equal(await page.lock.afterSave(new Response('{}')), 'held');
  assert.equal(await page.lock.afterSave(new Response('{}', { status: 500 })), 'held');
  assert.equal(page.calls.length, 0);
  assert.equal(await page.lock.afterSave(inUse()), 'held', 'a refusal older than the hold');
  assert.equal(page.calls.length, 1);
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
  page.server = moved;
  assert.equal(await page.lock.afterSave(moved()), 'lost');
  assert.equal(await page.lock.afterSave(moved()), 'lost');
  const asked = page.of('POST').length;
  assert.equal(asked, 2);
});

test('afterSave: a renewal under way may be older than the refusal, so it is replaced', async () => {
  const page = await holding();
  page.server = null;
  page.deaf = true;
  await page.pass(20 * SECOND);
  const renewal = page.last;
  const saved = page.lock.afterSave(inUse());
  assert.equal(renewal.aborted, true);
  renewal.answer(granted());
  await page.answer(inUse());
  assert.equal(await saved, 'lost');
});

test('plain http: no crypto.randomUUID, and each page has another name', async () => {
  const own = Object.getOwnPropertyDescriptor(crypto, 'randomUUID');
  Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
  try {
    const one = await holding(), two = await holding();
    assert.match(one.session, SESSION);
    assert.ok(one.session.length >= 20);
    assert.notEqual(one.session, two.session);
  } finally {
    delete crypto.randomUUID;
    if (own) Object.defineProperty(crypto, 'randomUUID', own);
  }
});

test('nothing keeps the page out of the back-forward cache, and close leaves nothing behind', async () => {
  const page = await holding();
  assert.ok(page.heard.includes('pagehide'));
  assert.ok(!page.heard.includes('unload') && !page.heard.includes('beforeunload'));
  const closed = page.lock.close();
  assert.equal(page.last.method, 'DELETE');
  assert.equal(page.last.headers.get('Lock-Linger'), null);
  assert.equal(page.lock.state, 'idle');
  await closed;
  page.forget();
  for (const type of page.heard) {
    await page.on(type, { persisted: true });
  }
  assert.equal(await page.lock.acquire(), 'idle');
  assert.equal(await page.lock.takeOver(), 'idle');
  assert.equal(await page.lock.watch(), 'idle');
  await page.lock.release();
  await page.lock.close();
  await page.pass(5 * MINUTE);
  assert.equal(page.calls.length, 0);
  assert.equal(page.timers, 0);
  assert.deepEqual(page.workers.map(({ alive }) => alive), [false]);
  assert.deepEqual(page.events, []);
});

test('close in every state', async () => {
  const lost = await holding();
  lost.server = moved;
  await lost.pass(20 * SECOND);
  const offline = await holding();
  offline.server = (call) => { queueMicrotask(call.fail); };
  await offline.pass(2 * MINUTE);
  const away = await holding();
  await away.on('pagehide', { persisted: true });
  for (const page of [new Page(), await holding(), await waiting(), lost, offline, away]) {
    page.lock.close();
    page.forget();
    page.server = null;
    await page.pass(10 * MINUTE);
    assert.equal(page.lock.state, 'idle');
    assert.equal(page.timers, 0);
    assert.equal(page.calls.length, 0);
  }
});

test('a listener may call back: acquire when freed, release when acquired', async () => {
  const page = await waiting();
  page.lock.addEventListener('change', ({ detail }) => {
    if (detail.type === 'freed') page.lock.acquire();
    if (detail.type === 'acquired') page.lock.release();
  });
  await page.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(page.last.method, 'POST');
  await page.answer(granted());
  assert.equal(page.lock.state, 'idle');
  assert.equal(page.last.method, 'DELETE');
  await page.answer(done());
  assert.equal(page.timers, 0);
});

test('headers that throw are a failure to ask, not a crash', async () => {
  const page = new Page({ headers: () => { throw new Error('no token'); } });
  page.lock.addEventListener('change', () => page.lock.release());
  assert.equal(await page.lock.acquire(), 'idle');
  assert.deepEqual(page.types, ['offline']);
  assert.equal(page.timers, 0);
});

// --- scope ---

test('scope session: another page of the same user is an obstacle, known from the first look on', async () => {
  const page = new Page({ scope: 'session', autoAcquire: true });
  const acquired = page.lock.acquire();
  await page.answer(inUseElsewhere());
  assert.equal(await acquired, 'denied');
  assert.equal(page.lock.elsewhere, false);
  await page.answer(status(own()));
  assert.equal(page.lock.state, 'denied');
  assert.equal(page.lock.elsewhere, true);
  assert.equal(page.lock.canTakeOver, true);
  assert.equal(page.lock.sessions, 1);
  assert.deepEqual(page.types, ['denied', 'updated']);
  assert.equal(page.of('POST').length, 1, 'autoAcquire waits until it is free');
  const taken = page.lock.takeOver();
  assert.equal(page.last.url, `${URL}takeover/`);
  assert.equal(page.last.body, `{"fence":${FENCE + 1}}`);
  await page.answer(granted({ fence: FENCE + 2 }));
  assert.equal(await taken, 'held');
  assert.equal(page.lock.elsewhere, false);
});

test('scope session: what another page of the same user lets go is free', async () => {
  for (const autoAcquire of [false, true]) {
    const page = await waiting({ scope: 'session', autoAcquire }, own());
    await page.answer(status(nobodys(), 'W/"2"', true));
    assert.equal(page.lock.elsewhere, false);
    assert.equal(page.last.method, autoAcquire ? 'POST' : 'GET');
    assert.equal(page.lock.state, autoAcquire ? 'denied' : 'free');
  }
});

test('scope session: a loss to oneself', async () => {
  const page = await holding({ scope: 'session' });
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(inUseElsewhere());
  assert.equal(page.lock.state, 'lost');
  assert.equal(page.lock.reason, 'taken');
  await page.answer(status(own()));
  assert.equal(page.lock.state, 'lost');
  assert.equal(page.lock.elsewhere, true);
  await page.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(page.lock.elsewhere, false);
  assert.deepEqual(page.types, ['lost', 'updated', 'freed']);
});

test('scope session: after a release the text is loaded, since a fence is of one session', async () => {
  const page = await holding({ scope: 'session' });
  await page.lock.release();
  page.server = () => granted({ fence: FENCE + 1 });
  assert.equal(await page.lock.acquire(), 'held');
  assert.equal(page.last.headers.get('If-Match'), null);
  assert.equal(page.events.at(-1).resumed, false);
  await page.lock.acquire();
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE + 1}"`, 'a renewal');
  // What is in the editor after a return may be old.
  await page.on('pagehide', { persisted: true });
  page.server = moved;
  await page.on('pageshow', { persisted: true });
  assert.equal(page.of('POST').at(-1).headers.get('If-Match'), `"${FENCE + 1}"`);
  assert.equal(page.lock.state, 'lost');
});

test('scope session, but the server has scope user: the same user elsewhere is no obstacle', async () => {
  const page = await waiting({ scope: 'session' }, own({ can_take_over: false }));
  assert.equal(page.lock.state, 'free');
  assert.equal(page.lock.elsewhere, false);
});

test('scope user, but the server has scope session: no loop', async () => {
  for (const options of [{}, { autoAcquire: true }]) {
    const page = new Page(options);
    page.server = ({ method }) => (method === 'POST' ? inUseElsewhere() : status(own()));
    page.lock.acquire();
    await page.pass(MINUTE);
    assert.equal(page.of('POST').length, 1);
    assert.equal(page.lock.state, 'free');
    assert.equal(page.lock.elsewhere, false);
    page.server = () => granted({ fence: FENCE + 2 });
    assert.equal(await page.lock.takeOver(), 'held');
  }
});

test('a look names the session that may hold the lock', async () => {
  const page = await waiting({ scope: 'session' }, own());
  page.lock.takeOver();
  const name = page.last.headers.get('Lock-Session');
  page.last.fail();
  await page.pass(SECOND);
  assert.equal(page.last.method, 'GET');
  assert.equal(page.last.headers.get('Lock-Session'), name);
});

// --- ask ---

const asks = (page) => page.calls.filter(({ url }) => url === `${URL}ask/`);

// A server where Bob holds the lock and is told of the ask; a look that waits is answered when its time is over.
function told(page, askedBy = ann, waits = true) {
  const { setTimeout } = page.window;
  page.server = (call) => {
    const wait = waits && +call.headers.get('Prefer')?.slice('wait='.length);
    if (call.method === 'DELETE') return done();
    if (call.url === `${URL}ask/`) return json(200, bobs({ asked_by: askedBy }));
    if (call.method === 'POST') return inUse();
    if (!wait) return status(bobs({ asked_by: askedBy }));
    return void setTimeout(() => call.answer(unchanged(true)), wait * SECOND);
  };
}

async function asking(options, seen) {
  const page = await waiting(options, seen);
  told(page);
  assert.equal(await page.lock.ask(), 'denied');
  await settle();
  page.poll = page.last;
  page.forget();
  return page;
}

test('ask: one POST, and the page knows that the holder is told', async () => {
  const page = await waiting();
  const poll = page.last;
  page.forget();
  assert.equal(page.lock.asking, false);
  const asked = page.lock.ask();
  assert.equal(poll.aborted, true);
  assert.equal(page.lock.asking, true);
  assert.equal(page.last.url, `${URL}ask/`);
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.body, undefined);
  for (const name of ['Lock-Session', 'Lock-Idle', 'If-Match', 'If-None-Match', 'Prefer']) {
    assert.equal(page.last.headers.get(name), null, name);
  }
  assert.equal(page.lock.holderTold, false);
  await page.answer(json(200, bobs({ asked_by: ann })));
  assert.equal(await asked, 'denied');
  assert.equal(page.lock.holderTold, true);
  assert.equal(page.lock.askedBy, null, 'nobody asks this page');
  assert.deepEqual(page.types, ['updated']);
  assert.equal(page.last.method, 'GET', 'it goes on following the lock');
  assert.equal(page.last.headers.get('If-None-Match'), 'W/"1"');
  assert.equal(page.last.headers.get('Prefer'), 'wait=10');
});

test('ask: repeated every 10 s, with looks between that wait', async () => {
  const page = await asking();
  await page.pass(MINUTE);
  const gaps = asks(page).slice(1).map((call, i) => call.at - asks(page)[i].at);
  assert.deepEqual(gaps, Array(5).fill(10 * SECOND));
  assert.equal(page.calls.length, 12);
  assert.deepEqual(page.types, [], 'no news');
  assert.equal(page.lock.asking, true);
  await page.on('input');
  told(page, ann, false);
  page.forget();
  await page.pass(MINUTE);
  assert.ok(asks(page).length >= 5, 'and where the looks do not wait');
  assert.ok(page.calls.length <= 60);
});

test('ask: somebody else was first, and the page goes on', async () => {
  const page = await waiting();
  told(page, null);
  await page.lock.ask();
  await page.pass(25 * SECOND);
  assert.equal(asks(page).length, 3);
  assert.equal(page.lock.asking, true);
  assert.equal(page.lock.holderTold, false);
  page.forget();
  told(page, ann);
  await page.pass(10 * SECOND);
  assert.equal(page.lock.holderTold, true);
  assert.deepEqual(page.types, ['updated']);
});

test('ask: acquires at once when the lock is free or handed over', async () => {
  for (const seen of [nobodys(), own({ can_take_over: false }), own()]) {
    for (const scope of ['user', 'session']) {
      const page = await asking({ scope });
      await page.show(false);
      await page.pass(3 * SECOND);
      page.server = null;
      page.poll.answer(status({ ...seen, fence: FENCE + 5 }, 'W/"2"', true));
      await settle();
      assert.equal(page.last.url, URL);
      assert.equal(page.last.method, 'POST');
      assert.equal(page.last.headers.get('If-Match'), null);

      const other = await asking({ scope });
      other.server = () => granted({ fence: FENCE + 6 });
      const { server } = other;
      other.server = (call) => (call.url === `${URL}ask/` ? json(200, { ...seen, fence: FENCE + 5 }) : server(call));
      await other.pass(10 * SECOND);
      assert.equal(other.lock.state, 'held', 'the answer to an ask says it, too');
      assert.deepEqual(other.types, ['acquired']);
      assert.equal(other.events[0].resumed, false);
      assert.equal(other.lock.asking, false);
      await other.pass(MINUTE);
      assert.equal(asks(other).length, 1);
    }
  }
});

test('ask: another page of the same user was quicker, so it waits on without a loop', async () => {
  const page = await asking({ scope: 'session' });
  let fence = FENCE + 5;
  page.server = ({ method, url }) => (
    method === 'POST' && url === URL ? inUseElsewhere(fence) : status(own({ fence }))
  );
  await page.pass(MINUTE);
  const acquires = () => page.calls.filter(({ method, url }) => method === 'POST' && url === URL).length;
  assert.equal(acquires(), 1);
  assert.equal(page.lock.state, 'denied');
  assert.equal(page.lock.elsewhere, true);
  assert.equal(page.lock.asking, true);
  fence++;
  await page.pass(MINUTE);
  assert.equal(acquires(), 2, 'another hold may be a hand-over');
  page.server = ({ method, url }) => (
    method === 'POST' && url === URL ? granted({ fence: fence + 1 }) : status(nobodys({ fence }))
  );
  await page.pass(10 * SECOND);
  assert.equal(page.lock.state, 'held', 'free under the fence of the refusal');
});

test('ask by a page that did not follow the lock', async () => {
  const page = new Page();
  told(page);
  assert.equal(await page.lock.ask(), 'denied');
  await settle();
  const calls = page.calls.map(({ method, url }) => `${method} ${url.slice(URL.length)}`);
  assert.deepEqual(calls, ['POST ask/', 'GET ', 'GET ']);
  assert.equal(page.types[0], 'denied');

  const free = new Page();
  free.server = ({ url }) => (url === URL ? granted() : json(200, nobodys()));
  assert.equal(await free.lock.ask(), 'held');
  assert.deepEqual(free.types, ['acquired']);
  assert.equal(free.lock.asking, false);
});

test('ask by a page that holds the lock asks nobody', async () => {
  const page = await holding();
  assert.equal(await page.lock.ask(), 'held');
  assert.equal(page.lock.asking, false);
  assert.equal(page.calls.length, 0);
});

test('ask again after stopAsking: at once', async () => {
  const page = await asking();
  page.lock.stopAsking();
  page.lock.ask();
  assert.equal(asks(page).length, 1);
});

test('ask during an acquire: it is asked if that is refused', async () => {
  const page = new Page();
  const acquired = page.lock.acquire(), asked = page.lock.ask();
  assert.equal(page.calls.length, 1);
  await page.answer(inUse());
  assert.deepEqual(await Promise.all([acquired, asked]), ['denied', 'denied']);
  assert.equal(page.last.url, `${URL}ask/`);

  const quick = new Page();
  quick.lock.acquire();
  quick.lock.ask();
  quick.server = () => granted({ renewed: true });
  await quick.answer(granted());
  await quick.pass(20 * SECOND);
  assert.deepEqual(quick.types, ['acquired', 'renewed']);
});

test('ask after a release: somebody was there in between, so lost, and nothing is asked', async () => {
  const page = await holding();
  await page.lock.release();
  page.server = ({ url }) => (url === URL ? moved() : json(200, nobodys()));
  assert.equal(await page.lock.ask(), 'lost');
  assert.equal(page.lock.asking, false);
});

test('ask after a loss: what comes is taken afresh', async () => {
  const page = await holding();
  page.server = null;
  await page.pass(20 * SECOND);
  await page.answer(inUse());
  told(page);
  assert.equal(await page.lock.ask(), 'denied');
  page.server = ({ method }) => (method === 'POST' ? granted({ fence: FENCE + 2 }) : status(nobodys(), 'W/"2"'));
  await page.on('online');
  await page.pass(10 * SECOND);
  assert.equal(page.lock.state, 'held');
  assert.equal(page.events.at(-1).resumed, false);

  const free = await holding();
  free.server = moved;
  await free.pass(20 * SECOND);
  free.server = ({ url }) => (url === URL ? granted({ fence: FENCE + 2 }) : json(200, nobodys()));
  assert.equal(await free.lock.ask(), 'held');
  assert.equal(free.last.headers.get('If-Match'), null);
});

test('an ask ends', async () => {
  for (const [name, end, goesOn] of [
    ['stopAsking', ({ lock }) => lock.stopAsking(), true],
    ['release', ({ lock }) => lock.release(), false],
    ['close', ({ lock }) => lock.close(), false],
    ['pagehide', (page) => page.on('pagehide', { persisted: true }), false],
    ['the return after it', async (page) => {
      await page.on('pagehide', { persisted: true });
      await page.on('pageshow', { persisted: true });
    }, true],
  ]) {
    const page = await asking();
    await end(page);
    page.forget();
    assert.equal(page.lock.asking, false, name);
    await page.pass(MINUTE);
    assert.equal(asks(page).length, 0, name);
    assert.equal(page.calls.length > 0, goesOn, name);
    assert.deepEqual(page.workers.map(({ alive }) => alive), [false], name);
    page.server = null;
    if (!goesOn) continue;
    await page.pass(25 * SECOND);
    assert.equal(page.last.headers.get('Prefer'), 'wait=25', name);
    await page.answer(status(nobodys(), 'W/"2"', true));
    assert.equal(page.lock.state, 'free', `${name}: it waits no longer`);
  }
});

test('an ask of a closed page is none', async () => {
  const page = new Page();
  await page.lock.close();
  assert.equal(await page.lock.ask(), 'idle');
  assert.equal(page.lock.asking, false);
  assert.equal(page.calls.length, 0);
});

test('an ask ends where nobody sits at the page', async () => {
  const page = await waiting({ idleAfter: 5 * MINUTE });
  page.show(false);
  await page.pass(MINUTE);
  told(page);
  await page.lock.ask();
  page.forget();
  await page.pass(5 * MINUTE - SECOND);
  assert.equal(page.lock.asking, true);
  await page.pass(10 * SECOND);
  assert.equal(page.lock.asking, false);
  assert.deepEqual(page.types, ['updated']);
  page.forget();
  await page.pass(MINUTE);
  assert.equal(asks(page).length, 0);
  assert.equal(page.lock.state, 'denied');
});

for (const code of [400, 401, 403, 404, 405]) {
  test(`ask, ${code}: an error event ends it, and the page goes on following the lock`, async () => {
    const page = await waiting();
    page.forget();
    page.server = ({ url }) => (url === URL ? undefined : json(code, { message: 'No' }));
    assert.equal(await page.lock.ask(), 'denied');
    assert.deepEqual(page.events, [
      { type: 'error', state: 'denied', reason: null, status: code, message: 'No', retryIn: 0 },
    ]);
    assert.equal(page.lock.asking, false);
    await settle();
    assert.equal(page.last.method, 'GET');
    assert.equal(page.last.headers.get('Prefer'), 'wait=25');
    await page.pass(30 * SECOND);
    assert.equal(asks(page).length, 1);

    const idle = new Page();
    idle.server = () => json(code, { message: 'No' });
    assert.equal(await idle.lock.ask(), 'idle');
    await idle.pass(10 * MINUTE);
    assert.equal(idle.calls.length, 1);
    assert.equal(idle.timers, 0);
  });
}

test('ask: a look that is refused ends it, too', async () => {
  const page = await asking();
  page.poll.answer(json(403, { message: 'No' }));
  await page.pass(SECOND);
  assert.deepEqual(page.types, ['error']);
  assert.equal(page.lock.asking, false);
});

test('ask: a takeover that is refused does not end it', async () => {
  const page = await asking();
  const { server } = page;
  page.server = (call) => (call.url === `${URL}takeover/` ? json(403, { message: 'No' }) : server(call));
  assert.equal(await page.lock.takeOver(), 'denied');
  assert.equal(page.types.at(-1), 'forbidden');
  page.forget();
  await page.on('online');
  await page.pass(20 * SECOND);
  assert.equal(page.lock.asking, true);
  assert.ok(asks(page).length > 0);
});

test('ask: a takeover without an answer does not end it, in a page that knows nothing yet', async () => {
  const page = new Page();
  page.lock.ask();
  page.lock.takeOver();
  page.last.fail();
  told(page);
  await page.pass(20 * SECOND);
  assert.equal(page.lock.asking, true);
  assert.equal(page.lock.state, 'denied');
  assert.equal(page.lock.holderTold, true);
});

test('ask: without an answer it is repeated with back-off, not before a Retry-After', async () => {
  const page = await waiting();
  page.forget();
  page.server = () => unavailable(3);
  assert.equal(await page.lock.ask(), 'denied');
  assert.deepEqual([page.types, page.events[0].retryIn], [['offline'], 3750]);
  assert.equal(page.lock.asking, true);
  page.server = (call) => { queueMicrotask(call.fail); };
  await page.pass(3749);
  assert.equal(page.calls.length, 1);
  await page.pass(1);
  assert.deepEqual([page.calls.length, page.last.url], [2, `${URL}ask/`]);
  told(page);
  await page.pass(5 * SECOND);
  assert.equal(page.lock.holderTold, true);
  assert.deepEqual(page.types, ['offline', 'updated', 'online']);

  const idle = new Page();
  idle.server = () => unavailable();
  assert.equal(await idle.lock.ask(), 'idle');
  told(idle);
  await idle.pass(3 * SECOND);
  assert.equal(idle.lock.state, 'denied');
  assert.equal(idle.lock.holderTold, true);
});

test('ask: a look that hangs does not let the ask be forgotten', async () => {
  const page = await asking();
  page.server = () => undefined;
  await page.pass(10 * SECOND);
  await page.answer(json(200, bobs({ asked_by: ann })));
  page.forget();
  await page.pass(25 * SECOND);
  assert.equal(asks(page).length, 1);
});

test('ask: goes on in a hidden page, by the worker', async () => {
  const page = await asking();
  await page.show(false);
  assert.equal(page.poll.aborted, undefined);
  told(page, ann, false);
  page.throttled = true;
  page.poll.answer(unchanged(false));
  await page.pass(MINUTE);
  assert.ok(asks(page).length >= 5, `${asks(page).length} asks`);
  assert.deepEqual(page.workers.map(({ alive }) => alive), [true]);
  page.lock.stopAsking();
  assert.deepEqual(page.workers.map(({ alive }) => alive), [false]);
  page.forget();
  await page.pass(MINUTE);
  assert.equal(page.calls.length, 0, 'hidden, and it asks no longer');
});

test('asked: by the renewal, once for each who asks, and an end is told', async () => {
  const page = await holding();
  let by = null;
  page.server = () => granted({ renewed: true, asked_by: by });
  const renew = async () => {
    page.forget();
    await page.pass(20 * SECOND);
    return page.types;
  };
  assert.deepEqual(await renew(), ['renewed']);
  assert.equal(page.lock.askedBy, null);
  by = cid;
  assert.deepEqual(await renew(), ['renewed', 'asked']);
  assert.deepEqual(page.events[1], { type: 'asked', state: 'held', reason: null, askedBy: { id: 3, name: 'Cid' } });
  assert.deepEqual(page.lock.askedBy, { id: 3, name: 'Cid' });
  assert.equal(page.lock.holderTold, false, 'it is the holder who is told');
  assert.deepEqual(await renew(), ['renewed']);
  by = { user_id: 3, user_name: 'Dora' };
  assert.deepEqual(await renew(), ['renewed', 'asked']);
  by = { user_id: null, user_name: null };
  assert.deepEqual(await renew(), ['renewed', 'asked']);
  assert.deepEqual(page.lock.askedBy, { id: null, name: null }, 'hidden');
  by = null;
  assert.deepEqual(await renew(), ['renewed', 'updated']);
  assert.equal(page.lock.askedBy, null);
  by = undefined;
  assert.deepEqual(await renew(), ['renewed'], 'a server without asks');
  by = cid;
  await renew();
  await page.lock.release();
  assert.equal(page.lock.askedBy, null);
  assert.deepEqual(page.types, ['renewed', 'asked', 'released']);
});

test('asked: by the status, in another page of the holder', async () => {
  const page = await waiting({}, own({ can_take_over: false }));
  page.events.length = 0;
  await page.answer(status(own({ can_take_over: false, asked_by: cid }), 'W/"2"', true));
  assert.deepEqual(page.types, ['updated', 'asked']);
  assert.deepEqual(page.lock.askedBy, { id: 3, name: 'Cid' });
});

// --- hand over ---

// A page that holds the lock and is asked for it.
async function asked(options) {
  const page = await holding(options);
  page.server = ({ method }) => (method === 'POST' ? granted({ renewed: true, asked_by: cid }) : undefined);
  await page.pass(20 * SECOND);
  assert.ok(page.lock.askedBy);
  page.server = null;
  page.forget();
  return page;
}
const cidHasIt = () => json(423, { message: 'Resource is already in use by another user', user_id: 3 }, {
  'Lock-Fence': String(FENCE + 1), 'Lock-Expires-In': '15000', 'Retry-After': '15',
});
const cids = (more) => bobs({ user_id: 3, user_name: 'Cid', fence: FENCE + 1, expires_in_ms: 15000, ...more });

test('handOver, 200: the lock is the asker\'s, and the page follows it as others do', async () => {
  const page = await asked({ autoAcquire: true });
  const handed = page.lock.handOver();
  assert.equal(page.last.url, `${URL}handover/`);
  assert.equal(page.last.method, 'POST');
  assert.equal(page.last.body, `{"fence":${FENCE}}`);
  assert.equal(page.last.headers.get('Content-Type'), 'application/json');
  assert.equal(page.last.headers.get('Lock-Session'), page.session);
  assert.equal(page.last.headers.get('Lock-Idle'), null);
  assert.equal(page.last.headers.get('If-Match'), null);
  await page.answer(json(200, cids()));
  assert.equal(await handed, 'denied');
  assert.deepEqual(page.events, [{ type: 'handed', state: 'denied', reason: null }]);
  assert.deepEqual(page.lock.holder, { id: 3, name: 'Cid' });
  assert.equal(page.lock.fence, null);
  assert.equal(page.lock.askedBy, null);
  assert.deepEqual(page.lock.saveHeaders(), {});
  assert.deepEqual(page.workers.map(({ alive }) => alive), [false]);
  assert.equal(page.last.method, 'GET');
  await page.answer(status(cids()));
  await page.answer(status(nobodys(), 'W/"2"', true));
  assert.equal(page.lock.state, 'free', 'who handed it over does not wait for it, autoAcquire or not');
  await page.pass(10 * SECOND);
  assert.equal(page.of('POST').length, 1);
});

test('handOver, 409: nobody asks any more, so it is still held', async () => {
  const page = await asked();
  const handed = page.lock.handOver();
  await page.answer(json(409, own({ fence: FENCE, can_take_over: false })));
  assert.equal(await handed, 'held');
  assert.deepEqual(page.types, ['updated']);
  assert.equal(page.lock.askedBy, null);
  assert.equal(page.lock.fence, FENCE);
  page.server = () => granted({ renewed: true });
  await page.answer(granted({ renewed: true }));
  await page.pass(MINUTE);
  assert.deepEqual([...new Set(page.types)], ['updated', 'renewed']);
});

test('handOver, 412 and 423: lost', async () => {
  for (const [refusal, reason] of [[inUse, 'taken'], [moved, 'moved'], [broken, 'broken'], [forgotten, 'forgotten']]) {
    const page = await asked();
    const handed = page.lock.handOver();
    await page.answer(refusal());
    assert.equal(await handed, 'lost');
    assert.equal(page.lock.reason, reason);
    assert.deepEqual(page.types, ['lost']);
  }
});

test('handOver, 410: a renewal under a new name says how it stands', async () => {
  const page = await asked();
  const handed = page.lock.handOver();
  await page.answer(ended());
  assert.equal(page.last.url, URL);
  assert.equal(page.last.headers.get('If-Match'), `"${FENCE}"`);
  assert.notEqual(page.last.headers.get('Lock-Session'), page.session);
  await page.answer(granted());
  assert.equal(await handed, 'held');
});

test('handOver and a renewal do not run at the same time', async () => {
  const page = await asked();
  page.deaf = true;
  await page.pass(20 * SECOND);
  const renewal = page.last;
  const handed = page.lock.handOver();
  assert.equal(renewal.aborted, true);
  assert.equal(page.lock.handOver(), handed, 'one request for two calls');
  page.lock.afterSave(inUse());
  page.lock.acquire();
  await page.on('online');
  await page.pass(5 * SECOND);
  assert.equal(page.calls.length, 2);
  assert.equal(page.last.aborted, undefined);
  renewal.answer(inUse());
  await settle();
  assert.equal(page.lock.state, 'held', 'it comes too late to say lost');
  await page.answer(json(200, cids()));
  assert.equal(await handed, 'denied');
  assert.deepEqual(page.types, ['handed']);
});

test('handOver without an answer: not repeated, and the next renewal says whether it came about', async () => {
  for (const [fail, answers, want] of [
    [(page) => page.last.fail(), [cidHasIt], ['offline', 'handed', 'online']],
    [(page) => page.last.fail(), [inUse], ['offline', 'lost', 'online']], // somebody else has taken it
    [async (page) => { page.last.fail(); await settle(); await page.on('input'); }, [cidHasIt], ['offline', 'lost', 'online']],
    [(page) => page.last.fail(), [moved], ['offline', 'handed', 'online']],
    [(page) => page.last.fail(), [ended, cidHasIt], ['offline', 'online', 'handed']],
    [(page) => page.last.fail(), [broken], ['offline', 'lost', 'online']],
    [(page) => page.last.fail(), [granted, inUse], ['offline', 'renewed', 'updated', 'online', 'lost']],
    [(page) => page.answer(unavailable()), [cidHasIt], ['offline', 'handed', 'online']],
    [(page) => page.pass(10 * SECOND), [cidHasIt], ['offline', 'handed', 'online']],
  ]) {
    const page = await asked();
    const handed = page.lock.handOver();
    await fail(page);
    assert.equal(await handed, 'held');
    page.server = ({ method }) => (method === 'POST' ? answers.shift()() : undefined);
    await page.pass(30 * SECOND);
    assert.deepEqual(page.types, want);
    assert.equal(page.calls.filter(({ url }) => url === `${URL}handover/`).length, 1);
    assert.equal(page.lock.state, want.includes('lost') ? 'lost' : 'denied');
    if (want.includes('lost')) continue;
    // The next refusal is an ordinary one.
    answers.push(inUse);
    await page.lock.acquire();
    assert.equal(page.types.at(-1), 'denied');
  }
});

test('handOver refused: an error, and the lock is renewed at once', async () => {
  const page = await asked();
  const handed = page.lock.handOver();
  await page.answer(json(404, { message: 'No' }));
  assert.equal(await handed, 'held');
  assert.deepEqual([page.types, page.events[0].status, page.events[0].retryIn], [['error'], 404, 0]);
  assert.equal(page.last.url, URL);
  await page.answer(inUse());
  assert.equal(page.lock.state, 'lost', 'it was not handed over');
});

test('handOver where the page does not hold the lock', async () => {
  const page = await waiting();
  page.forget();
  assert.equal(await page.lock.handOver(), 'denied');
  assert.equal(page.calls.length, 0);
});

// --- idleness ---

test('Lock-Idle: whole seconds since the last input, with each POST and takeover', async () => {
  const page = await holding();
  await page.pass(20 * SECOND);
  assert.equal(page.last.headers.get('Lock-Idle'), '20');
  await page.pass(5 * SECOND + 1);
  await page.on('keydown');
  await page.pass(15 * SECOND - 1);
  assert.equal(page.last.headers.get('Lock-Idle'), '14', 'rounded down');
  await page.lock.release();
  assert.equal(page.last.headers.get('Lock-Idle'), null);
  page.lock.acquire();
  assert.equal(page.last.headers.get('Lock-Idle'), '0', 'who acquires is at work');

  const other = await waiting();
  await other.pass(2 * SECOND);
  assert.equal(other.last.headers.get('Lock-Idle'), null);
  other.lock.takeOver();
  assert.equal(other.last.headers.get('Lock-Idle'), '0');
});

test('idleFor: the holder\'s, counted on, null where it is not known', async () => {
  const page = new Page();
  assert.equal(page.lock.idleFor, null);
  page.lock.acquire();
  await page.answer(inUse());
  assert.equal(page.lock.idleFor, null);
  await page.answer(status(bobs()));
  assert.equal(page.lock.idleFor, 20000);
  await page.pass(5 * SECOND);
  assert.equal(page.lock.idleFor, 25000);
  await page.answer(unchanged(true));
  assert.equal(page.lock.idleFor, null, 'a 304 that does not say it: it is known no longer');
  for (const [header, want] of [['7', 7000], ['0', 0]]) {
    const response = unchanged(true);
    response.headers.set('Lock-Idle', header);
    await page.answer(response);
    assert.equal(page.lock.idleFor, want);
    await page.pass(2 * SECOND);
    assert.equal(page.lock.idleFor, want + 2000);
  }
  for (const idle of [null, undefined]) {
    await page.answer(status(bobs({ idle_ms: idle }), 'W/"2"', true));
    await page.pass(2 * SECOND);
    assert.equal(page.lock.idleFor, null);
    await page.answer(unchanged(true));
    await page.pass(2 * SECOND);
    assert.equal(page.lock.idleFor, null);
  }
  await page.answer(status(nobodys(), 'W/"3"', true));
  assert.equal(page.lock.idleFor, null);
});

test('idleFor while held is this page\'s own input', async () => {
  const page = await holding();
  await page.pass(3 * SECOND);
  assert.equal(page.lock.idleFor, 3000);
  page.lock.touch();
  assert.equal(page.lock.idleFor, 0);
});

test('idling: a warning before the release for idleness, once', async () => {
  const page = await holding();
  page.throttled = true;
  const news = () => page.events.filter(({ type }) => type !== 'renewed');
  await page.pass(29 * MINUTE - 1);
  assert.deepEqual(news(), []);
  await page.pass(1);
  assert.deepEqual(news(), [{ type: 'idling', state: 'held', reason: null, releaseIn: MINUTE }]);
  await page.pass(MINUTE);
  assert.deepEqual(news().map(({ type }) => type), ['idling', 'released']);
  page.lock.touch();
  assert.equal(page.types.at(-1), 'released', 'there is no warning left that could end');
  assert.equal(await page.lock.acquire(), 'held');
  page.forget();
  await page.pass(30 * MINUTE);
  assert.deepEqual(news().map(({ type }) => type), ['idling', 'released']);
});

test('active: input after the warning ends it, and the next one comes in its time', async () => {
  for (const act of [(page) => page.on('input'), (page) => page.lock.touch(), (page) => page.lock.acquire()]) {
    const page = await holding({ idleAfter: 10 * MINUTE });
    await page.pass(9.5 * MINUTE);
    page.forget();
    await act(page);
    assert.equal(page.types[0], 'active');
    await act(page);
    await page.pass(9 * MINUTE - 1);
    assert.deepEqual([...new Set(page.types)], ['active', 'renewed'], 'told once');
    await page.pass(1);
    assert.equal(page.events.findLast(({ type }) => type !== 'renewed').type, 'idling');
    await page.pass(MINUTE);
    assert.equal(page.lock.reason, 'idle');
  }
});

test('warnBefore: at most half of idleAfter', async () => {
  for (const [options, releaseIn] of [
    [{ idleAfter: 10 * MINUTE, warnBefore: 2 * MINUTE }, 2 * MINUTE],
    [{ idleAfter: 10 * MINUTE, warnBefore: undefined }, MINUTE],
    [{ idleAfter: MINUTE }, 30 * SECOND],
    [{ idleAfter: 10 * MINUTE, warnBefore: 20 * MINUTE }, 5 * MINUTE],
    [{ idleAfter: 10 * MINUTE, warnBefore: 0 }, undefined],
    [{ idleAfter: Infinity }, undefined],
  ]) {
    const page = await holding(options);
    await page.pass(10 * MINUTE);
    assert.equal(page.events.find(({ type }) => type === 'idling')?.releaseIn, releaseIn);
  }
});

test('idling: a listener may release, close or touch', async () => {
  for (const [act, want] of [['release', 'idle'], ['close', 'idle'], ['touch', 'held']]) {
    const page = await holding({ idleAfter: 2 * MINUTE });
    page.lock.addEventListener('change', ({ detail }) => detail.type === 'idling' && page.lock[act]());
    await page.pass(2.5 * MINUTE);
    assert.equal(page.lock.state, want, act);
    if (want === 'held') continue;
    assert.equal(page.timers, 0, act);
    assert.ok(page.workers.every(({ alive }) => !alive), act);
  }
});
