/**
 * Evidence straight from the kernel, for SEV-SNP and TDX guests: Linux's configfs-tsm (Documentation/ABI/testing/
 * configfs-tsm-report). Each report has a directory of its own, made for it and removed after it.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MEDIA_TYPES, reportData } from '../../protocols/attestation.ts'
import { encodeBase64url } from '../../protocols/base64url.ts'
import type { Attester, Evidence } from '../../attestation/attester.ts'
import { certificatesOfPem, certificatesOfTable } from '../../attestation/certificates.ts'
import { RemoteError } from '../../remote/error.ts'
import type { RemoteFailure } from '../../remote/error.ts'
import { retry } from '../../remote/retry.ts'
import { TSM_REPORTS } from './settings.ts'
import { snpReportData, tdxReportData } from '../../attestation/reports.ts'

export interface ConfigfsTsmOptions {
  readonly path?: string
  /** PEM, for hosts that give no certificates with the report. Read for each report, so that it can be replaced. */
  readonly certificatesFile?: string | undefined
}

/** Two seconds and a half in all. */
const RETRY = { firstDelay: 10, maxDelay: 1000, deadline: 2500, retryRefused: false }
const FIRST_PAUSE_MS = 10
/** Of those between attempts to remove an entry, five seconds in all. */
const LONGEST_PAUSE_MS = 2560
const CHECK = 'Check that /sys/kernel/config/tsm/report is this machine\'s, and that this process may write there'
const NEVER = new AbortController().signal

/**
 * Worth another attempt. EBUSY, EINTR: another process is at the same entry or the same device. ENXIO: the driver is
 * being replaced. ENOENT: the kernel makes an entry's attributes with the entry; what stands in for it may be slower.
 */
const RETRIED = new Set(['EBUSY', 'EINTR', 'EAGAIN', 'ENXIO', 'ENOENT', 'ETIMEDOUT'])

export function configfsTsm ({ path = TSM_REPORTS, certificatesFile }: ConfigfsTsmOptions = {}): Attester {
  return {
    type: 'configfs-tsm',
    async evidence ({ binding, signal }) {
      const entry = join(path, `polaris-${process.pid}-${randomBytes(8).toString('hex')}`)
      await failing('make an entry', mkdir(entry))
      try {
        return await retry(
          () => report(entry, reportData(binding), certificatesFile), RETRY, signal ?? NEVER, () => undefined
        )
      } finally {
        await remove(entry)
      }
    }
  }
}

/** @throws {RemoteError} */
async function report (entry: string, inblob: Uint8Array, certificatesFile: string | undefined): Promise<Evidence> {
  const attribute = (name: string) => failing(`read ${name}`, readFile(join(entry, name)))
  await failing('write inblob', write(join(entry, 'inblob'), inblob))
  const provider = (await attribute('provider')).toString('utf8').trim()
  if (provider !== 'sev_guest' && provider !== 'tdx_guest') {
    throw odd('refused', 'PROVIDER', 'comes from an unknown provider')
  }
  const before = (await attribute('generation')).toString('utf8').trim()
  const outblob = await attribute('outblob')
  const auxblob = provider === 'sev_guest' ? await optional(join(entry, 'auxblob')) : Buffer.alloc(0)
  const after = (await attribute('generation')).toString('utf8').trim()
  if (before !== after) throw odd('transient', 'CHANGED', 'changed while it was read')
  // Another writer may have been faster before the first look at generation; the report itself tells.
  const about = provider === 'sev_guest' ? snpReportData(outblob) : tdxReportData(outblob)
  if (!about) throw odd('refused', 'FORM', 'has an unknown form')
  if (!about.equals(inblob)) throw odd('transient', 'OTHER_REPORT', 'is for another request')
  if (provider === 'tdx_guest') {
    return { tee: 'tdx', evidence: [[MEDIA_TYPES.tdxQuote, encodeBase64url(outblob)]], endorsements: [] }
  }
  const pem = certificatesFile === undefined
    ? ''
    : await failing('read the certificates file', readFile(certificatesFile, 'utf8'))
  return {
    tee: 'sev-snp',
    evidence: [[MEDIA_TYPES.snpReport, encodeBase64url(outblob)]],
    endorsements: [...certificatesOfTable(auxblob), ...certificatesOfPem(pem)]
  }
}

/** All bytes in one write, as the kernel wants them; never creating a file. */
async function write (file: string, octets: Uint8Array): Promise<void> {
  const handle = await open(file, constants.O_WRONLY)
  try {
    await handle.write(octets)
  } finally {
    await handle.close()
  }
}

/** The attribute exists or not, and may be without content, as the host pleases. */
async function optional (file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    if (['ENOENT', 'ENXIO', 'ENODATA'].includes(codeOf(error))) return Buffer.alloc(0)
    throw failure('read auxblob', error)
  }
}

/** An entry that stays behind costs kernel memory and nothing else: not worth losing the evidence over. */
async function remove (entry: string): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; pause <= LONGEST_PAUSE_MS; pause *= 2) {
    try {
      return await rmdir(entry)
    } catch (error) {
      if (!['EBUSY', 'ENOTEMPTY'].includes(codeOf(error))) return
    }
    await sleep(pause)
  }
}

async function failing<T> (what: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (error) {
    throw failure(what, error)
  }
}

function odd (kind: RemoteFailure, providerCode: string, what: string): RemoteError {
  return new RemoteError(kind, `The kernel's report ${what}`, { providerCode, advice: CHECK })
}

function failure (what: string, cause: unknown): RemoteError {
  const code = codeOf(cause)
  return new RemoteError(RETRIED.has(code) ? 'transient' : 'refused', `Cannot ${what} in configfs-tsm: ${code}`, {
    cause, providerCode: code, advice: CHECK
  })
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
