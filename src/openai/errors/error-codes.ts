import type { ErrorKind } from '../../lib/errors/ferry-error.ts';

/** What a code or a text says about a failure: an HTTP status, and the kind where the status alone is too coarse. */
export interface Meaning {
  readonly status: number;
  readonly kind?: ErrorKind;
}

const rate: Meaning = { status: 429, kind: 'rate_limited' };
const quota: Meaning = { status: 429, kind: 'quota_exhausted' };
const auth: Meaning = { status: 401, kind: 'auth_rejected' };
const forbidden: Meaning = { status: 403 };
const model: Meaning = { status: 404, kind: 'model_not_found' };
const overflow: Meaning = { status: 400, kind: 'context_overflow' };
const filter: Meaning = { status: 400, kind: 'content_filtered' };
const client: Meaning = { status: 400 };
const unprocessable: Meaning = { status: 422 };
const broken: Meaning = { status: 500 };
const overloaded: Meaning = { status: 503 };
const slow: Meaning = { status: 504 };
const generation: Meaning = { status: 424, kind: 'generation_failed' };

export const MEANINGS = {
  rate,
  quota,
  auth,
  forbidden,
  model,
  overflow,
  filter,
  client,
  broken,
  overloaded,
  slow,
} as const;

/**
 * Codes and types in words, of all vendors in one table: lower case, letters and digits only. Sources: OpenAI,
 * Azure, Anthropic, Google RPC, DashScope, TGI (`error_type`), llama.cpp, one-api, AWS Bedrock, Volcengine.
 */
const BY_NAME: Readonly<Record<string, Meaning>> = {
  ratelimitexceeded: rate,
  ratelimiterror: rate,
  ratelimitreached: rate,
  ratelimit: rate,
  ratelimited: rate,
  toomanyrequests: rate,
  requestlimitexceeded: rate,
  limitexceeded: rate,
  resourceexhausted: rate,
  throttling: rate,
  throttlingratequota: rate,
  throttlingallocationquota: rate,
  throttlingburstrate: rate,
  throttlingexception: rate,
  throttled: rate,
  tokensusageexceeded: rate,
  insufficientquota: quota,
  insufficientuserquota: quota,
  quotaexceeded: quota,
  quotaexhausted: quota,
  preconsumetokenquotafailed: quota,
  billinghardlimitreached: quota,
  billingnotactive: quota,
  accountdeactivated: quota,
  accountoverdueerror: quota,
  insufficientbalance: quota,
  insufficientcredits: quota,
  paymentrequired: quota,
  arrearage: quota,
  allocationquotafreetieronly: quota,
  invalidapikey: auth,
  apikeyinvalid: auth,
  incorrectapikey: auth,
  invalidtoken: auth,
  tokenexpired: auth,
  expiredtoken: auth,
  unauthorized: auth,
  unauthenticated: auth,
  authenticationerror: auth,
  authenticationfailed: auth,
  authfailure: auth,
  invalidauthentication: auth,
  unrecognizedclientexception: auth,
  expiredtokenexception: auth,
  permissiondenied: forbidden,
  permissionerror: forbidden,
  accessdenied: forbidden,
  accessdeniedunpurchased: forbidden,
  modelaccessdenied: forbidden,
  accessdeniedexception: forbidden,
  forbidden,
  modelnotfound: model,
  modelnotexist: model,
  modelnotfounderror: model,
  modelnotopen: model,
  invalidmodel: model,
  deploymentnotfound: model,
  invalidendpointormodelnotfound: model,
  contextlengthexceeded: overflow,
  contextwindowexceeded: overflow,
  contextwindowexceedederror: overflow,
  exceedcontextsizeerror: overflow,
  promptexceedsmaxlength: overflow,
  inputtoolong: overflow,
  prompttoolong: overflow,
  contentfilter: filter,
  contentpolicyviolation: filter,
  responsibleaipolicyviolation: filter,
  datainspectionfailed: filter,
  inputtextsensitivecontentdetected: filter,
  outputtextsensitivecontentdetected: filter,
  sensitivecontentdetected: filter,
  invalidpromptcontent: filter,
  invalidrequesterror: client,
  invalidrequest: client,
  invalidargument: client,
  invalidparameter: client,
  invalidparametervalue: client,
  missingparameter: client,
  badrequest: client,
  badrequesterror: client,
  validationexception: client,
  failedprecondition: client,
  outofrange: client,
  unsupportedparameter: client,
  unknownparameter: client,
  unsupportedvalue: client,
  stringabovemaxlength: client,
  integerbelowminvalue: client,
  validation: unprocessable,
  validationerror: client,
  unprocessableentity: unprocessable,
  requesttoolarge: { status: 413 },
  notfounderror: { status: 404 },
  notfound: { status: 404 },
  generation,
  modelerrorexception: generation,
  incompletegeneration: broken,
  servererror: broken,
  apierror: broken,
  internal: broken,
  internalerror: broken,
  internalservererror: broken,
  internalserviceerror: broken,
  systemerror: broken,
  unknownerror: broken,
  dataloss: broken,
  cancelled: broken,
  aborted: broken,
  overloaded,
  overloadederror: overloaded,
  engineoverloaded: overloaded,
  engineoverloadederror: overloaded,
  serveroverloaded: overloaded,
  unavailable: overloaded,
  unavailableerror: overloaded,
  serviceunavailable: overloaded,
  serviceunavailableexception: overloaded,
  modelunavailable: overloaded,
  modelservingerror: overloaded,
  modelnotready: overloaded,
  modelnotreadyexception: overloaded,
  timeout: slow,
  timeouterror: slow,
  requesttimeout: slow,
  deadlineexceeded: slow,
  modeltimeoutexception: slow,
  unimplemented: { status: 501 },
};

