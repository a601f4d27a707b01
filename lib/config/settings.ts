/**
 * Every setting of the proxy, in one table: its environment variable, what it accepts, its default, what it does.
 * Types, validation (lib/config/config.ts) and docs/configuration.md are made from it.
 */
import { isIP } from 'node:net'

export interface Setting {
  readonly env: string
  /** Other names that are read when `env` is absent. */
  readonly aliases?: readonly string[]
  readonly group: string
  readonly type: 'string' | 'integer' | 'boolean'
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly format?: keyof typeof formats
  readonly default?: string | number | boolean
  readonly required?: true
  /** What is accepted, in words; made from the other fields where absent. */
  readonly accepts?: string
  readonly description: string
}

const P = 'POLARIS_CONTAINER_'

export const settings = {
  workloadBaseUrl: { env: `${P}WORKLOAD_BASE_URL`, group: 'Workload', type: 'string', format: 'http-url', required: true, description: 'Where the workload listens, e.g. `http://localhost:3001`. A path is put in front of every request target.' },
  upstreamConnections: { env: `${P}UPSTREAM_CONNECTIONS`, group: 'Workload', type: 'integer', minimum: 1, maximum: 65535, default: 1024, description: 'Most connections to the workload at once; further requests wait for one.' },
  upstreamConnectTimeout: { env: `${P}UPSTREAM_CONNECT_TIMEOUT`, group: 'Workload', type: 'string', format: 'duration', default: '10s', description: 'How long a connection to the workload may take to come about. Then 504.' },
  upstreamHeadersTimeout: { env: `${P}UPSTREAM_HEADERS_TIMEOUT`, group: 'Workload', type: 'string', format: 'duration', default: '300s', description: 'How long the workload may take from the whole request to its response headers. Then 504. `0` waits for ever.' },
  upstreamIdleTimeout: { env: `${P}UPSTREAM_IDLE_TIMEOUT`, group: 'Workload', type: 'string', format: 'duration', default: '300s', description: 'How long the workload may be silent within a response body. Then the response is cut off. `0` waits for ever.' },
  upstreamTlsVerify: { env: `${P}UPSTREAM_TLS_VERIFY`, group: 'Workload', type: 'boolean', default: true, description: 'Verify the workload\'s certificate where its URL is https. Add a private CA with Node\'s `NODE_EXTRA_CA_CERTS`.' },
  readyChecksWorkload: { env: `${P}READY_CHECKS_WORKLOAD`, group: 'Workload', type: 'boolean', default: false, description: 'Report not ready while the workload does not accept connections.' },

  enableInputEncryption: { env: `${P}ENABLE_INPUT_ENCRYPTION`, group: 'Encryption', type: 'boolean', default: false, description: 'Refuse requests that are not encrypted.' },
  enableOutputEncryption: { env: `${P}ENABLE_OUTPUT_ENCRYPTION`, group: 'Encryption', type: 'boolean', default: false, description: 'Seal every response to the key the client sends. A request without one is refused.' },
  enableV1: { env: `${P}ENABLE_V1`, group: 'Encryption', type: 'boolean', default: true, description: 'Accept the legacy Polaris v1 protocol. Turn off once no client needs it.' },
  v1AllowUnboundResponseKey: { env: `${P}V1_ALLOW_UNBOUND_RESPONSE_KEY`, group: 'Encryption', type: 'boolean', default: false, description: 'v1 with input and output encryption: accept a response key that the client did not put into its encrypted headers (SDKs before 0.0.8). Whoever is in the middle can then read the response.' },
  maxBodyBytes: { env: `${P}MAX_BODY_BYTES`, group: 'Encryption', type: 'integer', minimum: 0, maximum: 2 ** 31, default: 64 * 2 ** 20, description: 'Largest body of a protocol that has to be buffered (v1, one-shot OHTTP), each way, in bytes. Larger requests get 413, larger responses 502. Streams are not limited.' },
  maxBufferedBytes: { env: `${P}MAX_BUFFERED_BYTES`, group: 'Encryption', type: 'integer', minimum: 2 ** 20, maximum: 2 ** 40, default: 512 * 2 ** 20, description: 'Most bytes that all buffered bodies may hold together. Past it, 503 with Retry-After.' },
  urlHeader: { env: `${P}URL_HEADER_KEY`, group: 'Encryption', type: 'string', format: 'header-name', default: 'polaris-url', description: 'v1: name of the header with the encrypted path and query.' },
  secureHeader: { env: `${P}HEADER_KEY`, group: 'Encryption', type: 'string', format: 'header-name', default: 'polaris-secure', description: 'v1: name of the header with the encrypted headers.' },
  responsePublicKeyHeader: { env: `${P}RESPONSE_PUBLIC_KEY_HEADER_KEY`, group: 'Encryption', type: 'string', format: 'header-name', default: 'polaris-response-public-key', description: 'v1: name of the header with the client\'s public key.' },

  enableOhttp: { env: `${P}ENABLE_OHTTP`, group: 'Encryption', type: 'boolean', default: true, description: 'Accept Oblivious HTTP, one-shot and chunked, on any path, whatever the two settings above say.' },
  ohttpAllowedAuthorities: { env: `${P}OHTTP_ALLOWED_AUTHORITIES`, group: 'Encryption', type: 'string', format: 'authorities', description: 'Authorities that the request inside may name; any other gets 421. Where not set, the authority is ignored.' },
  responsePadding: { env: `${P}RESPONSE_PADDING`, group: 'Encryption', type: 'string', format: 'padding', default: 'off', description: 'OHTTP: pad the plaintext of responses to multiples of this many bytes, so that their lengths tell less. Of a response without `content-length`, which is a stream, the timing and sizes of the pieces still show.' },
  replayWindow: { env: `${P}REPLAY_WINDOW`, group: 'Encryption', type: 'string', format: 'duration', default: '60s', description: 'OHTTP: how far the `Date` inside a request may be from the clock, either way. Requests are remembered for twice as long, so that none is forwarded twice.' },
  replayStore: { env: `${P}REPLAY_STORE`, group: 'Encryption', type: 'string', format: 'replay-store', default: 'memory', description: 'OHTTP: where requests are remembered. Replicas behind one address need a shared store: Redis or Valkey, with `maxmemory-policy noeviction`, since what it forgets early can be replayed. While it is down, OHTTP requests get 503.' },
  replayCapacity: { env: `${P}REPLAY_CAPACITY`, group: 'Encryption', type: 'integer', minimum: 1000, maximum: 50_000_000, default: 1_000_000, description: 'OHTTP: most requests to remember in memory per generation (twice the replay window). Past it, 503 until the generation ends. A million take about 35 MB per generation, two of which are kept.' },

  keyType: { env: `${P}KEY_TYPE`, group: 'Keys', type: 'string', enum: ['ephemeral', 'file', 'azure-skr', 'azure-key-vault', 'google-federated'], default: 'ephemeral', description: 'Where the RSA private key lives (docs/keys.md).' },
  keyFile: { env: `${P}KEY_FILE`, group: 'Keys', type: 'string', description: '`file`: mounted files with RSA private keys, PEM or JWK, newest first, separated by commas. Not readable by everyone.' },
  keyRefreshInterval: { env: `${P}KEY_REFRESH_INTERVAL`, group: 'Keys', type: 'string', format: 'duration', default: '1h', description: 'How often keys are fetched anew; SIGHUP does it at once. `0`: only then.' },
  keyFetchDeadline: { env: `${P}KEY_FETCH_DEADLINE`, group: 'Keys', type: 'string', format: 'duration', default: '5m', description: 'How long fetching the keys is tried at start before it counts as failed. A minute later it begins anew, unless the configuration is wrong.' },
  keyRemoteConcurrency: { env: `${P}KEY_REMOTE_CONCURRENCY`, group: 'Keys', type: 'integer', minimum: 1, maximum: 10_000, default: 32, description: 'Remote keys: most unwraps under way at once.' },
  keyRemoteTimeout: { env: `${P}KEY_REMOTE_TIMEOUT`, group: 'Keys', type: 'string', format: 'duration', default: '5s', description: 'Remote keys: how long one unwrap may take.' },
  keyRemoteFailedUnwraps: { env: `${P}KEY_REMOTE_FAILED_UNWRAPS`, group: 'Keys', type: 'integer', minimum: 1, maximum: 1_000_000, default: 20, description: 'Remote keys: how many requests of one client address may fail to open per minute before it gets 429, since each costs an operation.' },
  maxPendingUnwraps: { env: `${P}MAX_PENDING_UNWRAPS`, group: 'Keys', type: 'integer', minimum: 1, maximum: 1_000_000, default: 512, description: 'Most private-key operations that may wait. Past it, 503 with Retry-After. A v1 request needs up to six.' },
  hpkeRotation: { env: `${P}HPKE_ROTATION`, group: 'Keys', type: 'string', format: 'duration', default: '24h', description: 'How long an HPKE key is the one that clients encrypt to. `0` keeps the first for ever.' },
  hpkeRetirement: { env: `${P}HPKE_RETIREMENT`, group: 'Keys', type: 'string', format: 'duration', default: '1h', description: 'How long an HPKE key stays usable after that.' },
  hpkeSeed: { env: `${P}HPKE_SEED`, group: 'Keys', type: 'string', enum: ['instance', 'derived', 'sealed'], default: 'instance', description: 'What HPKE keys are made of (docs/keys.md): `instance`, fresh ones for each instance; `derived`, from the RSA private key, so that all replicas agree; `sealed`, from a seed in a shared file that only the RSA key opens.' },
  hpkeSeedFile: { env: `${P}HPKE_SEED_FILE`, group: 'Keys', type: 'string', description: '`sealed`: the file, on a volume that all replicas share. The first replica creates it.' },
  hpkeSeedFileSha256: { env: `${P}HPKE_SEED_FILE_SHA256`, group: 'Keys', type: 'string', format: 'sha256', description: '`sealed`: SHA-256 of the seed file. Then no other file is accepted, and none is created.' },
  hpkePostQuantum: { env: `${P}HPKE_POST_QUANTUM`, group: 'Keys', type: 'boolean', default: false, description: 'Offer MLKEM768-X25519 beside X25519. Clients that have it prefer it.' },

  googleProject: { env: `${P}GOOGLE_FEDERATED_KEY_PROJECT_ID`, group: 'Google Cloud KMS', type: 'string', description: 'Project of the key ring.' },
  googleLocation: { env: `${P}GOOGLE_FEDERATED_KEY_LOCATION`, group: 'Google Cloud KMS', type: 'string', description: 'Location of the key ring.' },
  googleKeyRing: { env: `${P}GOOGLE_FEDERATED_KEY_RING_ID`, group: 'Google Cloud KMS', type: 'string', description: 'Name of the key ring.' },
  googleKey: { env: `${P}GOOGLE_FEDERATED_KEY_ID`, group: 'Google Cloud KMS', type: 'string', description: 'Name of the key, purpose `ASYMMETRIC_DECRYPT`, algorithm `RSA_DECRYPT_OAEP_4096_SHA256`.' },
  googleAudience: { env: `${P}GOOGLE_FEDERATED_KEY_AUDIENCE`, group: 'Google Cloud KMS', type: 'string', description: 'The workload identity pool provider: `//iam.googleapis.com/projects/…/providers/…`.' },
  googleServiceAccount: { env: `${P}GOOGLE_FEDERATED_KEY__SERVICE_ACCOUNT`, aliases: [`${P}GOOGLE_FEDERATED_KEY_SERVICE_ACCOUNT`], group: 'Google Cloud KMS', type: 'string', format: 'http-url', description: 'The full `generateAccessToken` URL of a service account to act as. Without it, the pool\'s principal itself is used.' },
  googleKeyVersion: { env: `${P}GOOGLE_FEDERATED_KEY_VERSION`, group: 'Google Cloud KMS', type: 'string', format: 'key-versions', default: '1', description: 'Versions of the key, newest first.' },
  googleTokenFile: { env: `${P}GOOGLE_FEDERATED_KEY_TOKEN_FILE`, group: 'Google Cloud KMS', type: 'string', default: '/run/container_launcher/attestation_verifier_claims_token', description: 'Where the launcher keeps the attestation token. Read anew for every exchange.' },
  googleKmsEndpoint: { env: `${P}GOOGLE_FEDERATED_KEY_KMS_ENDPOINT`, group: 'Google Cloud KMS', type: 'string', format: 'authorities', description: 'The KMS, `host` or `host:port`, for private service connect.' },
  googleStsEndpoint: { env: `${P}GOOGLE_FEDERATED_KEY_STS_ENDPOINT`, group: 'Google Cloud KMS', type: 'string', format: 'http-url', description: 'The Security Token Service, where it is not Google\'s public one.' },

  azureMaaEndpoint: { env: `${P}AZURE_SKR_MAA_ENDPOINT`, group: 'Azure', type: 'string', description: 'The attestation provider that the release policy names, e.g. `sharedweu.weu.attest.azure.net`.' },
  azureAkvEndpoint: { env: `${P}AZURE_SKR_AKV_ENDPOINT`, group: 'Azure', type: 'string', description: '`azure-skr`: the vault or Managed HSM, e.g. `myvault.vault.azure.net`.' },
  azureKid: { env: `${P}AZURE_SKR_KID`, group: 'Azure', type: 'string', description: '`azure-skr`: the key, `name` or `name/version`; several separated by commas, newest first.' },
  azureAccessToken: { env: `${P}AZURE_SKR_ACCESS_TOKEN`, group: 'Azure', type: 'string', description: '`azure-skr`: a token for the vault, where the container group has no managed identity. A secret.' },
  azureSidecarEndpoint: { env: `${P}AZURE_SKR_KEY_RELEASE_ENDPOINT`, group: 'Azure', type: 'string', format: 'http-url', description: 'Where the secure key release sidecar listens. Where not set: `azure-key-vault` asks the attestation provider itself if the kernel has reports at `/sys/kernel/config/tsm/report`; all else expects the sidecar at `http://localhost:8080`.' },
  azureEndpointForm: { env: `${P}AZURE_SKR_ENDPOINT_FORM`, group: 'Azure', type: 'string', enum: ['as-given', 'host', 'url'], default: 'as-given', description: 'How the two endpoints are written for the sidecar: Microsoft\'s wants host names, another deployed one URLs.' },
  azureMaxRequestRetries: { env: `${P}AZURE_SKR_MAX_REQUEST_RETRIES`, group: 'Azure', type: 'integer', minimum: 0, maximum: 1000, description: '`azure-skr`: so many retries, the interval below apart, in place of the usual backoff.' },
  azureRetryInterval: { env: `${P}AZURE_SKR_RETRY_INTERVAL`, group: 'Azure', type: 'string', format: 'duration', description: '`azure-skr`: time between retries; 60 s where only their number is set.' },
  azureVaultUrl: { env: `${P}AZURE_KEY_VAULT_URL`, group: 'Azure', type: 'string', format: 'http-url', description: '`azure-key-vault`: URL of the vault or Managed HSM.' },
  azureVaultKey: { env: `${P}AZURE_KEY_VAULT_KEY`, group: 'Azure', type: 'string', description: '`azure-key-vault`: name of the key.' },
  azureVaultKeyVersion: { env: `${P}AZURE_KEY_VAULT_KEY_VERSION`, group: 'Azure', type: 'string', format: 'key-versions', description: '`azure-key-vault`: versions, newest first. Where not set, the current one.' },
  azureVaultMode: { env: `${P}AZURE_KEY_VAULT_MODE`, group: 'Azure', type: 'string', enum: ['release', 'remote'], default: 'release', description: '`azure-key-vault`: `release` brings the key into the TEE against attestation; `remote` leaves it in the HSM, where access control alone protects it.' },
  azureCredential: { env: `${P}AZURE_CREDENTIAL`, group: 'Azure', type: 'string', enum: ['managed-identity', 'workload-identity', 'environment', 'azure-cli'], default: 'managed-identity', description: '`azure-key-vault`: how the proxy identifies itself. `azure-cli` is for development.' },
  azureClientId: { env: `${P}AZURE_CLIENT_ID`, group: 'Azure', type: 'string', description: 'Client id of a user-assigned identity.' },

  attestationType: { env: `${P}ATTESTATION_TYPE`, group: 'Attestation', type: 'string', enum: ['auto', 'none', 'simulated', 'google-confidential-space', 'azure-maa', 'azure-snp', 'configfs-tsm'], default: 'auto', description: 'Where evidence comes from that proves the keys to clients. `auto` takes what it finds on the machine, else `none`. `simulated` proves nothing and is for development.' },
  attestationAllowSimulated: { env: `${P}ATTESTATION_ALLOW_SIMULATED`, group: 'Attestation', type: 'boolean', default: false, description: 'Start with simulated evidence although `NODE_ENV` is `production`.' },
  attestationRequired: { env: `${P}ATTESTATION_REQUIRED`, group: 'Attestation', type: 'boolean', default: false, description: 'Forward nothing while there is no current evidence: 503, and `/readyz` says why.' },
  attestationGrace: { env: `${P}ATTESTATION_GRACE`, group: 'Attestation', type: 'string', format: 'duration', default: '15m', description: 'How long expired evidence still keeps the gate open while it cannot be renewed.' },
  attestationOnClose: { env: `${P}ATTESTATION_ON_CLOSE`, group: 'Attestation', type: 'string', enum: ['finish', 'end'], default: 'finish', description: 'What happens to exchanges in flight when the gate closes: they `finish`, or they `end` at once, cut off.' },
  attestationRenewal: { env: `${P}ATTESTATION_RENEWAL`, group: 'Attestation', type: 'string', format: 'duration', default: '10m', description: 'Longest time from one renewal of the evidence to the next. Evidence without a time of its own expires after twice that.' },
  attestationCache: { env: `${P}ATTESTATION_CACHE`, group: 'Attestation', type: 'string', format: 'duration', default: '60s', description: 'How long requests without a nonce share one document.' },
  attestationRateLimit: { env: `${P}ATTESTATION_RATE_LIMIT`, group: 'Attestation', type: 'integer', minimum: 1, maximum: 1_000_000, default: 60, description: 'Most requests for evidence per minute and client address. Past it, 429.' },
  attestationPolicyFile: { env: `${P}ATTESTATION_POLICY_FILE`, group: 'Attestation', type: 'string', description: 'A policy as clients have it (JSON). The proxy appraises its own evidence by it, and the gate is closed outside it.' },
  attestationAudience: { env: `${P}ATTESTATION_AUDIENCE`, group: 'Attestation', type: 'string', default: 'polaris-secure-proxy', description: 'google-confidential-space: `aud` of the tokens, which clients pin. Not one of Google\'s own, under which a token would be a credential.' },
  attestationMaaEndpoint: { env: `${P}ATTESTATION_MAA_ENDPOINT`, aliases: [`${P}AZURE_SKR_MAA_ENDPOINT`], group: 'Attestation', type: 'string', description: 'azure-maa: host of the attestation provider, e.g. `sharedneu.neu.attest.azure.net`.' },
  attestationAzureSidecar: { env: `${P}ATTESTATION_AZURE_SIDECAR`, aliases: [`${P}AZURE_SKR_KEY_RELEASE_ENDPOINT`], group: 'Attestation', type: 'string', format: 'http-url', description: 'azure-maa, azure-snp: where the secure key release sidecar listens. Where not set: `azure-maa` asks the attestation provider itself if the kernel has reports at `/sys/kernel/config/tsm/report`; all else expects the sidecar at `http://localhost:8080`.' },
  attestationCertificatesFile: { env: `${P}ATTESTATION_CERTIFICATES_FILE`, group: 'Attestation', type: 'string', description: 'The kernel\'s SEV-SNP reports: AMD\'s certificates for this machine (PEM: VCEK or VLEK, ASK, ARK), for hosts that give none with the report.' },

  host: { env: 'HOST', group: 'Server', type: 'string', default: '0.0.0.0', description: 'Address to listen on.' },
  port: { env: 'PORT', group: 'Server', type: 'integer', minimum: 0, maximum: 65535, default: 3000, description: 'Port to listen on. `0` takes a free one.' },
  contextRoot: { env: `${P}CONTEXT_ROOT`, group: 'Server', type: 'string', format: 'path-prefix', default: '', description: 'Path below which the proxy is mounted, e.g. `/proxy`. It is removed before a request in clear is forwarded. The system endpoints answer both below it and at the root.' },
  trustProxy: { env: `${P}TRUST_PROXY`, group: 'Server', type: 'string', format: 'trust-proxy', default: 'false', description: 'Whose `x-forwarded-*` and `forwarded` headers are believed, and extended towards the workload. From all others they are dropped.' },
  enableCors: { env: `${P}ENABLE_CORS`, group: 'Server', type: 'boolean', default: true, description: 'Answer CORS preflights and add CORS headers.' },
  corsOrigin: { env: `${P}CORS_ORIGIN`, group: 'Server', type: 'string', format: 'cors-origin', default: '*', description: 'Origins that browsers may call from.' },
  workers: { env: `${P}WORKERS`, group: 'Server', type: 'string', format: 'workers', default: '1', description: 'How many processes serve. They share keys and replay protection; limits count for each (docs/operations.md).' },
  clientIdleTimeout: { env: `${P}CLIENT_IDLE_TIMEOUT`, group: 'Server', type: 'string', format: 'duration', default: '60s', description: 'How long a client may be silent within a request body, then 408; or take nothing of its response, then the connection is closed. `0` waits for ever.' },
  stopDelay: { env: `${P}STOP_DELAY`, group: 'Server', type: 'string', format: 'duration', default: '0s', description: 'How long to go on accepting requests after SIGTERM while `/readyz` already says no, so that a load balancer notices.' },
  stopTimeout: { env: `${P}STOP_TIMEOUT`, group: 'Server', type: 'string', format: 'duration', default: '30s', description: 'How long exchanges in flight may take to finish after SIGTERM.' },
  enableLogging: { env: `${P}ENABLE_LOGGING`, group: 'Server', type: 'boolean', default: true, description: '`false` silences the log.' },
  logLevel: { env: `${P}LOG_LEVEL`, group: 'Server', type: 'string', enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], default: 'info', description: 'Least severe level that is logged. No level logs anything decrypted.' }
} as const satisfies Record<string, Setting>

