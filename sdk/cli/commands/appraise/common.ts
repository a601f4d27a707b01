/** What all kinds of `polaris appraise` share: options, files, and the verdict. */
import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { Verdict } from '../../../attestation/checks.ts'
import { parseAttestationPolicy } from '../../../attestation/policy.ts'
import type { AttestationPolicy } from '../../../attestation/policy.ts'
import { readPolicy } from '../../appraise.ts'
import { withProvenanceOptions } from '../../provenance.ts'
import type { ProvenanceOptions } from '../../provenance.ts'
import { REFUSED, UsageError, VERIFIED } from '../../status.ts'
import { NO_POLICY, json, plainVerdict, renderVerdict } from '../../terminal/render.ts'

const MAX_BYTES = 16 * 1024 * 1024
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/

export interface EvidenceOptions extends CommonOptions, ProvenanceOptions {}

export interface CommonOptions {
  readonly policy?: string
  readonly at?: string
  readonly json?: boolean
}

/** For kinds whose evidence says what runs. */
export function withEvidenceOptions (command: Command): Command {
  return withProvenanceOptions(withCommonOptions(command))
}

export function withCommonOptions (command: Command): Command {
  return command
    .option('-p, --policy <file>', 'what to accept; without it, genuine evidence about any software')
    .option('--at <time>', 'appraise as at this time (RFC 3339), for recordings; default: now')
    .option('--json', 'print the verdict as JSON')
}

/** @throws {UsageError} */
export async function read (file: string): Promise<Buffer> {
  try {
    const bytes = await readFile(file)
    if (bytes.length > MAX_BYTES) throw new UsageError(`${file} is larger than ${MAX_BYTES / 1024 / 1024} MiB`)
    return bytes
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `cannot read ${file}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
}

/** @throws {UsageError} */
export async function readJson (file: string): Promise<unknown> {
  try {
    return JSON.parse((await read(file)).toString('utf8'))
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${file} is not JSON`)
  }
}

/** @throws {UsageError} */
export function timeOf ({ at }: CommonOptions): Date {
  if (at === undefined) return new Date()
  const time = new Date(RFC3339.test(at) ? at.replace(' ', 'T').toUpperCase() : NaN)
  if (Number.isNaN(time.getTime())) {
    throw new UsageError(`not a time as in RFC 3339, such as 2026-06-10T00:00:00Z: ${at}`)
  }
  return time
}

/**
 * @param open the policy that accepts any software, where none was given
 * @throws {UsageError | AttestationPolicyError}
 */
export async function policyOf (
  { policy }: CommonOptions,
  open: AttestationPolicy['platforms']
): Promise<AttestationPolicy> {
  if (policy === undefined) return { version: 1, insecure: true, platforms: open }
  return parseAttestationPolicy(await readPolicy(policy))
}

/** Certificates in a file, PEM or DER. @throws {UsageError} */
export async function readCertificates (file: string): Promise<X509Certificate[]> {
  const bytes = await read(file)
  try {
    if (bytes[0] === 0x30) return [new X509Certificate(bytes)]
    const blocks =
      bytes.toString('latin1').match(/-----BEGIN CERTIFICATE-----[A-Za-z\d+/=\s]+-----END CERTIFICATE-----/g) ?? []
    if (blocks.length > 0) return blocks.map(block => new X509Certificate(block))
  } catch (cause) {
    throw new UsageError(`${file} holds something that is not a certificate`, { cause })
  }
  throw new UsageError(`${file} holds no certificate in PEM or DER`)
}

/** How verifiers pin a root: SHA-256 of its SubjectPublicKeyInfo. */
export function rootHash (root: X509Certificate): string {
  return createHash('sha256')
    .update(root.publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex')
}

/** Hexadecimal of exactly that many bytes. @throws {UsageError} */
export function hexOption (name: string, value: string, bytes: number): Buffer {
  if (!new RegExp(`^[\\dA-Fa-f]{${2 * bytes}}$`).test(value)) {
    throw new UsageError(`${name} takes ${2 * bytes} hexadecimal digits`)
  }
  return Buffer.from(value, 'hex')
}

export function report (verdict: Verdict, options: CommonOptions): void {
  process.stdout.write(options.json ? json(plainVerdict(verdict)) : renderVerdict(verdict, process.stdout))
  if (options.policy === undefined) process.stderr.write(NO_POLICY)
  process.exitCode = verdict.verified ? VERIFIED : REFUSED
}
