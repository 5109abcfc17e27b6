/**
 * EditLock keeps two people from editing the same document at the same time: one page's part of it.
 *
 * ```js
 * import { EditLock } from './editlock.js';
 *
 * const lock = new EditLock('/api/lock/draft-7/');
 * lock.addEventListener('change', async ({ detail }) => {
 *   if (detail.type === 'acquired' && !detail.resumed) await loadText(); // somebody may have changed it
 *   editor.readOnly = lock.state !== 'held';
 *   render(lock);
 * });
 * editButton.onclick = () => lock.acquire();
 *
 * async function save() {
 *   const response = await fetch('/api/drafts/draft-7', { method: 'PUT', headers: lock.saveHeaders(), body });
 *   await lock.afterSave(response);
 *   return response.ok;
 * }
 * ```
 *
 * What a page has to do:
 *
 * - Let people type only while `state` is `held`; otherwise read-only, not disabled, so that they can copy.
 * - Load the text after each `acquired` whose `resumed` is false, and only then let them type.
 * - Send `saveHeaders()` with every save and give every answer to `afterSave()`. The lock is advice; the
 *   server's guard, which compares the fence, is what protects the text.
 * - After `lost`, keep what was typed, show it, and load the newer text before calling `acquire()` again:
 *   that call takes the lock even if somebody edited in between.
 * - Keep unsaved text in localStorage, and clear it only after a confirmed save.
 * - Where people may ask for the lock: show `askedBy` to the holder, save, then call `handOver()`.
 */
export class EditLock extends EventTarget {
  /**
   * @param url the lock's route, with the document's uid already percent-encoded: `/api/lock/draft-7/`.
   */
  constructor(url: string, options?: Options);

  readonly state: State;

  /** Why the state is `lost` or `idle`; null otherwise and before the first acquire. */
  readonly reason: Reason;

  /**
   * The fence of this page's hold, null without one. An equal fence means that nobody else can have edited
   * since. It stays after a release, so that acquire() notices who was there in between, and while the
   * state is `lost`, so that a late save is refused.
   */
  readonly fence: number | null;

  /**
   * Whether the last request was answered: false after a network error, a timeout, a 5xx, 408 or 429.
   * A page that is offline stays `held`. It asks again after 1 to 30 seconds with jitter, and not before a
   * Retry-After has passed, unless the page becomes visible or the browser reports a network.
   */
  readonly online: boolean;

  /**
   * Who has the lock, as far as is known: this page's own user as well, null if nobody. The id is null
   * where the server hides the holder; the name is null for one's own user, and until the first look
   * after `denied` or `lost` (an `updated` event says that it is known).
   */
  readonly holder: Holder | null;

  /**
   * Who ended this page's hold: an administrator, or the user who logged out elsewhere. Only where `reason` is `broken`,
   * null otherwise. The id is null where the server hides them.
   */
  readonly brokenBy: Holder | null;

  /** Whether takeOver() is worth offering. */
  readonly canTakeOver: boolean;

  /** For how many milliseconds the holder has had the lock, not rounded; 0 if nobody has, or while unknown. */
  readonly heldFor: number;

  /**
   * After how many milliseconds the hold ends unless it is renewed, counted on this page from before the
   * request was sent (from the answer, where that had waited for a change); not rounded. While `held`, 0
   * means that somebody else may have acquired it meanwhile.
   */
  readonly expiresIn: number;

  /**
   * How many other pages of the same user hold the lock, too. In scope `session`, where one page holds it at a time:
   * 1 where that is another page of theirs.
   */
  readonly sessions: number;

  /**
   * Whether another page of this page's own user has the lock. Only in scope `session`, while `denied` or `lost`, and
   * known from the first look on (an `updated` event). Say "you, in another tab" in place of the holder's name, and
   * offer takeOver(): nobody else has to be asked. ask() has nobody to ask then, and waits until the page lets go.
   */
  readonly elsewhere: boolean;

  /**
   * For how many milliseconds the holder has not typed, counted on to now and not rounded; null if nobody holds the
   * lock or their page does not say so. While `held`, it is this page's own input. Show it to who waits, as a help to
   * decide between ask() and takeOver(), never as the reason to take over by itself.
   */
  readonly idleFor: number | null;

  /** Whether this page asks for the lock: from ask() until the lock is `acquired`, or the ask has ended. */
  readonly asking: boolean;

  /**
   * Whether the server remembers that this page's user asks, so that the holder's page is told. False while
   * `asking`: somebody else's ask was first. It is repeated until its turn comes; say that the page waits.
   */
  readonly holderTold: boolean;

  /**
   * Who asks this page's user to hand the lock over, null if nobody. It is learned with the renewals, so after a third
   * of the ttl at the latest, and it stays until the renewal after the ask has ended. The id is null where the server
   * hides who asks. Show it to who edits, without taking the focus away, and offer handOver().
   */
  readonly askedBy: Holder | null;

