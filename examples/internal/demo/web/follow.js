// Follows a status route of the lock: the server answers when something has changed.

import { send } from './page.js';

const SECOND = 1000;

/**
 * Calls told with the whole state after each answer, and failed with the number of failures in a row, while
 * the page is visible. The function that it returns ends it.
 */
export function follow(url, told, failed = () => {}) {
  let abort = new AbortController();
  let ended = false, wake = () => {};
  const sleep = (ms) => new Promise((go) => {
    const timer = setTimeout(go, ms);
    wake = () => { clearTimeout(timer); go(); };
  });
  // Nothing is asked while nobody looks, and at once when somebody looks again.
  const look = (event) => {
    if (event?.type === 'pageshow' && !event.persisted) return; // of the page's first load
    abort.abort();
    abort = new AbortController();
    wake();
  };
  const events = [[document, 'visibilitychange'], [window, 'pageshow'], [window, 'online']];
  events.forEach(([target, type]) => target.addEventListener(type, look));

  (async () => {
    let state = null, etag = null, failures = 0;
    while (!ended) {
      if (document.hidden) {
        await sleep(2 ** 31 - 1);
        continue;
      }
      const asked = performance.now(), { signal } = abort;
      const { status, data, header } = await send('GET', url, {
        signal, timeout: 35 * SECOND, headers: etag ? { 'If-None-Match': etag, Prefer: 'wait=25' } : {},
      });
      if (signal.aborted) continue;
      if (status !== 200 && status !== 304) {
        etag = null; // the next answer shall not wait: it tells that the trouble is over
        failed(++failures);
        await sleep(SECOND * ((+header('Retry-After') || 0) + Math.min(30, 2 ** failures) * (0.5 + Math.random() / 2)));
        continue;
      }
      if (status === 200) state = data;
      told(state);
      const first = !etag;
      etag = header('ETag');
      failures = 0;
      // A server that has no room for another who waits answers at once.
      const gap = first && etag ? 0 : header('Preference-Applied') ? SECOND / 4 : SECOND * (1 + Math.random());
      await sleep(Math.max(0, gap - (performance.now() - asked)));
    }
  })();

  return () => {
    ended = true;
    events.forEach(([target, type]) => target.removeEventListener(type, look));
    look();
  };
}
