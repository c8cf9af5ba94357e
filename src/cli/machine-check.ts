import { X509Certificate } from 'node:crypto';
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, relative, resolve } from 'node:path';
import { connect } from 'node:tls';
import type { Config } from '../config/config.ts';
import { formatPath } from '../config/config-error.ts';
import { describeFileError } from '../config/load/interpolation.ts';
import { tlsSections } from '../config/rules/tls-rules.ts';
import { parseAddress } from '../config/types/address.ts';
import { StoreError } from '../request-log/request-store.ts';
import { checkStore } from '../request-log/store-check.ts';
import type { Finding } from './check-report.ts';

/** Whether `serve` could listen on the configured address. */
export async function checkAddress(config: Config): Promise<Finding[]> {
  const address = parseAddress(config.address);
  if (address === null) return [];
  const { host, port } = address;
  const what = `address ${config.address}`;
  if (port === 0) return [{ verdict: 'ok', text: `${what}: the system chooses a free port` }];
  const code = await listenError(host, port);
  if (code === null) return [{ verdict: 'ok', text: `${what}: free` }];
  if (code === 'EADDRINUSE') {
    return [
      {
        verdict: 'warn',
        text: `${what}: already in use, by a tokenferry that runs here or by another process. A second one cannot start on it: stop the first, or change "address".`,
      },
    ];
  }
  return [{ verdict: 'fail', text: `${what}: ${LISTEN_ERRORS[code] ?? `cannot listen there (${code})`}` }];
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied to listen there. Use a port above 1023.',
  EADDRNOTAVAIL: 'not an address of this machine. Use one of its addresses, or ":PORT" for all of them.',
  ENOTFOUND: 'the host name is unknown. Use an address of this machine, or ":PORT" for all of them.',
};

/** The system's code; null when listening works. */
function listenError(host: string, port: number): Promise<string | null> {
  return new Promise((resolved) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolved(error.code ?? error.message));
    server.listen({ port, ...(host === '' ? {} : { host }) }, () => server.close(() => resolved(null)));
  });
}

/** Whether records can be written: the file and its directory, or the connection to PostgreSQL. */
export async function checkRequestLog({ dbtype: type, dbaddr: path }: Config): Promise<Finding[]> {
  if (type === 'none') return [];
  try {
    await checkStore({ type, path });
    return [{ verdict: 'ok', text: `request log: the ${type} database can be written` }];
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return [{ verdict: 'fail', text: `request log: ${error.message}` }];
  }
}

/** Whether `log.file` can be appended to. */
export function checkLogFile({ log }: Config): Finding[] {
  if (log.file === null) return [];
  const what = `log file ${resolve(log.file)}`;
  const problem = fileProblem(log.file);
  return problem === null
    ? [{ verdict: 'ok', text: `${what}: can be written` }]
    : [
        {
          verdict: 'fail',
          text: `${what}: ${problem}. Give this user write access, or name another file in log.file.`,
        },
      ];
}

/** Why a file cannot be appended to or created with its directories; null when it can. Changes nothing. */
function fileProblem(path: string): string | null {
  const file = resolve(path);
  if (existsSync(file)) {
    try {
      closeSync(openSync(file, constants.O_WRONLY | constants.O_APPEND));
      return null;
    } catch (error) {
      return `cannot be written: ${describeFileError(error)}`;
    }
  }
  let directory = dirname(file);
  while (!existsSync(directory) && directory !== dirname(directory)) directory = dirname(directory);
  if (!statSync(directory).isDirectory()) return `cannot be created: ${directory} is no directory`;
  const problem = accessProblem(directory, constants.W_OK | constants.X_OK);
  return problem === null ? null : `cannot be created in ${directory}: ${problem}`;
}

function accessProblem(path: string, mode: number): string | null {
  try {
    accessSync(path, mode);
    return null;
  } catch (error) {
    return describeFileError(error);
  }
}

const DAY_MS = 86_400_000;
/** Enough time to have a certificate renewed. */
const MIN_CERTIFICATE_DAYS = 14;

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;

/** The certificates in the files of the configuration: until when they are valid. */
export function checkCertificateFiles(config: Config, directory: string): Finding[] {
  return tlsSections(config).flatMap(({ path, ca, cert }) =>
    [
      { name: 'ca', file: ca },
      { name: 'cert', file: cert },
    ].flatMap(({ name, file }): Finding[] => {
      if (file === null) return [];
      const what = `certificate ${formatPath([...path, name])} (${relative(directory, file) || file})`;
      const certificates = readFileSync(file, 'utf8').match(PEM_CERTIFICATE) ?? [];
      if (certificates.length === 0)
        return [{ verdict: 'fail', text: `${what}: no PEM certificate in this file` }];
      // Of a chain the first one is shown; bundles of authorities contain expired ones that are not used.
      const shown = name === 'cert' || certificates.length === 1 ? certificates.slice(0, 1) : [];
      return shown.map((pem) => describeValidity(what, pem, 'Replace the file'));
    }),
  );
}

