/** The RSA keys and the HPKE keys, wherever they come from. */
import { builtIn } from '../../platforms/registry.ts'
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const keys = {
  keyType: {
    env: `${PREFIX}KEY_TYPE`,
    type: 'string',
    enum: builtIn.keyTypes.map(({ name }) => name),
    default: 'ephemeral',
    shownBy: 'weakenings',
    description: 'Where the RSA private key lives (docs/keys.md).'
  },

  keyRefreshInterval: {
    env: `${PREFIX}KEY_REFRESH_INTERVAL`,
    type: 'string',
    format: 'duration',
    default: '1h',
    description: 'How often the proxy fetches keys again; SIGHUP makes it do so at once. `0`: only on SIGHUP.'
  },

  keyFetchDeadline: {
    env: `${PREFIX}KEY_FETCH_DEADLINE`,
    type: 'string',
    format: 'duration',
    default: '5m',
    description: 'How long the proxy tries to fetch keys at start before the start counts as failed. A minute later ' +
      'it begins again, unless the configuration is wrong.'
  },

  keyRemoteConcurrency: {
    env: `${PREFIX}KEY_REMOTE_CONCURRENCY`,
    type: 'integer',
    minimum: 1,
    maximum: 10_000,
    default: 32,
    description: 'Remote keys: maximum unwraps under way at once.'
  },

  keyRemoteTimeout: {
    env: `${PREFIX}KEY_REMOTE_TIMEOUT`,
    type: 'string',
    format: 'duration',
    default: '5s',
    description: 'Remote keys: how long one unwrap may take.'
  },

  keyRemoteFailedUnwraps: {
    env: `${PREFIX}KEY_REMOTE_FAILED_UNWRAPS`,
    type: 'integer',
    minimum: 1,
    maximum: 1_000_000,
    default: 20,
    description: 'Remote keys: how many requests of one client address may fail to open per minute before that ' +
      'address gets 429. Each costs an operation.'
  },

  maxPendingUnwraps: {
    env: `${PREFIX}MAX_PENDING_UNWRAPS`,
    type: 'integer',
    minimum: 1,
    maximum: 1_000_000,
    default: 512,
    description: 'Maximum private-key operations that may wait. Beyond it, requests get 503 with Retry-After. A v1 ' +
      'request needs up to six.'
  },

  hpkeRotation: {
    env: `${PREFIX}HPKE_ROTATION`,
    type: 'string',
    format: 'duration',
    default: '24h',
    description: 'How long clients encrypt to an HPKE key before the next replaces it. `0` keeps the first for ' +
      'ever.'
  },

  hpkeRetirement: {
    env: `${PREFIX}HPKE_RETIREMENT`,
    type: 'string',
    format: 'duration',
    default: '1h',
    description: 'How long an HPKE key stays usable after it was replaced.'
  },

  hpkeSeed: {
    env: `${PREFIX}HPKE_SEED`,
    type: 'string',
    enum: ['instance', 'derived', 'sealed'],
    default: 'instance',
    shownBy: 'weakenings',
    description: 'Source of HPKE keys (docs/keys.md): `instance`, a random seed of each instance; `derived`, the ' +
      'RSA private key, so that all replicas agree; `sealed`, a seed in a shared file that only the RSA key opens.'
  },

  hpkeSeedFile: {
    env: `${PREFIX}HPKE_SEED_FILE`,
    type: 'string',
    shownBy: 'keys',
    isFile: true,
    description: '`sealed`: the file, on a volume that all replicas share. The first replica creates it.'
  },

  hpkeSeedFileSha256: {
    env: `${PREFIX}HPKE_SEED_FILE_SHA256`,
    type: 'string',
    format: 'sha256',
    shownBy: 'weakenings',
    description: '`sealed`: SHA-256 of the seed file. Then no other file is accepted, and none is created.'
  },

  hpkePostQuantum: {
    env: `${PREFIX}HPKE_POST_QUANTUM`,
    type: 'boolean',
    default: false,
    shownBy: 'keys',
    description: 'Offer MLKEM768-X25519 beside X25519. Clients that have it prefer it.'
  }
} as const satisfies SettingsTable
