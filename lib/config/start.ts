/**
 * What keeps the proxy from starting beyond its settings: what only the machine shows, and the address to listen on.
 */
import { access, constants } from 'node:fs/promises'
import { createServer } from 'node:net'
import { attesterTypeFrom, thisMachine } from '../platforms/choose.ts'
import type { Machine } from '../platforms/platform.ts'
import { builtIn } from '../platforms/registry.ts'
import type { Registry } from '../platforms/registry.ts'
import { ConfigError } from './config.ts'
import type { Config } from './config.ts'
import { settings } from './settings.ts'

/** A sentence for each problem with the keys that are chosen, with the variable to change. */
export async function keyProblems (config: Config, { keyTypes }: Registry = builtIn): Promise<readonly string[]> {
  return await keyTypes.find(({ name }) => name === config.keyType)?.problems?.(config) ?? []
}

/** A sentence for each problem with the evidence that is chosen, or found, with the variable to change. */
export async function evidenceProblems (
  config: Config, registry: Registry = builtIn, machine: Machine = thisMachine
): Promise<readonly string[]> {
  const type = await attesterTypeFrom(config, registry, machine)
  const problems = [...await type?.problems?.(config, machine) ?? [], ...await deviceProblems(config)]
  if (!config.attestationRequired || !type?.isAbsent) return problems
  return [
    ...problems,
    `${settings.attestationRequired.env} is set, but this machine cannot attest: it has no attestation platform`
  ]
}

/** A service may come up later; a program that is not there will not. */
async function deviceProblems ({ attestationDevices = '' }: Config): Promise<readonly string[]> {
  const [program = ''] = attestationDevices.split(/\s/)
  if (!program.startsWith('/')) return []
  try {
    await access(program, constants.X_OK)
    return []
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    return [`${settings.attestationDevices.env}: ${program} cannot be run (${code})`]
  }
}

/** The address to listen on if none is configured: all of them, of IPv6 too if the system has it. */
export async function anyAddress (): Promise<'::' | '0.0.0.0'> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve('0.0.0.0'))
    // Exclusive: not of the process that shares its sockets with this one.
    server.listen({ host: '::', port: 0, exclusive: true }, () => server.close(() => resolve('::')))
  })
}

/** Why the address that is configured cannot be listened on, as an error about the configuration if it is one. */
export function listenError (
  error: unknown, config: Config, portName: 'port' | 'tlsPort' = 'port'
): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException
  const { host, [portName]: port } = config
  const { host: hostSetting, [portName]: portSetting } = settings
  switch (code) {
    case 'EADDRINUSE': return wrong(`${portSetting.env}: port ${port} is in use`)
    case 'EACCES': return wrong(`${portSetting.env}: this process may not listen on port ${port}`)
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'EINVAL': return wrong(`${hostSetting.env}: ${host ?? 'the address'} is not an address of this machine`)
  }
  return syscall === 'getaddrinfo' ? wrong(`${hostSetting.env}: ${host} cannot be resolved`) : error

  function wrong (what: string): ConfigError {
    return new ConfigError([`${what} (${code})`], { cause: error })
  }
}
