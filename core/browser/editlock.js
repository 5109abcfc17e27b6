// One page's part of an edit lock. How to use it is in editlock.d.ts.
//
// The rule: a page may be typed into while state is 'held', and only a 423 or a 412 ends that. Silence
// does not: by the fence that goes with every save, the server refuses one that is out of date.

/** @import {Detail, Options, Reason, State} from './editlock.js' */

const SECOND = 1000;
const TICKER = 'editlock-ticker';
const ASK_EVERY = 10 * SECOND; // the server remembers an ask for 30 s
const ASK = 'ask/', TAKE_OVER = 'takeover/', HAND_OVER = 'handover/';

// The larger difference: one clock may stand still during sleep, the other can be set back.
const stopwatch = ({ performance, Date } = globalThis) => {
  const now = performance.now(), date = Date.now();
  return () => Math.max(performance.now() - now, Date.now() - date);
};

/** @param {any} of */
const person = ({ user_id: id = null, user_name: name = null }) => ({ id, name });

// Its own worker: a hidden page's timers stall for a minute, and default-src 'self' refuses a blob.
// It looks every second, as a long timer stands still during sleep.
if (!globalThis.document && globalThis.self?.name === TICKER) {
  let id = 0;
  globalThis.onmessage = ({ data }) => {
    clearInterval(id);
    const age = stopwatch();
    id = setInterval(() => {
      if (age() < data) return;
      clearInterval(id);
      postMessage(0);
    }, Math.min(data, SECOND));
  };
}

export class EditLock extends EventTarget {
  /** @type {State} */
  state = 'idle';
  /** @type {Reason} */
  reason = null;
  /** @type {number | null} */
  fence = null;
  online = true;
  asking = false;

  #url;
  #options;
  #window;
  #closed = new AbortController();
  #mode = 'rest'; // what to request: nothing, POST ('hold') or GET ('watch')
  #wanted = false;
  #path = ''; // of the next POST
  #asked = () => Infinity;
  #told = 'null'; // of askedBy
  /** @type {any} */
  #offered; // to whom: a hand-over without an answer may have come about
  #refused = 0; // the fence of the last refusal
  #warned = false;
  #fresh = false; // the next POST goes without If-Match
  #renamed = false; // after a 410
  #away = false; // after pagehide
  #expired = false;
  #session = ''; // named only while a lease may exist
  #etag = '';
  #ttl = 0;
  #failures = 0;
  #sent = () => Infinity;
  #due = () => 0;
  #input;
  #age;
  /** @type {any} the status last seen, counted from #age */
  #info = {};
  /** @type {any} */
  #by;
  /** @type {any} under way: an answer to any other is too late */
  #request;
  /** @type {any} */
  #pending;
  /** @type {any} */
  #settle;
  /** @type {any} */
  #timer;
  /** @type {any} */
  #worker;

