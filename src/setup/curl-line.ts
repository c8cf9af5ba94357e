import { readFileSync } from 'node:fs';
import { describeFileError } from '../config/load/interpolation.ts';
import { CurlError, shellWords } from './shell-words.ts';

/** One request as a curl line describes it. */
export interface CurlRequest {
  readonly method: string;
  /** Without its query, credentials and fragment. */
  readonly url: string;
  readonly query: readonly Pair[];
  /** In the order of the line, the body's content-type included when it is given or implied. */
  readonly headers: readonly Pair[];
  readonly body: string | null;
  /** True: the line gave a multipart form, which is described as an urlencoded one. */
  readonly isMultipart: boolean;
  readonly basic: { readonly username: string; readonly password: string } | null;
  readonly tls: {
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
    readonly passphrase: string | null;
  };
  readonly proxy: string | null;
  /** `-k`: the certificate was not checked. */
  readonly isInsecure: boolean;
}

export type Pair = readonly [name: string, value: string];

const VALUE_OPTIONS = {
  '-X': 'request',
  '--request': 'request',
  '-H': 'header',
  '--header': 'header',
  '-d': 'data',
  '--data': 'data',
  '--data-ascii': 'data',
  '--data-raw': 'data-raw',
  '--data-binary': 'data-binary',
  '--data-urlencode': 'data-urlencode',
  '--json': 'json',
  '-F': 'form',
  '--form': 'form',
  '--form-string': 'form-string',
  '-u': 'user',
  '--user': 'user',
  '--oauth2-bearer': 'bearer',
  '-A': 'user-agent',
  '--user-agent': 'user-agent',
  '-e': 'referer',
  '--referer': 'referer',
  '-b': 'cookie',
  '--cookie': 'cookie',
  '--cacert': 'cacert',
  '-E': 'cert',
  '--cert': 'cert',
  '--key': 'key',
  '--pass': 'pass',
  '-x': 'proxy',
  '--proxy': 'proxy',
  '-U': 'proxy-user',
  '--proxy-user': 'proxy-user',
  '--url': 'url',
  // About the output and the patience of curl, not about the request.
  '-o': 'ignored',
  '--output': 'ignored',
  '-w': 'ignored',
  '--write-out': 'ignored',
  '-m': 'ignored',
  '--max-time': 'ignored',
  '--connect-timeout': 'ignored',
  '--retry': 'ignored',
  '--retry-delay': 'ignored',
  '--retry-max-time': 'ignored',
  '-D': 'ignored',
  '--dump-header': 'ignored',
  '-c': 'ignored',
  '--cookie-jar': 'ignored',
} as const;

const FLAGS = {
  '-G': 'get',
  '--get': 'get',
  '-k': 'insecure',
  '--insecure': 'insecure',
  '-I': 'head',
  '--head': 'head',
  '-s': 'ignored',
  '--silent': 'ignored',
  '-S': 'ignored',
  '--show-error': 'ignored',
  '-L': 'ignored',
  '--location': 'ignored',
  '--location-trusted': 'ignored',
  '-i': 'ignored',
  '--include': 'ignored',
  '--show-headers': 'ignored',
  '-v': 'ignored',
  '--verbose': 'ignored',
  '-f': 'ignored',
  '--fail': 'ignored',
  '--fail-with-body': 'ignored',
  '-g': 'ignored',
  '--globoff': 'ignored',
  '-N': 'ignored',
  '--no-buffer': 'ignored',
  '-4': 'ignored',
  '-6': 'ignored',
  '-#': 'ignored',
  '--compressed': 'ignored',
  '--basic': 'ignored',
  '--anyauth': 'ignored',
  '--http1.1': 'ignored',
  '--http2': 'ignored',
  '--ssl-no-revoke': 'ignored',
} as const;

type OptionName = (typeof VALUE_OPTIONS)[keyof typeof VALUE_OPTIONS] | (typeof FLAGS)[keyof typeof FLAGS];

interface Option {
  readonly name: OptionName;
  readonly value: string;
}

/**
 * Parses `curl …` as a shell and curl read it. `variable` returns the value of `$NAME`; throws `CurlError` for a variable
 * that it does not know, an option that is not known here, and what is no request.
 */
