// The workflows hold the keys to the registries. An action named by tag can be replaced by whoever owns the tag.
import { readFileSync, readdirSync } from 'node:fs'
import { validateWorkflow } from '@action-validator/core'
import t from 'tap'
import { parse } from 'yaml'

const directory = new URL('../.github/workflows/', import.meta.url)

interface Job {
  needs?: string | string[]
  permissions?: Record<string, string>
  steps?: { run?: string, uses?: string, with?: Record<string, string> }[]
}

interface Workflow {
  permissions?: object
  jobs: Record<string, { permissions?: Record<string, string>, 'timeout-minutes'?: number, uses?: string }>
}

for (const file of readdirSync(directory).filter(name => name.endsWith('.yml'))) {
  const text = readFileSync(new URL(file, directory), 'utf8')

  t.test(`${file} is a valid workflow`, async t => {
    // The linter's schema is older than this permission.
    t.same(validateWorkflow(text.replace(/^ +attestations: write\n/gm, '')).errors, [])
    t.not(validateWorkflow(text.replace('runs-on', 'run-on')).errors.length, 0, 'and the linter would have noticed')
  })

  t.test(`${file} names every action by its commit, with the version beside it`, async t => {
    const uses = text.split('\n').filter(line => /^\s*(?:- )?uses: (?!\.\/)/.test(line))
    t.ok(uses.length > 0)
    t.same(uses.filter(line => !/uses: [\w.-]+(?:\/[\w.-]+)+@[0-9a-f]{40} # v\d+(?:\.\d+){0,2}$/.test(line)), [])
  })

  t.test(`${file} grants nothing by default, and each job states what it may do and for how long`, async t => {
    const { permissions, jobs } = parse(text) as Workflow
    t.same(permissions, {})
    for (const [name, job] of Object.entries(jobs)) {
      t.ok(job.permissions, `${name} states its permissions`)
      // The jobs of a workflow that is called have their own.
      if (job.uses === undefined) t.type(job['timeout-minutes'], 'number', `${name} ends`)
      else t.match(job.uses, /^\.\/\.github\/workflows\//, `${name} is of this repository`)
    }
  })

  t.test(`${file} reads no stored secret`, async t => {
    t.notMatch(text, /\bsecrets\s*[.[]/)
  })
}

t.test('only the release may write, and only what its jobs need', async t => {
  const granted = readdirSync(directory).flatMap(file => {
    const { jobs } = parse(readFileSync(new URL(file, directory), 'utf8')) as Workflow
    return Object.entries(jobs).flatMap(([name, { permissions = {} }]) =>
      Object.entries(permissions).filter(([, level]) => level === 'write').map(([scope]) => `${file} ${name} ${scope}`))
  })
  t.same(granted.sort(), [
    'release.yml executable-provenance attestations',
    'release.yml executable-provenance id-token',
    'release.yml notes contents',
    'release.yml page-provenance attestations',
    'release.yml page-provenance id-token',
    'release.yml publish attestations',
    'release.yml publish id-token',
    'release.yml sdk id-token'
  ])
})

t.test('where a job may write or has an identity, no package and nothing of this repository runs', async t => {
  for (const file of readdirSync(directory)) {
    const { jobs } = parse(readFileSync(new URL(file, directory), 'utf8')) as { jobs: Record<string, Job> }
    for (const [name, { permissions = {}, steps = [] }] of Object.entries(jobs)) {
      if (!Object.values(permissions).includes('write')) continue
      t.notOk(steps.some(({ uses }) => uses?.startsWith('actions/checkout@')), `${file} ${name} checks nothing out`)
      const commands = steps.flatMap(({ run }) => run ?? []).join('\n').split('\n')
      t.same(commands.filter(line => /\b(?:npx|node|tsc|make)\b/.test(line)), [], `${file} ${name}`)
      t.same(
        commands.filter(line => /\bnpm\b/.test(line) && !/^npm publish \S+\.tgz .*--ignore-scripts$/.test(line)), [],
        `${file} ${name}`
      )
    }
  }
})

t.test('a release installs without scripts, and publishes the package that another job has built', async t => {
  const text = readFileSync(new URL('release.yml', directory), 'utf8')
  const installs = text.match(/npm (?:ci|install|i)\b.*/g) ?? []
  t.ok(installs.length > 0)
  t.same(installs.filter(command => !command.includes('--ignore-scripts')), [])
  const { jobs } = parse(text) as { jobs: Record<string, Job> }
  t.same(jobs['sdk-build']?.permissions, { contents: 'read' })
  t.equal(jobs['sdk']?.needs, 'sdk-build')
  const published = jobs['sdk']?.steps?.find(({ run }) => run?.startsWith('npm publish'))?.run ?? ''
  const uploaded = jobs['sdk-build']?.steps?.find(
    ({ uses }) => uses?.startsWith('actions/upload-artifact@')
  )?.with?.['path'] ?? ''
  t.match(published, uploaded.replace('package/', './'))
})

t.test('the README\'s test command is what .ci/run and check.yml run, and so are the checks', async t => {
  const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
  const [, command = ''] = /^```sh\n(.*npm test)\n```$/m.exec(text('README.md')) ?? []
  t.equal(command, 'npm ci && npm test')
  const { jobs } = parse(text('.github/workflows/check.yml')) as {
    jobs: Record<string, { steps?: { run?: string }[] }>
  }
  const onRunners = Object.values(jobs).flatMap(({ steps = [] }) => steps.map(({ run }) => run))
  t.ok(onRunners.includes(command))
  const everything = text('.ci/run')
  t.ok(everything.split('\n').includes(`  ${command}`))
  for (const check of [
    'npm run check', 'npm run test:image', 'npm run test:cluster',
    'shellcheck --severity=warning .ci/run cluster-test/*.sh docker/*.sh examples/*/*.sh scripts/*.sh'
  ]) {
    t.ok(onRunners.some(run => run?.endsWith(check)), `check.yml: ${check}`)
    t.ok(everything.includes(check), `.ci/run: ${check}`)
  }
})

t.test('every suite that package.json has is a step of .ci/run', async t => {
  const { scripts } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  ) as { scripts: Record<string, string> }
  const everything = readFileSync(new URL('../.ci/run', import.meta.url), 'utf8')
  const suites = Object.keys(scripts).filter(name => name.startsWith('test:'))
  t.ok(suites.length >= 2)
  for (const suite of suites) t.match(everything, new RegExp(`^step 'npm run ${suite}' `, 'm'))
})
