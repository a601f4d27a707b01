/**
 * Workload identity federation for Confidential Space: the attestation token of the launcher is exchanged at Google's
 * Security Token Service, and the result, where so configured, for a token of a service account.
 */
import { open } from 'node:fs/promises'
import { AuthClient, IdentityPoolClient } from 'google-auth-library'
import type { gaxios } from 'google-auth-library'
import { readBounded } from '../../remote/read-bounded.ts'
import { connectionError, RemoteError, retryAfterOf, safeCode } from '../../remote/error.ts'
import { TimeoutError, withTimeout } from '../../remote/retry.ts'

export interface GoogleCredentialsOptions {
  /** Full resource name of the workload identity pool provider: `//iam.googleapis.com/projects/…/providers/…`. */
  readonly audience: string
  /**
   * URL of `generateAccessToken` for the service account to act as. Without it, the pool's principal itself is used.
   */
  readonly serviceAccountImpersonationUrl?: string
  /** Where the launcher keeps the attestation token. */
  readonly tokenFile?: string
  /** Security Token Service, where it is not Google's public one. */
  readonly tokenUrl?: string
  /** Milliseconds that an exchange may take. Default: 15 000. */
  readonly exchangeTimeout?: number
  /** Milliseconds since the epoch, for tests. */
  readonly now?: () => number
}

export const TOKEN_FILE = '/run/container_launcher/attestation_verifier_claims_token'

const MAX_TOKEN_OCTETS = 64 * 1024
/** Milliseconds that an attestation token must still be valid for, so that it does not expire on the way. */
const MIN_LIFETIME = 60_000
const EXCHANGE_TIMEOUT = 15_000

/**
 * What the KMS client asks for its headers. It is a class because the client takes nothing but a subclass of
 * AuthClient, and it stands in front of Google's own client because that one shares a pending exchange among all
 * callers without a time limit: one that hangs would hang every later call, so it is replaced.
 */
export class GoogleCredentials extends AuthClient {
  readonly #options: GoogleCredentialsOptions
  #client: IdentityPoolClient

  constructor (options: GoogleCredentialsOptions) {
    super()
    this.#options = options
    this.#client = federationClient(options)
  }

  /** @throws {RemoteError} */
  override async getAccessToken (): Promise<{ token?: string | null }> {
    const client = this.#client
    try {
      return {
        token: (await withTimeout(
          () => client.getAccessToken(), this.#options.exchangeTimeout ?? EXCHANGE_TIMEOUT
        )).token ?? null
      }
    } catch (error) {
      this.#replace(client)
      throw exchangeError(error, this.#options)
    }
  }

  override async getRequestHeaders (): Promise<Headers> {
    const { token } = await this.getAccessToken()
    return this.addSharedMetadataHeaders(new Headers({ authorization: `Bearer ${token}` }))
  }

  override request: AuthClient['request'] = options => this.#client.request(options)

  /** Forgets the token, so that the next call begins with a new exchange. */
  renew (): void {
    this.#replace(this.#client)
  }

  #replace (client: IdentityPoolClient): void {
    if (this.#client === client) this.#client = federationClient(this.#options)
  }
}

function federationClient (options: GoogleCredentialsOptions): IdentityPoolClient {
  return new IdentityPoolClient({
    type: 'external_account',
    audience: options.audience,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    // What is on this machine or beside it is no forward proxy's business.
    transporterOptions: { noProxy: ['localhost', '127.0.0.1', '[::1]', '169.254.169.254', 'metadata.google.internal'] },
    subject_token_supplier: {
      getSubjectToken: () => attestationToken(options.tokenFile ?? TOKEN_FILE, options.now ?? Date.now)
    },
    ...(options.tokenUrl && { token_url: options.tokenUrl }),
    ...(options.serviceAccountImpersonationUrl && {
      service_account_impersonation_url: options.serviceAccountImpersonationUrl
    })
  })
}

/** Reads the token each time: the launcher replaces the file about once an hour. */
async function attestationToken (path: string, now: () => number): Promise<string> {
  let token: string
  try {
    await using file = await open(path, 'r')
    token = (await readBounded(file.createReadStream({ autoClose: false }), MAX_TOKEN_OCTETS)).toString('latin1').trim()
  } catch (cause) {
    throw new RemoteError('transient', 'The attestation token cannot be read', {
      providerCode: safeCode((cause as NodeJS.ErrnoException).code) ?? 'UNREADABLE',
      cause,
      advice: `Check that this runs in Confidential Space, which provides ${path}`
    })
  }
  const expiry = expiryOf(token)
  if (expiry === undefined) {
    throw new RemoteError('transient', 'The attestation token is empty or malformed', {
      providerCode: 'TOKEN_MALFORMED', advice: `Check ${path}; the launcher writes a new one every hour`
    })
  }
  if (expiry < now() + MIN_LIFETIME) {
    throw new RemoteError('transient', 'The attestation token has expired', {
      providerCode: 'TOKEN_EXPIRED',
      advice: `Check the clock of this machine, and the log of the launcher, which replaces ${path} before it expires`
    })
  }
  return token
}

/** Milliseconds since the epoch; `undefined` for what is no JWT with an expiry. Google verifies it, we only look. */
function expiryOf (jwt: string): number | undefined {
  const [, payload, signature] = jwt.split('.')
  if (payload === undefined || !signature) return undefined
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { exp?: unknown }
    return typeof exp === 'number' ? exp * 1000 : undefined
  } catch {
    return undefined
  }
}

function exchangeError (error: unknown, options: GoogleCredentialsOptions): RemoteError {
  if (error instanceof RemoteError) return error
  if (error instanceof TimeoutError) {
    return new RemoteError('transient', 'No answer from the Security Token Service in time', {
      providerCode: 'TIMEOUT',
      cause: error,
      advice: 'Check that sts.googleapis.com and iamcredentials.googleapis.com can be reached from here'
    })
  }
  const { response, config } = error as Partial<gaxios.GaxiosError<{ error?: string | { status?: string } }>>
  if (response === undefined) return connectionError('The Security Token Service', error)
  const impersonating = options.serviceAccountImpersonationUrl !== undefined &&
    String(config?.url) === options.serviceAccountImpersonationUrl
  const { error: named } = response.data ?? {}
  const details = {
    providerCode: safeCode(typeof named === 'object' ? named.status : named) ?? `HTTP_${response.status}`,
    cause: error,
    retryAfter: retryAfterOf(response.headers.get('retry-after'))
  }
  const kind = response.status >= 500 || response.status === 429 ? 'transient' : 'refused'
  return impersonating
    ? new RemoteError(kind, 'The service account may not be used', {
      ...details,
      advice: 'Grant roles/iam.workloadIdentityUser on the service account to the principal set of the ' +
        'workload identity pool, and check its URL'
    })
    : new RemoteError(kind, 'The attestation token is not accepted', {
      ...details,
      advice: 'Check the audience, and the attribute condition of the workload identity provider: it ' +
        'must allow this image digest, and a production (not debug) Confidential Space image'
    })
}
