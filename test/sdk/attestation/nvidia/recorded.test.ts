// The recorded evidence of eight H100, with NVIDIA's answer of that minute: all of it passes at its time, and each
// single change is refused by the check that names it.
import t from 'tap'
import { appraiseNvidia } from '../../../../sdk/attestation/nvidia/index.ts'
import type { NvidiaOptions } from '../../../../sdk/attestation/nvidia/index.ts'
import { NO_GPU_RECORDING, gpuRecording } from '../../../fixtures/nvidia.ts'
import type { GpuRecording } from '../../../fixtures/nvidia.ts'

const found = gpuRecording()
const recording = found as GpuRecording
const only = found ? {} : { skip: NO_GPU_RECORDING }
const policy = {
  count: 8, models: ['GH100'], drivers: ['570.172.08'], vbios: ['96.00.cf.00.02'], appraisal: 'nras'
} as const

interface Change extends Partial<NvidiaOptions> {
  readonly request?: GpuRecording['request']
}

async function failing (change: Change = {}): Promise<string[]> {
  const { request = recording.request, ...options } = change
  const { checks } = await appraiseNvidia(request, {
    nonce: recording.request.nonce,
    now: recording.when,
    answer: recording.answer,
    keySet: recording.keySet,
    policy,
    ...options
  })
  return checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
}

/** The request with one GPU's entry changed. */
function withGpu (
  at: number, change: (entry: GpuRecording['request']['evidence_list'][0]) => object
): GpuRecording['request'] {
  const copy = structuredClone(recording.request)
  Object.assign(copy.evidence_list[at]!, change(copy.evidence_list[at]!))
  return copy
}

t.test('all of it passes at its time', only, async t => {
  const { checks, presented } = await appraiseNvidia(JSON.stringify(recording.request), {
    nonce: recording.request.nonce,
    now: recording.when,
    answer: JSON.stringify(recording.answer),
    keySet: recording.keySet,
    policy
  })
  t.same(checks.filter(({ outcome }) => outcome !== 'passed'), [])
  t.same(presented, { ...policy, vbios: ['96.00.CF.00.02'] })
})

t.test('the evidence alone passes years later, and the verdict says what was not compared', only, async t => {
  const { checks } = await appraiseNvidia(
    recording.request,
    { nonce: recording.request.nonce, now: new Date('2035-01-01'), policy: { ...policy, appraisal: 'local' } }
  )
  t.same(checks.filter(({ outcome }) => outcome !== 'passed').map(({ name }) => name), ['gpu-measurements'])
})

t.test('each changed byte of a GPU\'s evidence is refused', only, async t => {
  const { evidence } = recording.request.evidence_list[3]!
  const bytes = Buffer.from(evidence, 'base64')
  let missed = 0
  for (let at = 0; at < bytes.length; at += at < 48 ? 1 : 7) {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 1 << at % 8
    const request = {
      ...recording.request,
      evidence_list: [{ ...recording.request.evidence_list[3]!, evidence: copy.toString('base64') }]
    }
    const names = await failing({ request, answer: undefined, policy: {} })
    if (!names.includes('gpu-signature') && !names.includes('gpu-evidence')) missed++
  }
  t.equal(missed, 0, `of ${bytes.length} changes`)
})

t.test('each changed byte of its certificates is refused', only, async t => {
  const entry = recording.request.evidence_list[0]!
  const text = Buffer.from(entry.certificate, 'base64').toString('latin1')
  const missed: number[] = []
  for (let at = 0; at < text.length; at += 29) {
    const char = text.charAt(at)
    // A line end or a zero byte more or less is nothing that was signed.
    if (/[\r\n\0]/.test(char)) continue
    const other = text.slice(0, at) + (char === 'A' ? 'B' : 'A') + text.slice(at + 1)
    const request = {
      ...recording.request, evidence_list: [{ ...entry, certificate: Buffer.from(other, 'latin1').toString('base64') }]
    }
    if ((await failing({ request, answer: undefined, policy: {} })).length === 0) missed.push(at)
  }
  t.same(missed, [])
})

