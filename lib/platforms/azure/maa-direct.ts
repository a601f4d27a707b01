/**
 * Tokens of Microsoft Azure Attestation without a sidecar: the kernel's SEV-SNP report goes to the REST API of the
 * attestation provider (AttestSevSnpVm, version 2022-08-01), which asks for no credentials. `b64u` is base64url:
 *
 *     POST https://{provider}/attest/SevSnpVm?api-version=2022-08-01
 *       report       b64u(JSON { SnpReport: b64u(report), VcekCertChain: b64u(PEM, leaf first),
 *                                Endorsements?: b64u(JSON { Uvm: [b64u(COSE_Sign1)] }) })
 *       runtimeData  { data: b64u(JSON), dataType: 'JSON' }; its SHA-256, then 32 zero bytes, is REPORT_DATA
 *     -> { token }
 *
 * The policy of which HOST_DATA is the hash stays here: as `initTimeData` it would have to be JSON, and it is Rego. The
 * token names the hash all the same (`x-ms-sevsnpvm-hostdata`), since it is in the report.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { parse } from 'secure-json-parse'
import { encodeBase64url } from '../../protocols/base64url.ts'
import type { TypedValue } from '../../protocols/attestation.ts'
import type { MaaTokens } from './maa.ts'
import { attestMaa, hostOf } from './sidecar.ts'
import { hostCertificates, utilityVmEndorsement } from './container/security-context.ts'
import { configfsTsm } from '../linux/configfs-tsm.ts'
import { hasTsmReports } from '../linux/evidence.ts'
import { linuxSettings } from '../linux/settings.ts'
import { RemoteError, retryAfterOf, safeCode } from '../../remote/error.ts'
import { postJson } from '../../remote/post-json.ts'
import type { JsonAnswer } from '../../remote/post-json.ts'
import { readToken } from '../../attestation/token.ts'

export interface MaaDirectOptions {
  /** The attestation provider: a host such as sharedneu.neu.attest.azure.net, or its URL. */
  readonly maaEndpoint: string
  /** Where the kernel has its reports. */
  readonly tsmReports?: string | undefined
  /** AMD's certificates (PEM), for hosts that give none. */
  readonly certificatesFile?: string | undefined
  /** `UVM_SECURITY_CONTEXT_DIR`: Azure puts certificates and the endorsement of the utility VM there. */
  readonly azureSecurityContext?: string | undefined
  readonly timeoutMs?: number
}

const SOURCE = 'Azure Attestation'
const CHECK_ENDPOINT = 'Check the attestation endpoint'

export function maaDirect (options: MaaDirectOptions): MaaTokens {
  const { maaEndpoint, tsmReports, certificatesFile, azureSecurityContext, timeoutMs = 15_000 } = options
  const kernel = configfsTsm({ certificatesFile, ...tsmReports !== undefined && { path: tsmReports } })
  const url = URL.parse(`https://${hostOf(maaEndpoint)}/attest/SevSnpVm?api-version=2022-08-01`)

  return async (runtimeData, signal) => {
    if (url === null) {
      throw new RemoteError('configuration', 'The attestation endpoint is not a host name', {
        providerCode: 'ENDPOINT', advice: CHECK_ENDPOINT
      })
    }
    const binding = createHash('sha256').update(runtimeData).digest()
    const { tee, evidence: [report], endorsements } = await kernel.evidence({ preimage: runtimeData, binding, signal })
    if (tee !== 'sev-snp' || report === undefined) {
      throw new RemoteError('refused', 'This machine has no SEV-SNP reports, which Azure Attestation needs', {
        providerCode: 'NO_REPORT', advice: 'Run this on a machine with AMD SEV-SNP'
      })
    }
    const cached = await hostCertificates(azureSecurityContext)
    const uvm = await utilityVmEndorsement(azureSecurityContext)
    const bundle = {
      SnpReport: report[1],
      VcekCertChain: encodeBase64url(Buffer.from(chainOf([...cached, ...endorsements]))),
      ...uvm.length > 0 && { Endorsements: encodeJson({ Uvm: [encodeBase64url(uvm)] }) }
    }
    const answer = await postJson({ name: SOURCE, url, reach: 'public', timeoutMs }, {
      report: encodeJson(bundle),
      runtimeData: { data: encodeBase64url(runtimeData), dataType: 'JSON' }
    }, signal)
    return tokenIn(answer, runtimeData)
  }
}

function encodeJson (value: object): string {
  return encodeBase64url(Buffer.from(JSON.stringify(value)))
}

