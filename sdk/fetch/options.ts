/** The options of createPolarisFetch, and what is wrong with them. A mistake here could leave requests unprotected. */
import type { AttestationPolicy } from '../attestation/policy.ts'
import { checkNames } from '../known-names.ts'
import type { KeyHandler } from '../polaris-v1/key-handler.ts'
import type { AttestationOptions } from './keys/attested.ts'
import type { KeySource, PostQuantum } from './keys/published.ts'
import type { Dispatcher } from './platform.ts'

export const GATEWAY_PATH = '/.well-known/ohttp-gateway'

export interface PolarisFetchOptions {
  /** Where the proxy is mounted, with the path prefix that a load balancer routes by. The workload's root is there. */
  readonly baseURL: string | URL
  /** What carries the encrypted messages. Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch
  /**
   * Node: a dispatcher of undici for the platform's fetch, such as an Agent with timeouts. Default: the global one,
   * without any.
   */
  readonly dispatcher?: Dispatcher
  /**
   * `tls`: requests go as they are, over TLS with a key that the proxy proves; baseURL is its own TLS port, and
   * `attestation` is required. Browsers show no key: there it stays `ohttp`, as the fetch's member `transport` says.
   */
  readonly transport?: 'ohttp' | 'tls'
  /** Default: `ohttp`. The legacy `polaris-v1` holds whole messages in memory and hides neither method nor status. */
  readonly protocol?: 'ohttp' | 'polaris-v1'
  /**
   * What the proxy has to prove about the keys before anything is encrypted to them. Default: nothing but what TLS
   * does.
   */
  readonly attestation?: AttestationPolicy | AttestationOptions
  /** Where the proxy's keys come from, if neither from itself nor from its attestation. */
  readonly keys?: KeySource
  /** Default: `prefer`. */
  readonly postQuantum?: PostQuantum
  /** Of the OHTTP gateway, below baseURL. Default: `/.well-known/ohttp-gateway`. */
  readonly gatewayPath?: string
  /** Whether request bodies are streamed, or held in memory first. Default: detected. */
  readonly streamRequests?: boolean
  /**
   * `gateway`: if this machine's clock is off, date requests by the gateway's, provided that the attestation evidence
   * proves that time. Default: `local`, so that a clock that is off is an error.
   */
  readonly clock?: 'local' | 'gateway'
  /** polaris-v1: the client's own key. Default: an ephemeral one. */
  readonly keyHandler?: KeyHandler
}

type Rule = (value: unknown) => string | undefined

const oneOf = (...accepted: string[]): Rule => value => accepted.includes(value as string)
  ? undefined
  : `one of ${accepted.map(name => `'${name}'`).join(', ')}`
const aFunction = (expected: string): Rule => value => typeof value === 'function' ? undefined : expected
const object = (expected: string, ...members: string[]): Rule => value =>
  isObject(value) && members.every(name => typeof value[name] === 'function') ? undefined : expected

const RULES: Record<keyof PolarisFetchOptions, Rule> = {
  baseURL: value => typeof value === 'string' || value instanceof URL ||
    Object.prototype.toString.call(value) === '[object URL]'
    ? undefined
    : 'the URL at which the proxy is mounted',
  fetch: aFunction('a function like fetch'),
  dispatcher: object('a dispatcher of undici', 'dispatch'),
  transport: oneOf('ohttp', 'tls'),
  protocol: oneOf('ohttp', 'polaris-v1'),
  attestation: object('a policy, or an object with a policy; leave it out to accept keys that nothing proves'),
  keys: aFunction('a function that returns the keys'),
  postQuantum: oneOf('prefer', 'require', 'never'),
  gatewayPath: value => typeof value === 'string' && value.startsWith('/')
    ? undefined
    : 'a path that starts with a slash',
  streamRequests: value => typeof value === 'boolean' ? undefined : 'true or false',
  clock: oneOf('local', 'gateway'),
  keyHandler: object('an object with getPublicKey and the other functions of a KeyHandler', 'getPublicKey')
}

/** Of these, a value that is a string is quoted in errors. */
const QUOTED = ['transport', 'protocol', 'postQuantum', 'gatewayPath', 'clock']

