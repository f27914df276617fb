import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtio9p } from '../../src/machine/devices/virtio-9p.ts';
import { NinePServer } from '../../src/machine/ninep/index.ts';
import type { RequestName } from '../../src/machine/ninep/protocol.ts';
import { REQUEST } from '../../src/machine/ninep/protocol.ts';
import { shareFolder } from '../../src/node/index.ts';
import { INDIRECT_DESC, type Request, Rig, TRANSPORTS } from '../machine/virtio/rig.ts';
import { Fields, message, ROOT, text, u16, u32, u64 } from './client.ts';
import { clientOf, hostFolder, PLACES } from './places.ts';

/** Of the event loop, until which an answer has come. */
const TURNS = 100_000;
/** The room of an answer, in pieces that split its header. */
const ROOM = [3, 6, 1, 1000];

for (const transport of TRANSPORTS)
  for (const place of PLACES)
    test(`${transport}, ${place.name}: a guest's files are open after a move in the midst of a request`, async (t) => {
      const { folder } = place.make(t);
      const client = await clientOf(folder);
      await client.writeFile('/f', 'contents of a file');
      const root = await folder.root.status();
      const card = (): Rig =>
        new Rig(
          virtio9p('share0', { tag: 'host', server: new NinePServer(folder, root, { writable: true }) }),
          transport,
        );
      const send = (rig: Rig, name: RequestName, ...fields: Uint8Array[]): Request => {
        const request = message(REQUEST[name], 9, ...fields);
        return rig.ask(0, [request.subarray(0, 2), request.subarray(2, 9), request.subarray(9), ...ROOM], true);
      };
      const answer = (rig: Rig, request: Request, name: RequestName): Fields => {
        const bytes = Buffer.concat(ROOM.map((_, i) => rig.bytes(request, 3 + i)));
        assert.equal(bytes[4], REQUEST[name] + 1, name);
        return new Fields(bytes.subarray(0, bytes.readUInt32LE(0)));
      };
      const ask = async (rig: Rig, name: RequestName, ...fields: Uint8Array[]): Promise<Fields> => {
        const request = send(rig, name, ...fields);
        for (let turns = 0; turns < TURNS; turns++) {
          const used = rig.used(0);
          if (used.length > 0) {
            assert.deepEqual(
              used.map(({ head }) => head),
              [request.head],
            );
            return answer(rig, request, name);
          }
          await new Promise((resolve) => setImmediate(resolve));
          await rig.settle();
        }
        throw new Error(`${name} is not answered`);
      };
      const rig = card();
      rig.start([INDIRECT_DESC]);
      await ask(rig, 'version', u32(8192), text('9P2000.L'));
      await ask(rig, 'attach', u32(ROOT), u32(0xffffffff), text(''), text(''), u32(0));
      await ask(rig, 'walk', u32(ROOT), u32(2), u16(1), text('f'));
      await ask(rig, 'lopen', u32(2), u32(2));
      const got = await ask(rig, 'read', u32(2), u64(0), u32(8));
      assert.equal(Buffer.from(got.data(got.u32())).toString(), 'contents');
      const under = send(rig, 'read', u32(2), u64(9), u32(100));
      const already = rig.used(0);

      const moved = rig.moveTo(card());
      if (already.length === 0)
        for (let turns = 0; moved.used(0).length === 0 && turns < TURNS; turns++) {
          await new Promise((resolve) => setImmediate(resolve));
          await moved.settle();
        }
      const rest = answer(moved, under, 'read');
      assert.equal(Buffer.from(rest.data(rest.u32())).toString(), 'of a file');
      assert.equal((await ask(moved, 'write', u32(2), u64(0), u32(1), Uint8Array.of(67))).u32(), 1);
      assert.equal(await client.readFile('/f'), 'Contents of a file');
    });

test('a share without a folder is refused in one line', (t) => {
  const { path } = hostFolder(t);
  assert.throws(() => shareFolder(`${path}/none`), {
    name: 'MachineError',
    message: `cannot share '${path}/none': there is no such folder`,
  });
});
