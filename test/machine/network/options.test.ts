import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseNetwork } from '../../../src/machine/index.ts';
import { createUserNetwork } from '../../../src/node/index.ts';

describe("the user network's options", () => {
  it('reads the command line', () => {
    assert.equal(parseNetwork('none'), undefined);
    assert.deepEqual(parseNetwork('user'), {});
    assert.deepEqual(parseNetwork('user,forward=tcp:2222:22,forward=udp:0.0.0.0:5353:10.0.2.20:53,restrict=on'), {
      forward: [
        { protocol: 'tcp', hostPort: 2222, guestPort: 22 },
        { protocol: 'udp', hostAddress: '0.0.0.0', hostPort: 5353, guestAddress: '10.0.2.20', guestPort: 53 },
      ],
      restrict: true,
    });
    assert.deepEqual(parseNetwork('user,host-loopback=on,hostname=box,domain=example.org,restrict=off'), {
      hostLoopback: true,
      hostname: 'box',
      domain: 'example.org',
      restrict: false,
    });
    // As QEMU's users write it.
    assert.deepEqual(parseNetwork('user,hostfwd=tcp:127.0.0.1:2222-:22')?.forward, [
      { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 2222, guestPort: 22 },
    ]);
  });

  const wrong: Readonly<Record<string, RegExp>> = {
    tap: /^there is no network 'tap'; user and none fit$/,
    'user,forward=tcp:22': /^'tcp:22' is no forward; forward=tcp:.* fits, such as forward=tcp:2222:22$/,
    'user,forward=sctp:1:2': /^'sctp:1:2' is no forward/,
    'user,forward=tcp:99999:22': /^a forward's hostPort is a number from 0 to 65535$/,
    'user,forward=tcp:2222:0': /^a forward's guestPort is a number from 1 to 65535$/,
    'user,forward=tcp:300.0.0.1:2222:22': /^a forward's hostAddress is one of the host's IPv4 addresses/,
    'user,forward=tcp:2222:192.168.0.1:22': /^a forward's guestAddress is one of 10\.0\.2\.0\/24/,
    'user,restrict=maybe': /^'restrict=maybe' does not fit; restrict=on or restrict=off does$/,
    'user,hostname=a b': /^the network's option hostname is a name/,
    'user,smb=/tmp': /^a user network has no option 'smb'; forward=.* fit$/,
  };
  for (const [text, message] of Object.entries(wrong)) {
    it(`refuses ${text}`, () => {
      assert.throws(() => parseNetwork(text), { name: 'OptionError', message });
    });
  }

  it('refuses wrong typed options', async () => {
    const of = (options: unknown): Promise<unknown> => createUserNetwork(options as object);
    await assert.rejects(of(1), { message: "a user network's options are an object" });
    await assert.rejects(of({ forwards: [] }), { message: /has no option "forwards"; the options are: forward,/ });
    await assert.rejects(of({ restrict: 'on' }), { message: "the network's option restrict is true or false" });
    await assert.rejects(of({ forward: [null] }), { message: "a forward's protocol is 'tcp' or 'udp'" });
    await assert.rejects(of({ forward: [{ protocol: 'tcp', hostAddress: 'localhost', hostPort: 1, guestPort: 1 }] }), {
      message: /^a forward's hostAddress is one of the host's IPv4 addresses/,
    });
  });
});
