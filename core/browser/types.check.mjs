// Checks that editlock.js is sound by itself, that it is what editlock.d.ts declares, and that the
// declarations serve a page and refuse its mistakes. It fetches the compiler, so it is no part of
// node --test: node types.check.mjs
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPESCRIPT = 'typescript@5.9.3';

const here = fileURLToPath(new URL('.', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'editlock-types-'));
try {
  // Beside its declarations the compiler would never read the module, so it gets another name.
  copyFileSync(join(here, 'editlock.js'), join(dir, 'module.js'));
  copyFileSync(join(here, 'editlock.d.ts'), join(dir, 'editlock.d.ts'));
  writeFileSync(join(dir, 'check.ts'), `
import { EditLock as Module } from './module.js';
import { EditLock, type Detail, type State } from './editlock.js';

// EventTarget's own methods aside, to which the declarations add the type of the event.
type Own<T> = Pick<T, Exclude<keyof T, keyof EventTarget>>;
export const declared: new (...args: ConstructorParameters<typeof EditLock>) => Own<EditLock> = Module;
type Same<A, B> = [A, B] extends [B, A] ? true : never;
export const names: Same<keyof Module, keyof EditLock> = true;
type Method = (...args: never[]) => unknown;
type Values<T> = { -readonly [K in keyof Own<T>]: T[K] extends Method ? 'method' : T[K] };
export const values: Same<Values<Module>, Values<EditLock>> = true;

const lock = new EditLock('/api/lock/draft-7/', {
  headers: () => ({ 'X-CSRF-Token': 'x' }), autoAcquire: true, idleAfter: Infinity, worker: false,
  scope: 'session', warnBefore: 30_000,
  fetch: (url, init) => fetch(url, init),
});
lock.addEventListener('change', ({ detail }: CustomEvent<Detail>) => {
  const type: 'acquired' | 'lost' | string = detail.type;
  if (type === 'acquired' && !detail.resumed) console.log(lock.holder?.name, lock.heldFor + lock.expiresIn);
  if (type === 'asked') console.log(detail.askedBy?.name, lock.askedBy?.id);
  if (type === 'idling' && detail.releaseIn) console.log(detail.releaseIn / 1000);
});
export async function page(): Promise<State> {
  await lock.acquire({ fresh: true });
  const response = await fetch('/api/drafts/draft-7', { method: 'PUT', headers: lock.saveHeaders() });
  if (await lock.afterSave(response) === 'lost' && lock.canTakeOver && lock.online) await lock.takeOver();
  if (await lock.ask() === 'denied' && lock.asking && !lock.holderTold) lock.stopAsking();
  if (lock.elsewhere && (lock.idleFor ?? Infinity) > 60_000) await lock.takeOver();
  if (lock.askedBy && await lock.handOver() === 'held') console.log('nobody asks');
  lock.touch();
  await lock.release();
  await lock.close();
  return lock.watch();
}
// @ts-expect-error the state is the lock's to set
lock.state = 'held';
// @ts-expect-error there is no such state
if (lock.state === 'locked') lock.close();
// @ts-expect-error ask() and stopAsking() set it
lock.asking = true;
// @ts-expect-error there is no such scope
new EditLock('/', { scope: 'tab' });
// @ts-expect-error the holder may not say so
export const idle: number = lock.idleFor;
// @ts-expect-error headers must be there before the page is gone
new EditLock('/', { headers: async () => ({}) });
// @ts-expect-error there is no such option
new EditLock('/', { timeout: 1 });
`);
  const { status, error } = spawnSync('npx', [
    '--yes', '-p', TYPESCRIPT, 'tsc', '--noEmit', '--allowJs', '--checkJs', '--strict', '--noUnusedLocals',
    '--noUnusedParameters', '--target', 'es2022', '--module', 'es2022', '--moduleResolution', 'bundler',
    '--lib', 'es2022,dom,dom.iterable', 'module.js', 'check.ts',
  ], { cwd: dir, stdio: 'inherit' });
  if (error) throw error;
  process.exitCode = status ?? 1;
  if (status === 0) console.log('editlock.js and editlock.d.ts agree');
} finally {
  rmSync(dir, { recursive: true });
}
