/** Which protocols there are, and which of them has a request. */
import type { Config } from '../config/config.ts'
import type { OuterHead } from '../http/incoming.ts'
import { ehbp } from './ehbp/protocol.ts'
import { ohttp } from './ohttp/protocol.ts'
import { plain } from './plain.ts'
import { polarisV1 } from './polaris-v1/protocol.ts'
import type { ProtocolName } from './names.ts'
import type { KeyResource, Protocol, ProtocolDefinition, ProtocolServices } from './protocol.ts'

/** In the order in which they are asked. A protocol is added here. */
const builtIn: readonly ProtocolDefinition[] = [ohttp, ehbp, polarisV1, plain]

export interface Registry {
  /** The protocol of a request: there always is one, as the last takes all. */
  protocolOf (head: OuterHead): Protocol
  readonly keyResources: readonly KeyResource[]
  /** The protocols that clients may choose, in the order in which they are asked. */
  readonly offered: readonly ProtocolName[]
  /** For POSTs to these paths, the protocols that are expected there. */
  readonly endpoints: ReadonlyMap<string, readonly Protocol[]>
  /** Paths of protocols that are off: not served, and not forwarded. */
  readonly withheld: readonly string[]
}

export type RegistryServices = Omit<ProtocolServices, 'ownHeaders'>

/** @param protocol the name of the definition's first protocol, once it is made */
export type Observed = (services: RegistryServices, protocol: () => string) => RegistryServices

/**
 * @param additional protocols from outside, which are asked before those that are built in
 * @param observed makes the services of one definition out of those of all, to count what it asks of them
 * @throws {Error} two protocols have one name, or one is not fit for a log; two key resources have one path
 */
export function createRegistry (
  services: RegistryServices, additional: readonly ProtocolDefinition[] = [], observed: Observed = services => services
): Registry {
  const definitions = [...additional, ...builtIn]
  const ownHeaders = ownHeadersOf(definitions, services.config)
  const protocols = definitions.flatMap(definition => {
    let made: readonly Protocol[] = []
    made = definition.create({ ...observed(services, () => made[0]?.name ?? 'none'), ownHeaders })
    return made
  })
  const keyResources = protocols.flatMap(protocol => protocol.keyResources ?? [])
  const endpoints = new Map<string, Protocol[]>()
  for (const protocol of protocols) {
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(protocol.name)) {
      throw new Error('The name of a protocol has letters, digits and hyphens')
    }
    for (const path of protocol.endpoints ?? []) endpoints.set(path, [...endpoints.get(path) ?? [], protocol])
  }
  unique(protocols.map(({ name }) => name), 'protocols have the name')
  unique(keyResources.map(({ path }) => path), 'key resources have the path')
  const served = new Set([...endpoints.keys(), ...keyResources.map(({ path }) => path)])
  return {
    protocolOf (head) {
      for (const protocol of protocols) if (protocol.recognises(head)) return protocol
      throw new Error('No protocol takes this request')
    },
    keyResources,
    offered: protocols.filter(({ offered }) => offered === true).map(({ name }) => name),
    endpoints,
    withheld: definitions.flatMap(({ paths = [] }) => paths).filter(path => !served.has(path))
  }
}

function ownHeadersOf (definitions: readonly ProtocolDefinition[], config: Config): ReadonlySet<string> {
  return new Set(definitions.flatMap(({ headers }) => headers?.(config) ?? []))
}

function unique (names: readonly string[], what: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new Error(`Two ${what} ${twice}`)
}
