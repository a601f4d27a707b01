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
import { AttesterError } from '../../attestation/attester.ts'
import { certificatesOfPem, certificatesOfTable } from '../../attestation/certificates.ts'
import { TSM_REPORTS } from '../detect.ts'
import { snpReportData, tdxReportData } from '../../attestation/reports.ts'

export interface ConfigfsTsmOptions {
  readonly path?: string
  /** PEM, for hosts that give no certificates with the report. Read for each report, so that it can be replaced. */
  readonly certificatesFile?: string | undefined
}

const ATTEMPTS = 8
const FIRST_PAUSE_MS = 10
/** Of those between attempts to remove an entry, five seconds in all. */
const LONGEST_PAUSE_MS = 2560

/**
 * Worth another attempt. EBUSY, EINTR: somebody else is at the same entry or the same device. ENXIO: the driver is
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
        return await retrying(() => report(entry, reportData(binding), certificatesFile), signal)
      } finally {
        await remove(entry)
      }
    }
  }
}

/** @throws {AttesterError} */
async function report (entry: string, inblob: Uint8Array, certificatesFile: string | undefined): Promise<Evidence> {
  const attribute = (name: string) => failing(`read ${name}`, readFile(join(entry, name)))
  await failing('write inblob', write(join(entry, 'inblob'), inblob))
  const provider = (await attribute('provider')).toString('utf8').trim()
  if (provider !== 'sev_guest' && provider !== 'tdx_guest') throw new AttesterError('The kernel\'s provider of reports is not known', { transient: false })
  const before = (await attribute('generation')).toString('utf8').trim()
  const outblob = await attribute('outblob')
  const auxblob = provider === 'sev_guest' ? await optional(join(entry, 'auxblob')) : Buffer.alloc(0)
  const after = (await attribute('generation')).toString('utf8').trim()
  if (before !== after) throw new AttesterError('The kernel\'s report changed while it was read', { transient: true })
  // Another writer may have been faster before the first look at generation; the report itself tells.
  const about = provider === 'sev_guest' ? snpReportData(outblob) : tdxReportData(outblob)
  if (!about) throw new AttesterError('The kernel\'s report has a form that is not known', { transient: false })
  if (!about.equals(inblob)) throw new AttesterError('The kernel\'s report is about something else', { transient: true })
  if (provider === 'tdx_guest') return { tee: 'tdx', evidence: [[MEDIA_TYPES.tdxQuote, encodeBase64url(outblob)]], endorsements: [] }
  const pem = certificatesFile === undefined ? '' : await failing('read the certificates file', readFile(certificatesFile, 'utf8'))
  return {
    tee: 'sev-snp',
    evidence: [[MEDIA_TYPES.snpReport, encodeBase64url(outblob)]],
    endorsements: [...certificatesOfTable(auxblob), ...certificatesOfPem(pem)]
  }
}

/** All octets in one write, as the kernel wants them; never creating a file. */
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
    throw asAttesterError('read auxblob', error)
  }
}

async function retrying<T> (attempt: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  for (let failures = 0, pause = FIRST_PAUSE_MS; ; failures++, pause *= 2) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof AttesterError && error.transient) || failures + 1 >= ATTEMPTS || signal?.aborted) throw error
    }
    await sleep(pause * (0.5 + Math.random()))
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
    throw asAttesterError(what, error)
  }
}

function asAttesterError (what: string, cause: unknown): AttesterError {
  const code = codeOf(cause)
  return new AttesterError(`Cannot ${what} in configfs-tsm: ${code}`, { cause, transient: RETRIED.has(code) })
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
