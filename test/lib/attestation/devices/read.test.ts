// The forms in which NVIDIA's tools print the evidence of GPUs, and whatever else a source may answer with.
import fc from 'fast-check'
import t from 'tap'
import { readDeviceEvidence } from '../../../../lib/attestation/devices/read.ts'
import { RemoteError } from '../../../../lib/remote/error.ts'

const nonce = 'ab'.repeat(32)
const gpu = { evidence: 'QUJD', certificate: 'REVG' }
const told = {
  version: '1.0', arch: 'HOPPER', nonce, driver_version: '575.03', vbios_version: '96.00.00.00.01', ...gpu
}
const request = { arch: 'HOPPER', nonce, evidence_list: [gpu, gpu] }

function refusal (answer: unknown, count?: number): string {
  try {
    readDeviceEvidence(typeof answer === 'string' ? answer : JSON.stringify(answer), nonce, count)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
    return error.message
  }
}

t.test('each form of NVIDIA\'s tools becomes the one that NVIDIA\'s service takes', async t => {
  const forms = [
    request,
    { ...request, claims_version: '3.0', evidence_list: [told, told] },
    { evidences: [told, told], result_code: 0, result_message: 'Ok' },
    [told, told],
    { ...request, nonce: nonce.toUpperCase() }
  ]
  for (const form of forms) {
    const [[mediaType, value] = [], ...more] = readDeviceEvidence(JSON.stringify(form), nonce, 2)
    t.same(more, [])
    t.equal(mediaType, 'application/vnd.polaris.nvidia-gpu-evidence+json')
    t.same(JSON.parse(value ?? ''), request)
  }
})

t.test('an answer of NVIDIA\'s service is handed on beside it', async t => {
  const answer = [['JWT', 'a.b.c'], { 'GPU-0': 'd.e.f' }]
  const items = readDeviceEvidence(JSON.stringify({ ...request, nras_answer: answer }), nonce)
  t.same(
    items.map(([mediaType]) => mediaType),
    ['application/vnd.polaris.nvidia-gpu-evidence+json', 'application/vnd.polaris.nvidia-gpu-result+json']
  )
  t.same(JSON.parse(items[1]?.[1] ?? ''), answer)
})

t.test('an answer of another form, for another nonce, or about another number of devices is refused by its ' +
  'reason', async t => {
  const cases: ReadonlyArray<readonly [unknown, RegExp, number?]> = [
    ['', /is not JSON/],
    ['secret', /is not JSON/],
    ['null', /unknown form/],
    ['7', /unknown form/],
    [{}, /does not hold 1 to 128 devices/],
    [[], /does not hold 1 to 128 devices/],
    [{ ...request, evidence_list: [] }, /does not hold 1 to 128 devices/],
    [{ ...request, evidence_list: Array(129).fill(gpu) }, /does not hold 1 to 128 devices/],
    [request, /holds 2 devices, 8 are expected/, 8],
    [{ ...request, nonce: 'cd'.repeat(32) }, /another nonce/],
    [{ arch: 'HOPPER', evidence_list: [gpu] }, /another nonce/],
    [{ ...request, nonce: 7 }, /another nonce/],
    [[told, { ...told, nonce: 'cd'.repeat(32) }], /another nonce/],
    [[told, { ...told, arch: 'BLACKWELL' }], /one architecture/],
    [{ ...request, arch: 'a b' }, /one architecture/],
    [{ ...request, evidence_list: [gpu, null] }, /unknown form/],
    [{ ...request, evidence_list: [gpu, [gpu]] }, /unknown form/],
    [{ ...request, evidence_list: [{ evidence: 'QUJD' }] }, /in base64/],
    [{ ...request, evidence_list: [{ ...gpu, certificate: '-----BEGIN' }] }, /in base64/],
    [{ ...request, evidence_list: [{ ...gpu, evidence: 'A'.repeat(2 ** 20) }] }, /too long/],
    [{ ...request, nras_answer: 'A'.repeat(2 ** 20) }, /too long/],
    [{ evidences: [told], result_code: 3, result_message: 'secret' }, /says that it failed/]
  ]
  for (const [answer, reason, count] of cases) {
    const message = refusal(answer, count)
    t.match(message, reason, JSON.stringify(answer).slice(0, 80))
    t.notMatch(message, 'secret')
  }
})

t.test('whatever is answered is read or refused, and nothing of a prototype is read', async t => {
  fc.assert(fc.property(fc.json(), text => { refusal(text) }))
  const whole = JSON.stringify(request)
  for (let length = 0; length < whole.length; length++) t.not(refusal(whole.slice(0, length)), 'accepted')
  t.match(refusal(`{"__proto__":${whole}}`), /does not hold/)
})
