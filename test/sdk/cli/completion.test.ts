// polaris completion: the scripts complete commands and options in the shells that are here.
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { polaris } from '../../fixtures/polaris-cli.ts'

t.setTimeout(240_000)
const scripts = {
  bash: (await polaris(['completion', 'bash'])).stdout,
  zsh: (await polaris(['completion', 'zsh'])).stdout,
  fish: (await polaris(['completion', 'fish'])).stdout
}
const folder = t.testdir(scripts)
const has = (shell: string) => spawnSync('sh', ['-c', `command -v ${shell}`]).status === 0

t.test('bash completes', { skip: !has('bash') && 'no bash here' }, async t => {
  const script = `
    source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _polaris; printf '%s\\n' "\${COMPREPLY[@]}"`
  const complete = (...words: string[]) => execFileSync(
    'bash', ['-c', script, join(folder, 'bash'), ...words], { encoding: 'utf8', cwd: folder }
  ).trim().split('\n')
  t.strictSame(complete('polaris', 'ver'), ['verify'])
  t.strictSame(complete('polaris', 'fetch', 'https://x', '--max'), ['--max-time'])
  t.strictSame(complete('polaris', 'policy', ''), ['init', '--help', '-h'])
  t.strictSame(complete('polaris', 'policy', 'init', 'https://x', '--dev'), ['--development'])
  t.strictSame(complete('polaris', 'completion', 'z'), ['zsh'])
  t.strictSame(complete('polaris', 'verify', 'https://x', '--policy', 'z'), ['zsh'], 'files, where a file belongs')
})

t.test('zsh and fish can read theirs', async t => {
  for (const shell of ['zsh', 'fish'] as const) {
    if (!has(shell)) t.comment(`no ${shell} here`)
    else t.equal(spawnSync(shell, ['-n', join(folder, shell)], { encoding: 'utf8' }).stderr, '')
    for (const word of ['fetch', 'verify', 'keys', 'policy', 'doctor', 'completion', 'init', 'max-time', 'write-out']) {
      t.match(scripts[shell], word)
    }
  }
  t.match(scripts.fish, /complete -c polaris -n '__fish_seen_subcommand_from fetch' -l policy -s p -r -d /)
})

t.test('another shell is wrong usage', async t => {
  t.match(await polaris(['completion', 'tcsh']), { status: 2, stderr: /bash, zsh, fish/ })
})