function describeValidity(what: string, certificate: string | Buffer, advice: string): Finding {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch {
    return { verdict: 'fail', text: `${what}: no certificate that can be parsed` };
  }
  const nowMs = Date.now();
  const fromMs = Date.parse(parsed.validFrom);
  const toMs = Date.parse(parsed.validTo);
  const days = Math.floor((toMs - nowMs) / DAY_MS);
  if (toMs <= nowMs) return { verdict: 'fail', text: `${what}: expired on ${day(toMs)}. ${advice}.` };
  if (fromMs > nowMs)
    return { verdict: 'fail', text: `${what}: valid from ${day(fromMs)} only. Check the clock.` };
  const text = `${what}: expires on ${day(toMs)}, in ${days} ${days === 1 ? 'day' : 'days'}`;
  return days < MIN_CERTIFICATE_DAYS
    ? { verdict: 'warn', text: `${text}. ${advice} before that.` }
    : { verdict: 'ok', text };
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** An https server that is reached without a proxy. */
interface SecureServer {
  /** Upstreams and token sources that use it. */
  readonly users: readonly string[];
  readonly url: URL;
  readonly servername: string | null;
}

/** The certificates that the https servers of upstreams and issuers show; one that shows none is left to other checks. */
export async function checkServerCertificates(config: Config, maxWaitMs: number): Promise<Finding[]> {
  const found = await Promise.all(
    secureServers(config).map(async ({ users, url, servername }): Promise<Finding[]> => {
      const certificate = await serverCertificate(url, servername, maxWaitMs);
      if (certificate === null) return [];
      const what = `certificate of ${url.host} (${users.join(', ')})`;
      return [describeValidity(what, certificate, 'The operator of that server has to renew it')];
    }),
  );
  return found.flat();
}

function secureServers(config: Config): SecureServer[] {
  const named = [
    ...config.upstreams.map(({ name, endpoint, tls, proxy }) => ({
      user: `upstream ${name}`,
      url: endpoint,
      tls,
      proxy,
    })),
    ...Object.entries(config.tokens).flatMap(([name, source]) => {
      if (source.type !== 'oauth2' && source.type !== 'http') return [];
      const url = source.type === 'oauth2' ? source.token_url : source.url;
      return [{ user: `token ${name}`, url, tls: source.tls, proxy: source.proxy }];
    }),
  ];
  const servers = new Map<string, SecureServer>();
  for (const { user, url: text, tls, proxy } of named) {
    const url = text === null ? null : URL.parse(text);
    if (url?.protocol !== 'https:' || proxy !== null) continue;
    const servername = tls?.servername ?? null;
    const key = `${url.host} ${servername}`;
    servers.set(key, { url, servername, users: [...(servers.get(key)?.users ?? []), user] });
  }
  return [...servers.values()];
}

/** DER; null when none was received in time. Trust is not checked here: the check of the upstream or token does that. */
function serverCertificate(url: URL, servername: string | null, maxWaitMs: number): Promise<Buffer | null> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolved) => {
    const socket = connect({
      host,
      port: url.port === '' ? 443 : Number(url.port),
      ...(servername === null && /[a-z]/i.test(host) && !host.includes(':') ? { servername: host } : {}),
      ...(servername === null ? {} : { servername }),
      rejectUnauthorized: false,
    });
    const end = (certificate: Buffer | null): void => {
      resolved(certificate);
      socket.destroy();
    };
    socket.setTimeout(maxWaitMs, () => end(null));
    socket.once('secureConnect', () => end(socket.getPeerCertificate().raw ?? null));
    socket.once('error', () => end(null));
  });
}

/** The clock of a server beside ours, as its response stated it. */
interface ClockReading {
  /** `token corp`, `upstream chat`. */
  readonly server: string;
  /** Positive: ahead of this machine. */
  readonly skewMs: number;
}

/** Tokens of a few minutes and signed requests are refused beyond about this. */
const MAX_SKEW_MS = 30_000;

/** The clocks of issuers and upstreams against that of this machine. */
export function judgeClocks(readings: readonly ClockReading[], nowMs: number): Finding[] {
  const off = readings.filter(({ skewMs }) => Math.abs(skewMs) > MAX_SKEW_MS);
  const time = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
  const warnings = off.map(({ server, skewMs }): Finding => {
    const seconds = Math.round(Math.abs(skewMs) / 1000);
    const where = skewMs > 0 ? 'behind' : 'ahead of';
    return {
      verdict: 'warn',
      text: `clock: this machine (${time(nowMs)}) is ${seconds} s ${where} ${server} (${time(nowMs + skewMs)}). Set the one that is wrong, with NTP.`,
    };
  });
  if (warnings.length > 0 || readings.length === 0) return warnings;
  const servers = readings.map(({ server }) => server).join(', ');
  return [{ verdict: 'ok', text: `clock: within ${MAX_SKEW_MS / 1000} s of ${servers}` }];
}
