// Appraisal of Azure Attestation's tokens for confidential virtual machines: for each check a token in which only that
// fails.
import t from 'tap'
import { azureMaa } from '../../../lib/platforms/azure/maa.ts'
import { attestationDocument, bindingDigest, maaRuntimeData } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import {
  AttestationPolicyError, parseAttestationPolicy, verdictSentence, verifyAttestation
} from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, AzureCvmPolicy } from '../../../sdk/attestation/index.ts'
import { issuerKey, tableFetch } from '../../fixtures/issuer.ts'
import { unsignedToken } from '../../fixtures/local-service.ts'
import { failed } from '../../fixtures/verdict.ts'

const ISSUER = 'https://ours.neu.attest.azure.net'
const key = await issuerKey('one')
const now = new Date('2026-06-01T00:00:00Z')
const seconds = now.getTime() / 1000
const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1, 2, 3) }]
const binding = await bindingDigest(nonce, keys)

const pins: AzureCvmPolicy = {
  issuers: [ISSUER],
  vmIds: ['6506B531-1634-431E-99D2-42B7D3414AD0'],
  measurements: ['dd'.repeat(48)],
  idKeyDigests: ['ee'.repeat(48)],
  authorKeyDigests: ['00'.repeat(48)],
  policyHashes: ['wm9mHlvTU82e8UqoOy1Yj1FBRSNkfe99-69IYDq9eWs'],
  claims: { 'pcr-11': ['abc', 'def'], 'kernel-locked': ['true'] }
}

const snp = {
  'x-ms-attestation-type': 'sevsnpvm',
  'x-ms-compliance-status': 'azure-compliant-cvm',
  'x-ms-sevsnpvm-launchmeasurement': 'dd'.repeat(48),
  'x-ms-sevsnpvm-idkeydigest': 'ee'.repeat(48),
  'x-ms-sevsnpvm-authorkeydigest': '00'.repeat(48),
  'x-ms-sevsnpvm-is-debuggable': false,
  'x-ms-sevsnpvm-migration-allowed': false,
  'x-ms-sevsnpvm-vmpl': 0
}
const tdx = {
  'x-ms-attestation-type': 'tdxvm',
  'x-ms-compliance-status': 'azure-compliant-cvm',
  tdx_mrtd: 'dd'.repeat(48),
  tdx_td_attributes_debug: false
}

function genuine (): Record<string, unknown> {
  return {
    iss: ISSUER,
    iat: seconds,
    nbf: seconds,
    exp: seconds + 8 * 3600,
    'x-ms-attestation-type': 'azurevm',
    secureboot: true,
    'x-ms-azurevm-vmid': '6506B531-1634-431E-99D2-42B7D3414AD0',
    'x-ms-azurevm-bootdebug-enabled': false,
    'x-ms-policy-hash': 'wm9mHlvTU82e8UqoOy1Yj1FBRSNkfe99-69IYDq9eWs',
    'pcr-11': 'def',
    'kernel-locked': true,
    'x-ms-isolation-tee': snp,
    'x-ms-runtime': JSON.parse(maaRuntimeData(binding))
  }
}

async function verdictOf (claims: object = {}, policy: Partial<AzureCvmPolicy> = {}) {
  const document = await attestationDocument({
    tee: 'azure-cvm',
    nonce,
    cached: false,
    keys,
    evidence: [['application/jwt', await key.sign({ ...genuine(), ...claims })]],
    endorsements: [],
    issuedAt: now
  })
  const { fetch } = tableFetch({ [`${ISSUER}/certs`]: { keys: [key.certificateJwk] } })
  const accepted: AttestationPolicy = { version: 1, platforms: { 'azure-cvm': { ...pins, ...policy } } }
  return verifyAttestation(JSON.stringify(document), accepted, { nonce, now, fetch })
}

t.test('a token that fits the policy is verified, with the nonce in either place', async t => {
  t.same(failed(await verdictOf()), [])
  const payload = Buffer.from(encodeBase64url(binding)).toString('base64')
  t.same(failed(await verdictOf({ 'x-ms-runtime': { 'client-payload': { nonce: payload }, keys: [] } })), [])
  const onTdx = await verdictOf(
    { 'x-ms-isolation-tee': tdx }, { idKeyDigests: undefined, authorKeyDigests: undefined } as never
  )
  t.same(failed(onTdx), [])
  t.match(onTdx.checks.find(({ name }) => name === 'migration'), { outcome: 'skipped' })
  t.match(verdictSentence(await verdictOf()), /, running, as Microsoft attests, in a genuine AMD SEV-SNP virtual machine/)
  t.match(verdictSentence(onTdx), /, running, as Microsoft attests, in a genuine Intel TDX virtual machine/)
})

