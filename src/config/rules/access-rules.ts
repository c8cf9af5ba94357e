import { resolve } from 'node:path';
import { NAMED_NETWORKS, NetworkSet } from '../../lib/net/network-set.ts';
import { sha256Hex } from '../../lib/secret.ts';
import { hasAnyKey } from '../config.ts';
import type { PathStep } from '../config-error.ts';
import { isLoopback, parseAddress } from '../types/address.ts';
import { caution, duplicates, fault, type Rule, type RuleFinding } from './rule.ts';

/** The address can be listened on, and does not offer an open service to a network by accident. */
export const addressIsSafe: Rule = ({ config, isIncomplete }) => {
  const address = parseAddress(config.address);
  if (address === null) return [fault(['address'], 'must be host:port or :port, e.g. 127.0.0.1:8888')];
  const mayHaveKeys = ['authorization', 'clients', 'noauth', 'upstreams'].some((key) => isIncomplete(key));
  if (hasAnyKey(config) || config.noauth || mayHaveKeys || isLoopback(address.host)) return [];
  return [
    fault(
      ['address'],
      'other machines can reach this address and no key is required: set authorization or clients, ' +
        'or noauth: true if that is intended, or listen on 127.0.0.1',
    ),
  ];
};

export const adminAddressIsValid: Rule = ({ config: { admin } }) =>
  admin.address === null || parseAddress(admin.address) !== null
    ? []
    : [fault(['admin', 'address'], 'must be host:port or :port, e.g. 127.0.0.1:8889')];

export const noauthIsIntended: Rule = ({ config }) =>
  config.noauth && hasAnyKey(config)
    ? [caution(['noauth'], 'keys are configured but not required, because noauth is true')]
    : [];

/** Each named client has one key of its own, or a certificate or tokens in its place. */
export const clientsHaveKeys: Rule = ({ config, isIncomplete }) => {
  const firstOf = new Map<string, number>();
  const keys = config.clients.flatMap((client, index): RuleFinding[] => {
    const path: readonly PathStep[] = ['clients', index];
    if (client.key !== null && client.key_sha256 !== null)
      return [fault([...path, 'key_sha256'], 'key and key_sha256 are both given; remove one')];
    const digest = client.key === null ? client.key_sha256 : sha256Hex(client.key.reveal());
    if (client.certificate !== null && !config.tls?.client_ca)
      return [fault([...path, 'certificate'], 'needs tls.client_ca: without it no client has a certificate')];
    if (digest === null && (client.certificate !== null || client.jwt !== null)) return [];
    if (digest === null)
      return isIncomplete(...path)
        ? []
        : [fault(path, 'has no key: set key, key_sha256, certificate or jwt')];
    const first = firstOf.get(digest);
    if (first === undefined) firstOf.set(digest, index);
    return first === undefined ? [] : [fault([...path, 'key'], `is the key of clients[${first}] as well`)];
  });
  return [...keys, ...duplicates(config.clients, 'clients', 'this client')];
};

export const proxiesAreNetworks: Rule = ({ config }) =>
  config.trusted_proxies.flatMap((network, index) =>
    Object.hasOwn(NAMED_NETWORKS, network) || new NetworkSet().add(network)
      ? []
      : [fault(['trusted_proxies', index], NO_NETWORK)],
  );

const NO_NETWORK = `must be an address, a network such as 10.0.0.0/8 or fd00::/8, or one of ${Object.keys(NAMED_NETWORKS).join(', ')}`;

/** Replicas that share tokens need a key to encrypt them. */
export const sharingIsComplete: Rule = ({ config, isIncomplete }) => {
  const { shared, shared_key: key } = config;
  if (shared !== null && key === null && !isIncomplete('shared_key'))
    return [fault(['shared'], 'needs shared_key: 32 random bytes in base64')];
  if (key !== null && Buffer.from(key.reveal(), 'base64').length !== 32)
    return [fault(['shared_key'], 'must be 32 bytes in base64')];
  return [];
};

export const coolDownRange: Rule = ({ config: { cool_down: coolDown } }) =>
  coolDown.first > coolDown.max
    ? [fault(['cool_down', 'first'], 'must not be longer than cool_down.max')]
    : [];

const URL_START = /^postgres(?:ql)?:\/\//i;
/** As in `host=db user=app dbname=llm`. */
const KEYWORDS = /^\s*[a-z_]\w*\s*=/i;

/** `dbaddr` matches `dbtype`. */
/** Both would make tables in it, and empty it for another version. */
export const cacheHasItsOwnFile: Rule = ({ config: { dbtype, dbaddr, embeddings_cache } }) => {
  const { path } = embeddings_cache;
  if (path === null || dbtype !== 'sqlite' || resolve(path) !== resolve(dbaddr)) return [];
  return [fault(['embeddings_cache', 'path'], 'is the file of dbaddr: name another one')];
};

export const databaseAddressIsValid: Rule = ({ config: { dbtype, dbaddr }, isIncomplete }) => {
  if (isIncomplete('dbtype') || isIncomplete('dbaddr')) return [];
  const isAddress = URL_START.test(dbaddr) || KEYWORDS.test(dbaddr);
  if (dbtype === 'postgres' && !isAddress)
    return [
      fault(
        ['dbaddr'],
        'must be a postgres:// URL or a libpq keyword string such as "host=db user=app dbname=llm"',
      ),
    ];
  if (dbtype === 'sqlite' && URL_START.test(dbaddr))
    return [fault(['dbaddr'], 'is the address of a PostgreSQL: set dbtype: postgres, or name a file')];
  return [];
};
