// Runs in each page before its own scripts, and tells the test what the page shows: the whole of it, at
// each change, with the time.
(() => {
  const $ = (id) => document.getElementById(id);
  const shown = (element) => !!element?.checkVisibility();
  const words = (element) => (shown(element) ? element.textContent.trim() : '');

  // A page that comes back from the back-forward cache is another showing of the same document.
  const id = crypto.getRandomValues(new Uint32Array(2)).join('-');
  let shows = 0;

  const look = () => ({
    showing: `${id}.${shows}`,
    path: location.pathname,
    hidden: document.hidden,
    state: $('banner')?.dataset.state ?? '',
    reason: $('banner')?.dataset.reason ?? '',
    online: document.body?.dataset.online ?? '',
    sentence: words($('state')),
    since: words($('since')),
    advice: words($('advice')),
    lastTyped: words($('last-typed')),
    request: words($('request-words')),
    warning: words($('idling-words')),
    otherTab: words($('other-tab')),
    text: $('text')?.value ?? '',
    readOnly: $('text')?.readOnly ?? true,
    focus: document.activeElement?.id ?? '',
    unsaved: shown($('unsaved')),
    kept: shown($('kept')),
    keptText: shown($('kept-text')) ? $('kept-text').value ?? '' : '',
    keptNewer: shown($('kept-newer')) ? $('kept-newer').value ?? $('kept-newer').textContent : '',
    note: words($('note')),
    announced: $('announce')?.textContent ?? '',
    offers: [...document.querySelectorAll('main button')].filter((b) => shown(b) && !b.disabled).map((b) => b.id),
    drafts: Object.fromEntries([...document.querySelectorAll('#drafts li[data-uid]')].map((item) =>
      [item.dataset.uid, { state: item.dataset.state ?? '', words: words(item.querySelector('.state')) }])),
  });

  let last = '';
  const tell = () => {
    const view = look(), text = JSON.stringify(view);
    if (text === last) return;
    last = text;
    editlockView(JSON.stringify({ at: performance.timeOrigin + performance.now(), ...view }));
  };

  new MutationObserver(tell).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  // What a script puts into a textarea is no mutation and no event.
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
  Object.defineProperty(HTMLTextAreaElement.prototype, 'value', {
    get, set(text) { set.call(this, text); queueMicrotask(tell); }, configurable: true, enumerable: true,
  });
  for (const type of ['input', 'focusin', 'visibilitychange', 'load']) addEventListener(type, tell, true);
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) shows += 1;
    tell();
  }, true);
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    editlockViolation(`${violatedDirective} ${blockedURI}`));
})();
