/**
 * The answer of NVIDIA's Remote Attestation Service: `[["JWT", overall], { "GPU-0": token, … }]`, Entity Attestation
 * Tokens (RFC 9711) signed with ES384. The overall token names the digests of the others. Its own `true` is not enough:
 * GPUs in developer mode have had it, so that each token's claims are looked at.
 */
import { compactVerify, decodeJwt, decodeProtectedHeader, importJWK } from 'jose'
import type { JWTPayload } from 'jose'
import { sha256 } from '../../../lib/protocols/attestation.ts'
import { check, show } from '../checks.ts'
import type { Check } from '../checks.ts'
import { toHex } from '../bytes.ts'
import { chipOf } from './certificates.ts'
import { MAX_GPUS } from './policy.ts'
import type { Gpu, GpuRequest } from './request.ts'
import { GpuEvidenceError } from './spdm.ts'

export const NRAS_ISSUER = 'https://nras.attestation.nvidia.com'
export const NRAS_KEYS_URL = `${NRAS_ISSUER}/.well-known/jwks.json`
const MAX_TOKEN_CHARACTERS = 64 * 1024

interface Answer {
  readonly overall: string
  readonly gpus: ReadonlyMap<string, string>
}

export interface NrasOptions {
  readonly nonce: string
  readonly now: Date
  readonly clockToleranceSeconds: number
  /** NVIDIA's key set: `{ keys: [JWK, …] }`. */
  readonly keySet: unknown
}

/** @param answer JSON text, or what was parsed from it */
export async function checkNrasAnswer (answer: unknown, request: GpuRequest, options: NrasOptions): Promise<Check[]> {
  const parsed = parseAnswer(answer)
  const overall = parsed && claimsOf(parsed.overall)
  const gpus = new Map([...parsed?.gpus ?? []].map(([name, token]) => [name, claimsOf(token)]))
  if (!parsed || !overall || [...gpus.values()].includes(undefined)) {
    return [check('nras-answer', false, 'The answer is not one of NVIDIA\'s Remote Attestation Service')]
  }
  const tokens = [parsed.overall, ...parsed.gpus.values()]
  const claims = [overall, ...gpus.values()] as JWTPayload[]
  const devices = [...gpus.values()] as JWTPayload[]
  const signatures = await Promise.all(tokens.map(token => signatureFault(token, options.keySet)))
  const fault = signatures.find(text => text !== undefined)
  return [
    check('nras-answer', true, `Tokens of NVIDIA's Remote Attestation Service about ${gpus.size} GPUs`),
    check('nras-signature', fault === undefined && claims.every(({ iss }) => iss === NRAS_ISSUER),
      fault === undefined ? `Signed by ${show(overall.iss)}` : `Not signed by ${NRAS_ISSUER}: ${fault}`),
    validityCheck(claims, options),
    check(
      'nras-nonce', claims.every(claim => claim['eat_nonce'] === options.nonce),
      'The tokens answer the nonce that was asked'
    ),
    check(
      'nras-parts', await namesAll(overall, parsed.gpus),
      'The overall token names each of the others by its digest, and no more'
    ),
    check(
      'nras-result', overall['x-nvidia-overall-att-result'] === true,
      `The overall result is ${show(overall['x-nvidia-overall-att-result'])}`
    ),
    claim('nras-measurements', devices, 'measres', 'success'),
    claim('nras-debug', devices, 'dbgstat', 'disabled'),
    claim('nras-secure-boot', devices, 'secboot', true),
    claimsCheck(gpus as ReadonlyMap<string, JWTPayload>),
    devicesCheck(devices, request)
  ]
}

function parseAnswer (answer: unknown): Answer | undefined {
  const list = typeof answer === 'string' ? parseJson(answer) : answer
  if (
    !Array.isArray(list) || list.length !== 2 || !Array.isArray(list[0]) || list[0].length !== 2 || list[0][0] !== 'JWT'
  ) {
    return undefined
  }
  const [[, overall], gpus] = list as [[string, unknown], unknown]
  if (typeof gpus !== 'object' || gpus === null || Array.isArray(gpus)) return undefined
  const entries = Object.entries(gpus)
  const tokens = [overall, ...entries.map(([, token]) => token)]
  if (entries.length === 0 || entries.length > MAX_GPUS) return undefined
  if (!tokens.every(token => typeof token === 'string' && token.length <= MAX_TOKEN_CHARACTERS)) return undefined
  return { overall: overall as string, gpus: new Map(entries as Array<[string, string]>) }
}

function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function claimsOf (token: string): JWTPayload | undefined {
  try {
    return decodeJwt(token)
  } catch {
    return undefined
  }
}

