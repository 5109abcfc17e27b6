// The section that shows a text that is not saved, beside what is saved, and what can be done with it.

import { compare } from './diff.js';
import { $, write } from './page.js';

const lines = (n) => (n === 1 ? '1 line' : `${n} lines`);

function difference(only, missing) {
  if (!only && !missing) return 'The two do not differ.';
  return `${only ? lines(only) : 'Nothing'} only in your text, ${missing ? lines(missing) : 'nothing'} only in the saved version` +
    `${missing ? ' (marked)' : ''}.`;
}

let shown = null;

/** Shows an entry beside the saved text, or hides the section if there is none. Only who edits can restore. */
export function showKept(entry, saved, canRestore) {
  $('kept').hidden = !entry;
  $('kept-restore').hidden = !canRestore;
  if (!entry) return void (shown = null);
  write($('kept-what'), canRestore
    ? 'Restoring puts it in place of the text above, which is then kept here if it is not saved.'
    : 'It is kept in this browser. To bring it back, edit again and restore it.');
  if (shown?.text === entry.text && shown.saved === saved) return;
  shown = { text: entry.text, saved };
  const { ours, theirs } = compare(entry.text, saved);
  const count = (marked) => marked.filter(({ same }) => !same).length;
  write($('kept-newer-title'), entry.base.text === saved ? 'Saved version' : 'Newer version');
  write($('kept-difference'), difference(count(ours), count(theirs)));
  $('kept-text').value = entry.text;
  $('kept-newer').replaceChildren(...theirs.flatMap(({ text, same }, i) => {
    const line = document.createElement(same ? 'span' : 'mark');
    line.textContent = text;
    return i ? ['\n', line] : [line];
  }));
}

/** Copies the text; true if the browser let it. */
export async function copyKept() {
  const text = $('kept-text');
  try {
    await navigator.clipboard.writeText(text.value);
    return true;
  } catch {
    // Refused, or on plain http, where there is no navigator.clipboard.
  }
  const before = document.activeElement;
  text.select();
  const copied = document.execCommand('copy');
  before?.focus();
  return copied;
}
