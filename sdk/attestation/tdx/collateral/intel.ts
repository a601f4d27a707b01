/** Asks Intel for the collateral about a platform. */
import { AttestationFetchError, fetchAnswer } from '../../http.ts'
import { CollateralError } from './collateral.ts'
import type { TdxCollateral } from './collateral.ts'

const SERVICE = 'https://api.trustedservices.intel.com'
const ROOT_LIST = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der'
const MAX_BYTES = 1024 * 1024

/** Whose collateral is asked for. */
export interface TdxPlatform {
  /** Hexadecimal, 6 bytes. */
  readonly fmspc: string
  /** Who certified the platform: each authority has a revocation list of its own. */
  readonly ca: 'platform' | 'processor'
}

/**
 * @throws {AttestationFetchError} Intel cannot be reached, or does not answer with collateral
 * @throws {CollateralError} an answer has another form
 */
export async function fetchTdxCollateral (fetcher: typeof fetch, { fmspc, ca }: TdxPlatform): Promise<TdxCollateral> {
  const ask = (url: string) => fetchAnswer(fetcher, url, MAX_BYTES)
  const [tcb, identity, list, rootList] = await Promise.all([
    ask(`${SERVICE}/tdx/certification/v4/tcb?fmspc=${fmspc}`),
    ask(`${SERVICE}/tdx/certification/v4/qe/identity`),
    ask(`${SERVICE}/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`),
    ask(ROOT_LIST)
  ])
  const info = signedMember('tcbInfo', tcb.body)
  const enclave = signedMember('enclaveIdentity', identity.body)
  return {
    tcb_info: info.text,
    tcb_info_signature: info.signature,
    tcb_info_issuer_chain: issuerChain(tcb.headers, 'TCB-Info-Issuer-Chain'),
    qe_identity: enclave.text,
    qe_identity_signature: enclave.signature,
    qe_identity_issuer_chain: issuerChain(identity.headers, 'SGX-Enclave-Identity-Issuer-Chain'),
    pck_crl: list.body,
    pck_crl_issuer_chain: issuerChain(list.headers, 'SGX-PCK-CRL-Issuer-Chain'),
    root_ca_crl: rootList.body
  }
}

/**
 * One member and the signature over its very text, as Intel's answers hold them.
 *
 * @throws {CollateralError}
 */
export function signedMember (
  name: 'tcbInfo' | 'enclaveIdentity',
  answer: Uint8Array | string
): { text: string; signature: string } {
  const json = typeof answer === 'string' ? answer : new TextDecoder().decode(answer)
  const [begin, end] = [`{"${name}":`, /,"signature":"([\da-f]{128})"\}\s*$/.exec(json)]
  const signature = end?.[1]
  if (!json.startsWith(begin) || !end || signature === undefined) {
    throw new CollateralError(`Intel's answer holds no signed ${name}`)
  }
  return { text: json.slice(begin.length, end.index), signature }
}

/** A header that holds PEM, percent-encoded. */
function issuerChain (headers: Headers, name: string): string {
  const value = headers.get(name)
  if (value === null) throw new AttestationFetchError(`Intel's answer lacks the header ${name}`)
  try {
    return decodeURIComponent(value)
  } catch (cause) {
    throw new CollateralError(`Intel's header ${name} cannot be read`, { cause })
  }
}