const ATTESTATION_OPTIONS: Record<keyof AttestationOptions, true> = {
  policy: true,
  maxAge: true,
  onVerdict: true,
  onRenewalFailure: true,
  now: true,
  fetch: true,
  keySets: true,
  platforms: true,
  devices: true,
  provenance: true,
  verifiers: true,
  amdRoots: true,
  tdxVerifier: true
}
/** Of a policy: its own parser says what is wrong with it. */
const POLICY_MEMBERS = ['version', 'platforms']

/** @throws {TypeError} names the option, and what it has to be */
export function checkOptions (options: unknown): asserts options is PolarisFetchOptions {
  if (!isObject(options)) {
    throw new TypeError('createPolarisFetch takes an object with at least baseURL, the URL at which the proxy is ' +
      `mounted; it was given ${describe(options, true)}`)
  }
  checkNames(options, Object.keys(RULES), 'createPolarisFetch has no option')
  for (const [name, rule] of Object.entries(RULES)) {
    const value = options[name]
    if (value === undefined && name !== 'baseURL') continue
    const expected = rule(value)
    if (expected !== undefined) {
      throw new TypeError(`${name} must be ${expected}; it is ${describe(value, QUOTED.includes(name))}`)
    }
  }
  const {
    attestation, keys, fetch, dispatcher, protocol, postQuantum, clock
  } = options as unknown as PolarisFetchOptions
  if (attestation !== undefined) checkAttestation(attestation as unknown as Record<string, unknown>)
  if (attestation !== undefined && keys !== undefined) {
    throw new TypeError('attestation and keys exclude each other: keys come from one place')
  }
  if (fetch !== undefined && dispatcher !== undefined) {
    throw new TypeError('fetch and dispatcher exclude each other: a dispatcher is for the platform\'s fetch')
  }
  if (protocol === 'polaris-v1' && postQuantum === 'require') {
    throw new TypeError('polaris-v1 is not post-quantum: leave out postQuantum, or use protocol: \'ohttp\'')
  }
  if (options['transport'] === 'tls') checkTls(options as unknown as PolarisFetchOptions)
  if (clock === 'gateway' && attestation === undefined) {
    throw new TypeError('clock: \'gateway\' needs attestation: without it, nothing vouches for the gateway\'s time')
  }
}

function checkTls ({ baseURL, attestation, ...others }: PolarisFetchOptions): void {
  if (attestation === undefined) {
    throw new TypeError('transport: \'tls\' needs attestation: without it, nothing tells the TEE\'s key from others')
  }
  if (!/^https:/i.test(String(baseURL))) {
    throw new TypeError('transport: \'tls\' needs a baseURL that begins with https://')
  }
  const excluded = (['fetch', 'dispatcher', 'keyHandler'] as const).find(name => others[name] !== undefined)
  if (excluded !== undefined) {
    throw new TypeError(`transport: 'tls' and ${excluded} exclude each other: the fetch makes its own connections`)
  }
  if (others.protocol === 'polaris-v1') {
    throw new TypeError('transport: \'tls\' and protocol: \'polaris-v1\' exclude each other: choose one')
  }
}

function checkAttestation (given: Record<string, unknown>): void {
  if (!('policy' in given) && POLICY_MEMBERS.some(name => name in given)) return
  checkNames(given, Object.keys(ATTESTATION_OPTIONS), 'attestation has no member')
  const { maxAge } = given
  for (const name of ['onVerdict', 'onRenewalFailure']) {
    const hook = given[name]
    if (hook !== undefined && typeof hook !== 'function') {
      throw new TypeError(`attestation.${name} must be a function; it is ${describe(hook)}`)
    }
  }
  if (maxAge !== undefined && !(typeof maxAge === 'number' && maxAge >= 0)) {
    throw new TypeError(`attestation.maxAge must be a number of seconds; it is ${describe(maxAge)}`)
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Values of options can be secrets, such as a key that is given as text: only what is obviously none is quoted. */
function describe (value: unknown, quoted = false): string {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number') {
    return String(value)
  }
  if (value === '') return 'empty'
  if (typeof value === 'string' && quoted) return `the string ${JSON.stringify(value.slice(0, 100))}`
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'another object' : `a ${typeof value}`
}
