/**
 * What a platform is: the settings that are its own, the kinds of keys that it has, and the kinds of evidence.
 * Settings, their rules, the choice of keys and evidence, and docs/configuration.md are made from what platforms say
 * here.
 */
import { stat } from 'node:fs/promises'
import type { SettingsTable, Values } from '../config/settings/setting.ts'
import type { Attester } from '../attestation/attester.ts'
import type { KeyProvider } from '../keys/provider.ts'
import type { KeyLog } from '../keys/rsa/key-versions.ts'
import type { RsaPoolOptions } from '../keys/rsa/pool.ts'
import type { RemoteLimitsOptions } from '../keys/rsa/remote-limits.ts'
import type { RetryPolicy } from '../remote/retry.ts'

/** A condition: the settings that have these values. */
export type When<S extends SettingsTable> = { readonly [K in keyof S]?: string }

/** A setting that something cannot do without, always or under a condition. */
export type Requirement<S extends SettingsTable> = keyof S | { readonly setting: keyof S, readonly when: When<S> }

/** Ways for replicas to have the same HPKE keys, which take an RSA key that all of them have. */
export type SharedSeed = 'derived' | 'sealed'

/** What every key type is given, from the settings that are no platform's. */
export interface KeyContext {
  readonly log: KeyLog
  readonly retry: RetryPolicy
  /** For private keys in memory. */
  readonly pool: RsaPoolOptions
  /** For private keys elsewhere. */
  readonly limits: RemoteLimitsOptions
  readonly env: Environment
}

/** The machine that evidence is about. */
export interface Machine {
  readonly env: Environment
  /** In front of the paths of its files. Empty but in tests. */
  readonly root: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Where a private key is, and what protects it there. */
export interface KeyPlace {
  /** What chooses it, if there are several. */
  readonly way?: string
  readonly place: string
  readonly gate: string
}

/** What evidence proves to a client, and what it does not. */
export interface Proof {
  /** The kind of hardware, if there are several. */
  readonly kind?: string
  readonly proves: string
  readonly trusted: string
  readonly unproven: string
}

/** A place that private keys come from: a value of `POLARIS_CONTAINER_KEY_TYPE`. */
export interface KeyType<S extends SettingsTable = SettingsTable> {
  readonly name: string
  readonly requires: readonly Requirement<S>[]
  /**
   * What replicas can make common HPKE keys of: `derived` takes a private key in memory, `sealed` one that unwraps, and
   * both one that other instances have. None: the key is this instance's alone.
   */
  readonly seeds: readonly { readonly seed: SharedSeed, readonly when?: When<S> }[]
  /** For docs/keys.md: the private key's place, for each way that the settings have. */
  readonly places?: readonly KeyPlace[]
  /** What an auditor would object to, as a sentence without its full stop. */
  weakness? (settings: Values<S>): string | undefined
  /** What time will not fix about its settings on this machine, each with the variable to change. */
  problems? (settings: Values<S>): Promise<readonly string[]>
  /** Begins to make or fetch the keys. Loads its libraries only now: a start has to be short. */
  create (settings: Values<S>, context: KeyContext): Promise<KeyProvider>
}

/** A way to prove where this runs: a value of `POLARIS_CONTAINER_ATTESTATION_TYPE`. */
export interface AttesterType<S extends SettingsTable = SettingsTable> {
  readonly name: string
  /** For docs/attestation.md, for each kind of hardware. */
  readonly proofs?: readonly Proof[]
  /** It stands for having no evidence at all. */
  readonly isAbsent?: true
  readonly requires: readonly Requirement<S>[]
  /** For `auto`: whether this machine has it. Without it, the type has to be named. */
  detect? (settings: Values<S>, machine: Machine): Promise<boolean>
  /** What keeps it from being used here, each with the variable to change. Empty if nothing does. */
  problems? (settings: Values<S>, machine: Machine): Promise<readonly string[]>
  create (settings: Values<S>, machine: Machine): Promise<Attester>
}

/** @typeParam S its own settings  @typeParam Used all that it reads, those of a platform below it included */
export interface Platform<S extends SettingsTable = SettingsTable, Used extends SettingsTable = S> {
  /** Heading of its settings in docs/configuration.md. */
  readonly title: string
  readonly settings: S
  readonly keyTypes: readonly KeyType<Used>[]
  /** In the order in which `auto` looks for them. */
  readonly attesterTypes: readonly AttesterType<Used>[]
}

/** Whether there is something of this kind that the process can look at. */
export async function exists (path: string, kind: 'isSocket' | 'isDirectory'): Promise<boolean> {
  try {
    return (await stat(path))[kind]()
  } catch {
    // Not there, or not for this process: either way it cannot be used.
    return false
  }
}

/** The parts of a list in a setting. */
export function listOf (text = ''): string[] {
  return text.split(',').map(part => part.trim()).filter(part => part !== '')
}

/** Without the options that are not set. */
export function given<T extends object> (options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as
    { [K in keyof T]?: Exclude<T[K], undefined> }
}
