/** Token counts are found in JSON as JSON.parse finds them, however the text is cut, and nowhere else. */
import fc from 'fast-check'
import t from 'tap'
import { usageOf } from '../../../lib/usage/counts.ts'
import type { Counts } from '../../../lib/usage/counts.ts'
import { createJsonScanner } from '../../../lib/usage/json.ts'
import { cut } from '../../fixtures/vectors.ts'

function scan (text: string | Uint8Array, offsets: readonly number[] = []): Counts | undefined {
  const scanner = createJsonScanner()
  for (const piece of cut(Buffer.from(text), offsets)) scanner.push(piece)
  return scanner.end()
}

const cases: ReadonlyArray<readonly [name: string, text: string, expected: Counts | undefined]> = [
  ['OpenAI', '{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}',
    { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }],
  ['Anthropic', '{"type":"message","usage":{"input_tokens":7,"output_tokens":3,"cache_read_input_tokens":2}}',
    { input_tokens: 7, output_tokens: 3, cache_read_input_tokens: 2 }],
  ['the first event of a message', '{"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}',
    { input_tokens: 25, output_tokens: 1 }],
  ['a response of OpenAI', '{"type":"response.completed","response":{"usage":{"input_tokens":1,"total_tokens":2}}}',
    { input_tokens: 1, total_tokens: 2 }],
  ['white space', ' \r\n{ "usage" :\t{ "prompt_tokens" : 0 } } \n', { prompt_tokens: 0 }],
  ['details are not counts', '{"usage":{"prompt_tokens":7,"prompt_tokens_details":{"prompt_tokens":99,"x":[1]}}}',
    { prompt_tokens: 7 }],
  ['null', '{"usage":null}', {}],
  ['text that looks like it', '{"content":"\\"usage\\":{\\"prompt_tokens\\":1}","usage":{"prompt_tokens":2}}',
    { prompt_tokens: 2 }],
  ['elsewhere', '{"a":{"usage":{"prompt_tokens":1}},"choices":[{"usage":{"prompt_tokens":1}}]}', {}],
  ['in a list', '[{"usage":{"prompt_tokens":1}}]', {}],
  ['a list', '{"usage":[{"prompt_tokens":1}, 2]}', {}],
  ['one level too deep', '{"message":{"message":{"usage":{"input_tokens":1}}}}', {}],
  ['no integers', '{"usage":{"prompt_tokens":1.5,"completion_tokens":-1,"total_tokens":1e3,"input_tokens":"7"}}', {}],
  ['nine digits', '{"usage":{"prompt_tokens":999999999,"total_tokens":1000000000}}', { prompt_tokens: 999999999 }],
  ['the last of two', '{"usage":{"prompt_tokens":1,"prompt_tokens":2}}', { prompt_tokens: 2 }],
  ['names with escapes', '{"us\\u0061ge":{"prompt_tokens":1}}', {}],
  ['a number alone', '12', {}],
  ['nothing', '', undefined],
  ['[DONE]', '[DONE]', undefined],
  ['not whole', '{"usage":{"prompt_tokens":1}', undefined],
  ['something behind it', '{"usage":{"prompt_tokens":1}}x', undefined],
  ['a comma too many', '{"usage":{"prompt_tokens":1},}', undefined],
  ['no comma', '{"usage":{"prompt_tokens":1} "x":1}', undefined],
  ['no colon', '{"usage"{"prompt_tokens":1}}', undefined],
  ['closed as something else', '{"usage":[1}}', undefined],
  ['a control character in a string', '{"a":"\n"}', undefined],
  ['an escape that is none', '{"a":"\\x"}', undefined],
  ['a literal that is none', '{"a":nul}', undefined],
  ['as deep as may be', `${'['.repeat(128)}${']'.repeat(128)}`, {}],
  ['deeper', `${'['.repeat(129)}${']'.repeat(129)}`, undefined]
]
for (const [name, text, expected] of cases) {
  t.test(`${name}: the same, cut at any offset`, async t => {
    t.strictSame(scan(text), expected)
    for (let at = 0; at <= text.length; at++) t.strictSame(scan(text, [at]), expected, `cut at ${at}`)
    t.strictSame(scan(text, Array.from(text, (_, i) => i)), expected, 'byte by byte')
  })
}

