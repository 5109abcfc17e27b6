// What a text in the editor goes on from: its base {text, fence, revision}, the draft as the server had it. Fence and
// revision are null where they are not known. Two tabs of one user hold one lock under one fence: the revision is what
// keeps one from overwriting the other.

/** The base that a draft makes. */
export const baseOf = ({ text, fence, revision }) => ({ text, fence: whole(fence), revision: whole(revision) });

const whole = (number) => (Number.isInteger(number) ? number : null);

/** The header by which the server refuses a save that goes on from another revision than the stored one. */
export const ifMatch = ({ revision }) => (revision === null ? {} : { 'If-Match': `"${revision}"` });

/** Whether a save was refused for that; the lock's 412 has no revision. */
export const isSavedSince = ({ status, data }) => status === 412 && Number.isInteger(data?.revision);

/** Whether what was typed goes on from the text: it was typed into it, or a save without an answer has stored it. */
export const goesOnFrom = (text, { base, sent }) => text === base.text || sent.includes(text);

const MOST_SENT = 4;

/** The texts of saves without a known outcome, with one more. Of very many the oldest are left out. */
export const alsoSent = (sent, text) => [...sent.filter((other) => other !== text), text].slice(-MOST_SENT);

/** Those texts, now that the draft was loaded: as long as it has the old revision, such a save may still come about. */
export const stillUnknown = (sent, base, { revision }) => (revision === base.revision ? sent : []);

/**
 * What a save is that was refused because another one came first, now that the draft was loaded again. text: what was
 * sent; from: its base; base: the base now; aside: what was typed was put aside; dirty: it is in the editor, not saved.
 */
export function refused({ text, from, base, aside, dirty }) {
  if (aside) return 'aside';
  if (base === from) return 'again'; // the draft did not come
  if (base.text === text) return 'saved';
  return dirty ? 'again' : 'nothing typed';
}