export function parseCurl(
  line: string,
  variable: (name: string) => string | undefined,
  readFile: ReadFile = readData,
): CurlRequest {
  const words = shellWords(line, variable);
  if (/(?:^|\/)curl(?:\.exe)?$/.test(words[0] ?? '')) words.shift();
  const { options, urls } = splitOptions(words);
  const [target] = urls;
  if (target === undefined) throw new CurlError('the curl line has no URL');
  if (urls.length > 1)
    throw new CurlError(`the curl line has ${urls.length} URLs: quote the one that is meant`);
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(target) ? target : `http://${target}`);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new CurlError('the URL of the curl line is no http:// or https:// URL');
  return buildRequest(url, options, readFile);
}

function splitOptions(words: readonly string[]): { options: Option[]; urls: string[] } {
  const options: Option[] = [];
  const urls: string[] = [];
  const unknown: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (!word.startsWith('-') || word === '-') {
      urls.push(word);
      continue;
    }
    for (const part of optionsIn(word)) {
      if (part.name === null) unknown.push(part.word);
      else if (part.value === undefined) {
        at += 1;
        const value = words[at];
        if (value === undefined) throw new CurlError(`${part.word} has no value`);
        options.push({ name: part.name, value });
      } else options.push({ name: part.name, value: part.value });
    }
  }
  for (const { name, value } of options) if (name === 'url') urls.push(value);
  if (unknown.length === 0) return { options, urls };
  throw new CurlError(
    `the curl line has options that are not known here: ${unknown.join(', ')}. Leave them out, and check that the line still works.`,
  );
}

interface OptionPart {
  readonly word: string;
  /** Null: unknown. */
  readonly name: OptionName | null;
  /** Undefined: the next word. */
  readonly value?: string;
}

/** The options of one word: `--data=x`, `-XPOST`, `-sSLk`. */
function optionsIn(word: string): OptionPart[] {
  if (word.startsWith('--')) {
    const [long = '', ...rest] = word.split('=');
    if (hasOwn(FLAGS, word)) return [{ word, name: FLAGS[word], value: '' }];
    if (!hasOwn(VALUE_OPTIONS, long)) return [{ word: long, name: null }];
    const value = rest.length === 0 ? {} : { value: rest.join('=') };
    return [{ word: long, name: VALUE_OPTIONS[long], ...value }];
  }
  const parts: OptionPart[] = [];
  for (let at = 1; at < word.length; at += 1) {
    const short = `-${word[at]}`;
    if (hasOwn(VALUE_OPTIONS, short)) {
      const rest = word.slice(at + 1);
      return [...parts, { word: short, name: VALUE_OPTIONS[short], ...(rest === '' ? {} : { value: rest }) }];
    }
    parts.push(
      hasOwn(FLAGS, short) ? { word: short, name: FLAGS[short], value: '' } : { word: short, name: null },
    );
  }
  return parts;
}

function hasOwn<Table extends object>(table: Table, key: string): key is Extract<keyof Table, string> {
  return Object.hasOwn(table, key);
}

function buildRequest(url: URL, options: readonly Option[], readFile: ReadFile): CurlRequest {
  const all = (name: OptionName) => options.filter((one) => one.name === name).map(({ value }) => value);
  const last = (name: OptionName) => all(name).at(-1) ?? null;
  const headers = all('header').flatMap(parseHeader);
  const has = (name: string) => headers.some(([one]) => one.toLowerCase() === name);
  const add = (name: string, value: string | null) => {
    if (value !== null && !has(name.toLowerCase())) headers.push([name, value]);
  };
  add('User-Agent', last('user-agent'));
  add('Referer', last('referer'));
  add('Cookie', last('cookie'));
  const bearer = last('bearer');
  add('Authorization', bearer === null ? null : `Bearer ${bearer}`);
  const data = options.flatMap((option) => bodyPart(option, readFile));
  const fields = options.flatMap(formField);
  const joined = data.length === 0 ? null : data.join(all('json').length > 0 ? '' : '&');
  const isGet = all('get').length > 0;
  const query = [...url.searchParams, ...(isGet ? new URLSearchParams(joined ?? '') : [])];
  const isMultipart = fields.length > 0;
  const body = isGet ? null : isMultipart ? encodePairs(fields) : joined;
  if (all('json').length > 0) add('Content-Type', 'application/json');
  else if (body !== null) add('Content-Type', 'application/x-www-form-urlencoded');
  const implied = all('head').length > 0 ? 'HEAD' : body === null ? 'GET' : 'POST';
  return {
    method: (last('request') ?? implied).toUpperCase(),
    url: `${url.origin}${url.pathname}`,
    query,
    headers,
    body,
    isMultipart,
    basic: basicOf(last('user'), url),
    tls: { ca: last('cacert'), ...certificateOf(last('cert')), ...keyOf(last('key'), last('pass')) },
    proxy: proxyOf(last('proxy'), last('proxy-user')),
    isInsecure: all('insecure').length > 0,
  };
}