  /**
   * Acquires the lock and keeps renewing it until release(), close(), a loss or idleness.
   *
   * Resolves with the state after the first answer, or after the first failure to get one; never rejects.
   * `idle` after a failure means: not answered yet, it goes on trying (see `online`); or refused for good
   * (an `error` event says so), and then the next try is the next call.
   * Calls made at the same time share one request. While `held`, it renews at once.
   *
   * A page that held the lock before resumes that hold: if somebody else held the lock in between, the
   * state becomes `lost`, since the text on the page is old. `fresh` says that the page has just loaded the
   * text, so that it does not matter who was there. After `lost` every acquire is fresh: load the text first.
   */
  acquire(options?: { fresh?: boolean }): Promise<State>;

  /**
   * Takes the lock from the holder whom the page has seen; from another one, who came in between, it does
   * not (the state is `denied` then, with the new holder). A refusal by the server's policy is a `forbidden`
   * event and leaves the state as it was. It is never repeated by itself after a failure.
   * Resolves with the state, never rejects.
   */
  takeOver(): Promise<State>;

  /**
   * Asks the holder to hand the lock over, and waits for it: as soon as the lock is free or was handed over, the page
   * acquires it, also without `autoAcquire` and while hidden. The ask is repeated every 10 seconds.
   *
   * It ends when the lock is acquired or `lost`, with stopAsking(), release() and close(), when the page is left, and
   * after `idleAfter` without input (an `updated` event). A refusal is an `error` event and ends it, too: `asking` is false
   * then, and the page goes on following the lock. After a failure to get an answer it goes on as everything else does.
   *
   * As with acquire(), what follows is `acquired`, and the text is to be loaded before anybody types. From `lost` as
   * well: keep what was typed before you call it. While `held`, it does nothing.
   * Resolves with the state after the first answer: `held` where the lock was free. Never rejects.
   */
  ask(): Promise<State>;

  /**
   * Asks no longer. The page goes on following the lock; the holder's page forgets the ask within 30 seconds and a
   * renewal. An acquire that is under way goes on: only release() ends that.
   */
  stopAsking(): void;

  /**
   * Hands the lock over to who asks (see `askedBy`). Save before you call it, and let nobody type until it has
   * resolved.
   *
   * - `denied`, with a `handed` event: the lock is the asker's. The page follows it as every other one does, but does
   *   not wait for it: `autoAcquire` is for who was denied it by an acquire()
   * - `held`, with an `updated` event and `askedBy` null: nobody asks any longer
   * - `held`, with an `error` or `offline` event: refused, or not answered. It is not repeated; the next renewal says
   *   whether it came about (`handed`) or not (`renewed`); where somebody has typed on meanwhile, it is `lost`
   * - `lost`: the lock was not this page's any more
   *
   * While the state is not `held`, it does nothing. Never rejects.
   */
  handOver(): Promise<State>;

  /**
   * Looks who has the lock, and follows it while the page is visible, without asking for it: the state
   * becomes `denied` or `free`. Resolves with the state after the first look. It does nothing while the
   * page holds the lock, waits for it or lost it: then the page follows the lock anyway.
   */
  watch(): Promise<State>;

  /**
   * Gives the lock back and stops following it; the state becomes `idle` at once. Resolves when the server
   * has answered or could not be reached (then the ttl ends the hold); never rejects.
   */
  release(): Promise<void>;

  /** Releases and lets go of the page: no timers, listeners or requests are left. There is no way back. */
  close(): Promise<void>;

  /**
   * Says that somebody is at work. input, keydown and pointerdown anywhere on the page say it by themselves. How long
   * ago that was goes to the server with each renewal, for those who wait (see `idleFor`).
   */
  touch(): void;

  /** The headers to send with a save: `Lock-Fence` and `Lock-Session`. Empty if the page never held the lock. */
  saveHeaders(): Record<string, string>;

  /**
   * Give it the answer to every save. After a 412 or a 423 it asks the server about the hold, and resolves
   * with `lost`, or with `held` if the refusal was out of date and the save may be tried again.
   */
  afterSave(response: { readonly status: number }): Promise<State>;

