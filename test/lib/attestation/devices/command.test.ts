// Device evidence from a real command: without a shell, with next to no environment, within its time, and gone
// afterwards.
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { commandOutput } from '../../../../lib/attestation/devices/command.ts'
import { deviceCollector } from '../../../../lib/attestation/devices/index.ts'
import { RemoteError } from '../../../../lib/remote/error.ts'

const never = new AbortController().signal
const folder = t.testdir()

/** A script of Node's, and the words that run it. */
function script (name: string, code: string): string {
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, code)
  return `${process.execPath} ${file}`
}

async function run (command: string, { timeoutMs = 30_000, signal = never } = {}): Promise<string> {
  const [file = '', ...args] = command.split(' ')
  return commandOutput(file, args, timeoutMs, signal)
}

const failure = (command: string, options = {}) => run(command, options).then(
  output => { throw new Error(`it printed ${output.length} characters`) },
  (error: unknown) => error as RemoteError
)

/** Whether a process is there and is no zombie. */
async function isAlive (pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return status !== '' && !/\) Z /.test(status)
}

/** However long the machine takes. */
async function until (condition: () => Promise<boolean>) {
  while (!await condition()) await new Promise(resolve => setTimeout(resolve, 20))
}

t.test('a command prints evidence for the nonce that it is given', async t => {
  const echo = script('evidence', `
    const nonce = process.argv[process.argv.indexOf('--nonce') + 1]
    console.log(JSON.stringify({ evidences: [{ arch: 'HOPPER', nonce, evidence: 'QUJD', certificate: 'REVG' }], result_code: 0 }))`)
  const nonce = new Uint8Array(32).fill(0xab)
  for (const source of [echo, `${echo} --nonce {nonce}`]) {
    const [[, value] = []] = await deviceCollector({ source, timeoutMs: 30_000, count: 1 })(nonce, never)
    t.match(JSON.parse(value ?? ''), { nonce: 'ab'.repeat(32), evidence_list: [{ evidence: 'QUJD' }] })
  }
})

t.test('its words reach it as they are, and its environment has no secret of the proxy\'s', async t => {
  process.env['POLARIS_CONTAINER_AZURE_SKR_ACCESS_TOKEN'] = 'secret'
  t.teardown(() => { delete process.env['POLARIS_CONTAINER_AZURE_SKR_ACCESS_TOKEN'] })
  const show = script(
    'show', 'console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env, cwd: process.cwd() }))'
  )
  const { args, env, cwd } = JSON.parse(await run(`${show} $HOME ;id \`id\` * --nonce=1`))
  t.same(args, ['$HOME', ';id', '`id`', '*', '--nonce=1'])
  // The test runner adds variables of its own to whatever is started.
  const known = /^(?:PATH|LD_LIBRARY_PATH|NODE_OPTIONS|_TAPJS_\w+)$/
  t.same(Object.keys(env).filter(name => !known.test(name)), [])
  t.equal(cwd, '/')
})

t.test('a command that fails, dies, prints too much or is not there is refused by its reason', async t => {
  const cases: ReadonlyArray<readonly [string, RegExp, string]> = [
    [script('fails', 'console.error("secret"); process.exitCode = 3'), /ended with status 3$/, 'EXIT'],
    [script('dies', 'process.kill(process.pid, "SIGKILL")'), /ended with SIGKILL$/, 'EXIT'],
    [
      script('endless', 'setInterval(() => process.stdout.write("x".repeat(65536)), 0)'), /printed too much$/,
      'ERR_TOO_LONG'
    ],
    ['/no/such/program', /cannot be run \(ENOENT\)$/, 'ENOENT'],
    [folder, /cannot be run \(EACCES\)$/, 'EACCES']
  ]
  for (const [command, message, code] of cases) {
    const error = await failure(command)
    t.match(
      error, { name: 'RemoteError', message, providerCode: code, advice: /POLARIS_CONTAINER_ATTESTATION_DEVICES/ }
    )
    t.notMatch(error.message, 'secret')
  }
})

t.test('a command that takes too long is ended with everything that it started', async t => {
  const note = join(folder, 'pids')
  const slow = script('slow', `
    import { spawn } from 'node:child_process'
    import { writeFileSync } from 'node:fs'
    const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'inherit' })
    writeFileSync(${JSON.stringify(note)}, process.pid + ' ' + child.pid)
    setInterval(() => undefined, 1000)`)
  const controller = new AbortController()
  const [error] = await Promise.all([
    failure(slow, { signal: controller.signal }),
    until(async () => (await readFile(note, 'utf8').catch(() => '')).includes(' ')).then(() => controller.abort())
  ])
  t.match(error, { kind: 'transient', message: /was ended: this proxy is stopping/ })
  for (const pid of (await readFile(note, 'utf8')).split(' ').map(Number)) await until(async () => !await isAlive(pid))

  t.match(
    await failure(slow, { timeoutMs: 200 }),
    { kind: 'transient', message: /did not end in time/, providerCode: 'TIMEOUT' }
  )
})

t.test('what left its group and holds its output is waited for no longer than the command', async t => {
  const note = join(folder, 'daemon')
  const daemon = script('daemon', `
    import { spawn } from 'node:child_process'
    import { writeFileSync } from 'node:fs'
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => undefined, 60000)'], { stdio: 'inherit', detached: true })
    child.unref()
    writeFileSync(${JSON.stringify(note)}, String(child.pid))`)
  t.match(await failure(daemon, { timeoutMs: 3000 }), { providerCode: 'TIMEOUT' })
  const pid = Number(await readFile(note, 'utf8').catch(() => '0'))
  if (pid > 0) process.kill(pid, 'SIGKILL')
})

t.test('a proxy that is stopping starts none', async t => {
  t.match(await failure(script('late', ''), { signal: AbortSignal.abort() }), { message: /this proxy is stopping/ })
})