/** Numeric codes mean something in one vendor's dialect only. Sources: the vendors' published error tables. */
const BY_NUMBER = {
  minimax: {
    1000: broken,
    1001: slow,
    1002: rate,
    1004: auth,
    1008: quota,
    1013: broken,
    1024: broken,
    1026: filter,
    1027: filter,
    1033: broken,
    1039: rate,
    1041: rate,
    2013: client,
    2045: rate,
    2049: auth,
    2056: rate,
    2061: forbidden,
  },
  baidu: {
    1: broken,
    2: overloaded,
    3: { status: 404 },
    4: rate,
    6: forbidden,
    13: auth,
    14: auth,
    15: auth,
    17: rate,
    18: rate,
    19: rate,
    100: auth,
    110: auth,
    111: auth,
    336000: broken,
    336001: client,
    336002: client,
    336003: client,
    336004: client,
    336005: client,
    336006: client,
    336100: overloaded,
    336103: overflow,
    336104: client,
    336105: client,
    336200: broken,
    336303: client,
    336304: client,
    336501: rate,
    336502: rate,
  },
  zhipu: {
    1000: auth,
    1001: auth,
    1002: auth,
    1003: auth,
    1004: auth,
    1110: auth,
    1111: auth,
    1112: auth,
    1113: quota,
    1120: broken,
    1210: client,
    1211: model,
    1212: client,
    1213: client,
    1214: client,
    1215: client,
    1220: forbidden,
    1221: model,
    1222: model,
    1230: broken,
    1231: client,
    1234: broken,
    1261: overflow,
    1301: filter,
    1302: rate,
    1303: rate,
    1304: rate,
    1305: overloaded,
    1308: rate,
    1309: quota,
  },
} as const satisfies Record<string, Readonly<Record<number, Meaning>>>;

export type Dialect = keyof typeof BY_NUMBER;

/** What a vendor's number means; undefined for numbers that its table does not have. */
export function meaningOfNumber(dialect: Dialect, code: number): Meaning | undefined {
  const table: Readonly<Record<number, Meaning>> = BY_NUMBER[dialect];
  return Object.hasOwn(table, code) ? table[code] : undefined;
}

/** What a code or type in words means, however it is spelt (`RATE_LIMIT_EXCEEDED`, `Throttling.RateQuota`). */
export function meaningOfName(name: string | null): Meaning | undefined {
  if (name === null || name.length > 64) return undefined;
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (Object.hasOwn(BY_NAME, plain)) return BY_NAME[plain];
  // `InvalidParameter.NotSupportEnableThinking`: the part before the dot is the class.
  const dot = name.indexOf('.');
  return dot > 0 ? meaningOfName(name.slice(0, dot)) : undefined;
}
