// Evidence of GPUs inside a document: it answers a nonce that depends on the client's, and is bound, so that neither it
// nor what it accompanies can be exchanged.
import t from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import {
  MEDIA_TYPES, attestationDocument, bindingPreimage, deviceNonce, sha256
} from '../../../lib/protocols/attestation.ts'
import type { AttestedKey, TypedValue } from '../../../lib/protocols/attestation.ts'
import { AttestationPolicyError, parseAttestationPolicy, verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../../sdk/attestation/index.ts'
import { certificate, createGpuService, evidence, pem } from '../../fixtures/gpu.ts'

const attester = await simulated()
const nonce = new Uint8Array(32).fill(9)
const keys: AttestedKey[] = [{ kind: 'tls-spki', value: Uint8Array.of(1, 2, 3) }]
const firmwareId = Buffer.alloc(48, 3)
const root = certificate('Root of ours')
const chip = certificate('GH100 A01 GSP BROM', root)
const leaf = certificate('GH100 A01 GSP FMC LF', chip, { authority: false, firmwareId, serial: Buffer.of(77) })

function collected (answered: Uint8Array): string {
  const hex = Buffer.from(answered).toString('hex')
  return JSON.stringify({
    arch: 'HOPPER',
    nonce: hex,
    evidence_list: [{
      evidence: evidence(hex, leaf.privateKey, { firmwareId }).toString('base64'),
      certificate: Buffer.from(pem(leaf, chip, root)).toString('base64')
    }]
  })
}

/** A document with these devices, as the proxy makes it. */
async function document (devices: readonly TypedValue[], bound = devices): Promise<string> {
  const preimage = await bindingPreimage(nonce, keys, { devices: bound })
  const platform = await attester.evidence({ preimage, binding: await sha256(preimage) })
  return JSON.stringify(
    await attestationDocument({ ...platform, nonce, cached: false, keys, devices, issuedAt: new Date() })
  )
}

async function failed (text: string, nvidia: object | undefined, options: object = {}): Promise<string[]> {
  const policy = {
    version: 1,
    development: true,
    platforms: { simulated: { roots: [attester.root] } },
    ...nvidia && { devices: { nvidia } }
  } as AttestationPolicy
  const { checks } = await verifyAttestation(text, policy, { nonce, ...options })
  return checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
}

const answered = await deviceNonce(nonce, keys)
const genuine: TypedValue = [MEDIA_TYPES.nvidiaEvidence, collected(answered)]

t.test('evidence that answers the device nonce passes all but the root, which is not NVIDIA\'s', async t => {
  t.same(await failed(await document([genuine]), { count: 1, models: ['GH100'] }), ['gpu-certificates'])
})

t.test('a policy that asks for no device says that they were not looked at', async t => {
  const { verified, checks } = await verifyAttestation(
    await document([genuine]), { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } },
    { nonce }
  )
  t.equal(verified, true)
  t.match(checks.find(({ name }) => name === 'devices'), { outcome: 'skipped' })
})

t.test('a policy that asks for GPUs refuses a document without, with two, or with those of another ' +
  'challenge', async t => {
  t.same(await failed(await document([]), {}), ['gpu-evidence'])
  t.same(await failed(await document([genuine, genuine]), {}), ['gpu-evidence'])
  t.same(
    await failed(await document([[MEDIA_TYPES.nvidiaEvidence, collected(nonce)]]), {}),
    ['gpu-certificates', 'gpu-nonce']
  )
})

t.test('evidence that is exchanged after it was bound is refused', async t => {
  const other: TypedValue = [MEDIA_TYPES.nvidiaEvidence, collected(answered)]
  t.ok((await failed(await document([other], [genuine]), {})).includes('bound'))
})

t.test('the verdict of NVIDIA\'s service is demanded, and verified by its keys', async t => {
  t.ok((await failed(await document([genuine]), { appraisal: 'nras' })).includes('nras-answer'))
  const service = createGpuService()
  const answer = await service.answer(Buffer.from(answered).toString('hex'), [{
    ueid: '77',
    hwmodel: 'GH100',
    'x-nvidia-gpu-driver-version': '580.1.2',
    'x-nvidia-gpu-vbios-version': '96.00.CF.00.02'
  }], new Date())
  const devices: TypedValue[] = [genuine, [MEDIA_TYPES.nvidiaAnswer, JSON.stringify(answer)]]
  const keySets = { 'https://nras.attestation.nvidia.com': service.keySet }
  t.same(await failed(await document(devices), { appraisal: 'nras' }, { keySets }), ['gpu-certificates'])
  const fetched: string[] = []
  const fetch = async (url: string | URL | Request) => {
    fetched.push(String(url))
    return Response.json(service.keySet)
  }
  t.same(await failed(await document(devices), { appraisal: 'nras' }, { fetch }), ['gpu-certificates'])
  t.same(fetched, ['https://nras.attestation.nvidia.com/.well-known/jwks.json'])
})

t.test('a malformed section is refused by the member at fault', async t => {
  for (const nvidia of [
    1, { cout: 1 }, { count: -1 }, { models: ['H100'] }, { drivers: [''] }, { vbios: ['96'] }, { appraisal: 'both' }
  ]) {
    t.throws(() => parseAttestationPolicy(
      { version: 1, platforms: { simulated: {} }, development: true, devices: { nvidia } }
    ), AttestationPolicyError)
  }
})
