import {
  addressIsSafe,
  adminAddressIsValid,
  clientsHaveKeys,
  coolDownGrows,
  noauthIsMeant,
  proxiesAreNetworks,
  recordsHaveAPlace,
  sharingIsComplete,
} from './access-rules.ts';
import type { Rule } from './rule.ts';
import { tlsIsUsable } from './tls-rules.ts';
import {
  chainsHaveAnEnd,
  issuersAreEncrypted,
  refreshRanges,
  sharedIsUsed,
  sourcesAreComplete,
  tokenNames,
  tokensAreUsed,
  tokensCanBeShared,
} from './token-rules.ts';
import {
  hasUpstreams,
  upstreamAuthorization,
  upstreamClients,
  upstreamCredentials,
  upstreamEndpoints,
  upstreamHeaders,
  upstreamNames,
} from './upstream-rules.ts';

/** All that is checked between keys. */
export const RULES: readonly Rule[] = [
  addressIsSafe,
  adminAddressIsValid,
  noauthIsMeant,
  clientsHaveKeys,
  proxiesAreNetworks,
  sharingIsComplete,
  coolDownGrows,
  tokenNames,
  tokensAreUsed,
  chainsHaveAnEnd,
  refreshRanges,
  sourcesAreComplete,
  issuersAreEncrypted,
  tokensCanBeShared,
  sharedIsUsed,
  hasUpstreams,
  upstreamNames,
  upstreamCredentials,
  upstreamClients,
  upstreamEndpoints,
  upstreamAuthorization,
  upstreamHeaders,
  tlsIsUsable,
  recordsHaveAPlace,
];