  addEventListener(
    type: 'change', listener: (event: CustomEvent<Detail>) => void, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener(
    type: 'change', listener: (event: CustomEvent<Detail>) => void, options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions,
  ): void;
}

/**
 * - `idle`: does not hold it and does not follow it
 * - `held`: holds it, offline too: only a 412 or a 423 ends that
 * - `denied`: another user has it; in scope `session` also another page of the same user (see `elsewhere`)
 * - `free`: nobody has it, or in scope `user` only other pages of the same user: acquire() is worth offering
 * - `lost`: held it, and somebody else has or had it since, or ended it; stays until the next acquire(), takeOver(),
 *   ask() or release()
 */
export type State = 'idle' | 'held' | 'denied' | 'free' | 'lost';

/**
 * Why `idle`: `released` by release() or close(); `idle` for idleAfter without input.
 * Why `lost`: `taken`, another user has it now, or another page of one's own (see `elsewhere`); `moved`, another user
 * had it in between, or in scope `session` this page has come back as another session; `broken`, somebody ended it (see
 * `brokenBy`); `forgotten`, the server no longer knows who had it.
 */
export type Reason = 'released' | 'idle' | 'taken' | 'moved' | 'broken' | 'forgotten' | null;

export interface Holder {
  readonly id: number | string | null;
  readonly name: string | null;
}

/** What a `change` event says. The lock's properties are up to date when it is dispatched. */
export interface Detail {
  /**
   * - `acquired`: the state became `held`; see `resumed`
   * - `renewed`: still held; the heartbeat
   * - `denied`: somebody else has it, or somebody else than before
   * - `freed`: nobody else has it any longer. While `lost`, the newer text can be loaded now
   * - `updated`: something else about the holder has changed or become known
   * - `lost`, `released`: the hold is over; see `reason`
   * - `asked`: somebody asks for the lock, or somebody else than before; see `askedBy`. When the ask ends: `updated`
   * - `handed`: handed over, and the state is `denied`. Make the text read-only
   * - `idling`: the lock will be released for idleness; see `releaseIn` and the option `warnBefore`. Say so; what was
   *   typed should be saved by then
   * - `active`: there was input after `idling`, so the lock is kept. Take the warning away, as after `released`, `lost`
   *   and `handed`
   * - `expired`: the ttl has run out without an answer, so others may acquire it. The state stays `held`
   * - `offline`, `online`: see `online`
   * - `forbidden`: a takeover was refused
   * - `error`: the server refused to answer (401, 403, 404, a second 410 in a row and so on; see `status` and
   *   `message`). While `held`, `denied`, `free` or `lost` it is asked again after 30 to 60 seconds, or when
   *   the page becomes visible, since a log-in may have been renewed; otherwise at the next call only
   */
  readonly type: 'acquired' | 'renewed' | 'denied' | 'freed' | 'updated' | 'lost' | 'released' | 'asked' | 'handed'
    | 'idling' | 'active' | 'expired' | 'offline' | 'online' | 'forbidden' | 'error';
  readonly state: State;
  readonly reason: Reason;
  /**
   * Of `acquired` and `renewed`: nobody else held the lock since this page did, so its text is up to date.
   * If false, load the text.
   */
  readonly resumed?: boolean;
  /** Of `offline`, `forbidden` and `error`: the answer's status, 0 without one that can be understood. */
  readonly status?: number;
  /** The answer's message, if it had one. */
  readonly message?: string;
  /**
   * Of `offline` and `error`: after how many milliseconds the page sends the next request by itself, if it does; 0
   * after a refused ask() or handOver(), which are not repeated.
   */
  readonly retryIn?: number;
  /** Of `asked`: who asks, as `askedBy`. */
  readonly askedBy?: Holder;
  /** Of `idling`: after how many milliseconds without input the lock is released. */
  readonly releaseIn?: number;
}

export interface Options {
  /**
   * Headers for each request, for example a CSRF token. A function is called each time; it cannot be
   * asynchronous, since a page that is being left does not wait.
   */
  headers?: Record<string, string> | (() => Record<string, string>);
  /** Used instead of the window's fetch. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /**
   * Whether to acquire the lock at once when it becomes free, after an acquire() that was denied and only while
   * the page is visible and not idle. Default: false; the state becomes `free`, and the page offers it.
   */
  autoAcquire?: boolean;
  /**
   * What a hold belongs to, as the server is set up. `session`: to one page, so that two tabs of one user cannot
   * overwrite each other. Another tab is an obstacle then (see `elsewhere`), and an acquire() after a release never
   * resumes: its `acquired` says that the text is to be loaded. Where this option differs from the server, the
   * server's scope is what counts, and `elsewhere` stays false. Default: `user`.
   */
  scope?: 'user' | 'session';
  /** After how many milliseconds without input the lock is released. Infinity: never. Default: 30 minutes. */
  idleAfter?: number;
  /**
   * How many milliseconds before a release for idleness `idling` warns of it, at most half of `idleAfter`; 0: not at
   * all. Default: one minute.
   */
  warnBefore?: number;
  /**
   * This module's address, which a worker is started from, since a hidden page's own timers stall. Needed where
   * a bundler has moved the module: the address of an unbundled copy. False: no worker. Default: import.meta.url.
   */
  worker?: string | URL | false;
  /** A stand-in for the global object, for tests. */
  window?: Window & typeof globalThis;
}
