/**
 * What others say of this software and its machine, from files that the operator names: Sigstore bundles, certificates,
 * revocation lists, an endorsement of the utility VM. Each authenticates itself, so the files need not be trusted; they
 * only have to be of a form that clients read. A file that changes is read again when it is asked for next.
 */
import { stat } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { X509Certificate } from 'node:crypto'
import { encodeBase64url } from '../protocols/base64url.ts'
import { MAX_ITEM_CHARACTERS, MEDIA_TYPES } from '../protocols/attestation.ts'
import type { TypedValue } from '../protocols/attestation.ts'
import { readBounded } from '../remote/read-bounded.ts'

/** Of one file, and of all together: the document has room for the platform's own endorsements beside them. */
const MAX_FILE_BYTES = 256 * 1024
const MAX_CHARACTERS = 512 * 1024
const MAX_ENDORSEMENTS = 6
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.3\+json|\+json;version=0\.3)$/
const PEM = /-----BEGIN (CERTIFICATE|X509 CRL)-----\n([A-Za-z\d+/=\r\n]+)-----END \1-----(?:\n|$)/y
/** Tag 18 of CBOR: COSE_Sign1 (RFC 9052, section 2). */
const COSE_SIGN1 = 0xd2
const DER_SEQUENCE = 0x30

/** A file is missing or of no known form. The message names the file, and repeats nothing of it. */
export class EndorsementError extends Error {
  override readonly name = 'EndorsementError'
  readonly code = 'ERR_ENDORSEMENT'
}

export interface EndorsementFiles {
  /**
   * As the files are now. If one cannot be read any more, what was read before stays in use, and `warn` is told once.
   */
  current (): Promise<readonly TypedValue[]>
}

/**
 * Reads all files once.
 *
 * @throws {EndorsementError} one cannot be read
 */
export async function endorsementFiles (
  files: readonly string[], warn: (reason: string) => void
): Promise<EndorsementFiles> {
  let identity = await identityOf(files)
  let read = await readAll(files)
  return {
    async current () {
      const now = await identityOf(files)
      if (now === identity) return read
      identity = now
      try {
        read = await readAll(files)
      } catch (error) {
        if (!(error instanceof EndorsementError)) throw error
        warn(error.message)
      }
      return read
    }
  }
}

/** Changes with any file: which it is, its length, when it was written. */
async function identityOf (files: readonly string[]): Promise<string> {
  const stats = await Promise.all(files.map(file => stat(file, { bigint: true }).catch(() => undefined)))
  return stats.map(found => found ? `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs}` : 'absent').join()
}

async function readAll (files: readonly string[]): Promise<readonly TypedValue[]> {
  const all = (await Promise.all(files.map(readFile))).flat()
  const characters = all.reduce((sum, [, value]) => sum + value.length, 0)
  if (all.length > MAX_ENDORSEMENTS || characters > MAX_CHARACTERS) {
    throw new EndorsementError(
      `the files hold ${all.length} endorsements of ${characters} characters; ` +
      `at most ${MAX_ENDORSEMENTS} of ${MAX_CHARACTERS} together fit a document`)
  }
  return all
}

async function readFile (file: string): Promise<TypedValue[]> {
  let bytes: Buffer
  try {
    bytes = await readBounded(createReadStream(file), MAX_FILE_BYTES)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
    const why = code === 'ERR_TOO_LONG' ? `is longer than ${MAX_FILE_BYTES} bytes` : `cannot be read (${code})`
    throw new EndorsementError(`${file} ${why}`, { cause })
  }
  const values = endorsementsOf(bytes)
  if (values.length === 0) {
    throw new EndorsementError(
      `${file} is no Sigstore bundle of version 0.3, certificate, revocation list or COSE_Sign1`
    )
  }
  if (values.some(([, value]) => value.length > MAX_ITEM_CHARACTERS)) {
    throw new EndorsementError(`${file} holds an endorsement of more than ${MAX_ITEM_CHARACTERS} characters`)
  }
  return values
}

/** By what is in it: empty if that is no form that is known, whole. */
function endorsementsOf (bytes: Buffer): TypedValue[] {
  const [first] = bytes
  if (first === COSE_SIGN1) return [[MEDIA_TYPES.cose, encodeBase64url(bytes)]]
  if (first === DER_SEQUENCE) {
    return [[isCertificate(bytes) ? MEDIA_TYPES.certificate : MEDIA_TYPES.revocationList, encodeBase64url(bytes)]]
  }
  const text = bytes.toString('utf8').replace(/^\ufeff/, '').replaceAll('\r\n', '\n').trim()
  return text.startsWith('{') ? bundlesOf(text) : pemOf(text)
}

/** One bundle, or, as GitHub's tools write them, one in each line. */
function bundlesOf (text: string): TypedValue[] {
  const whole = bundleOf(text)
  const bundles = whole === undefined ? text.split('\n').filter(line => line.trim() !== '').map(bundleOf) : [whole]
  return bundles.every(bundle => bundle !== undefined)
    ? bundles.map(bundle => [MEDIA_TYPES.sigstoreBundle, bundle])
    : []
}

/** The bundle as it travels, without white space. */
function bundleOf (text: string): string | undefined {
  try {
    const bundle: unknown = JSON.parse(text)
    const mediaType =
      typeof bundle === 'object' && bundle !== null && 'mediaType' in bundle ? bundle.mediaType : undefined
    return typeof mediaType === 'string' && BUNDLE.test(mediaType) ? JSON.stringify(bundle) : undefined
  } catch {
    // No JSON: the caller says what was expected.
    return undefined
  }
}

function pemOf (text: string): TypedValue[] {
  const values: TypedValue[] = []
  for (PEM.lastIndex = 0; PEM.lastIndex < text.length;) {
    const [, label, body = ''] = PEM.exec(text) ?? []
    if (label === undefined) return []
    const der = Buffer.from(body, 'base64')
    const mediaType = label === 'CERTIFICATE' ? MEDIA_TYPES.certificate : MEDIA_TYPES.revocationList
    if (label === 'CERTIFICATE' && !isCertificate(der)) return []
    values.push([mediaType, encodeBase64url(der)])
  }
  return values
}

function isCertificate (der: Buffer): boolean {
  try {
    return new X509Certificate(der).raw.length === der.length
  } catch {
    return false
  }
}