t.test('a text that breaks off anywhere has no usage', async t => {
  const text = '{"id":"ü\\n","list":[1,true,null,{}],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
  const bytes = Buffer.from(text)
  for (let end = 0; end < bytes.length; end++) t.equal(scan(bytes.subarray(0, end)), undefined, `${end} bytes`)
  t.strictSame(scan(bytes), { prompt_tokens: 7, completion_tokens: 3 })
})

const members = fc.record({
  prompt_tokens: fc.nat(999_999_999), completion_tokens: fc.nat(10), total_tokens: fc.nat(), other: fc.jsonValue()
}, { requiredKeys: [] })

t.test('any JSON, in any spelling and any cut, has what JSON.parse finds', async t => {
  fc.assert(fc.property(
    fc.dictionary(fc.string(), fc.jsonValue()), members, fc.constantFrom('usage', 'message', 'response', 'other'),
    fc.constantFrom(undefined, 1, '\t'), fc.array(fc.nat(500)),
    (around, usage, place, indent, offsets) => {
      const text = JSON.stringify(
        { ...around, [place]: place === 'usage' ? usage : { more: around, usage }, last: 'usage' }, null, indent
      )
      const whole = JSON.parse(text) as Record<string, { usage?: Counts } & Counts>
      const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } =
        whole['usage'] ?? whole['message']?.usage ?? whole['response']?.usage ?? {}
      const expected = Object.entries({ prompt_tokens: prompt, completion_tokens: completion, total_tokens: total })
        .filter(([, value]) => value !== undefined && value <= 999_999_999)
      // What is around may have a place of its own.
      fc.pre(!['usage', 'message', 'response'].some(name => Object.hasOwn(around, name)))
      t.strictSame(Object.entries(scan(text, offsets) ?? { none: 1 }).sort(), expected.sort())
    }
  ))
})

t.test('whatever bytes come, nothing is thrown, and a cut changes nothing', async t => {
  const json = fc.json().map(text => Buffer.from(text))
  const mutated = fc.tuple(json, fc.array(fc.tuple(fc.nat(), fc.nat(255)))).map(([bytes, changes]) => {
    for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
    return bytes
  })
  fc.assert(fc.property(fc.oneof(fc.uint8Array(), mutated), fc.array(fc.nat(200)), (bytes, offsets) => {
    t.strictSame(scan(bytes, offsets), scan(bytes))
  }))
})

t.test('what a proxy reports follows the shapes of both', async t => {
  t.strictSame(usageOf({}), undefined)
  t.strictSame(usageOf({ total_tokens: 3 }), undefined)
  t.strictSame(usageOf({ prompt_tokens: 7, total_tokens: 7 }), { input: 7, output: 0, total: 7 }, 'embeddings')
  t.strictSame(usageOf({ prompt_tokens: 7, completion_tokens: 3 }), { input: 7, output: 3, total: 10 })
  t.strictSame(usageOf({ prompt_tokens: 7, output_tokens: 3, total_tokens: 12 }), { input: 7, output: 3, total: 12 })
  t.strictSame(
    usageOf({ input_tokens: 7, output_tokens: 3, cache_creation_input_tokens: 2, cache_read_input_tokens: 1 }),
    { input: 10, output: 3, total: 13 }, 'tokens that went into a cache or came from it are input'
  )
  t.strictSame(
    usageOf({ prompt_tokens: 7, completion_tokens: 3, cache_read_input_tokens: 5 }), { input: 7, output: 3, total: 10 }
  )
})
