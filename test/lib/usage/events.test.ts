/** Token counts are found in event streams as clients read them, however they are cut. */
import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { createEventScanner } from '../../../lib/usage/events.ts'
import type { Counts } from '../../../lib/usage/counts.ts'
import { cut } from '../../fixtures/vectors.ts'

function scan (stream: string | Uint8Array, offsets: readonly number[] = [], maxEventBytes = 2 ** 20): Counts {
  const scanner = createEventScanner(maxEventBytes)
  for (const piece of cut(Buffer.from(stream), offsets)) scanner.push(piece)
  return scanner.end()
}

const openai = [
  'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}', '', ': a comment', 'data: {"choices":[],"usage":' +
  '{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}', '', 'data: [DONE]', '', ''
]
const anthropic = [
  'event: message_start',
  'data: {"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}', '',
  'event: ping', 'data: {"type":"ping"}', '',
  'event: message_delta', 'data: {"type":"message_delta",',
  'data: "usage":{"output_tokens":15}}', '', ''
]

for (const [name, lines, expected] of [
  ['OpenAI', openai, { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }],
  ['Anthropic', anthropic, { input_tokens: 25, output_tokens: 15 }]
] as const) {
  for (const newline of ['\n', '\r\n', '\r']) {
    t.test(`${name}, with ${JSON.stringify(newline)}: the same, cut at any offset`, async t => {
      const stream = lines.join(newline)
      for (let at = 0; at <= stream.length; at++) t.strictSame(scan(stream, [at]), expected, `cut at ${at}`)
      t.strictSame(scan(stream, Array.from(stream, (_, i) => i)), expected, 'byte by byte')
      t.strictSame(scan(`\ufeff${stream}`, [1, 2]), expected, 'with a byte order mark')
    })
  }
}

t.test('lines that are no data, and data that is no JSON, do not matter', async t => {
  const counted = 'data:{"usage":{"prompt_tokens":1}}\n\n'
  for (const line of [
    'dat: {"usage":{"prompt_tokens":2}}', 'datax: {"usage":{"prompt_tokens":2}}',
    ' data: {"usage":{"prompt_tokens":2}}', ':data: {"usage":{"prompt_tokens":2}}', 'data',
    'data: {"usage":{"prompt_tokens":2}', 'data: x'
  ]) t.strictSame(scan(`${counted}${line}\n\n`), { prompt_tokens: 1 }, line)
  t.strictSame(scan(counted.trimEnd()), { prompt_tokens: 1 }, 'without the last empty line')
})

t.test('an event that is too long is not looked at, the next one is', async t => {
  const long = `data: {"usage":{"prompt_tokens":1},"x":"${'x'.repeat(1000)}"}\n\n`
  const short = 'data: {"usage":{"completion_tokens":2}}\n\n'
  t.strictSame(scan(long + short, [], 1000), { completion_tokens: 2 })
  t.strictSame(scan(long + short, [], 2000), { prompt_tokens: 1, completion_tokens: 2 })
})

t.test('any stream has the counts of the events that a parser finds in it, in any cut', async t => {
  const line = fc.oneof(
    fc.nat(99).map(count => `data: {"usage":{"prompt_tokens":${count}}}`),
    fc.nat(99).map(count => `data:{"message":{"usage":{"output_tokens":${count}}}}`),
    fc.constantFrom('', '', 'data', 'data: {', 'data: }', 'event: x', ': x', 'id: 1', 'data: {"usage":', 'retry: 1'),
    fc.string().map(text => text.replaceAll(/[\r\n]/g, ''))
  )
  const stream = fc.tuple(fc.array(line), fc.constantFrom('\n', '\r\n', '\r'))
    // Parsers leave the beginnings of a stream, and what a missing empty line ends, to each other.
    .map(([lines, newline]) => `: ${newline}${lines.join(newline)}${newline}${newline}${newline}`)
  fc.assert(fc.property(stream, fc.array(fc.nat(300)), (text, offsets) => {
    const expected: Counts = {}
    const parser = createParser({ onEvent ({ data }) { Object.assign(expected, countsIn(data)) } })
    parser.feed(text)
    t.strictSame(scan(text, offsets), expected)
  }))
})

function countsIn (data: string): Counts | undefined {
  try {
    const { usage, message } = JSON.parse(data) as Record<string, Counts & { usage?: Counts } | undefined>
    return Object.fromEntries(
      Object.entries(usage ?? message?.usage ?? {}).filter(([, count]) => typeof count === 'number')
    )
  } catch {
    return undefined
  }
}

t.test('whatever bytes come, nothing is thrown, and a cut changes nothing', async t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300)), (bytes, offsets) => {
    t.strictSame(scan(bytes, offsets), scan(bytes))
  }))
})
