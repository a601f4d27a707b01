/** Certificate and key from files, as they are now. The key was outside of the TEE: no evidence covers it. */
import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { ConfigError } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import { settings } from '../config/settings.ts'
import { algorithmOf, pinOf } from './keys.ts'
import type { Credentials, TlsKeys } from './keys.ts'

const LOOK_MS = 2000

interface Read extends Credentials {
  readonly notBefore: Date
  readonly notAfter: Date
  readonly algorithm: string
  readonly publicKey: string
}

/**
 * @param onError told, once for each change, why changed files are not used; those read before stay in use
 * @throws {ConfigError} a file cannot be read, or they are no pair of certificate and key
 */
export async function tlsKeyFiles (
  { tlsCertFile = '', tlsKeyFile = '' }: Config, onError: (reason: string) => void, onServe: (pin: string) => void
): Promise<TlsKeys> {
  const activated: (() => void)[] = []
  let seen = await version()
  let current = await read()
  let looking = false
  let timer: NodeJS.Timeout | undefined

  /** Changes when a file does, or what a symbolic link to it leads to. */
  async function version (): Promise<string> {
    const found = await Promise.all([tlsCertFile, tlsKeyFile].map(file => stat(file).catch(() => undefined)))
    return found.map(file => `${file?.ino} ${file?.size} ${file?.mtimeMs}`).join()
  }

  async function read (): Promise<Read> {
    const [cert, key] = await Promise.all([
      textOf(tlsCertFile, settings.tlsCertFile.env), textOf(tlsKeyFile, settings.tlsKeyFile.env)
    ])
    try {
      const leaf = new X509Certificate(cert)
      const privateKey = createPrivateKey(key)
      if (!leaf.checkPrivateKey(privateKey)) throw new TypeError('the key is not that of the certificate')
      createSecureContext({ cert, key })
      const publicKey = createPublicKey(privateKey)
      return {
        cert,
        key,
        pin: pinOf(publicKey.export({ format: 'der', type: 'spki' })),
        notBefore: leaf.validFromDate,
        notAfter: leaf.validToDate,
        algorithm: algorithmOf(publicKey),
        publicKey: publicKey.export({ format: 'pem', type: 'spki' }).toString()
      }
    } catch (cause) {
      // Codes of OpenSSL name what is wrong and quote nothing.
      const { code, message } = cause as NodeJS.ErrnoException
      throw new ConfigError([
        `${settings.tlsCertFile.env} and ${settings.tlsKeyFile.env} cannot be used together: ${code ?? message}`
      ], { cause })
    }
  }

  async function look (): Promise<void> {
    if (looking) return
    looking = true
    try {
      const found = await version()
      if (found === seen) return
      seen = found
      const before = current.pin + current.cert
      current = await read()
      if (current.pin + current.cert === before) return
      onServe(current.pin)
      for (const listener of activated) listener()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      onError(error.problems.join('; '))
    } finally {
      looking = false
    }
  }

  return {
    current: () => current,
    problem: () => undefined,
    attested: () => [],
    keys: () => [{
      pin: current.pin,
      algorithm: current.algorithm,
      state: 'active',
      notBefore: current.notBefore.toISOString(),
      notAfter: current.notAfter.toISOString(),
      publicKey: current.publicKey
    }],
    onChange: () => undefined,
    onActive (listener) { activated.push(listener) },
    start () {
      onServe(current.pin)
      timer = setInterval(look, LOOK_MS).unref()
    },
    close () { clearInterval(timer) }
  }
}

/** @throws {ConfigError} */
export async function textOf (file: string, variable: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new ConfigError([`${variable}: ${file} cannot be read (${code})`], { cause })
  }
}
