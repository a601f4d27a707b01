/**
 * Intel's collateral about a platform: TCB info, the quoting enclave's identity and two revocation lists. Nothing of
 * it is used before its signature, its chain to Intel's root and its time were checked, so that it may come from
 * anybody.
 */
import { fromHex, sameBytes } from '../../bytes.ts'
import type { Bytes } from '../../../../lib/protocols/bytes.ts'
import { isChain, isValidAt } from '../../x509/certificate.ts'
import type { ParsedCertificate } from '../../x509/certificate.ts'
import { certificatesOfPem } from '../../x509/pem.ts'
import { faultOfList, parseRevocationList } from '../../x509/revocation.ts'
import type { RevocationList } from '../../x509/revocation.ts'
import { readQeIdentity, readTcbInfo } from './json.ts'
import type { QeIdentity, TcbInfo } from './json.ts'

export type { ModuleIdentity, QeIdentity, TcbInfo, TcbLevel } from './json.ts'

/**
 * As verifiers of several makers keep it. Chains are PEM, the signing certificate first; the two JSON texts are the
 * very bytes that Intel signed; lists are DER, they and signatures in lower-case hexadecimal or as bytes.
 */
export interface TdxCollateral {
  readonly tcb_info: string
  readonly tcb_info_signature: string | ArrayLike<number>
  readonly tcb_info_issuer_chain: string
  readonly qe_identity: string
  readonly qe_identity_signature: string | ArrayLike<number>
  readonly qe_identity_issuer_chain: string
  readonly root_ca_crl: string | ArrayLike<number>
  readonly pck_crl: string | ArrayLike<number>
  readonly pck_crl_issuer_chain: string
  /** Where it is there, it has to be the one in the quote. */
  readonly pck_certificate_chain?: string | null
}

/** The message says which part is not to be believed, and why. */
export class CollateralError extends Error {
  override readonly name = 'CollateralError'
}

export interface VerifiedCollateral {
  readonly tcbInfo: TcbInfo
  readonly qeIdentity: QeIdentity
  readonly rootList: RevocationList
  readonly platformList: RevocationList
}

export interface CollateralContext {
  /** Platform, its issuer, Intel's root: a chain that was verified. */
  readonly chain: readonly [ParsedCertificate, ParsedCertificate, ParsedCertificate]
  readonly now: Date
  readonly toleranceSeconds: number
}

/** The one certificate that may sign TCB info and identities, by the profile of Intel's. */
const SIGNER = 'Intel SGX TCB Signing'
const PARTS = [
  'tcb_info',
  'tcb_info_signature',
  'tcb_info_issuer_chain',
  'qe_identity',
  'qe_identity_signature',
  'qe_identity_issuer_chain',
  'root_ca_crl',
  'pck_crl',
  'pck_crl_issuer_chain'
] as const

/**
 * @param collateral of any form: it may have come from a file or from anybody
 * @throws {CollateralError}
 */
export async function verifyCollateral (collateral: unknown, context: CollateralContext): Promise<VerifiedCollateral> {
  const {
    chain: [, issuer, root],
    now,
    toleranceSeconds
  } = context
  const given = asCollateral(collateral, context)
  const rootList = await verifyList("the root's revocation list", given.root_ca_crl, root, context)
  const listIssuers = await verifyChain(
    "the issuers of the platforms' revocation list",
    given.pck_crl_issuer_chain,
    root,
    now
  )
  if (!listIssuers[0].authority || !sameBytes(listIssuers[0].spki, issuer.spki)) {
    throw new CollateralError("the platforms' revocation list is not of the platform's issuer")
  }
  const platformList = await verifyList("the platforms' revocation list", given.pck_crl, issuer, context)
  const signed = async (name: string, text: string, signature: string | ArrayLike<number>, issuers: string) => {
    const [signer] = await verifyChain(`the issuers of ${name}`, issuers, root, now)
    // Any key below the root would do otherwise, that of one broken platform included.
    if (signer.authority || signer.commonName !== SIGNER) {
      throw new CollateralError(`${name} is not signed by Intel's key for that`)
    }
    if (rootList.revoked.has(signer.serialNumber)) throw new CollateralError(`the signer of ${name} is revoked`)
    await verifyText(name, text, asBytes(signature, name), signer)
  }
  await signed('the TCB info', given.tcb_info, given.tcb_info_signature, given.tcb_info_issuer_chain)
  await signed(
    "the quoting enclave's identity",
    given.qe_identity,
    given.qe_identity_signature,
    given.qe_identity_issuer_chain
  )
  const tcbInfo = read('the TCB info', () => readTcbInfo(given.tcb_info))
  const qeIdentity = read("the quoting enclave's identity", () => readQeIdentity(given.qe_identity))
  inTime('the TCB info', tcbInfo, now, toleranceSeconds)
  inTime("the quoting enclave's identity", qeIdentity, now, toleranceSeconds)
  return { tcbInfo, qeIdentity, rootList, platformList }
}

