// What the holder's page shows of an ask.

const isSame = (one, other) => one?.id === other?.id && one?.name === other?.name;

/** Who asks for the lock, until the ask ends or somebody else asks. */
export class Request {
  /** {id, name}, or null if nobody asks. */
  who = null;
  /** Why the lock was not handed over, if that was tried. */
  failed = '';
  #declined = false;

  /** Takes notice of who asks now. The same ask may be heard of again and again. */
  hear(who) {
    if (isSame(this.who, who)) return;
    this.who = who;
    this.failed = '';
    this.#declined = false;
  }

  /** Shows this ask no more. */
  decline() { this.#declined = true; }

  /** Who is to be shown. */
  get shown() { return this.#declined ? null : this.who; }
}
