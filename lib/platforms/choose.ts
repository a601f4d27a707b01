/** The keys and the evidence that the settings choose, out of what the platforms of a registry have. */
import type { Config } from '../config/config.ts'
import type { Attester } from '../attestation/attester.ts'
import type { KeyProvider } from '../keys/provider.ts'
import type { KeyLog } from '../keys/rsa/key-versions.ts'
import type { AttesterType, Environment, Machine } from './platform.ts'
import { builtIn } from './registry.ts'
import type { Registry } from './registry.ts'

export const thisMachine: Machine = { env: process.env, root: '' }

/** Begins to make or fetch the keys: await `ready` of the provider, or watch its `status`. */
export async function keyProviderFrom (
  config: Config, log: KeyLog, registry: Registry = builtIn, env: Environment = process.env
): Promise<KeyProvider> {
  const type = registry.keyTypes.find(({ name }) => name === config.keyType)
  if (type === undefined) throw new TypeError(`There is no key type ${config.keyType}`)
  return type.create(config, {
    log,
    env,
    retry: { deadline: config.keyFetchDeadline },
    pool: { maxPending: config.maxPendingUnwraps },
    limits: { maxConcurrent: config.keyRemoteConcurrency, timeout: config.keyRemoteTimeout }
  })
}

/** The one that is named, or else the first that this machine has; undefined if it has none. */
export async function attesterTypeFrom (
  config: Config, registry: Registry = builtIn, machine: Machine = thisMachine
): Promise<AttesterType | undefined> {
  const { attestationType: name } = config
  if (name !== 'auto') return registry.attesterTypes.find(type => type.name === name)
  for (const type of registry.attesterTypes) if (await type.detect?.(config, machine)) return type
  return undefined
}

export async function attesterFrom (
  config: Config, registry: Registry = builtIn, machine: Machine = thisMachine
): Promise<Attester> {
  const type = await attesterTypeFrom(config, registry, machine)
  if (type === undefined) throw new TypeError(`There is no attester type ${config.attestationType}`)
  return type.create(config, machine)
}
