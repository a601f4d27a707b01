/**
 * The files that Azure puts into every confidential container, in the directory `UVM_SECURITY_CONTEXT_DIR`: AMD's
 * certificates for the host, and Microsoft's endorsement of the utility VM. Each is base64, and authenticates itself.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { certificatesOfCache } from '../../../attestation/certificates.ts'
import type { TypedValue } from '../../../protocols/attestation.ts'
import { RemoteError } from '../../../remote/error.ts'

/** Azure sets it in every confidential container, to a directory. */
export const SECURITY_CONTEXT = 'UVM_SECURITY_CONTEXT_DIR'

/** AMD's certificates. Empty without the directory or the file. @throws {RemoteError} it cannot be read */
export async function hostCertificates (directory: string | undefined): Promise<readonly TypedValue[]> {
  return certificatesOfCache((await contextFile(directory, 'host-amd-cert-base64')).toString('utf8'))
}

/** A COSE_Sign1 object. Empty without the directory or the file. @throws {RemoteError} it cannot be read */
export function utilityVmEndorsement (directory: string | undefined): Promise<Buffer> {
  return contextFile(directory, 'reference-info-base64')
}

async function contextFile (directory: string | undefined, name: string): Promise<Buffer> {
  if (!directory) return Buffer.alloc(0)
  try {
    return Buffer.from(await readFile(join(directory, name), 'latin1'), 'base64')
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return Buffer.alloc(0)
    throw new RemoteError('refused', `Cannot read ${name} in the security context: ${code}`, {
      cause,
      providerCode: code,
      advice: `Check that the user of this process may read the directory ${SECURITY_CONTEXT}`
    })
  }
}
