// What polaris completion prints, at work: a tab is pressed in bash, in zsh and in fish.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { polaris } from '../test/fixtures/polaris-cli.ts'
import { tools } from './fixtures/tools.ts'

t.setTimeout(240_000)
const folder = t.testdir({ 'policy.json': '{}' })

async function script (shell: string, name: string): Promise<string> {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, (await polaris(['completion', shell])).stdout)
  return path
}

const run = (program: string, args: readonly string[]) => execFileSync(
  program, args, { cwd: folder, encoding: 'utf8', timeout: 30_000 }
)

/** Each gives the lines that a tab at the end of this one leads to. */
const shells: Record<string, (script: string) => (line: string) => string[]> = {
  bash: script => line => {
    const before = line.slice(0, line.lastIndexOf(' ') + 1)
    return run('bash', [join(tools.suite, 'shells/complete.bash'), script, line]).trim().split('\n').map(word =>
      before + word)
  },
  zsh: script => line => [
    `polaris ${run('zsh', ['-f', join(tools.suite, 'shells/complete.zsh'), join(script, '..'), line]).trim()}`
  ],
  fish: script => line => {
    const before = line.slice(0, line.lastIndexOf(' ') + 1)
    const words = run(
      'fish', ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', script, line]
    ).trim().split('\n').map(found => found.split('\t', 1)[0] ?? '')
    return words.map(word => before + word)
  }
}

const cases: [line: string, expected: string][] = [
  ['polaris ver', 'polaris verify'],
  ['polaris --vers', 'polaris --version'],
  ['polaris fetch https://x --max', 'polaris fetch https://x --max-time'],
  ['polaris fetch https://x -p policy.json --write', 'polaris fetch https://x -p policy.json --write-out'],
  ['polaris fetch -H a:b -H c:d https://x --inc', 'polaris fetch -H a:b -H c:d https://x --include'],
  ['polaris verify https://x --policy pol', 'polaris verify https://x --policy policy.json'],
  ['polaris verify -p pol', 'polaris verify -p policy.json'],
  ['polaris policy in', 'polaris policy init'],
  ['polaris policy --he', 'polaris policy --help'],
  ['polaris policy init https://x --dev', 'polaris policy init https://x --development'],
  ['polaris appraise sev', 'polaris appraise sev-snp'],
  ['polaris doctor https://x --str', 'polaris doctor https://x --stream'],
  ['polaris completion z', 'polaris completion zsh']
]

for (const [shell, complete] of Object.entries(shells)) {
  const missing = spawnSync(shell, ['-c', 'true']).status === 0 ? undefined : `${shell} is not installed`
  t.test(shell, missing === undefined ? {} : { skip: missing }, async t => {
    const tab = complete(await script(shell, shell === 'zsh' ? 'scripts/_polaris' : `scripts/polaris.${shell}`))
    for (const [line, expected] of cases) t.same(tab(line), [expected], line)
  })
}
