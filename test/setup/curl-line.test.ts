// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a shell.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseCurl } from '../../src/setup/curl-line.ts';
import { CurlError, shellWords } from '../../src/setup/shell-words.ts';

const none = () => undefined;
const parse = (line: string) => parseCurl(line, none);

test('words as a shell splits them: quotes, backslashes, continued lines, comments, the end of the command', () => {
  const cases: [line: string, words: string[]][] = [
    [`curl 'a b' "c d" e\\ f`, ['curl', 'a b', 'c d', 'e f']],
    [`curl -d '{"a": "it'\\''s"}'`, ['curl', '-d', `{"a": "it's"}`]],
    [`curl "say \\"hi\\" for \\$5 \\n"`, ['curl', 'say "hi" for $5 \\n']],
    ['curl \\\n  -X POST \\\r\n  url', ['curl', '-X', 'POST', 'url']],
    ['curl ^\n  -k `\n url', ['curl', '-k', 'url']],
    ["curl $'a\\'b\\n\\u0041'", ['curl', "a'b\nA"]],
    ['curl x # a comment', ['curl', 'x']],
    ['curl x | jq -r .access_token', ['curl', 'x']],
    ['curl x > token.json 2>&1', ['curl', 'x']],
    ['curl x 2>/dev/null', ['curl', 'x']],
    ["curl '' y", ['curl', '', 'y']],
    ['$ curl x', ['curl', 'x']],
    ['curl a#b 5$', ['curl', 'a#b', '5$']],
  ];
  for (const [line, words] of cases) assert.deepEqual(shellWords(line, none), words, line);
});

test('variables are those of the environment; a missing one and an unknown command are named', () => {
  const env: Record<string, string> = { ID: 'app', SECRET: 'a b' };
  const variable = (name: string) => env[name];
  assert.deepEqual(shellWords('curl -u "$ID:${SECRET}" $ID', variable), ['curl', '-u', 'app:a b', 'app']);
  assert.deepEqual(shellWords("curl '$ID'", variable), ['curl', '$ID']);
  assert.throws(() => shellWords('curl $NOPE', variable), /the variable NOPE of the curl line is not set/);
  assert.deepEqual(shellWords('curl "RqUID: $(uuidgen)" `date +%s`', none), [
    'curl',
    'RqUID: {{uuid}}',
    '{{now_s}}',
  ]);
  assert.throws(() => shellWords('curl $(cat secret)', none), /runs a command, `cat`/);
  assert.throws(() => shellWords("curl 'open", none), CurlError);
  assert.throws(() => shellWords('curl "open', none), CurlError);
});

test('a form in all its spellings', () => {
  const { method, url, body, headers } = parse(
    `curl -sSL https://sso.example/token -d grant_type=client_credentials --data 'scope=a b' --data-urlencode 'x=ä&' --data-raw @raw`,
  );
  assert.equal(method, 'POST');
  assert.equal(url, 'https://sso.example/token');
  assert.equal(body, 'grant_type=client_credentials&scope=a b&x=%C3%A4%26&@raw');
  assert.deepEqual(headers, [['Content-Type', 'application/x-www-form-urlencoded']]);
});

test('options glued to their values, and flags glued to each other', () => {
  const request = parse(`curl -XPUT -HX-A:1 --request=PATCH -kfsS -uapp:se:cret sso.example/token -da=1`);
  assert.equal(request.method, 'PATCH');
  assert.equal(request.url, 'http://sso.example/token');
  assert.deepEqual(request.basic, { username: 'app', password: 'se:cret' });
  assert.equal(request.isInsecure, true);
  assert.deepEqual(request.headers[0], ['X-A', '1']);
});

test('-G puts the data into the query; the query of the URL is taken apart', () => {
  const request = parse(`curl -G 'https://api.example/gettoken?appkey=k%201' -d appsecret=s`);
  assert.equal(request.method, 'GET');
  assert.equal(request.body, null);
  assert.equal(request.url, 'https://api.example/gettoken');
  assert.deepEqual(request.query, [
    ['appkey', 'k 1'],
    ['appsecret', 's'],
  ]);
});

test('--json, -F and --oauth2-bearer', () => {
  const json = parse(`curl --json '{"a":1}' https://x.example/t`);
  assert.equal(json.body, '{"a":1}');
  assert.deepEqual(json.headers, [['Content-Type', 'application/json']]);
  const form = parse(`curl -F user=u -F 'password=p w' https://x.example/t --oauth2-bearer abc`);
  assert.equal(form.body, 'user=u&password=p+w');
  assert.equal(form.isMultipart, true);
  assert.deepEqual(form.headers[0], ['Authorization', 'Bearer abc']);
  assert.throws(() => parse('curl -F file=@x https://x.example/t'), /uploads a file/);
});

test('certificates and proxies', () => {
  const { tls, proxy } = parse(
    'curl --cacert ca.pem --cert c.pem:pass --key k.pem -x proxy:3128 -U me:pw https://x.example/t',
  );
  assert.deepEqual(tls, { ca: 'ca.pem', cert: 'c.pem', key: 'k.pem', passphrase: 'pass' });
  assert.equal(proxy, 'http://me:pw@proxy:3128');
  assert.throws(() => parse('curl -x socks5://p:1 https://x.example/t'), /SOCKS/);
});

test('data from a file: -d without its line ends, --data-binary as it is', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-curl-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'body');
  await writeFile(file, '{\n"a": 1 }\n');
  assert.equal(parse(`curl -d @${file} https://x.example/t`).body, '{"a": 1 }');
  assert.equal(parse(`curl --data-binary @${file} https://x.example/t`).body, '{\n"a": 1 }\n');
  assert.throws(
    () => parse('curl -d @/nowhere/x https://x.example/t'),
    /cannot read \/nowhere\/x: no such file/,
  );
});

test('unknown options are all named, and none of their values', () => {
  assert.throws(
    () => parse('curl --negotiate -qZ --aws-sigv4 aws:amz:secret-1 https://x.example/t'),
    (error: Error) =>
      error instanceof CurlError &&
      /--negotiate, -q, -Z, --aws-sigv4\. Leave them out/.test(error.message) &&
      !error.message.includes('secret-1'),
  );
});

test('what is no request is said in words', () => {
  assert.throws(() => parse('curl -s'), /has no URL/);
  assert.throws(() => parse('curl https://a.example https://b.example'), /has 2 URLs/);
  assert.throws(() => parse('curl ftp://a.example'), /no http:\/\/ or https:\/\/ URL/);
  assert.throws(() => parse('curl https://a.example -H'), /-H has no value/);
  assert.throws(() => parse('curl https://a.example -u app'), /-u has no password/);
});
