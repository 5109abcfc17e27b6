// What both pages share: who the caller is, requests, and what is told to screen readers.

// The cookie stands in for a log-in: whoever sets it is that user. To the server 007 is user 7.
const cookie = document.cookie.split('; ').find((part) => part.startsWith('user_id='));
export const user = cookie ? decodeURIComponent(cookie.slice('user_id='.length)).replace(/^0+(?=\d+$)/, '') : '';

export const $ = (id) => document.getElementById(id);

export const pause = (ms) => new Promise((go) => setTimeout(go, ms));

const form = $('who');
form.user.value = user;

let leave = async () => {};
/** Sets what is to be done while the caller is still the old user. */
export const beforeUserChanges = (run) => { leave = run; };

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const name = form.user.value.trim();
  if (name === user) return;
  await Promise.race([leave(), pause(2000)]);
  const life = name ? '' : '; Max-Age=0';
  document.cookie = `user_id=${encodeURIComponent(name)}; Path=/; SameSite=Lax${life}`;
  location.reload();
});

/**
 * Sends a request. The answer is {status, data, header}, with status 0 if there was none within the
 * timeout in milliseconds, or until signal.
 */
export async function send(method, url, { headers, body, signal, timeout = 10000 } = {}) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  const timer = setTimeout(stop, timeout);
  signal?.addEventListener('abort', stop);
  try {
    const response = await fetch(url, {
      method, signal: abort.signal,
      headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const data = response.status === 304 ? null : await response.json();
    return { status: response.status, data, header: (name) => response.headers.get(name) };
  } catch {
    return { status: 0, data: null, header: () => null };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

const news = new Map();
/** Tells screen readers. What is said of one topic within a moment counts once, in its last wording. */
export function announce(topic, text) {
  if (!news.size) {
    setTimeout(() => {
      $('announce').textContent = [...news.values()].join(' ');
      news.clear();
    }, 150);
  }
  news.set(topic, text);
}

/** Sets an element's text, and leaves it alone if it is the same: no flicker, and no selection is lost. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
