// Where TDX collateral comes from: Intel is asked for the right lists, or a cache that is as little trusted as anybody;
// that Intel cannot be reached is no verdict.
import t from 'tap'
import { appraise } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, TdxCollateral, TdxPlatform, VerifyOptions } from '../../../sdk/attestation/index.ts'
import { NOW, makeIntel, revocationList } from '../../fixtures/intel/authority.ts'
import { collateral } from '../../fixtures/intel/collateral.ts'
import { quote } from '../../fixtures/intel/quote.ts'
import type { Intel } from '../../fixtures/intel/authority.ts'
import { failed } from '../../fixtures/verdict.ts'

const intel = makeIntel()
const policy: AttestationPolicy = { version: 1, insecure: true, platforms: { tdx: {} } }
const SERVICE = 'https://api.trustedservices.intel.com'

function verdictOf (by: Intel, options: VerifyOptions) {
  const evidence = [['application/vnd.polaris.tdx-quote', quote(by).toString('base64url')]] as const
  return appraise({ tee: 'tdx', evidence }, policy, { now: NOW, ...options })
}

interface Answer {
  readonly body: string | Buffer
  readonly headers?: Record<string, string>
  readonly status?: number
}

/** Intel's service, by URL. */
function answersOf (by: Intel, ca: string): Record<string, Answer> {
  const given = collateral(by)
  const header = (name: string, chain: string) => ({ [name]: encodeURIComponent(chain) })
  return {
    [`${SERVICE}/tdx/certification/v4/tcb?fmspc=50806f000000`]: {
      body: `{"tcbInfo":${given.tcb_info},"signature":"${String(given.tcb_info_signature)}"}`,
      headers: header('TCB-Info-Issuer-Chain', given.tcb_info_issuer_chain)
    },
    [`${SERVICE}/tdx/certification/v4/qe/identity`]: {
      body: `{"enclaveIdentity":${given.qe_identity},"signature":"${String(given.qe_identity_signature)}"}`,
      headers: header('SGX-Enclave-Identity-Issuer-Chain', given.qe_identity_issuer_chain)
    },
    [`${SERVICE}/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`]: {
      body: revocationList(by.authority), headers: header('SGX-PCK-CRL-Issuer-Chain', given.pck_crl_issuer_chain)
    },
    'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der': { body: revocationList(by.root) }
  }
}

function asking (answers: Record<string, Answer>): typeof fetch {
  return async input => {
    const { body = '', headers = {}, status = 200 } = answers[String(input)] ?? { status: 404 }
    return new Response(typeof body === 'string' ? body : Uint8Array.from(body), { status, headers })
  }
}

for (const [ca, name] of [
  ['platform', 'Intel SGX PCK Platform CA'], ['processor', 'Intel SGX PCK Processor CA']
] as const) {
  t.test(`Intel is asked for the list of the authority that certified the platform: ${ca}`, async t => {
    const by = makeIntel(name)
    const verdict = await verdictOf(
      by, { platforms: { tdx: { roots: [by.rootHash] } }, fetch: asking(answersOf(by, ca)) }
    )
    t.same(failed(verdict), [])
  })
}

const LIST = `${SERVICE}/sgx/certification/v4/pckcrl?ca=platform&encoding=der`
const TCB = `${SERVICE}/tdx/certification/v4/tcb?fmspc=50806f000000`
const answers = answersOf(intel, 'platform')
const unanswered: Array<[name: string, fetcher: typeof fetch]> = [
  ['is unreachable', async () => { throw new TypeError('fetch failed') }],
  ['answers 404', asking({})],
  ['answers 503 for the list', asking({ ...answers, [LIST]: { body: '', status: 503 } })],
  ['lacks a header', asking({ ...answers, [TCB]: { body: answers[TCB]!.body } })]
]
for (const [name, fetcher] of unanswered) {
  t.test(`Intel ${name}: there is no verdict`, async t => {
    await t.rejects(
      verdictOf(intel, { platforms: { tdx: { roots: [intel.rootHash] } }, fetch: fetcher }),
      { code: 'ERR_ATTESTATION_FETCH' }
    )
  })
}

const malformed: Array<[name: string, change: Record<string, Answer>]> = [
  ['a list that is HTML', { [LIST]: { ...answers[LIST]!, body: '<html>' } }],
  ['TCB info that is HTML', { [TCB]: { ...answers[TCB]!, body: '<html>' } }],
  ['TCB info with something behind', { [TCB]: { ...answers[TCB]!, body: `${String(answers[TCB]!.body)}{}` } }],
  ['a chain that cannot be decoded', { [TCB]: { ...answers[TCB]!, headers: { 'TCB-Info-Issuer-Chain': '%' } } }]
]
for (const [name, change] of malformed) {
  t.test(`${name} is not believed`, async t => {
    const verdict = await verdictOf(
      intel, { platforms: { tdx: { roots: [intel.rootHash] } }, fetch: asking({ ...answers, ...change }) }
    )
    t.same(failed(verdict), ['collateral'])
  })
}

t.test('nobody is asked about a quote that is not genuine', async t => {
  const verdict = await verdictOf(intel, { fetch: async () => { throw new Error('asked') } })
  t.same(failed(verdict), ['root'])
})

t.test('a function gives collateral for a platform, and its failure is no verdict', async t => {
  const asked: TdxPlatform[] = []
  const cache = async (platform: TdxPlatform) => { asked.push(platform); return collateral(intel) }
  const roots = [intel.rootHash]
  t.same(failed(await verdictOf(intel, { platforms: { tdx: { roots, collateral: cache } } })), [])
  t.same(asked, [{ fmspc: '50806f000000', ca: 'platform' }])
  const broken = async (): Promise<TdxCollateral> => { throw new Error('disk') }
  await t.rejects(
    verdictOf(intel, { platforms: { tdx: { roots, collateral: broken } } }),
    { code: 'ERR_ATTESTATION_FETCH', message: /disk/ }
  )
})

t.test('of a tdxVerifier, as earlier versions took it, the collateral is used and nothing else', async t => {
  const verify = () => { throw new Error('never asked') }
  const options = { platforms: { tdx: { roots: [intel.rootHash] } } }
  t.same(failed(
    await verdictOf(intel, { ...options, tdxVerifier: { verify, getCollateralFromPcs: async () => collateral(intel) } })
  ), [])
  t.same(failed(await verdictOf(
    intel, { ...options, tdxVerifier: { verify, getCollateralFromPcs: async () => 'collateral of Intel' } }
  )), ['collateral'])
})