  /** @param {string} url @param {Options} [options] */
  constructor(url, options = {}) {
    super();
    const {
      window = globalThis, worker = import.meta.url, idleAfter = 1800 * SECOND, warnBefore = 60 * SECOND,
    } = options;
    this.#url = url.replace(/\/*$/, '/');
    this.#options = { ...options, worker, idleAfter, warnBefore: Math.min(warnBefore, idleAfter / 2) };
    this.#window = window;
    this.#age = this.#input = this.#clock();

    /** @param {string} types @param {(event: any) => void} listener */
    const on = (types, listener) => types.split(' ').forEach((type) =>
      window.addEventListener(type, listener, { signal: this.#closed.signal, capture: true }));
    on('input keydown pointerdown', () => this.touch());
    on('input', () => {
      // Who types on has taken it back: what follows is a loss.
      if (this.#request?.path !== HAND_OVER) this.#offered = null;
    });
    on('online offline resume', () => this.#look());
    on('visibilitychange', () => {
      if (this.#visible()) this.#look();
      else if (this.#mode === 'watch' && !this.asking) this.#cut();
    });
    // Not unload or beforeunload: they keep a page out of the back-forward cache.
    on('pagehide', () => {
      this.#cut();
      this.#silence();
      this.#end({ 'Lock-Linger': '3' });
      this.asking = false;
      this.#away = this.#expired = true;
      this.#sent = () => Infinity;
    });
    on('pageshow', ({ persisted }) => (persisted || this.#away) && this.#look());
  }

  get holder() { return this.#info.locked ? person(this.#info) : null; }
  get brokenBy() { return this.reason === 'broken' ? person(this.#by) : null; }
  get canTakeOver() { return !!this.#info.can_take_over; }
  get heldFor() { return this.#info.locked && this.#info.held_ms + this.#age() || 0; }
  get expiresIn() { return Math.max(0, this.#info.expires_in_ms - this.#age()) || 0; }
  get sessions() {
    return this.#info.mine ? this.#info.sessions - (this.state === 'held' ? 1 : 0) : 0;
  }
  get elsewhere() { return !!this.#info.mine && this.#blocked(); }
  get holderTold() { return !this.#info.mine && !!this.#info.asked_by; }
  get askedBy() { return this.#info.mine && this.#info.asked_by ? person(this.#info.asked_by) : null; }
  get idleFor() {
    if (this.state === 'held') return this.#input();
    const { idle_ms: ms = null } = this.#info;
    return ms === null ? null : ms + this.#age();
  }

  acquire({ fresh = false } = {}) {
    this.touch();
    this.#wanted = true;
    this.#refresh(fresh);
    return this.#begin('hold');
  }

  takeOver() {
    if (this.state === 'held') return this.acquire();
    this.#cut();
    this.#path = TAKE_OVER;
    return this.acquire({ fresh: true });
  }

  ask() {
    if (this.state === 'held') return Promise.resolve(this.state);
    this.touch();
    this.asking = !this.#closed.signal.aborted;
    this.#asked = () => Infinity;
    this.#refresh();
    return this.#begin(this.#mode === 'hold' ? 'hold' : 'watch');
  }

  stopAsking() {
    this.asking = false;
    this.#step();
  }

  handOver() {
    if (this.state !== 'held') return Promise.resolve(this.state);
    if (this.#request?.path !== HAND_OVER) {
      this.#cut();
      this.#path = HAND_OVER;
    }
    return this.#begin('hold');
  }

  watch() {
    return this.#mode === 'rest' ? this.#begin('watch') : this.#pending ?? Promise.resolve(this.state);
  }

  release() { return this.#leave('released'); }

  close() {
    const ended = this.release();
    this.#closed.abort();
    return ended;
  }

  touch() {
    this.#input = this.#clock();
    if (!this.#warned) return;
    this.#warned = false;
    this.#emit('active');
  }

  saveHeaders() {
    return {
      ...(this.fence && { 'Lock-Fence': `${this.fence}` }),
      ...(this.#session && { 'Lock-Session': this.#session }),
    };
  }

  /** @param {{status: number}} response */
  afterSave({ status }) {
    if (this.state !== 'held' || (status !== 412 && status !== 423)) return Promise.resolve(this.state);
    // The save may be older than this hold: a renewal decides, but no older one.
    if (this.#request?.path !== HAND_OVER) this.#cut();
    return this.#begin('hold');
  }

  // Who wants it again after a loss was told of it and has loaded the newer text. In scope 'session' a fence
  // is of one session, and that has ended.
  #refresh(fresh = false) {
    this.#fresh ||= fresh || this.state === 'lost' || (this.#apart() && this.state !== 'held');
  }

  #begin(mode = '') {
    if (this.#closed.signal.aborted) return Promise.resolve(this.state);
    if (this.#mode === 'watch') this.#cut();
    this.#mode = mode;
    this.#plan(0);
    const pending = this.#pending ??= new Promise((settle) => { this.#settle = settle; });
    this.#step();
    return pending;
  }

  /** @param {Reason} reason */
  #leave(reason) {
    this.#cut();
    this.#silence();
    this.#mode = 'rest';
    this.#wanted = this.#fresh = this.asking = false;
    this.#path = '';
    if (this.state === 'lost') this.fence = null;
    this.#info = {};
    this.#etag = '';
    const ended = this.#end();
    this.#to('idle', this.state === 'idle' ? '' : 'released', { reason });
    return ended;
  }

  // By name, so that a POST still under way is refused and leaves no orphan behind.
  async #end(headers = {}) {
    const session = this.#session;
    this.#session = '';
    try {
      if (session) await this.#fetch('DELETE', '', { 'Lock-Session': session, ...headers }, { keepalive: true });
    } catch {
      // The ttl ends the lease.
    }
  }

  async #fetch(method = '', path = '', headers = {}, more = {}) {
    const { fetch = this.#window.fetch, headers: own } = this.#options;
    return fetch(this.#url + path, {
      ...more, method, headers: { ...(typeof own === 'function' ? own() : own), ...headers },
    });
  }

  #clock() { return stopwatch(this.#window); }
  #visible() { return this.#window.document.visibilityState !== 'hidden'; }
  #apart() { return this.#options.scope === 'session'; }
  #blocked(info = this.#info) {
    return !!info.locked && (!info.mine || (this.#apart() && !!info.can_take_over));
  }
  #plan(ms = 0, age = this.#clock()) { this.#due = () => ms - age(); }

  #cut() {
    this.#request?.abort.abort();
    this.#request = null;
  }

  #silence() {
    this.#window.clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  // They come in bunches.
  #look() {
    if (this.#away) this.touch();
    this.#away = false;
    this.#failures = 0;
    if (this.#mode === 'watch') this.#cut();
    this.#plan(this.online ? SECOND - this.#sent() : 0);
    this.#step();
  }

  // Does what is due by the clock and sets the alarm for the next.
  #step() {
    if (this.#away || this.#closed.signal.aborted) return;
    if (this.#request?.left() <= 0) {
      const request = this.#request;
      this.#cut();
      this.#trouble(request, true);
    }
    if (this.state === 'held' && !this.#expired && this.#age() >= this.#ttl) {
      this.#expired = true;
      this.#emit('expired');
    }
    const idle = this.#options.idleAfter - this.#input();
    if (this.asking && idle <= 0) {
      this.asking = false;
      this.#emit('updated');
    }
    // Idle ends a live hold only: after a sleep the page first learns whether it was lost.
    const held = this.state === 'held', live = held && !this.#expired;
    if (live && idle <= 0) return void this.#leave('idle');
    const warning = this.#warned ? Infinity : idle - this.#options.warnBefore;
    if (live && warning <= 0) {
      this.#warned = true;
      this.#emit('idling', { releaseIn: idle });
      return void this.#step();
    }

    const active = this.#mode === 'hold' || (this.#mode === 'watch' && (this.asking || this.#visible()));
    if (active && !this.#request && this.#due() <= 0) this.#run();
    const ms = Math.max(0, Math.min(
      this.#request?.left() ?? (active ? this.#due() : Infinity),
      live ? Math.min(idle, warning, this.#ttl - this.#age()) : Infinity,
    ));
    const ticks = held || this.asking;
    if (!ticks) this.#silence();
    this.#window.clearTimeout(this.#timer);
    if (ms === Infinity) return;
    this.#timer = this.#window.setTimeout(() => this.#step(), Math.min(ms, 2 ** 31 - 1));
    if (!ticks) return;
    try {
      const { worker } = this.#options;
      if (worker && this.#worker === undefined) {
        this.#worker = new this.#window.Worker(worker, { type: 'module', name: TICKER });
        this.#worker.onmessage = () => this.#step();
      }
      this.#worker?.postMessage(ms);
    } catch {
      this.#worker = null; // the page's timer has to do
    }
  }

  // An ask that is due goes before the look.
  #next() {
    const hold = this.#mode === 'hold', untilAsk = ASK_EVERY - this.#asked();
    const path = hold ? this.#path : this.asking && untilAsk <= 0 ? ASK : '';
    // crypto.randomUUID is missing on plain http, and window.open copies sessionStorage.
    if (hold) this.#session ||= crypto.getRandomValues(new Uint32Array(4)).join('-');
    /** @type {Record<string, string>} */
    const headers = this.#session ? { 'Lock-Session': this.#session } : {};
    if (hold && path !== HAND_OVER) headers['Lock-Idle'] = `${Math.floor(this.#input() / SECOND)}`;
    if (hold || path) {
      const limit = SECOND * Math.min(10, Math.max(2, this.#ttl / 3 / SECOND || 10));
      let body;
      if (path === TAKE_OVER || path === HAND_OVER) {
        headers['Content-Type'] = 'application/json';
        body = JSON.stringify({ fence: this.#info.fence || 1 });
      } else if (hold && this.fence && !this.#fresh) headers['If-Match'] = `"${this.fence}"`;
      return { method: 'POST', path, headers, limit, body };
    }
    const wait = this.asking ? Math.ceil(untilAsk / SECOND) : 25;
    if (this.#etag) {
      headers['If-None-Match'] = this.#etag;
      if (this.online) headers.Prefer = `wait=${wait}`;
    }
    return { method: 'GET', path, headers, limit: SECOND * (wait + 10) };
  }

  async #run() {
    const { method, path, headers, limit, body } = this.#next();
    const age = this.#clock(), abort = new AbortController();
    /** @type {any} */
    const request = this.#request = { path, age, abort, left: () => limit - age() };
    this.#sent = age;
    this.#path = '';
    if (path === HAND_OVER) this.#offered = this.#info.asked_by ?? {}; // {}: the page knows of an ask, and this does not
    try {
      const response = await this.#fetch(method, path, headers, { signal: abort.signal, body });
      request.headers = response.headers;
      request.data = await response.json().catch(() => null);
      // A log-in page or a captive portal is no answer.
      const { status } = response;
      if (request.data?.expires_in_ms >= 0 || (status !== 200 && status !== 409)) request.status = status;
    } catch {
      // No answer either.
    }
    if (this.#request !== request) return;
    this.#request = null;

    const { status } = request;
    const known = status < 500 && status !== 429 && status !== 408;
    const back = known && !this.online;
    if (known) {
      this.online = true;
      this.#failures = 0;
    }
    if (!known) this.#trouble(request, true);
    else if (method === 'GET' || path === ASK) this.#got(request);
    else this.#posted(request);
    if (back) this.#emit('online');
    this.#step();
  }

  /** @param {any} answer */
  #posted(answer) {
    const { status, data, headers, age, path } = answer;
    const held = this.state === 'held', renamed = this.#renamed, handing = path === HAND_OVER;
    this.#renamed = false;
    const offered = this.#offered;
    if (handing) this.#offered = null;
    if (handing && status === 409) {
      this.#info.asked_by = null;
      this.#to('held', 'updated');
    } else if (status === 200 && !handing) {
      const resumed = data.fence === this.fence;
      this.fence = data.fence;
      this.#ttl = data.expires_in_ms;
      this.#fresh = this.#expired = this.asking = false;
      this.#offered = null;
      this.#info = { ...data, locked: true, mine: true };
      this.#age = age; // from before it was sent: never longer than the server's count
      this.#plan(Math.max(this.#ttl / 3, SECOND / 4), age);
      this.#to('held', held ? 'renewed' : 'acquired', { resumed });
    } else if (status === 410 && !renamed) {
      this.#renamed = true;
      this.#session = '';
      this.#path = handing ? '' : path;
      this.#plan(0);
    } else if ([200, 423, 412, 409].includes(status)) {
      this.#session = this.#etag = '';
      this.#mode = 'watch';
      this.#plan(0);
      this.#age = age;
      this.#info = status !== 423 ? data ?? {} : {
        locked: true, user_id: data?.user_id,
        fence: +headers.get('Lock-Fence'), expires_in_ms: +headers.get('Lock-Expires-In'),
      };
      this.#refused = this.#info.fence;
      const handed = handing ? status === 200
        : offered && !data?.broken_by && (status === 412 || [undefined, data?.user_id].includes(offered.user_id));
      const state = !handed && (held || status === 412) ? 'lost' : 'denied';
      if (handed) this.#wanted = false;
      if (state === 'lost') this.asking = false;
      const reason = state !== 'lost' ? null : status === 423 ? 'taken'
        : (this.#by = data?.broken_by) ? 'broken' : data?.fence ? 'moved' : 'forgotten';
      this.#to(state, handed ? 'handed' : state, { reason });
    } else this.#trouble(answer);
  }

  /** @param {any} answer */
  #got(answer) {
    const { status, data, headers, age, path } = answer;
    if (status !== 200 && status !== 304) return this.#trouble(answer);
    const waited = headers.get('Preference-Applied'), first = !this.#etag, told = this.holderTold;
    if (path === ASK) this.#asked = age;
    else {
      this.#etag = headers.get('ETag') ?? '';
      // The first look brings the ETag to wait with; after it, never more than once a second.
      this.#plan(first && this.#etag ? 0 : SECOND * (waited ? 1 : 1 + Math.random()), age);
    }

    const old = this.#info, idle = headers.get('Lock-Idle');
    const info = this.#info = data ?? {
      ...old, held_ms: this.heldFor, expires_in_ms: +headers.get('Lock-Expires-In'),
      idle_ms: idle ? idle * SECOND : null,
    };
    this.#age = waited ? this.#clock() : age; // after a wait, the state is as old as the answer
    const blocked = this.#blocked();
    // What is this user's after an ask was handed over, unless another session has it: that is tried once.
    const open = this.asking ? !info.locked || info.mine
      : !blocked && this.#wanted && this.#options.autoAcquire && this.state === 'denied';
    if (open && !(info.locked && info.fence === this.#refused) && this.#input() < this.#options.idleAfter) {
      this.#mode = 'hold';
      return this.#plan(0);
    }
    // A loss stays one, even if the lock is free now: the text in the page is old.
    const state = this.state === 'lost' && !this.asking ? 'lost' : blocked ? 'denied' : 'free';
    const turned = state !== this.state || blocked !== this.#blocked(old);
    // The look that follows an ask tells of everything else.
    const news = path === ASK ? told !== this.holderTold : data;
    this.#to(state, turned ? (blocked ? 'denied' : 'freed') : news ? 'updated' : '');
  }

  /** @param {any} answer */
  #trouble({ status = 0, data, headers, path }, soft = false) {
    const taking = path === TAKE_OVER, aside = !soft && (path === ASK || path === HAND_OVER);
    const type = !soft ? (taking && status === 403 ? 'forbidden' : 'error') : this.online ? 'offline' : '';
    const retryIn = aside ? 0 : SECOND * ((+headers?.get('Retry-After') || 0) +
      (soft ? Math.min(30, 2 ** this.#failures++) : 60) * (0.5 + Math.random() / 2));
    this.#plan(retryIn);
    if (soft) this.online = false;
    if (type === 'error') this.asking = false;
    // A refusal ends an attempt, and no takeover is repeated; a hold is asked on.
    if (this.state !== 'held' && (!soft || taking)) {
      this.#mode = this.state === 'idle' && !this.asking ? 'rest' : 'watch';
      this.#fresh = false;
    }
    this.#to(this.state, type, { status, message: data?.message, retryIn });
  }

  /** @param {State} state @param {Detail['type'] | ''} type @param {Partial<Detail>} [more] */
  #to(state, type, more) {
    if (state !== this.state) this.reason = more?.reason ?? null;
    if (state === 'denied') this.fence = null; // who waits loads the text when the turn comes
    if (state !== 'held') {
      this.#warned = false;
      this.#offered = null;
    }
    this.state = state;
    this.#settle?.(state);
    this.#settle = this.#pending = null;
    if (type) this.#emit(type, more);
    const { askedBy } = this, told = JSON.stringify(askedBy);
    if (told === this.#told) return;
    this.#told = told;
    if (askedBy) this.#emit('asked', { askedBy });
    else if (type === 'renewed') this.#emit('updated');
  }

  /** @param {Detail['type']} type @param {Partial<Detail>} [more] */
  #emit(type, more) {
    const { state, reason } = this;
    this.dispatchEvent(new CustomEvent('change', { detail: { ...more, type, state, reason } }));
  }
}