export type Settings = typeof settings
export type SettingName = keyof Settings

type Scalar<S extends Setting> =
  S extends { enum: readonly (infer E)[] } ? E
    : S extends { type: 'boolean' } ? boolean
      : S extends { type: 'integer' } | { format: 'duration' } ? number
        : string

/** The validated settings; durations in milliseconds. */
export type Config = {
  readonly [K in SettingName]: Scalar<Settings[K]> |
  (Settings[K] extends { default: unknown } | { required: true } ? never : undefined)
}

/** Settings as they may be given in code: durations as text ('30s') or milliseconds. */
export type ConfigInput = { readonly [K in SettingName]?: Config[K] | string | undefined }

/** What a setting accepts, in words. */
export function accepts (setting: Setting): string {
  if (setting.accepts !== undefined) return setting.accepts
  if (setting.enum !== undefined) return setting.enum.map(value => `\`${value}\``).join(', ')
  if (setting.type === 'boolean') return '`true`, `false`'
  if (setting.type === 'integer') return `an integer from ${setting.minimum ?? 0} to ${setting.maximum ?? 2 ** 53 - 1}`
  if (setting.format !== undefined) return formats[setting.format].accepts
  return 'text'
}

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^(\d{1,9})(ms|s|m|h|d)?$/

/** Text such as `30s`, `5m`, `24h` or `500` (milliseconds) as milliseconds; NaN where it is none. */
export function parseDuration (text: string): number {
  const [, digits, unit = 'ms'] = DURATION.exec(text) ?? []
  return digits === undefined ? NaN : Number(digits) * (units[unit] ?? NaN)
}