/** What is wrong with a signature, or undefined. The key is the one of the set with the token's `kid`. */
async function signatureFault (token: string, keySet: unknown): Promise<string | undefined> {
  try {
    const { kid, alg } = decodeProtectedHeader(token)
    if (alg !== 'ES384') return `the algorithm is ${show(alg)}`
    const keys =
      typeof keySet === 'object' && keySet !== null && 'keys' in keySet && Array.isArray(keySet.keys) ? keySet.keys : []
    const candidates = keys.filter(key => typeof key === 'object' && key !== null && key.kid === kid)
    const [key] = candidates
    if (candidates.length !== 1 || key.kty !== 'EC') {
      return `the key set holds ${candidates.length} keys of the name ${show(kid)}`
    }
    await compactVerify(
      token, await importJWK({ kty: 'EC', crv: 'P-384', x: key.x, y: key.y }, 'ES384'), { algorithms: ['ES384'] }
    )
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown error'
  }
}

function validityCheck (claims: readonly JWTPayload[], { now, clockToleranceSeconds: tolerance }: NrasOptions): Check {
  const seconds = now.getTime() / 1000
  const valid = claims.every(({ nbf, exp }) => typeof exp === 'number' && typeof nbf === 'number' &&
    seconds < exp + tolerance && seconds >= nbf - tolerance)
  const [{ nbf, exp } = {}] = claims
  return check('nras-validity', valid, `The tokens are for use from ${time(nbf)} to ${time(exp)}`)
}

function time (seconds: unknown): string {
  return typeof seconds === 'number' && Math.abs(seconds) < 8.64e12
    ? new Date(seconds * 1000).toISOString()
    : 'an unknown time'
}

async function namesAll (overall: JWTPayload, gpus: ReadonlyMap<string, string>): Promise<boolean> {
  const { submods } = overall as { submods?: unknown }
  if (typeof submods !== 'object' || submods === null) return false
  const named = new Map(Object.entries(submods as Record<string, unknown>))
  if (named.size !== gpus.size) return false
  for (const [name, token] of gpus) {
    const digest = toHex(await sha256(new TextEncoder().encode(token)))
    if (JSON.stringify(named.get(name)) !== JSON.stringify(['DIGEST', ['SHA-256', digest]])) return false
  }
  return true
}

function claim (name: string, devices: readonly JWTPayload[], member: string, expected: unknown): Check {
  const odd = devices.find(device => device[member] !== expected)
  return check(
    name, odd === undefined,
    `${member} is ${show(odd ? odd[member] : expected)}${odd ? `, not ${show(expected)}` : ' for each GPU'}`
  )
}

/** Each check that NVIDIA made, and the state of each certificate that it looked at. */
function claimsCheck (gpus: ReadonlyMap<string, JWTPayload>): Check {
  const faults = [...gpus].flatMap(([gpu, claims]) => Object.entries(claims).filter(isFault).map(
    ([name, value]) => `${gpu}: ${name} is ${show(value)}`
  ))
  return check(
    'nras-claims', faults.length === 0,
    faults.length === 0 ? 'Each check that NVIDIA made has passed' : faults.slice(0, 4).join('; ')
  )
}

/**
 * Version 2 of the claims has booleans; version 3, in place of some, objects with the state of a chain of certificates.
 */
function isFault ([name, value]: [string, unknown]): boolean {
  if (!name.startsWith('x-nvidia-gpu-')) return name.startsWith('x-nvidia-mismatch') && value !== null
  if (typeof value === 'boolean') return !value
  if (typeof value !== 'object' || value === null) return false
  const { 'x-nvidia-cert-status': status, 'x-nvidia-cert-ocsp-status': revocation } = value as Record<string, unknown>
  return status !== 'valid' || (revocation !== undefined && revocation !== null && revocation !== 'good')
}

/**
 * The tokens are about the GPUs whose evidence was looked at here: `ueid` is the serial number of the leaf certificate.
 */
function devicesCheck (devices: readonly JWTPayload[], { gpus }: GpuRequest): Check {
  const told = devices.map(({ ueid, hwmodel, ...claims }) =>
    [ueid, chip(hwmodel), claims['x-nvidia-gpu-driver-version'], upper(claims['x-nvidia-gpu-vbios-version'])].join(' '))
  const seen = gpus.map(gpu => gpu instanceof GpuEvidenceError ? undefined : description(gpu))
  const distinct = new Set(seen)
  const same = told.length === seen.length && distinct.size === seen.length &&
    told.every(text => distinct.delete(text))
  return check(
    'nras-devices', same, `The tokens are ${same ? '' : 'not '}about the ${gpus.length} GPUs whose evidence is here`
  )
}

function description ({ chain, evidence }: Gpu): string {
  const serial = BigInt(`0x${chain[0]?.serialNumber ?? '0'}`)
  return [serial, chipOf(chain), evidence.driver, evidence.vbios].join(' ')
}

/** Version 3 of the claims says `GH100 A01 GSP BROM` where version 2 said `GH100`. */
function chip (model: unknown): unknown {
  return typeof model === 'string' ? model.split(' ')[0] : model
}

function upper (version: unknown): unknown {
  return typeof version === 'string' ? version.toUpperCase() : version
}