const cases: ReadonlyArray<readonly [string, string, object, Partial<AzureCvmPolicy>?]> = [
  ['a container\'s token', 'attestation-type', { 'x-ms-attestation-type': 'sevsnpvm' }],
  ['hardware of another kind', 'hardware', { 'x-ms-isolation-tee': snp }, { hardware: ['tdx'] }],
  [
    'a machine that does not comply', 'compliance',
    { 'x-ms-isolation-tee': { ...snp, 'x-ms-compliance-status': 'azure-compliant-uvm' } }
  ],
  ['no secure boot', 'secure-boot', { secureboot: false }],
  ['secure boot as text', 'secure-boot', { secureboot: 'true' }],
  [
    'a machine that can be debugged', 'debug', { 'x-ms-isolation-tee': { ...snp, 'x-ms-sevsnpvm-is-debuggable': true } }
  ],
  ['nothing about debugging', 'debug', { 'x-ms-isolation-tee': { ...snp, 'x-ms-sevsnpvm-is-debuggable': undefined } }],
  ['a boot that can be debugged', 'debug', { 'x-ms-azurevm-kerneldebug-enabled': true }],
  ['a migration agent', 'migration', { 'x-ms-isolation-tee': { ...snp, 'x-ms-sevsnpvm-migration-allowed': true } }],
  ['a less privileged level', 'vmpl', { 'x-ms-isolation-tee': { ...snp, 'x-ms-sevsnpvm-vmpl': 2 } }],
  [
    'another firmware', 'measurement',
    { 'x-ms-isolation-tee': { ...snp, 'x-ms-sevsnpvm-launchmeasurement': 'da'.repeat(48) } }
  ],
  [
    'another identity key', 'id-key', { 'x-ms-isolation-tee': { ...snp, 'x-ms-sevsnpvm-idkeydigest': 'da'.repeat(48) } }
  ],
  [
    'another author key', 'author-key', { 'x-ms-isolation-tee': { ...snp, 'x-ms-sevsnpvm-authorkeydigest': undefined } }
  ],
  ['another machine', 'vm-id', { 'x-ms-azurevm-vmid': 'another' }],
  ['another policy of the provider', 'provider-policy', { 'x-ms-policy-hash': 'another' }],
  ['a claim with another value', 'software', { 'pcr-11': 'ghi' }],
  ['a claim that is missing', 'software', { 'kernel-locked': undefined }],
  ['another nonce', 'bound', { 'x-ms-runtime': { nonce: 'another' } }],
  [
    'a nonce in both places', 'bound',
    { 'x-ms-runtime': { nonce: encodeBase64url(binding), 'client-payload': { nonce: 'QUJD' } } }
  ],
  ['no nonce', 'bound', { 'x-ms-runtime': {} }],
  ['a payload that is not base64', 'bound', { 'x-ms-runtime': { 'client-payload': { nonce: '-' } } }],
  ['an old token', 'freshness', { iat: seconds - 3600 }]
]
for (const [name, check, claims, policy] of cases) {
  t.test(`${name} is refused`, async t => t.same(failed(await verdictOf(claims, policy)), [check]))
}

t.test('pins of SEV-SNP are not passed by TDX, and every one that is left out is said', async t => {
  t.same(failed(await verdictOf({ 'x-ms-isolation-tee': tdx })), ['id-key', 'author-key'])
  const open = { issuers: [ISSUER] }
  const document = await attestationDocument({
    tee: 'azure-cvm',
    nonce,
    cached: false,
    keys,
    evidence: [['application/jwt', await key.sign(genuine())]],
    endorsements: [],
    issuedAt: now
  })
  const { fetch } = tableFetch({ [`${ISSUER}/certs`]: { keys: [key.certificateJwk] } })
  const verdict = await verifyAttestation(
    JSON.stringify(document), { version: 1, insecure: true, platforms: { 'azure-cvm': open } }, { nonce, now, fetch }
  )
  t.same(verdict.checks.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name),
    ['weakenings', 'id-key', 'author-key', 'measurement', 'vm-id', 'provider-policy', 'software'])
})

t.test('a section that names no software is refused', async t => {
  const parse = (section: object) => () => parseAttestationPolicy({ version: 1, platforms: { 'azure-cvm': section } })
  t.throws(parse({ issuers: [ISSUER], vmIds: ['x'] }), { message: /pins no software: give claims/ })
  t.throws(parse({ issuers: [ISSUER], claims: { a: ['b'] } }), { message: /pins no software: give policyHashes/ })
  t.throws(parse({ issuers: [ISSUER], claims: { a: [] }, policyHashes: ['x'] }), { message: /pins no software/ })
  t.doesNotThrow(parse(pins))
  for (const section of [
    {}, { ...pins, issuers: ['http://x'] }, { ...pins, hardware: ['sgx'] }, { ...pins, vmid: [] }
  ]) {
    t.throws(parse(section), AttestationPolicyError)
  }
})

t.test('the proxy names the kind of token that it was given', async t => {
  const exp = Math.floor(Date.now() / 1000) + 3600
  for (const [type, tee] of [['azurevm', 'azure-cvm'], ['sevsnpvm', 'azure-maa']] as const) {
    const token = unsignedToken({ exp, 'x-ms-attestation-type': type })
    t.match(await azureMaa(async () => token).evidence({ preimage: new Uint8Array(), binding }), { tee })
  }
})