function asCollateral (value: unknown, { chain }: CollateralContext): TdxCollateral {
  if (typeof value !== 'object' || value === null) throw new CollateralError('an object is expected')
  const members = new Map<string, unknown>(Object.entries(value))
  for (const part of PARTS) {
    const member = members.get(part)
    const bytes = !/chain$|^tcb_info$|^qe_identity$/.test(part) && typeof member === 'object' && member !== null
    if (typeof member !== 'string' && !bytes) throw new CollateralError(`${part} is missing`)
  }
  const collateral = value as TdxCollateral
  const { pck_certificate_chain: repeated } = collateral
  if (typeof repeated === 'string') {
    const certificates = read('pck_certificate_chain', () => certificatesOfPem(repeated))
    if (
      certificates.length !== chain.length ||
      !chain.every(({ der }, i) => sameBytes(der, certificates[i]?.der ?? der.subarray(1)))
    ) {
      throw new CollateralError('pck_certificate_chain is not the chain in the quote')
    }
  }
  return collateral
}

function read<T> (name: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new CollateralError(`${name} cannot be read: ${cause instanceof Error ? cause.message : 'malformed'}`, {
      cause
    })
  }
}

function asBytes (value: string | ArrayLike<number>, name: string): Bytes {
  const bytes = typeof value === 'string' ? fromHex(value) : Uint8Array.from(value)
  if (!bytes) throw new CollateralError(`${name} is not in hexadecimal`)
  return bytes
}

/** Signer and root, nothing else. */
async function verifyChain (
  name: string,
  pem: string,
  root: ParsedCertificate,
  now: Date
): Promise<[ParsedCertificate, ParsedCertificate]> {
  const [signer, top, ...more] = read(name, () => certificatesOfPem(pem))
  if (!signer || !top || more.length > 0) throw new CollateralError(`${name} are not two certificates`)
  const chain: [ParsedCertificate, ParsedCertificate] = [signer, top]
  if (!sameBytes(top.spki, root.spki) || !(await isChain(chain))) {
    throw new CollateralError(`${name} do not lead to Intel's root`)
  }
  if (!chain.every(certificate => isValidAt(certificate, now))) {
    throw new CollateralError(`${name} are out of their time`)
  }
  return chain
}

async function verifyList (
  name: string,
  value: string | ArrayLike<number>,
  issuer: ParsedCertificate,
  context: CollateralContext
) {
  const bytes = asBytes(value, name)
  const list = read(name, () => parseRevocationList(bytes))
  const fault = await faultOfList(list, issuer, context.now, context.toleranceSeconds)
  if (fault !== undefined) throw new CollateralError(`${name} ${fault}`)
  return list
}

async function verifyText (name: string, text: string, signature: Bytes, signer: ParsedCertificate): Promise<void> {
  try {
    const key = await crypto.subtle.importKey('spki', signer.spki, { name: 'ECDSA', namedCurve: 'P-256' }, false, [
      'verify'
    ])
    const bytes = new TextEncoder().encode(text)
    if (await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, bytes)) return
  } catch (cause) {
    throw new CollateralError(`the key that signs ${name} is not one of ECDSA P-256`, { cause })
  }
  throw new CollateralError(`the signature of ${name} does not hold`)
}

function inTime (
  name: string,
  { issueDate, nextUpdate }: { issueDate: Date; nextUpdate: Date },
  now: Date,
  toleranceSeconds: number
): void {
  if (issueDate.getTime() > now.getTime() + toleranceSeconds * 1000) {
    throw new CollateralError(`${name} is from the future`)
  }
  if (nextUpdate < now) throw new CollateralError(`${name} is stale since ${nextUpdate.toISOString()}`)
}
