/** The folders that the server is tested over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Folder, FolderDirectory, FolderFile } from '../../src/machine/ninep/index.ts';
import { MemoryFolder, NinePServer, type NinePServerOptions } from '../../src/machine/ninep/index.ts';
import { NodeFolder } from '../../src/node/index.ts';
import { Client } from './client.ts';

/** Calls of a folder that are answered at a later turn, in any order. */
function slow<T extends FolderDirectory | FolderFile>(inner: T): T {
  return new Proxy(inner, {
    get(target, name) {
      const own: unknown = Reflect.get(target, name);
      if (typeof own !== 'function' || name === 'close') return typeof own === 'function' ? own.bind(target) : own;
      return (...args: unknown[]) =>
        new Promise((resolve, reject) =>
          setImmediate(() => {
            try {
              const result: unknown = own.apply(
                target,
                args.map((arg) => innerOf.get(arg as object) ?? arg),
              );
              resolve(isHandle(result) ? wrap(result) : result);
            } catch (error) {
              reject(error);
            }
          }),
        );
    },
  });
}

const innerOf = new WeakMap<object, object>();
const isHandle = (value: unknown): value is FolderDirectory => typeof Object(value).close === 'function';

function wrap<T extends FolderDirectory | FolderFile>(inner: T): T {
  const outer = slow(inner);
  innerOf.set(outer, inner);
  return outer;
}

class SlowMemoryFolder extends MemoryFolder {
  override readonly root: FolderDirectory = wrap(this.innerRoot());

  innerRoot(): FolderDirectory {
    return new MemoryFolder('slow', Date.now).root;
  }
}

export interface Place {
  readonly name: string;
  /** What is shared; `path`: where the host sees it. */
  make(test: TestContext): { folder: Folder; path: string | undefined };
}

export function hostFolder(test: TestContext): { folder: NodeFolder; path: string } {
  const path = mkdtempSync(join(tmpdir(), 'powervisor-share-'));
  const folder = new NodeFolder(path);
  test.after(() => {
    folder.close();
    rmSync(path, { recursive: true, force: true });
  });
  return { folder, path };
}

export const PLACES: readonly Place[] = [
  { name: 'memory', make: () => ({ folder: new MemoryFolder('memory', Date.now), path: undefined }) },
  { name: 'memory that waits', make: () => ({ folder: new SlowMemoryFolder('slow', Date.now), path: undefined }) },
  { name: 'host', make: hostFolder },
  {
    name: "host on Node's threads",
    make: (test) => {
      const made = hostFolder(test);
      made.folder.makeSlow();
      return made;
    },
  },
];

export async function clientOf(folder: Folder, options: Partial<NinePServerOptions> = {}, uid = 0): Promise<Client> {
  const root = await folder.root.status();
  const server = new NinePServer(folder, root, {
    writable: true,
    onFault: (error) => {
      throw error;
    },
    ...options,
  });
  return await new Client(server).start(65536, uid);
}
