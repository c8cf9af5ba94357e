import {
  addressIsSafe,
  adminAddressIsValid,
  clientsHaveKeys,
  coolDownRange,
  databaseAddressIsValid,
  noauthIsIntended,
  proxiesAreNetworks,
  sharingIsComplete,
} from './access-rules.ts';
import { channelNames, channelsAreComplete } from './notify-rules.ts';
import type { Rule } from './rule.ts';
import { tlsIsUsable } from './tls-rules.ts';
import {
  chainsAreAcyclic,
  issuersAreEncrypted,
  refreshRanges,
  sharedIsUsed,
  sourcesAreComplete,
  tokenNames,
  tokensAreUsed,
  tokensCanBeShared,
  tokenUses,
} from './token-rules.ts';
import {
  hasUpstreams,
  upstreamAliases,
  upstreamAuthorization,
  upstreamClients,
  upstreamCredentials,
  upstreamEndpoints,
  upstreamHeaders,
  upstreamNames,
  upstreamSigning,
} from './upstream-rules.ts';

/** All checks between keys. */
export const RULES: readonly Rule[] = [
  addressIsSafe,
  adminAddressIsValid,
  noauthIsIntended,
  clientsHaveKeys,
  proxiesAreNetworks,
  sharingIsComplete,
  coolDownRange,
  tokenNames,
  tokensAreUsed,
  chainsAreAcyclic,
  tokenUses,
  refreshRanges,
  sourcesAreComplete,
  issuersAreEncrypted,
  tokensCanBeShared,
  sharedIsUsed,
  hasUpstreams,
  upstreamNames,
  upstreamCredentials,
  upstreamAliases,
  upstreamClients,
  upstreamEndpoints,
  upstreamAuthorization,
  upstreamSigning,
  upstreamHeaders,
  channelNames,
  channelsAreComplete,
  tlsIsUsable,
  databaseAddressIsValid,
];
