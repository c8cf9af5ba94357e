import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { BodyTooLarge, readBody } from '../../../src/tokens/issuer/issuer-body.ts';

const ANSWER = '{"access_token":"abcdef","msg":"schön"}';

function read(bytes: Buffer, contentEncoding?: string, contentType?: string): Promise<string> {
  return readBody(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]), { contentEncoding, contentType });
}

const PACKED: readonly [string, string, Buffer][] = [
  ['gzip', 'gzip', gzipSync(ANSWER)],
  ['gzip under its old name, in capitals', 'X-GZIP', gzipSync(ANSWER)],
  ['deflate', 'deflate', deflateSync(ANSWER)],
  ['deflate without its wrapping', 'deflate', deflateRawSync(ANSWER)],
  ['brotli', 'br', brotliCompressSync(ANSWER)],
  ['zstd', 'zstd', zstdCompressSync(ANSWER)],
  ['identity', 'identity', Buffer.from(ANSWER)],
  ['a name that is none', 'constructor', Buffer.from(ANSWER)],
];

for (const [name, encoding, bytes] of PACKED) {
  test(`a response is decompressed: ${name}`, async () => assert.equal(await read(bytes, encoding), ANSWER));
}

test('#5 a response that decompresses to more than 256 KiB is too large, however small it was', async () => {
  const bomb = Buffer.alloc(1024 * 1024, ' ');
  for (const [encoding, bytes] of [
    ['gzip', gzipSync(bomb)],
    ['deflate', deflateRawSync(bomb)],
    ['zstd', zstdCompressSync(bomb)],
  ] as const) {
    await assert.rejects(read(bytes, encoding), BodyTooLarge);
  }
});

const WRITTEN: readonly [string, string | undefined, Buffer][] = [
  ['UTF-8 with a byte order mark', 'application/json', Buffer.from(`\ufeff${ANSWER}`)],
  ['UTF-16 by its mark', 'application/json', Buffer.from(`\ufeff${ANSWER}`, 'utf16le')],
  ['UTF-16 by its name', 'application/json; charset=utf-16le', Buffer.from(ANSWER, 'utf16le')],
  ['UTF-16, big end first', undefined, Buffer.from(`\ufeff${ANSWER}`, 'utf16le').swap16()],
  ['Latin-1', 'text/plain;charset="ISO-8859-1"', Buffer.from(ANSWER, 'latin1')],
  ['a charset that nobody knows', 'application/json; charset=x-own', Buffer.from(ANSWER)],
];

for (const [name, contentType, bytes] of WRITTEN) {
  test(`a response is decoded: ${name}`, async () =>
    assert.equal(await read(bytes, undefined, contentType), ANSWER));
}

test('a response in GBK is JSON, also where the second byte of a character looks like a backslash', async () => {
  const bytes = Buffer.concat([Buffer.from('{"msg":"'), Buffer.from([0xd5, 0x5c]), Buffer.from('"}')]);
  const text = await read(bytes, undefined, 'application/json; charset=GBK');
  assert.deepEqual(Object.keys(JSON.parse(text)), ['msg']);
});
