/** docs/operations.md has every line that the log can hold, with its level and its fields, and no others. */
import t from 'tap'
import { configFrom } from '../../lib/config/config.ts'
import { weaknesses } from '../../lib/config/weaknesses.ts'
import { read } from '../fixtures/documents.ts'
import { logCalls } from '../fixtures/log-calls.ts'
import type { LogCall } from '../fixtures/log-calls.ts'

interface Row {
  readonly message: string
  readonly levels: readonly string[]
  readonly fields: readonly string[]
}

const page = read('docs/operations.md')
const [, table = ''] = page.split('\n| Message | Level | Fields | Meaning | What to do |\n')
const rows = table.split('\n\n', 1)[0]!.split('\n').slice(1).map((line): Row => {
  const [, message = '', levels = '', fields = ''] = line.split(/ ?(?<!\\)\| ?/)
  return {
    message: /^`(.*?)`/.exec(message)?.[1] ?? '',
    levels: levels.split(', '),
    fields: [...fields.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name).toSorted()
  }
})
const calls = logCalls()
/** What Fastify and reply-from log themselves. */
const OTHERS = new Set(['Server listening at …', 'response errored'])

/** What is before the part that is known only then. */
function start (message: string): string {
  return message.split('…', 1)[0] ?? ''
}

/** What the code has in one string: sentences about v1 are made of parts. */
function clause (text: string): string {
  return text.split(/, and | after /, 1)[0] ?? ''
}

function describes ({ levels, fields }: Row, call: LogCall): boolean {
  return levels.some(level => call.levels.includes(level)) && fields.join() === call.fields.join()
}

t.test('every line that the code logs is in the table, with its level and fields', async t => {
  t.ok(calls.length > 30)
  for (const call of calls) {
    const candidates = rows.filter(({ message }) => start(call.message) === ''
      ? message.startsWith('…') || call.fields.length === 0
      : start(message) === start(call.message) ||
        (call.message.endsWith('…') && message.startsWith(start(call.message))))
    t.ok(
      candidates.some(row => describes(row, call)),
      `${call.file}: ${call.levels.join()} ${call.message} {${call.fields.join()}}`
    )
  }
})

t.test('every line of the table is logged by the code', async t => {
  t.ok(rows.length > 40)
  const texts = [
    'lib/config/weaknesses.ts', 'lib/config/unknown.ts', 'lib/platforms/azure/keys.ts', 'lib/platforms/local/keys.ts'
  ].map(read)
  for (const row of rows.filter(({ message }) => !OTHERS.has(message))) {
    const static_ = start(row.message)
    const logged = calls.some(call => describes(row, call) &&
      (static_ === ''
        ? start(call.message) === ''
        : start(call.message) !== '' && row.message.startsWith(start(call.message))))
    t.ok(
      logged || texts.some(text => static_ !== '' && text.includes(clause(static_))),
      `${row.message} {${row.fields.join()}}`
    )
  }
})

t.test('every state of the replay store', async t => {
  const [, states = ''] = /type RedisState =([^;]*?)\n\n/.exec(read('lib/replay/redis.ts')) ?? []
  const named = [...states.matchAll(/'([^']+)'/g)].map(([, state]) => `replay store ${state}`)
  t.ok(named.length > 5)
  t.same(
    rows.map(({ message }) => message).filter(message => message.startsWith('replay store')).toSorted(),
    named.toSorted()
  )
})

t.test('every weakness that is warned of', async t => {
  const weak = [
    { enableInputEncryption: false, enableOutputEncryption: true },
    { v1AllowUnboundResponseKey: true },
    { workloadTlsVerify: false },
    { enableInputEncryption: true, v1ReplayProtection: false },
    {
      keyType: 'file',
      keyFile: '/key.pem',
      hpkeSeed: 'sealed',
      hpkeSeedFile: '/shared/seed',
      replayStore: 'redis://localhost'
    }
  ].flatMap(settings => weaknesses(configFrom({ workloadBaseUrl: 'https://localhost', ...settings })))
  t.ok(weak.length >= 5)
  for (const { sentence } of weak) t.ok(page.includes(sentence.replace(/ \(.*/, '')), sentence)
})