/** The named formats that `format` refers to. */
export const formats = {
  'http-url': {
    accepts: 'an absolute http:// or https:// URL without credentials, query or fragment',
    test: (text: string) => {
      const url = URL.parse(text)
      return url !== null && /^https?:$/.test(url.protocol) && url.host !== '' &&
        url.username === '' && url.password === '' && url.search === '' && url.hash === '' && !text.endsWith('?')
    }
  },
  duration: {
    accepts: 'a number with a unit, `500ms`, `30s`, `5m`, `24h`, `7d`; without one, milliseconds',
    // setTimeout fires at once beyond 2^31 - 1 ms.
    test: (text: string) => parseDuration(text) < 2 ** 31
  },
  'header-name': {
    accepts: 'a header name',
    test: (text: string) => /^[\w!#$%&'*+.^`|~-]{1,64}$/.test(text)
  },
  'path-prefix': {
    accepts: 'a path such as `/proxy`, or nothing',
    test: (text: string) => /^(?:\/?[\w.~-]+)*\/?$/.test(text) && !/(?:^|\/)\.\.?(?:\/|$)/.test(text)
  },
  'trust-proxy': {
    accepts: '`true` (everyone), `false` (no one), or a comma-separated list of addresses and CIDR ranges',
    test: (text: string) => text === 'true' || text === 'false' || text.split(',').every(part => isRange(part.trim()))
  },
  authorities: {
    accepts: 'a comma-separated list of hosts, each with its port where it is not the default',
    test: (text: string) => text === '' || text.split(',').every(part => /^[\w.~-]+(?::\d{1,5})?$|^\[[\da-f:]+\](?::\d{1,5})?$/i.test(part.trim()))
  },
  padding: {
    accepts: '`off`, or a number of bytes from 16 to 1048576',
    test: (text: string) => text === 'off' || (/^\d{1,7}$/.test(text) && Number(text) >= 16 && Number(text) <= 2 ** 20)
  },
  'replay-store': {
    accepts: '`memory`, or a `redis://` or `rediss://` URL',
    test: (text: string) => text === 'memory' || /^rediss?:$/.test(URL.parse(text)?.protocol ?? '')
  },
  sha256: {
    accepts: '64 hexadecimal digits',
    test: (text: string) => /^[\da-f]{64}$/i.test(text)
  },
  'key-versions': {
    accepts: 'one version, or several separated by commas, newest first',
    test: (text: string) => text.split(',').every(part => /^[\w-]{1,64}$/.test(part.trim()))
  },
  workers: {
    accepts: 'a number from 1 to 256, or `auto` for one per core',
    test: (text: string) => text === 'auto' || (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 256)
  },
  'cors-origin': {
    accepts: '`*`, or a comma-separated list of origins such as `https://app.example.com`',
    test: (text: string) => text === '*' || text.split(',').every(part => URL.parse(part.trim())?.origin === part.trim())
  }
} as const

/** An address, or a range of them in CIDR notation. */
function isRange (text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  return family !== 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
}