const swapped = (at: number, other: number) => ({
  certificate: recording.request.evidence_list[other]!.certificate, at
})
const cases: Array<[name: string, checks: string[], change: () => Change]> = [
  ['another nonce', ['gpu-nonce', 'nras-nonce'], () => ({ nonce: '00'.repeat(32) })],
  ['another nonce in the list', ['gpu-evidence', 'gpu-nonce'], () => ({
    request: withGpu(0, () => ({ nonce: '00'.repeat(32) })), nonce: '11'.repeat(32), answer: undefined, policy: {}
  })],
  [
    'another GPU\'s certificates', ['gpu-signature', 'gpu-distinct', 'nras-devices'],
    () => ({ request: withGpu(0, () => swapped(0, 1)) })
  ],
  [
    'another GPU\'s evidence', ['gpu-signature'],
    () => ({ request: withGpu(2, () => ({ evidence: recording.request.evidence_list[5]!.evidence })) })
  ],
  [
    'one GPU twice', ['gpu-distinct', 'nras-devices'],
    () => ({ request: withGpu(0, () => recording.request.evidence_list[1]!) })
  ],
  [
    'seven of eight', ['gpu-count', 'nras-devices'],
    () => ({ request: { ...recording.request, evidence_list: recording.request.evidence_list.slice(1) } })
  ],
  ['seven of eight in the answer', ['nras-parts', 'nras-devices'], () => {
    const [overall, gpus] = structuredClone(recording.answer)
    delete gpus['GPU-3']
    return { answer: [overall, gpus] }
  }],
  ['one GPU\'s token for another\'s', ['nras-parts', 'nras-devices'], () => {
    const [overall, gpus] = structuredClone(recording.answer)
    return { answer: [overall, { ...gpus, 'GPU-0': gpus['GPU-1'] }] }
  }],
  ['an expired token', ['nras-validity'], () => ({ now: new Date(recording.when.getTime() + 3 * 3600e3) })],
  ['a token from the future', ['nras-validity'], () => ({ now: new Date(recording.when.getTime() - 3600e3) })],
  ['a key set without the key', ['nras-signature'], () => ({ keySet: { keys: [] } })],
  ['a key set with another key of that name', ['nras-signature'], () => {
    const [first, ...rest] = recording.keySet.keys
    return { keySet: { keys: rest.map(key => ({ ...key, x: first!['x'], y: first!['y'] })) } }
  }],
  ['no answer', ['nras-answer'], () => ({ answer: undefined })],
  ['an answer that is none', ['nras-answer'], () => ({ answer: '[["JWT"' })],
  ['another model', ['gpu-model'], () => ({ policy: { ...policy, models: ['GB100'] } })],
  ['another driver', ['gpu-driver'], () => ({ policy: { ...policy, drivers: ['570.172.09'] } })],
  ['another VBIOS', ['gpu-vbios'], () => ({ policy: { ...policy, vbios: ['96.00.CF.00.03'] } })],
  ['another root', ['gpu-certificates'], () => ({ root: '00'.repeat(32) })],
  ['a time before the certificates', ['gpu-certificates', 'nras-validity'], () => ({ now: new Date('2019-01-01') })]
]
for (const [name, checks, change] of cases) {
  t.test(`${name} is refused`, only, async t => {
    t.same(await failing(change()), checks)
  })
}

t.test('each changed character of a token is refused', only, async t => {
  const [[, overall], gpus] = recording.answer
  const token = gpus['GPU-4']!
  for (let at = 0; at < token.length; at += 97) {
    if (token.charAt(at) === '.') continue
    const other = token.slice(0, at) + (token.charAt(at) === 'A' ? 'B' : 'A') + token.slice(at + 1)
    if ((await failing({ answer: [['JWT', overall], { ...gpus, 'GPU-4': other }] })).length === 0) {
      t.fail(`character ${at}`)
    }
  }
})