/** PEM, from the chip's certificate to AMD's root. They come in any order, and may come twice. */
function chainOf (endorsements: readonly TypedValue[]): string {
  const certificates = endorsements.map(([, der]) => parseCertificate(der))
  const isIssuer = ({ subject, raw }: X509Certificate) => certificates.some(
    other => other.issuer === subject && !other.raw.equals(raw)
  )
  let next = certificates.find(certificate => !isIssuer(certificate))
  if (next === undefined) {
    throw new RemoteError('refused', 'The host supplies no certificates with its reports', {
      providerCode: 'NO_CERTIFICATES',
      advice: `Provide AMD's certificates for this machine with ${linuxSettings.attestationCertificatesFile.env}`
    })
  }
  const chain: X509Certificate[] = []
  while (next !== undefined && !chain.includes(next)) {
    chain.push(next)
    const { issuer }: X509Certificate = next
    next = certificates.find(({ subject }) => subject === issuer)
  }
  return chain.map(String).join('')
}

function parseCertificate (der: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(der, 'base64url'))
  } catch (cause) {
    throw new RemoteError('refused', 'A certificate of this machine cannot be read', {
      cause,
      providerCode: 'CERTIFICATE',
      advice: 'Check the file of AMD\'s certificates: PEM of VCEK or VLEK, ASK and ARK'
    })
  }
}

/** The token, if it is one for what was asked. What else the answer holds goes no further. */
function tokenIn ({ status, headers, body }: JsonAnswer, runtimeData: Uint8Array): string {
  const answer = parseObject(body.toString('utf8'))
  if (status !== 200) throw refusal(status, answer?.['error'], headers['retry-after'])
  const token = String(answer?.['token'])
  const { claims } = readToken(token, SOURCE)
  const asked: object = JSON.parse(Buffer.from(runtimeData).toString('utf8'))
  const bound = claims['x-ms-runtime'] as Record<string, unknown> | undefined
  if (!Object.entries(asked).every(([name, value]) => isDeepStrictEqual(bound?.[name], value))) {
    throw new RemoteError('transient', `${SOURCE} answered with a token for another request`, {
      providerCode: 'OTHER_TOKEN', advice: 'Check the attestation endpoint, and any proxy on the way to it'
    })
  }
  return token
}

function parseObject (text: string): Record<string, unknown> | undefined {
  try {
    const answer: unknown = parse(text, undefined, { protoAction: 'remove', constructorAction: 'remove' })
    return typeof answer === 'object' && answer !== null ? answer as Record<string, unknown> : undefined
  } catch {
    // Told by what it lacks: a token, or the name of an error.
    return undefined
  }
}

const ANSWERS = new Map<number, [message: string, advice: string]>([
  [400, [
    `${SOURCE} does not vouch for this machine`,
    'Check the policy of the attestation provider, and that AMD\'s certificates are those of this machine and its ' +
    'present firmware'
  ]],
  [401, [`${SOURCE} wants a credential`, 'Check the attestation endpoint: providers attest without one']],
  [
    403, [`${SOURCE} refuses this address`, 'Check the network rules and private endpoints of the attestation provider']
  ],
  [404, [`${SOURCE} has no such provider`, CHECK_ENDPOINT]],
  [429, [`${SOURCE} throttles`, 'Use your own provider, or start fewer replicas at once']]
])

function refusal (status: number, error: unknown, retryAfter: string | undefined): RemoteError {
  const transient = status >= 500 || status === 408 || status === 429
  const [message, advice] = ANSWERS.get(status) ??
    [`${SOURCE} answered ${status}`, transient ? 'Check the health of the attestation provider' : CHECK_ENDPOINT]
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown }
  return new RemoteError(transient ? 'transient' : 'refused', message, {
    advice, providerCode: safeCode(code) ?? `HTTP_${status}`, retryAfter: retryAfterOf(retryAfter)
  })
}

export interface AzureAttestOptions extends MaaDirectOptions {
  /** URL of the sidecar. */
  readonly sidecar?: string
}

/**
 * How the proxy proves itself to Azure Attestation for a release of `azure-key-vault`: through the sidecar if one is
 * named, else by itself with the kernel's reports. If there are none, a sidecar at its usual place is tried.
 */
export function azureAttest ({ sidecar, ...direct }: AzureAttestOptions): MaaTokens {
  const tokens = maaDirect(direct)
  return async (runtimeData, signal) => {
    if (sidecar !== undefined) return attestMaa({ endpoint: sidecar }, direct.maaEndpoint, runtimeData, signal)
    // Looked at each time: mounts may come late.
    if (await hasTsmReports(direct.tsmReports)) return tokens(runtimeData, signal)
    try {
      return await attestMaa({}, direct.maaEndpoint, runtimeData, signal)
    } catch (error) {
      throw error instanceof RemoteError && error.providerCode === 'ECONNREFUSED' ? nothingHere(error) : error
    }
  }
}

function nothingHere (cause: RemoteError): RemoteError {
  const message = 'This machine cannot attest: it has neither the kernel\'s reports nor a sidecar'
  return new RemoteError('transient', message, {
    providerCode: 'NO_ATTESTER',
    cause,
    advice: 'Mount /sys/kernel/config into this container, on a machine whose kernel has tsm/report there, or run ' +
      'the secure key release sidecar beside it'
  })
}
