// Texts that the server does not have: kept in this browser until they are saved or discarded.
//
// Each page keeps its own entry, so that two tabs never overwrite each other's. An entry is {id, text, base, sent, at}:
// what was typed, the base that it goes on from (base.js), what was sent since without a known outcome, and when.

import { baseOf } from './base.js';

export const newID = () => crypto.getRandomValues(new Uint32Array(2)).join('-');

export class Unsaved {
  #storage;
  #prefix;
  #own = new Map(); // what this page has put, for where the browser keeps nothing

  /** storage is a Storage, or null where there is none. */
  constructor(storage, user, uid) {
    this.#storage = storage;
    this.#prefix = `unsaved:${JSON.stringify([user, uid])}:`;
  }

  /** Keeps an entry, instead of the one with the same id; false if only this page has it, not the browser. */
  put({ id, text, base, sent = [] }) {
    const entry = { id, text, base, sent, at: Date.now() };
    this.#own.set(id, entry);
    try {
      this.#storage.setItem(this.#prefix + id, JSON.stringify(entry));
      return true;
    } catch {
      return false; // full, or switched off
    }
  }

  remove(id) {
    this.#own.delete(id);
    this.#storage?.removeItem(this.#prefix + id);
  }

  /** Whether this page has put the entry, or another one. */
  isOwn(id) { return this.#own.has(id); }

  /** All entries of this user and draft, the newest first. */
  list() {
    const entries = [...this.#own.values()];
    for (let i = 0; i < (this.#storage?.length ?? 0); i++) {
      const key = this.#storage.key(i);
      if (!key.startsWith(this.#prefix) || this.#own.has(key.slice(this.#prefix.length))) continue;
      const entry = parse(this.#storage.getItem(key));
      if (entry) entries.push(entry);
    }
    return entries.sort((a, b) => b.at - a.at);
  }
}

/** Reads an entry, or null. In entries of older pages the base is a text, and what was sent is one text or null. */
export function parse(json) {
  try {
    const { id, text, base, sent, at } = JSON.parse(json);
    const read = baseOf(typeof base === 'string' ? { text: base } : base);
    if (![id, text, read.text].every((value) => typeof value === 'string')) return null;
    return { id, text, base: read, sent: [sent ?? []].flat(), at };
  } catch {
    return null;
  }
}
