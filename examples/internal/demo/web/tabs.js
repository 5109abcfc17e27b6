// What the tabs of one user tell each other of a draft: which of them has saved it last. It is a record and no message,
// so that it is there also for a tab that was asleep, or is opened later.

const MOMENT = 500;

export class Tabs {
  #storage;
  #events;
  #key;
  #opened;

  /** storage is a Storage, or null where there is none; events has its events; opened is when this tab was opened. */
  constructor(storage, events, user, uid, opened) {
    this.#storage = storage;
    this.#events = events;
    this.#key = `saved:${JSON.stringify([user, uid])}`;
    this.#opened = opened;
  }

  /** Writes down that this tab has made the draft what it is. Of two tabs that say so the first is right. */
  tell({ fence, revision }) {
    const last = this.#last();
    if (last && (last.fence > fence || (last.fence === fence && last.revision >= revision))) return;
    try {
      this.#storage?.setItem(this.#key, JSON.stringify({ fence, revision, opened: this.#opened }));
    } catch {
      // No room: then the others do not know which tab it was.
    }
  }

  /** When the tab was opened that has saved the draft; null if none has said so, also not within a moment. */
  saver(draft) {
    return new Promise((resolve) => {
      const find = () => {
        const last = this.#last();
        // The fence, too: a store that was emptied counts its revisions anew.
        return last?.fence === draft.fence && last.revision === draft.revision ? last.opened : null;
      };
      const look = () => find() !== null && end();
      const end = () => {
        clearTimeout(timer);
        this.#events.removeEventListener('storage', look);
        resolve(find());
      };
      // The other tab may not have had its answer yet.
      const timer = setTimeout(end, MOMENT);
      this.#events.addEventListener('storage', look);
      look();
    });
  }

  /** Calls saved when another tab has saved. */
  onSave(saved) {
    this.#events.addEventListener('storage', ({ key }) => key === this.#key && saved());
  }

  #last() {
    try {
      const last = JSON.parse(this.#storage?.getItem(this.#key) ?? 'null');
      return [last?.fence, last?.revision, last?.opened].every(Number.isFinite) ? last : null;
    } catch {
      return null;
    }
  }
}