/** The text of a file that the line names; throws `CurlError`. */
type ReadFile = (file: string) => string;

/** As a form or a query. */
export function encodePairs(pairs: readonly Pair[]): string {
  return new URLSearchParams(pairs.map(([name, value]): [string, string] => [name, value])).toString();
}

/** `Name: value`; `Name;` is an empty one; `Name:` removes a header of curl's own. */
function parseHeader(text: string): Pair[] {
  if (text.startsWith('@')) {
    return readData(text.slice(1))
      .split(/\r?\n/)
      .flatMap((line) => (line === '' ? [] : parseHeader(line)));
  }
  const colon = text.indexOf(':');
  if (colon < 0) return text.endsWith(';') ? [[text.slice(0, -1).trim(), '']] : [];
  const value = text.slice(colon + 1).trim();
  return value === '' ? [] : [[text.slice(0, colon).trim(), value]];
}

function bodyPart({ name, value }: Option, readFile: ReadFile): string[] {
  switch (name) {
    case 'data':
      return [value.startsWith('@') ? readFile(value.slice(1)).replace(/[\r\n]/g, '') : value];
    case 'data-raw':
      return [value];
    case 'data-binary':
    case 'json':
      return [value.startsWith('@') ? readFile(value.slice(1)) : value];
    case 'data-urlencode':
      return [urlencoded(value, readFile)];
    default:
      return [];
  }
}

/** `content`, `=content`, `name=content`, `@file`, `name@file` (curl's manual). */
function urlencoded(text: string, readFile: ReadFile): string {
  const at = text.search(/[=@]/);
  if (at < 0) return encodeURIComponent(text);
  const [name, rest] = [text.slice(0, at), text.slice(at + 1)];
  const content = text[at] === '@' ? readFile(rest) : rest;
  return `${name === '' ? '' : `${name}=`}${encodeURIComponent(content)}`;
}

function formField({ name, value }: Option): Pair[] {
  if (name !== 'form' && name !== 'form-string') return [];
  const at = value.indexOf('=');
  if (at < 0) throw new CurlError('-F has a value that is not name=content');
  const content = value.slice(at + 1);
  if (name === 'form' && /^[@<]/.test(content))
    throw new CurlError('-F uploads a file, which no token source does');
  return [[value.slice(0, at), content]];
}

function readData(file: string): string {
  if (file === '-')
    throw new CurlError('the curl line reads standard input (@-): write the data into the line');
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CurlError(`cannot read ${file}: ${describeFileError(error)}`);
  }
}

function basicOf(user: string | null, url: URL): CurlRequest['basic'] {
  if (user === null) {
    if (url.username === '' && url.password === '') return null;
    return { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  }
  const at = user.indexOf(':');
  if (at < 0) throw new CurlError('-u has no password: write -u USER:PASSWORD');
  return { username: user.slice(0, at), password: user.slice(at + 1) };
}

/** `file` or `file:password`. */
function certificateOf(cert: string | null): { cert: string | null; passphrase: string | null } {
  const [, file = null, passphrase = null] = /^((?:[A-Za-z]:\\)?[^:]*)(?::(.*))?$/s.exec(cert ?? '') ?? [];
  return cert === null ? { cert: null, passphrase: null } : { cert: file, passphrase };
}

function keyOf(key: string | null, pass: string | null) {
  return { key, ...(pass === null ? {} : { passphrase: pass }) };
}

function proxyOf(proxy: string | null, user: string | null): string | null {
  if (proxy === null || proxy === '') return null;
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new CurlError('-x is no http:// URL of a proxy; others, such as SOCKS, cannot be used');
  const at = user?.indexOf(':') ?? -1;
  if (user !== null) {
    url.username = at < 0 ? user : user.slice(0, at);
    url.password = at < 0 ? '' : user.slice(at + 1);
  }
  return url.href.replace(/\/$/, '');
}
