// What both pages share: who the caller is, and requests.

// The cookie stands in for a log-in: whoever sets it is that user.
const cookie = document.cookie.split('; ').find((part) => part.startsWith('user_id='));
export const user = cookie ? decodeURIComponent(cookie.slice('user_id='.length)) : '';

const form = document.getElementById('who');
form.user.value = user;

let leave = async () => {};
/** Sets what is to be done while the caller is still the old user. */
export const beforeUserChanges = (run) => { leave = run; };

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const name = form.user.value.trim();
  if (name === user) return;
  await leave();
  const life = name ? '' : '; Max-Age=0';
  document.cookie = `user_id=${encodeURIComponent(name)}; Path=/; SameSite=Lax${life}`;
  location.reload();
});

/** Sends a request; the answer is {status, data, header}, with status 0 when the server was not reached. */
export async function send(method, url, { headers, body, ...more } = {}) {
  try {
    const response = await fetch(url, {
      ...more, method, headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const data = await response.json().catch(() => null);
    return { status: response.status, data, header: (name) => response.headers.get(name) };
  } catch {
    return { status: 0, data: null, header: () => null };
  }
}

/** Tells screen readers, once for each change. */
export function announce(text) {
  const region = document.getElementById('announce');
  if (region.textContent !== text) region.textContent = text;
}

/** A holder as people know it: the server hides it from those who may not see it. */
export const holder = ({ user_name: name, user_id: id }) => name ?? (id === null ? 'Another user' : `User ${id}`);

/** Runs every ms while the page is visible, at once when it becomes visible again, never twice at a time. */
export function whileVisible(ms, run) {
  let timer, running = false;
  const step = async () => {
    clearTimeout(timer);
    if (running || document.hidden) return;
    running = true;
    try {
      await run();
    } finally {
      running = false;
      timer = setTimeout(step, ms);
    }
  };
  document.addEventListener('visibilitychange', step);
  step();
  return step;
}
