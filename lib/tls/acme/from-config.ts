/** The authority that the settings name, with what it logs. */
import { ConfigError } from '../../config/config.ts'
import type { Config } from '../../config/config.ts'
import { settings } from '../../config/settings.ts'
import type { KeyLog } from '../../keys/rsa/key-versions.ts'
import { decodeBase64url } from '../../protocols/base64url.ts'
import { textOf } from '../files.ts'
import { createAcmeClient } from './client/index.ts'
import { createAcmeIssuer } from './issuer.ts'
import type { AcmeSource } from './state.ts'

/** Of an HMAC key: at least 128 bits. */
const MIN_BINDING_BYTES = 16

/**
 * @param settle milliseconds until all processes that serve know of a challenge
 * @throws {ConfigError} a file cannot be read, or has something else
 */
export async function acmeSourceFrom (config: Config, log: KeyLog, settle: number): Promise<AcmeSource> {
  const names = namesOf(config)
  const client = createAcmeClient({
    directory: config.tlsAcmeDirectory ?? '',
    ca: config.tlsAcmeCaFile === undefined
      ? undefined
      : await textOf(config.tlsAcmeCaFile, settings.tlsAcmeCaFile.env),
    names,
    challenge: config.tlsAcmeChallenge,
    termsAgreed: config.tlsAcmeTermsAgreed,
    email: config.tlsAcmeEmail,
    profile: config.tlsAcmeProfile,
    binding: await bindingOf(config)
  })
  return createAcmeIssuer({
    client,
    names,
    overlap: config.tlsOverlap,
    settle,
    onIssued ({ pin, notAfter, renewal }) {
      log.info({ pin, notAfter, renewal }, 'TLS certificate obtained')
    },
    onFailure ({ message, providerCode, advice }, { retryIn, hasExpired }) {
      const details = { reason: message, code: providerCode, advice, retryIn }
      if (hasExpired) log.error(details, 'the TLS certificate has expired and cannot be renewed; trying again')
      else log.warn(details, 'could not obtain a TLS certificate; trying again')
    }
  })
}

/** For its certificates. */
export function namesOf ({ tlsNames }: Config): string[] {
  return tlsNames.split(',').map(name => name.trim())
}

async function bindingOf ({ tlsAcmeEabKeyId: keyId, tlsAcmeEabKeyFile: file }: Config) {
  if (keyId === undefined || file === undefined) return undefined
  const { env } = settings.tlsAcmeEabKeyFile
  const key = decodeBase64url((await textOf(file, env)).trim())
  if (key === undefined || key.length < MIN_BINDING_BYTES) {
    throw new ConfigError([`${env}: the file must have a key of at least ${MIN_BINDING_BYTES} bytes in base64url`])
  }
  return { keyId, key }
}
