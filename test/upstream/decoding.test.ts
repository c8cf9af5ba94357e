import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createDeflate,
  createGzip,
  createZstdCompress,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { ResponseBody } from '../../src/upstream/transport/body.ts';
import { decodeContent } from '../../src/upstream/transport/decoding.ts';

const TEXT = 'data: {"choices":[]}\n\n'.repeat(2_000);

function newBody(): { body: ResponseBody; aborted: Error[] } {
  const aborted: Error[] = [];
  const body = new ResponseBody({
    pause: () => undefined,
    resume: () => undefined,
    abort: (reason) => void aborted.push(reason),
  });
  return { body, aborted };
}

/** All of a body that arrives in pieces of `size` bytes. */
async function decoded(bytes: Buffer, coding: string, size = bytes.length): Promise<string> {
  const { body } = newBody();
  const plain = decodeContent(body, coding, 'chat');
  for (let at = 0; at < bytes.length; at += size) body.push(bytes.subarray(at, at + size));
  body.finish();
  return (await plain.readAll(10_000_000)).toString();
}

const CODINGS: readonly [coding: string, pack: (text: string) => Buffer][] = [
  ['gzip', (text) => gzipSync(text)],
  ['x-gzip', (text) => gzipSync(text)],
  [' GZip ', (text) => gzipSync(text)],
  ['deflate', (text) => deflateSync(text)],
  ['deflate', (text) => deflateRawSync(text)],
  ['br', (text) => brotliCompressSync(text)],
  ['zstd', (text) => zstdCompressSync(text)],
  ['identity', (text) => Buffer.from(text)],
];

for (const [position, [coding, pack]] of CODINGS.entries()) {
  test(`${coding.trim()} (${position}) is decoded, whole and byte by byte`, async () => {
    assert.equal(await decoded(pack(TEXT), coding), TEXT);
    assert.equal(await decoded(pack(TEXT), coding, 1), TEXT);
    assert.equal(await decoded(pack(''), coding), '');
  });
}

test('megabytes that do not compress are decoded, piece by piece', async () => {
  const bytes = randomBytes(3_000_000);
  const { body } = newBody();
  const plain = decodeContent(body, 'gzip', 'chat');
  const packed = gzipSync(bytes);
  for (let at = 0; at < packed.length; at += 50_000) body.push(packed.subarray(at, at + 50_000));
  body.finish();
  assert.ok((await plain.readAll(10_000_000)).equals(bytes));
});

test('an unknown coding is forwarded as it is', async () => {
  for (const coding of ['', 'aws-chunked', 'compress']) {
    const { body } = newBody();
    assert.equal(decodeContent(body, coding, 'chat'), body, coding);
  }
});

for (const [coding, make, flush] of [
  ['gzip', createGzip, constants.Z_SYNC_FLUSH],
  ['deflate', createDeflate, constants.Z_SYNC_FLUSH],
  ['br', createBrotliCompress, constants.BROTLI_OPERATION_FLUSH],
  ['zstd', createZstdCompress, constants.ZSTD_e_flush],
] as const) {
  test(`a stream of ${coding} is decoded event by event, as the upstream flushes it`, async () => {
    const { body } = newBody();
    const plain = decodeContent(body, coding, 'chat');
    const packer = make();
    packer.on('data', (chunk: Buffer) => body.push(chunk));
    packer.on('end', () => body.finish());
    for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
      packer.write(event);
      packer.flush(flush);
      assert.equal(String(await plain.next()), event);
    }
    packer.end();
    assert.equal(await plain.next(), null);
  });
}

test('an unknown coding is forwarded unchanged, with any name', async () => {
  for (const coding of ['snappy', 'constructor', '__proto__'])
    assert.equal(await decoded(Buffer.from(TEXT), coding), TEXT);
});

for (const [coding, pack] of CODINGS.slice(0, -1)) {
  test(`invalid ${coding.trim()} is a cut response, never a crash`, async () => {
    await assert.rejects(
      decoded(Buffer.from('xx is certainly not compressed'), coding),
      (error) => error instanceof FerryError && error.kind === 'disconnected',
    );
    const whole = pack(TEXT);
    const half = await decoded(whole.subarray(0, whole.length / 2), coding).catch((error: unknown) => error);
    // Where a cut cannot be told from an end, whoever reads it as JSON or events finds out.
    assert.ok(half instanceof FerryError || (typeof half === 'string' && half.length < TEXT.length));
  });
}

test('a failure of the body fails the decoded one, and destroying that ends the exchange', async () => {
  const broken = newBody();
  const plain = decodeContent(broken.body, 'gzip', 'chat');
  broken.body.push(gzipSync(TEXT).subarray(0, 10));
  broken.body.fail(new Error('reset'));
  await assert.rejects(plain.readAll(1_000_000), /closed the connection in the middle/);
  const given = newBody();
  const other = decodeContent(given.body, 'gzip', 'chat');
  other.destroy(new Error('nobody reads'));
  assert.deepEqual(
    given.aborted.map(({ message }) => message),
    ['nobody reads'],
  );
});

test('a decompression bomb is stopped at the limit of its reader', async () => {
  const { body, aborted } = newBody();
  const plain = decodeContent(body, 'gzip', 'chat');
  body.push(gzipSync(Buffer.alloc(50_000_000)));
  body.finish();
  await assert.rejects(plain.readAll(1_000_000), /limits\.response/);
  assert.ok(aborted.length <= 1);
});
