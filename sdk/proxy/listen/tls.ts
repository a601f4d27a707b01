/** Certificate and key of a listener with TLS, as they are in their files now. */
import { createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { UsageError } from '../../cli/status.ts'
import type { Log } from '../log.ts'
import { watchFile } from '../watched-file.ts'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface RenewedCertificate {
  readonly current: Certificate
  /** The new one, if the files changed to a pair that can be used. Until then the current one stays. */
  renewed (): Certificate | undefined
}

/** @throws {UsageError} a file cannot be read, or they are no pair of certificate and key */
export function watchCertificate (certFile: string, keyFile: string, log: Log): RenewedCertificate {
  const cert = watchFile(certFile)
  const key = watchFile(keyFile)

  function read (): Certificate {
    const pair = { cert: cert.read(), key: key.read() }
    try {
      // By itself, a context takes no key for one that is to come later.
      createPrivateKey(pair.key)
      createSecureContext(pair)
    } catch (error) {
      // Of OpenSSL, which names what is wrong and quotes nothing.
      const code = error instanceof Error && 'code' in error ? error.code : 'unknown error'
      throw new UsageError(`${certFile} and ${keyFile} cannot be used as certificate and key: ${code}`)
    }
    return pair
  }

  return {
    current: read(),
    renewed () {
      try {
        return cert.changed() || key.changed() ? read() : undefined
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        log.warn(`continuing with the current certificate: ${error.message}`)
        return undefined
      }
    }
  }
}
